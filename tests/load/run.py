"""One run: a load against the service, and what both sides saw of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .accounting import Memory, Usage, cpu_s
from .call import OK, QUERY_S, UNAVAILABLE, Decision, Outcome, Plan
from .conversation import LOOP_S, Conversation
from .generator import Generator, Load
from .subject import Subject

# A process starts, connects its calls and fills its caches before anything is measured.
START_S = 3.0
CONNECT_S = 0.02
SETTLE_S = 5.0


@dataclass(frozen=True)
class Shape:
    """How the calls of a run look.

    `aligned`: all begin to talk, and ask, at the same moment. `arriving`: so many more come, evenly, in the first
    three quarters of the time.
    """

    calls: int
    seconds: float
    frame_ms: int = 100
    aligned: bool = False
    arriving: int = 0


@dataclass(frozen=True)
class Result:
    """`usage` and `generator_s` are CPU seconds in `seconds` of measuring; `memory` is at its end."""

    shape: Shape
    seconds: float
    usage: Usage
    generator_s: float
    memory: Memory
    outcomes: Sequence[Outcome]
    decisions: Sequence[Decision]

    @property
    def cpu_per_call_s(self) -> float:
        """CPU seconds a call-second, of the service and its database."""
        return self.usage.total / (self.shape.calls * self.seconds)

    @property
    def load(self) -> float:
        """Share of the core that was busy."""
        return self.usage.total / self.seconds

    def latencies_ms(self) -> Quantiles:
        """From the moment that a query was due until its answer."""
        return Quantiles.of([(each.answered - each.due) * 1000 for each in self.answered()])

    def ages_ms(self) -> Quantiles:
        """Audio that was sent and that a decision did not know yet."""
        return Quantiles.of([each.age_s * 1000 for each in self.answered()])

    def answered(self) -> list[Decision]:
        return [each for each in self.decisions if each.status == OK]

    def refused(self) -> int:
        """Calls that were not let in."""
        return sum(outcome.refused == UNAVAILABLE for outcome in self.outcomes)

    def failed(self) -> int:
        """Calls that broke, and answers that were none."""
        broken = sum(bool(outcome.problem) and outcome.refused != UNAVAILABLE for outcome in self.outcomes)
        return broken + len(self.decisions) - len(self.answered())

    def calls_at_first_refusal(self) -> int | None:
        """How many calls ran when the service let no other in."""
        refusals = [outcome.asked for outcome in self.outcomes if outcome.refused == UNAVAILABLE]
        if not refusals:
            return None
        return sum(outcome.refused is None and outcome.asked < min(refusals) for outcome in self.outcomes)

    def lost_audio_s(self) -> float:
        """What was sent and never heard, over all calls that were let in."""
        return sum(outcome.sent_s - (outcome.heard_s or 0.0) for outcome in self.outcomes if outcome.refused is None)

    def speech_share(self) -> float:
        """Net speech in the audio, as the engine heard it: in whole seconds, so that half of one is missing a call."""
        heard = [outcome for outcome in self.outcomes if outcome.heard_s]
        return sum(each.net_speech_s + 0.5 for each in heard) / max(1e-9, sum(each.heard_s or 0 for each in heard))


@dataclass(frozen=True)
class Quantiles:
    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Quantiles:
        """NaN when there is nothing."""
        return cls(*(float(value) for value in np.quantile(values or [np.nan], [0.5, 0.95, 0.99, 1.0])))


def speaker(number: int) -> str:
    return f"caller-{number:04d}"


def execute(subject: Subject, conversations: Sequence[Conversation], shape: Shape, core: int) -> Result:
    """Make the calls of `shape` from `core`, measure while all of them talk, and hang up."""
    begin = time.monotonic() + START_S + shape.calls * CONNECT_S
    measure_from = begin + SETTLE_S
    until = measure_from + shape.seconds
    load = Load(
        subject.api,
        [conversation.alaw() for conversation in conversations],
        shape.frame_ms,
        plans(conversations, shape, begin),
        until,
    )
    generator = Generator(load, core)
    _sleep_until(measure_from)
    started, before, generator_before = time.monotonic(), subject.usage(), cpu_s(generator.pid)
    _sleep_until(until)
    after, generator_after, memory, ended = subject.usage(), cpu_s(generator.pid), subject.memory(), time.monotonic()
    outcomes = generator.outcomes()
    return Result(
        shape=shape,
        seconds=ended - started,
        usage=after.since(before),
        generator_s=generator_after - generator_before,
        memory=memory,
        outcomes=outcomes,
        decisions=[each for outcome in outcomes for each in outcome.decisions if measure_from <= each.due < until],
    )


def plans(conversations: Sequence[Conversation], shape: Shape, begin: float) -> list[Plan]:
    """Each call at a place of its own in its conversation; all in one second, or all at once at the start of a turn."""
    random = np.random.default_rng(shape.calls)
    made = []
    for number in range(shape.calls + shape.arriving):
        conversation = number % len(conversations)
        turns = conversations[conversation].turns
        first_s = turns[int(random.integers(len(turns)))] if shape.aligned else random.uniform(0, LOOP_S)
        begin_at = begin if shape.aligned else begin + random.uniform(0, 1)
        connect_at = begin - START_S / 2 - (shape.calls - number) * CONNECT_S
        if number >= shape.calls:
            begin_at = begin + SETTLE_S + (number - shape.calls) / shape.arriving * 0.75 * shape.seconds
            connect_at = begin_at - START_S / 2
        made.append(
            Plan(
                speaker=speaker(number % shape.calls),
                conversation=conversation,
                first=int(first_s * 1000 / shape.frame_ms),
                connect_at=connect_at,
                begin_at=begin_at,
                query_phase_s=0.0 if shape.aligned else random.uniform(0, QUERY_S),
            )
        )
    return made


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))

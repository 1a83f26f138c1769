"""Trials: voiceprints against the first seconds of other recordings, as callers would be enrolled and verified.

A voiceprint is made of whole takes (sessions) until it has its seconds of speech. Tested against it are the takes of
the same speaker that it was not made of, and those of all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from voice_verify.engine.voice import normalise
from vvctl.profile.embeddings import Take

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

GRID_S = (1, 2, 3, 5, 10, 20)
"""Seconds of net speech that are tested. The calibration never says anything beyond the longest that data reach."""
ENROLMENTS = 2
"""Voiceprints made of each speaker, of other takes first; more would be made of the same speech again."""
MAX_TESTS = 10
"""Takes tested of each speaker, longest first, so that one with many does not weigh more than the others."""
MAX_IMPOSTORS = 200_000
"""Impostor trials of each length, drawn at random beyond: enough for rates of 0.002 % and a fit in seconds."""
_SEED = 20


@dataclass(frozen=True)
class Trials:
    """Row i says: voiceprint `enrolment[i]` against test `test[i]`; all arrays (n,) but the embeddings.

    `voiceprints` (e, 192) and `tests` (t, 192) are L2-normalised means; `speaker_enrolled` and `speaker_tested` count
    the speakers from 0 in the order of `speakers`, `take` the takes tested; `seconds` is the net speech of the test.
    """

    speakers: tuple[str, ...]
    voiceprints: Floats
    tests: Floats
    enrolment: Integers
    test: Integers
    speaker_enrolled: Integers
    speaker_tested: Integers
    take: Integers
    seconds: Integers
    one_session: tuple[str, ...]
    """Speakers whose voiceprint and test had to be of the same session: optimistic."""
    excluded: Mapping[str, int]
    """Speakers with too little speech, and how many seconds they have."""

    @property
    def target(self) -> NDArray[np.bool_]:
        """Whether both sides are the same speaker, (n,)."""
        same: NDArray[np.bool_] = self.speaker_enrolled == self.speaker_tested
        return same

    def scores(self, projected: tuple[Floats, Floats]) -> NDArray[np.float64]:
        """Cosines (n,), of voiceprints and tests projected to length 1 by a normalisation."""
        voiceprints, tests = projected
        table = voiceprints.astype(np.float64) @ tests.T.astype(np.float64)
        return np.asarray(table[self.enrolment, self.test])

    def only(self, rows: NDArray[np.bool_]) -> Trials:
        """The trials in `rows` (n,); the embeddings stay as they are."""
        names = ("enrolment", "test", "speaker_enrolled", "speaker_tested", "take", "seconds")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def lengths(self) -> list[int]:
        return [int(seconds) for seconds in np.unique(self.seconds)]

    def distinct(self, rows: NDArray[np.bool_]) -> int:
        """How many pairs of a speaker enrolled and a take tested are in `rows` (n,).

        A second voiceprint of the same speaker is no independent trial.
        """
        keys = self.speaker_enrolled[rows] * (int(self.take.max(initial=0)) + 1) + self.take[rows]
        return len(np.unique(keys))


def pooled(chunks: Floats) -> Floats:
    """The embedding (192,) of the speech in `chunks` (n, 192), as the engine makes it."""
    return normalise(chunks.astype(np.float64).sum(axis=0).astype(np.float32))


@dataclass
class _Speaker:
    voiceprints: list[tuple[Floats, frozenset[int]]]
    tests: list[tuple[int, Floats]]
    one_session: bool


def build(takes: Sequence[Take], *, enrolment_s: int, minimum_test_s: int = 1) -> Trials:
    """Every trial that the takes allow. `enrolment_s`: seconds of speech in a voiceprint."""
    by_speaker: dict[str, list[Take]] = {}
    for take in takes:
        by_speaker.setdefault(take.speaker, []).append(take)
    sides: dict[str, _Speaker] = {}
    excluded: dict[str, int] = {}
    for name, own in sorted(by_speaker.items()):
        side = _sides(own, enrolment_s, minimum_test_s)
        if side is None:
            excluded[name] = sum(len(take.embeddings) for take in own)
        else:
            sides[name] = side
    return _pair(sides, excluded)


def _sides(takes: Sequence[Take], enrolment_s: int, minimum_test_s: int) -> _Speaker | None:
    """The voiceprints and tests of one speaker; None when there is too little speech for both."""
    voiceprints: list[tuple[Floats, frozenset[int]]] = []
    for number in range(min(ENROLMENTS, len(takes))):
        first = number * len(takes) // ENROLMENTS
        order = [(first + step) % len(takes) for step in range(len(takes))]
        used: list[int] = []
        while order and sum(len(takes[index].embeddings) for index in used) < enrolment_s:
            used.append(order.pop(0))
        chunks = np.concatenate([takes[index].embeddings for index in used])
        if len(chunks) >= enrolment_s and any(len(takes[index].embeddings) >= minimum_test_s for index in order):
            voiceprints.append((pooled(chunks[:enrolment_s]), frozenset(used)))
    if voiceprints:
        longest = sorted(range(len(takes)), key=lambda index: -len(takes[index].embeddings))[:MAX_TESTS]
        return _Speaker(voiceprints, [(index, takes[index].embeddings) for index in sorted(longest)], one_session=False)
    chunks = np.concatenate([take.embeddings for take in takes])
    if len(chunks) < enrolment_s + minimum_test_s:
        return None
    return _Speaker([(pooled(chunks[:enrolment_s]), frozenset())], [(0, chunks[enrolment_s:])], one_session=True)


def _pair(sides: Mapping[str, _Speaker], excluded: Mapping[str, int]) -> Trials:
    voiceprints = [
        (number, embedding, used) for number, side in enumerate(sides.values()) for embedding, used in side.voiceprints
    ]
    owner = np.array([number for number, _, _ in voiceprints], np.int64)
    tested = [(number, index, chunks) for number, side in enumerate(sides.values()) for index, chunks in side.tests]
    blocked = np.array(
        [[own == number and index in used for number, index, _ in tested] for own, _, used in voiceprints], bool
    ).reshape(len(voiceprints), len(tested))
    random = np.random.default_rng(_SEED)
    tests: list[Floats] = []
    rows: list[tuple[Integers, Integers, Integers, Integers, Integers, Integers]] = []
    for seconds in GRID_S:
        long = np.array([index for index, (_, _, chunks) in enumerate(tested) if len(chunks) >= seconds], np.int64)
        if not len(long):
            continue
        speaker = np.array([tested[index][0] for index in long], np.int64)
        target = (owner[:, None] == speaker[None, :]) & ~blocked[:, long]
        impostor = np.flatnonzero(owner[:, None] != speaker[None, :])
        if len(impostor) > MAX_IMPOSTORS:
            impostor = np.sort(random.choice(impostor, MAX_IMPOSTORS, replace=False))
        enrolment, test = np.unravel_index(np.concatenate([np.flatnonzero(target), impostor]), target.shape)
        rows.append(
            (enrolment, test + len(tests), owner[enrolment], speaker[test], long[test], np.full(len(test), seconds))
        )
        tests += [pooled(tested[index][2][:seconds]) for index in long]
    columns = [np.concatenate(column) for column in zip(*rows, strict=True)] or [np.empty(0, np.int64)] * 6
    enrolment, test, enrolled, speaker_tested, take, length = columns
    return Trials(
        speakers=tuple(sides),
        voiceprints=np.array([embedding for _, embedding, _ in voiceprints], np.float32),
        tests=np.array(tests, np.float32),
        enrolment=enrolment,
        test=test,
        speaker_enrolled=enrolled,
        speaker_tested=speaker_tested,
        take=take,
        seconds=length,
        one_session=tuple(name for name, side in sides.items() if side.one_session),
        excluded=dict(excluded),
    )

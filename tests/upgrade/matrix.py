"""The fault matrix: the real vvctl, hit by one fault at one mutating call, and taken up again until it has ended.

After every end of a process an independent look must find the data whole and in one place; at the end nothing may be
left behind but what the upgrade says that it keeps.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from tests.doubles.appliance import A, B, Behaviour, Data, Fault
from vvctl.upgrade.history import History, Phase

from .operator import QUICK, Operator
from .platform import NEW, OLD, Calls, Observed, Platform

# A fault strikes once, so an upgrade is over after a few.
_MOST_PROCESSES = 6
# Every attempt ends long before: a hang is a failure, not a reason to wait for pytest's limit.
_LONGEST_S = 600
# Between two calls that belong to different states more time goes by.
_GLANCE_S = 0.001


class Way(StrEnum):
    """Where the fault strikes."""

    # To the new system.
    FORWARD = "forward"
    # Back by itself, because the new system lost records when it had migrated.
    BACK = "back"
    # Back when the new system had been in charge.
    ROLLBACK = "rollback"
    # The way back is given up.
    FINALIZE = "finalize"


# What a person types after an upgrade that went well.
_COMMANDS = {Way.ROLLBACK: ("rollback", "--accept-data-loss"), Way.FINALIZE: ("finalize", "--yes")}


@dataclass(frozen=True)
class Case:
    """One fault at the `nth` mutating call of a way, of the platform or of the appliance, made in a state."""

    way: Way
    fault: Fault
    nth: int
    call: str
    appliance: bool
    state: str

    def __str__(self) -> str:
        source = "appliance" if self.appliance else "platform"
        return f"{self.way}: {self.fault} at {source} {self.nth}, {self.call}, in {self.state}"


@dataclass
class Outcome:
    """What became of a case. `wrong`: what must not be; `said`: what vvctl wrote, process by process."""

    case: Case | None = None
    ended: str = ""
    processes: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        found = "; ".join(self.wrong) or self.ended
        return f"{self.case or 'without a fault'} ─► {found} ({self.processes} processes, {self.seconds:.1f} s)"


class _Recording:
    """Takes down the calls that are made, and in which state."""

    def __init__(self, way: Way, journal: Path, sources: Mapping[bool, Calls]) -> None:
        self._way, self._journal, self._sources = way, journal, sources
        self._before = {appliance: len(calls.mutations()) for appliance, calls in sources.items()}
        self._made: dict[bool, list[Case]] = {appliance: [] for appliance in sources}

    def glance(self) -> None:
        for appliance, cases in self._made.items():
            calls = self._sources[appliance].mutations()[self._before[appliance] + len(cases) :]
            # A state is written down before the first call that is made in it.
            state = History.read(self._journal).stays()[-1].state if calls else ""
            cases += [
                Case(self._way, Fault.REFUSE, nth, call, appliance, state)
                for nth, call in enumerate(calls, start=len(cases) + 1)
            ]

    @property
    def cases(self) -> list[Case]:
        return [case for cases in self._made.values() for case in cases]


@dataclass
class Matrix:
    """Cases on one platform; journals are in `folder`, a line for each case goes to `report`."""

    platform: Platform
    folder: Path
    report: Path
    quick: Sequence[str] = QUICK
    _journals: int = 0
    _references: dict[Way, list[Case]] = field(default_factory=dict)
    _struck: set[tuple[bool, str]] = field(default_factory=set)

    def sweep(self, way: Way, fault: Fault) -> list[Outcome]:
        """The fault at every call."""
        return [self.strike(replace(case, fault=fault)) for case in self._calls(way) if fault in self._kinds(case)]

    def sample(self, way: Way, *, every: int, each_state: bool) -> list[Outcome]:
        """One fault at each `every`th call, and at the first of `each_state` that no way has struck yet.

        The kinds come in turn, and each way begins with another one.
        """
        outcomes: list[Outcome] = []
        first_kind = 2 * list(Way).index(way)
        for number, case in enumerate(self._calls(way)):
            where = (case.appliance, case.state)
            if number % every and not (each_state and where not in self._struck):
                continue
            self._struck.add(where)
            kinds = self._kinds(case)
            outcomes.append(self.strike(replace(case, fault=kinds[(first_kind + len(outcomes)) % len(kinds)])))
        return outcomes

    def strike(self, case: Case) -> Outcome:
        """Run into the fault, take the upgrade up again, and look."""
        outcome = Outcome(case)
        began = time.monotonic()
        journal = self._fresh(case.way)
        if case.way in _COMMANDS:
            self._upgrade_first(journal, outcome)
        calls = self._source(case.appliance)
        nth = len(calls.mutations()) + case.nth
        calls.arm(case.fault, nth)
        self._to_the_end(case.way, journal, outcome)
        if len(calls.mutations()) < nth:
            outcome.wrong.append(f"the fault did not strike: there were {len(calls.mutations())} calls")
        self._finished(outcome, journal, began)
        return outcome

    def _calls(self, way: Way) -> list[Case]:
        """The mutating calls of a way, as a run without a fault makes them."""
        if way not in self._references:
            # To finalize an upgrade, one has to be made.
            self._refer(Way.FINALIZE if way is Way.FORWARD else way)
        return self._references[way]

    def _refer(self, way: Way) -> None:
        outcome, journal = Outcome(), self._fresh(way)
        if way in _COMMANDS:
            forward = self._recording(Way.FORWARD, journal)
            self._upgrade_first(journal, outcome, forward.glance)
            self._references.setdefault(Way.FORWARD, forward.cases)
        recording = self._recording(way, journal)
        self._to_the_end(way, journal, outcome, recording.glance)
        assert not outcome.wrong, (outcome.wrong, outcome.said)
        cases = recording.cases
        if way is Way.BACK:
            # What it has in common with the way forward is struck there.
            cases = [case for source in (False, True) for case in self._new(cases, appliance=source)]
        self._references[way] = cases

    def _new(self, back: Sequence[Case], *, appliance: bool) -> Sequence[Case]:
        """Those that the way back does not begin with as the way forward does; at least the last."""
        forward = [case.call for case in self._calls(Way.FORWARD) if case.appliance is appliance]
        cases = [case for case in back if case.appliance is appliance]
        return cases[min(_in_common(forward, [case.call for case in cases]), len(cases) - 1) :]

    def _recording(self, way: Way, journal: Path) -> _Recording:
        sources = {False: self.platform, True: self.platform.appliance}
        return _Recording(way, journal, {appliance: calls for appliance, calls in sources.items() if calls is not None})

    def _fresh(self, way: Way) -> Path:
        """A world, and the directory for a journal."""
        self.platform.reset(new=Behaviour.LOSES_RECORDS if way is Way.BACK else Behaviour.HEALTHY)
        self._journals += 1
        return self.folder / f"journal-{self._journals}"

    def _upgrade_first(self, journal: Path, outcome: Outcome, glance: Callable[[], None] | None = None) -> None:
        """What comes before a way that is gone from the new system."""
        status = self._process(self._run(), journal, outcome, glance)
        if status != 0:
            outcome.wrong.append(f"the upgrade before it ended with {status}")

    def _to_the_end(self, way: Way, journal: Path, outcome: Outcome, glance: Callable[[], None] | None = None) -> None:
        command: Sequence[str] = _COMMANDS[way] if way in _COMMANDS else self._run()
        for _ in range(_MOST_PROCESSES):
            status = self._process(command, journal, outcome, glance)
            outcome.wrong += _harm(self.platform.observe())
            phase = History.read(journal).phase
            if outcome.wrong or phase is Phase.ENDED:
                return
            if phase is Phase.COMMITTED and way is not Way.FINALIZE:
                # Taking up what is done is refused.
                if status in {0, 1}:
                    return
                command = ("resume",)
            elif phase is not Phase.COMMITTED:
                command = ("resume",)
        outcome.wrong.append("it was taken up again and again, and did not end")

    def _finished(self, outcome: Outcome, journal: Path, began: float) -> None:
        way = outcome.case.way if outcome.case is not None else None
        history = History.read(journal)
        if not outcome.wrong:
            outcome.ended, wrong = _end(history, self.platform.observe())
            outcome.wrong += wrong
            outcome.wrong += _expected(way, outcome)
        outcome.seconds = time.monotonic() - began
        document = {"platform": self.platform.name, **asdict(outcome)}
        del document["said"]
        with self.report.open("a", encoding="utf-8") as file:
            file.write(json.dumps(document) + "\n")
        print(f"{self.platform.name} {outcome}", file=sys.stderr, flush=True)

    def _run(self) -> list[str]:
        recording = self.folder / "anna.wav"
        recording.write_bytes(b"RIFF anna")
        return ["run", *self.platform.run_arguments(), "--canary", f"anna={recording}", "--yes", *self.quick]

    def _process(
        self, command: Sequence[str], journal: Path, outcome: Outcome, glance: Callable[[], None] | None = None
    ) -> int:
        """One vvctl, from its start to its end; `glance` is called again and again meanwhile."""
        outcome.processes += 1
        process = Operator(self.platform, journal).begin(*command)
        try:
            while glance is not None and process.poll() is None:
                glance()
                time.sleep(_GLANCE_S)
            said, _ = process.communicate(timeout=_LONGEST_S)
            if glance is not None:
                glance()
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            outcome.wrong.append(f"{command[0]} hung")
        outcome.said.append(f"{command[0]}: {process.returncode}\n{said}")
        if process.returncode not in {0, 1, 3, -signal.SIGKILL} or "Traceback" in said:
            outcome.wrong.append(f"{command[0]} ended with {process.returncode}")
        return process.returncode

    def _source(self, appliance: bool) -> Calls:
        if not appliance:
            return self.platform
        assert self.platform.appliance is not None
        return self.platform.appliance

    def _kinds(self, case: Case) -> list[Fault]:
        return sorted(frozenset(Fault) if case.appliance else self.platform.faults)


def failures(outcomes: Sequence[Outcome]) -> str:
    """What went wrong, for a person."""
    return "\n\n".join(
        f"{outcome.case or 'without a fault'}: {'; '.join(outcome.wrong)}\n" + "\n".join(outcome.said)
        for outcome in outcomes
        if outcome.wrong
    )


def _in_common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many they have in common at the beginning."""
    different = (index for index, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1])
    return next(different, min(len(one), len(other)))


def _harm(seen: Observed) -> Iterator[str]:
    """What must not be at any instant."""
    if seen.records is None:
        yield "the data is gone"
    if len(seen.data_at) > 1:
        yield f"the data disk is attached to {sorted(seen.data_at)}"
    if len(seen.running & seen.data_at) > 1 or len(seen.running) > 1:
        yield f"{sorted(seen.running)} run"
    if len(seen.identity_at) > 1:
        yield f"{sorted(seen.identity_at)} have the addresses"
    served = seen.running & seen.data_at
    if served and seen.identity_at != served:
        yield f"{sorted(served)} runs with the data, and the addresses are at {sorted(seen.identity_at)}"


def _end(history: History, seen: Observed) -> tuple[str, list[str]]:
    """How it ended, and what is not as it must be then."""
    back = history.decided("rollback") or history.phase is Phase.FORWARD or not history.entered("STAGE_NEW")
    ended = "rolled back" if back else "final" if history.decided("finalize") else "committed"
    role, version = (OLD, A) if back else (NEW, B)
    systems = {"rolled back": {OLD}, "final": {NEW}, "committed": {OLD, NEW}}[ended]
    expected = {
        "systems": systems,
        "running": {role},
        "data_at": {role},
        "identity_at": {role},
        "lock": None,
        "safety": ended == "committed",
        "records": Data().kept(),
        "format_epoch": version.format_epoch,
        "maintenance": False,
        "leftovers": set(),
    }
    wrong = [
        f"{what} is {getattr(seen, what)}, not {value}"
        for what, value in expected.items()
        if getattr(seen, what) != value
    ]
    # A platform that marks nothing before the first upgrade need not do so for one that never began.
    if seen.in_charge != role and (seen.in_charge is not None or history.decided("quiet")):
        wrong.append(f"{seen.in_charge} is in charge, not {role}")
    return ended, wrong


def _expected(way: Way | None, outcome: Outcome) -> Iterator[str]:
    """Whether it ended as it must, with this fault on this way."""
    if way is None or outcome.case is None:
        return
    allowed = {
        # Only what is refused for good may keep it from the new system.
        Way.FORWARD: {"committed", "rolled back"} if outcome.case.fault is Fault.REFUSE else {"committed"},
        Way.BACK: {"rolled back"},
        Way.ROLLBACK: {"rolled back"},
        Way.FINALIZE: {"final"},
    }[way]
    if outcome.ended not in allowed:
        yield f"it ended {outcome.ended}, not {' or '.join(sorted(allowed))}"

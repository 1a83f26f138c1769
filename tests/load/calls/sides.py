"""What takes the calls, as the benchmark sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client.parser import text_string_to_metric_families

from tests.load.accounting import Usage
from tests.load.subject import Subject
from voice_verify.telephony.host import REPORT_S

COUNTS = "voice_verify_telephony_"
OK = 200
WAIT_S = 30
WRITTEN_S = 5
HUNG_UP = "client_closed"


@dataclass(frozen=True)
class Ended:
    """Of calls that are over: how many the caller hung up, and the audio that was heard on all of them."""

    hung_up: int
    heard_s: float


class Side(Protocol):
    def usage(self) -> Usage: ...

    def calls(self) -> int:
        """That run now."""

    def ended(self, uuids: Sequence[str]) -> Ended:
        """What became of calls; waits for their end."""

    def counts(self) -> dict[str, float]:
        """The telephony process's counters by name, with the kind in braces."""


class Whole:
    """The whole service."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        until(lambda: subject.get("/health/ready").status_code == OK, "the service is not ready for calls")

    def usage(self) -> Usage:
        return self.subject.usage()

    def calls(self) -> int:
        return len(self.subject.get("/api/v2/streams").json()["streams"])

    def ended(self, uuids: Sequence[str]) -> Ended:
        until(lambda: not self.calls(), "the service does not end the calls")
        reports = [report for report in map(self._report, uuids) if report is not None]
        hung_up = sum(report["end_reason"] == HUNG_UP for report in reports)
        return Ended(hung_up, sum(float(report["audio_s"]) for report in reports))

    def counts(self) -> dict[str, float]:
        # The telephony process tells them now and then.
        time.sleep(2 * REPORT_S)
        return {
            sample.name.removeprefix(COUNTS).removesuffix("_total")
            + (f"{{{sample.labels['kind']}}}" if "kind" in sample.labels else ""): sample.value
            for family in text_string_to_metric_families(self.subject.get("/metrics").text)
            for sample in family.samples
            if sample.name.startswith(COUNTS)
        }

    def _report(self, uuid: str) -> dict[str, Any] | None:
        """It is written a moment after the stream is gone; None for a call that never was one."""
        deadline = time.monotonic() + WRITTEN_S
        while True:
            answer = self.subject.get(f"/api/v2/reports/{uuid}")
            if answer.status_code == OK:
                document: dict[str, Any] = answer.json()
                return document
            if time.monotonic() > deadline:
                return None
            time.sleep(0.1)


def until(happened: Callable[[], bool], otherwise: str) -> None:
    """Wait for something to be so; raises SystemExit with `otherwise`."""
    deadline = time.monotonic() + WAIT_S
    while not happened():
        if time.monotonic() > deadline:
            raise SystemExit(f"error: {otherwise}")
        time.sleep(0.1)

"""What takes the calls, as the benchmark sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from prometheus_client.parser import text_string_to_metric_families

from tests.load.accounting import Usage
from tests.load.subject import Subject

COUNTS = "voice_verify_telephony_"
OK = 200
WAIT_S = 30


class Side(Protocol):
    def usage(self) -> Usage: ...

    def calls(self) -> int:
        """That run now."""

    def heard_s(self, uuids: Sequence[str]) -> float:
        """Audio of calls that have ended, together."""

    def counts(self) -> dict[str, float]:
        """The telephony process's counters by name, with the kind in braces."""


class Whole:
    """The whole service."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._until(lambda: subject.get("/health/ready").status_code == OK)

    def usage(self) -> Usage:
        return self.subject.usage()

    def calls(self) -> int:
        return len(self.subject.get("/api/v2/streams").json()["streams"])

    def heard_s(self, uuids: Sequence[str]) -> float:
        self._until(lambda: not self.calls())
        return sum(float(self.subject.get(f"/api/v2/reports/{uuid}").json()["audio_s"]) for uuid in uuids)

    def counts(self) -> dict[str, float]:
        return {
            sample.name.removeprefix(COUNTS).removesuffix("_total")
            + (f"{{{sample.labels['kind']}}}" if "kind" in sample.labels else ""): sample.value
            for family in text_string_to_metric_families(self.subject.get("/metrics").text)
            for sample in family.samples
            if sample.name.startswith(COUNTS)
        }

    @staticmethod
    def _until(happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not happened():
            if time.monotonic() > deadline:
                raise SystemExit("the service is not ready for calls, or does not end them: see its log")
            time.sleep(0.1)

"""Who used how much processor time and memory, from /proc and from the service's own /metrics."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

TICKS_S = os.sysconf("SC_CLK_TCK")
PARTS = "vv_cpu_seconds"
# The others are of the API process.
ENGINE_PARTS = ("vad", "features", "embedding", "engine_other")
# In the command line of its process.
TELEPHONY = b"voice_verify.telephony"
# Fields of /proc/PID/stat after the name, see proc(5): utime, stime, cutime, cstime.
UTIME, STIME, CUTIME, CSTIME = 11, 12, 13, 14


@dataclass(frozen=True)
class Memory:
    """Megabytes of several processes together; what they share counts once in `pss`."""

    pss: float
    rss: float


@dataclass(frozen=True)
class Usage:
    """CPU seconds since the start: of the API, engine and telephony processes, of PostgreSQL, by part as published."""

    api: float
    engine: float
    telephony: float
    postgresql: float
    parts: dict[str, float]

    @property
    def total(self) -> float:
        return self.api + self.engine + self.telephony + self.postgresql

    def since(self, before: Usage) -> Usage:
        return Usage(
            self.api - before.api,
            self.engine - before.engine,
            self.telephony - before.telephony,
            self.postgresql - before.postgresql,
            {part: seconds - before.parts.get(part, 0.0) for part, seconds in self.parts.items()},
        )

    def by_part(self) -> dict[str, float]:
        """Every CPU second once: what the service publishes, what is left of each process, PostgreSQL."""
        engine = {part: self.parts[part] for part in ENGINE_PARTS if part in self.parts}
        api = {part: seconds for part, seconds in self.parts.items() if part not in engine}
        return {
            **api,
            "API process, rest": self.api - sum(api.values()),
            **engine,
            "engine process, rest": self.engine - sum(engine.values()),
            **({"telephony": self.telephony} if self.telephony else {}),
            "PostgreSQL": self.postgresql,
        }


def usage(service: int, postgresql: int | None, metrics_url: str) -> Usage:
    """What the service with that process identity and its database server have used."""
    started = children(service)
    telephony = [child for child in started if TELEPHONY in Path(f"/proc/{child}/cmdline").read_bytes()]
    return Usage(
        api=_cpu_s(service),
        engine=sum(cpu_s(child) for child in started if child not in telephony),
        telephony=sum(cpu_s(child) for child in telephony),
        postgresql=cpu_s(postgresql) if postgresql else 0.0,
        parts=_published(metrics_url),
    )


def cpu_s(process: int) -> float:
    """CPU seconds of a process and of all that it started, those that ended included."""
    return _cpu_s(process) + _ended_s(process) + sum(cpu_s(child) for child in children(process))


def memory(process: int) -> Memory:
    """Of a process and all that it started."""
    own = [_memory(pid) for pid in (process, *_descendants(process))]
    return Memory(sum(each.pss for each in own), sum(each.rss for each in own))


def children(process: int) -> list[int]:
    """The processes that a process started and that still run."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def stolen_s() -> float:
    """Seconds that the hypervisor took from this machine's cores."""
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]) / TICKS_S


def _descendants(process: int) -> list[int]:
    return [pid for child in children(process) for pid in (child, *_descendants(child))]


def _stat(process: int) -> list[str]:
    return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()


def _cpu_s(process: int) -> float:
    fields = _stat(process)
    return (int(fields[UTIME]) + int(fields[STIME])) / TICKS_S


def _ended_s(process: int) -> float:
    fields = _stat(process)
    return (int(fields[CUTIME]) + int(fields[CSTIME])) / TICKS_S


def _memory(process: int) -> Memory:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("Pss:", "Rss:"))}
    return Memory(sizes["Pss"], sizes["Rss"])


def _published(url: str) -> dict[str, float]:
    text = httpx.get(url, timeout=30).text
    return {
        sample.labels["part"]: sample.value
        for family in text_string_to_metric_families(text)
        if family.name == PARTS
        for sample in family.samples
        if sample.name == f"{PARTS}_total"
    }

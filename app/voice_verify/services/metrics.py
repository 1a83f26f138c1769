"""What Prometheus is told, in a registry of our own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from voice_verify import __version__
from voice_verify.cpu import CpuClock
from voice_verify.engine import EngineClient

# From an answer out of memory to the analysis of a half-hour recording.
DURATION_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
PRECISIONS = ("int8", "fp32")


class Metrics:
    """Labels take few values only: never a speaker, a stream or a path with either.

    `clock`: where this process counts its processor time; what the engine's takes it reports itself.
    """

    def __init__(self, clock: CpuClock) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        Gauge("vv_build_info", "Version of the service", ["version"], registry=self.registry).labels(__version__).set(1)
        self.enrolments = Counter(
            "vv_enrolments", "Enrolments by outcome: ok or why refused", ["outcome"], registry=self.registry
        )
        self.verifications = Counter(
            "vv_verifications", "Verifications asked for, by decision", ["decision"], registry=self.registry
        )
        self.requests = Counter(
            "vv_http_requests", "Requests answered", ["operation", "status"], registry=self.registry
        )
        self.durations = Histogram(
            "vv_http_request_duration_seconds",
            "Time to answer a request",
            ["operation"],
            buckets=DURATION_BUCKETS_S,
            registry=self.registry,
        )
        self.media_connections = Counter(
            "vv_media_connections",
            "Connections of media protocols that are over, by how: ok, or the code of the error",
            ["protocol", "outcome"],
            registry=self.registry,
        )
        self.clock = clock
        self._cpu = Counter("vv_cpu_seconds", "Processor time by part of the work", ["part"], registry=self.registry)
        self._counted: dict[str, float] = {}
        # Two scrapes at once must not count the same growth twice.
        self._lock = threading.Lock()
        self._engine: EngineMetrics | None = None
        self._streams = Gauge("vv_streams", "Running streams", registry=self.registry)

    def watch_streams(self, count: Callable[[], int]) -> None:
        """Read the number of running streams from `count` whenever metrics are asked for."""
        self._streams.set_function(count)

    def watch_engine(self, engine: EngineClient) -> None:
        """Read what the engine reports whenever metrics are asked for."""
        self._engine = EngineMetrics(self.registry, self._cpu, engine)

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        if self._engine is not None:
            self._engine.renew()
        with self._lock:
            for part, seconds in self.clock.totals.items():
                self._cpu.labels(part).inc(seconds - self._counted.get(part, 0.0))
                self._counted[part] = seconds
        return generate_latest(self.registry)


class EngineMetrics:
    """What the engine counts itself."""

    def __init__(self, registry: CollectorRegistry, cpu: Counter, engine: EngineClient) -> None:
        self._engine = engine
        self._cpu = cpu
        self._audio = Counter("vv_stream_audio_seconds", "Audio received on streams", registry=registry)
        self._restarts = Counter(
            "vv_engine_restarts", "Times that the engine's process was replaced", registry=registry
        )
        lag = Gauge("vv_engine_lag_seconds", "Age of the oldest audio that was not heard yet", registry=registry)
        lag.set_function(lambda: engine.lag_s)
        memory = Gauge("vv_engine_memory_bytes", "Resident memory of the engine's process", registry=registry)
        memory.set_function(lambda: engine.status.memory_bytes)
        precision = Gauge(
            "vv_engine_precision", "1 for what embeddings are computed in", ["precision"], registry=registry
        )
        for name in PRECISIONS:
            precision.labels(name).set_function(partial(self._computes_in, name))
        # Two scrapes at once must not count the same growth twice.
        self._lock = threading.Lock()
        self._counted: dict[Counter, float] = {}

    def renew(self) -> None:
        """Bring the counters to what the engine has counted."""
        with self._lock:
            self._grow(self._audio, self._engine.received_s)
            self._grow(self._restarts, self._engine.restarts)
            for part, seconds in self._engine.status.cpu_s.items():
                self._grow(self._cpu.labels(part), seconds)

    def _computes_in(self, precision: str) -> bool:
        return self._engine.precision == precision

    def _grow(self, counter: Counter, total: float) -> None:
        # The parts of a new process may together be less by a rounding.
        grown = max(0.0, total - self._counted.get(counter, 0.0))
        counter.inc(grown)
        self._counted[counter] = total

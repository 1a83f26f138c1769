"""What Prometheus is told, in a registry of our own."""

from __future__ import annotations

from collections.abc import Callable

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

# From an answer out of memory to the analysis of a half-hour recording.
DURATION_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Labels take few values only: never a speaker, a stream or a path with either."""

    def __init__(self) -> None:
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
        self.audio = Counter("vv_stream_audio_seconds", "Audio received on streams", registry=self.registry)
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
        self._streams = Gauge("vv_streams", "Running streams", registry=self.registry)

    def watch_streams(self, count: Callable[[], int]) -> None:
        """Read the number of running streams from `count` whenever metrics are asked for."""
        self._streams.set_function(count)

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)

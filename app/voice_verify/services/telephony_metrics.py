"""What the telephony process counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from voice_verify.services.telephony import TelephonyService, TelephonyState
from voice_verify.telephony.agent import RegistrationState

PREFIX = "voice_verify_telephony"


class TelephonyMetrics(Collector):
    """Read whenever metrics are asked for; labels are words of our own, uuids and names of PBX instances."""

    def __init__(self, telephony: TelephonyService) -> None:
        self._telephony = telephony

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is depends on what has happened."""
        return ()

    def collect(self) -> Iterator[Metric]:
        telephony = self._telephony
        if telephony.state is TelephonyState.off:
            return
        status = telephony.status
        up = telephony.state is TelephonyState.running
        yield GaugeMetricFamily(f"{PREFIX}_up", "1 while calls can come", up)
        yield CounterMetricFamily(
            f"{PREFIX}_restarts", "Times that the telephony process was replaced", telephony.restarts
        )
        yield CounterMetricFamily(f"{PREFIX}_cpu_seconds", "Processor time of the telephony process", status.cpu_s)
        yield GaugeMetricFamily(
            f"{PREFIX}_memory_bytes", "Resident memory of the telephony process", status.memory_bytes
        )
        streams = GaugeMetricFamily(f"{PREFIX}_streams", "Running streams of calls", labels=["source"])
        for source, count in telephony.streams_by_source.items():
            streams.add_metric([source], count)
        yield streams
        yield from _counts(telephony)
        for name, value in status.gauges.items():
            yield GaugeMetricFamily(f"{PREFIX}_{name}", "Reported by the telephony process", value)
        yield from _pbx(telephony)


def _counts(telephony: TelephonyService) -> Iterator[Metric]:
    counts = telephony.status.counts
    for name in sorted({name for name, _ in counts}):
        kinds = {kind: count for (counted, kind), count in counts.items() if counted == name}
        labels = [] if kinds.keys() == {""} else ["kind"]
        family = CounterMetricFamily(f"{PREFIX}_{name}", "Counted by the telephony process", labels=labels)
        for kind, count in kinds.items():
            family.add_metric([kind] if labels else [], count)
        yield family


def _pbx(telephony: TelephonyService) -> Iterator[Metric]:
    registration = GaugeMetricFamily(
        f"{PREFIX}_pbx_registration", "1 for the state of each PBX instance", labels=["pbx", "name", "state"]
    )
    calls = GaugeMetricFamily(f"{PREFIX}_pbx_calls", "Running calls of each PBX instance", labels=["pbx", "name"])
    standings = telephony.standings()
    for instance in telephony.instances:
        uuid = str(instance.uuid)
        standing = standings.get(uuid)
        state = standing.state if standing else RegistrationState.not_registered
        for one in RegistrationState:
            registration.add_metric([uuid, instance.name, one], one is state)
        calls.add_metric([uuid, instance.name], standing.running_calls if standing else 0)
    yield registration
    yield calls

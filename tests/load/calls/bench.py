"""`make bench-calls`: how many telephone calls a core holds, from the first SIP message to the decision."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.contract import licences
from tests.load import accounting, machine, subject
from tests.load.accounting import Usage
from tests.load.call import QUERY_S
from tests.load.conversation import VOICES, Conversation, enrolment
from tests.load.run import Quantiles
from tests.media.network import Host, Network
from tests.media.relay import Road

from . import alone
from .queries import Answers, Asker, Plan
from .sides import Side, Whole
from .traffic import Traffic, uuid

SERVICE_CORE, LOAD_CORE = 0, 1
SIP = 5060
# The range of appliance.yml: what a tier's calls have to fit in.
RTP_FIRST, RTP_LAST = 20_000, 20_350
SETTLE_S = 3.0
LICENCE = licences.licence(features=["websocket", "sip", "siprec"])


@dataclass(frozen=True)
class Shape:
    """`relay`: 2 % of the packets are lost and each is delayed by up to 40 ms. `alone`: the telephony process only."""

    calls: int
    seconds: float
    relay: bool = False
    alone: bool = False


@dataclass
class Result:
    """CPU in seconds of `seconds`; `counts` are the telephony process's own, `road` what the relay did.

    `held`: calls that ran when measuring began; `whole`: that ended with their BYE. `problems` are sipp's words.
    """

    shape: Shape
    seconds: float
    usage: Usage
    generator_s: dict[str, float]
    held: int
    whole: int
    sent_s: float
    heard_s: float
    answers: Sequence[Answers]
    counts: dict[str, float]
    road: dict[str, int]
    problems: Sequence[str]

    @property
    def cpu_per_call_s(self) -> float:
        return self.usage.total / (self.shape.calls * self.seconds)

    @property
    def lost_audio_s(self) -> float:
        """Sent and not heard: what is lost on the way is silence on the timeline, so this is what went missing."""
        return self.sent_s - self.heard_s

    @property
    def latency_ms(self) -> Quantiles:
        return Quantiles.of([value * 1000 for each in self.answers for value in each.latency_s])

    @property
    def late_ms(self) -> Quantiles:
        return Quantiles.of([value * 1000 for each in self.answers for value in each.late_s])

    def failed(self) -> int:
        return sum(each.failed for each in self.answers)


def measure(
    shape: Shape, talks: Sequence[Conversation], model_dir: Path, database: str, say: Callable[[str], None]
) -> Result:
    """One run; `say` is told how it goes."""
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vv-calls-")))
        relay_host = network.host("relay")
        address = relay_host.address if shape.relay else network.address
        relay = _relay(stack, relay_host, network) if shape.relay else None
        side: Side
        if shape.alone:
            ports = (SIP, RTP_FIRST, RTP_LAST)
            side = stack.enter_context(alone.running(network.address, address, ports, SERVICE_CORE))
        else:
            say("starting the service and enrolling")
            settings = {"sip_host": network.address, "sip_advertised": address, "licence": LICENCE}
            service = stack.enter_context(subject.running(model_dir, database, SERVICE_CORE, **settings))
            service.enrol([speaker(number) for number in range(len(VOICES))], [enrolment(voice) for voice in VOICES])
            side = Whole(service)
        traffic = Traffic(
            folder,
            network.host("load"),
            f"{address}:{SIP}",
            talks,
            calls=shape.calls,
            seconds=SETTLE_S + shape.seconds,
            core=LOAD_CORE,
        )
        stack.callback(traffic.kill)
        say(f"{shape.calls} calls begin within {traffic.ramp_s:.0f} s")
        traffic.start()
        begin = time.monotonic() + traffic.ramp_s + SETTLE_S
        until = begin + shape.seconds
        asker = None
        if isinstance(side, Whole):
            asker = Asker(side.subject.api, _plans(shape.calls, begin, until), LOAD_CORE)
        generators = {"sipp": traffic.cpu_s}
        if asker is not None:
            generators["queries"] = lambda: accounting.cpu_s(asker.pid)
        if relay is not None:
            generators["relay"] = lambda: accounting.cpu_s(relay.pid)
        _sleep_until(begin)
        held = side.calls()
        say(f"{held} calls are held; measuring for {shape.seconds:.0f} s")
        started, before = time.monotonic(), side.usage()
        loads = {name: cpu() for name, cpu in generators.items()}
        _sleep_until(until)
        after, ended = side.usage(), time.monotonic()
        generator_s = {name: cpu() - loads[name] for name, cpu in generators.items()}
        say("the calls end")
        answers = asker.answers() if asker else []
        problems = traffic.finish()
        passed = {}
        if relay is not None:
            relay.terminate()
            passed = json.loads(relay.communicate()[0])
        over = side.ended([uuid(number) for number in range(shape.calls)])
        return Result(
            shape=shape,
            seconds=ended - started,
            usage=after.since(before),
            generator_s=generator_s,
            held=held,
            whole=over.hung_up,
            sent_s=traffic.audio_s * shape.calls,
            heard_s=over.heard_s,
            answers=answers,
            counts=side.counts(),
            road=passed,
            problems=problems,
        )


def _relay(stack: ExitStack, host: Host, network: Network) -> subprocess.Popen[bytes]:
    road = Road(host.address, network.address, SIP, RTP_FIRST, RTP_LAST)
    with machine.pinned(LOAD_CORE):
        relay = host.popen(
            [sys.executable, "-m", "tests.media.relay", json.dumps(asdict(road))], stdout=subprocess.PIPE
        )
    stack.callback(relay.kill)
    assert relay.stdout is not None
    if not relay.stdout.readline():
        raise SystemExit("error: the relay did not start")
    return relay


def _plans(calls: int, begin: float, until: float) -> list[Plan]:
    """Each call claims the voice that it has, and asks at moments of its own."""
    return [
        Plan(uuid(number), speaker(number % len(VOICES)), begin + number * QUERY_S / calls, until)
        for number in range(calls)
    ]


def speaker(voice: int) -> str:
    return f"caller-{voice}"


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))

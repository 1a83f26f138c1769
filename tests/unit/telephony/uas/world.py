"""The user agent server among doubles of its neighbours: a service, and telephones that speak SIP as text."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest

from voice_verify.telephony.agent import CallInfo, Counters, LegEnd, PbxInstance, PbxState, Refused, TelephonyConfig
from voice_verify.telephony.rtp import PortPool, RtpReceiver, receiver
from voice_verify.telephony.sip import (
    Endpoint,
    FailureCode,
    Message,
    Request,
    Response,
    Sip,
    Transport,
    TransportFailed,
    Transports,
    parse,
)
from voice_verify.telephony.uas.admission import Admission
from voice_verify.telephony.uas.media import MediaContext
from voice_verify.telephony.uas.pbxs import Pbxs
from voice_verify.telephony.uas.place import Place
from voice_verify.telephony.uas.server import ServerContext, UserAgentServer
from voice_verify.telephony.uas.wire import Wire

from .virtual import VirtualLoop

# An address of its own for each process that runs these tests, so that nobody else has its ports.
HOST = f"127.{os.getpid() >> 16 & 255}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
FIRST, LAST = 24000, 24019


@dataclass
class FakeLeg:
    """A stream, as the service's double has it."""

    info: CallInfo
    ended: Callable[[str], None]
    uuid: UUID
    blocks: list[bytes] = field(default_factory=list)
    codecs: list[tuple[str, int]] = field(default_factory=list)
    holds: list[bool] = field(default_factory=list)
    end_reason: LegEnd | None = None

    def audio(self, block: bytes) -> None:
        self.blocks.append(block)

    def codec(self, codec: str, rate: int) -> None:
        self.codecs.append((codec, rate))

    def hold(self, held: bool) -> None:
        self.holds.append(held)

    def end(self, reason: LegEnd) -> None:
        self.end_reason = self.end_reason or reason


class FakeService:
    """Opens streams, refuses them when told to, or lets them wait."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.legs: list[FakeLeg] = []
        self.refusal: Refused | None = None
        self.delay_s = 0.0

    async def open(self, call: CallInfo, ended: Callable[[str], None]) -> FakeLeg:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.refusal is not None:
            raise self.refusal
        leg = FakeLeg(call, ended, call.uuid or uuid4())
        self.legs.append(leg)
        return leg

    def registered(self, _states: Sequence[PbxState]) -> None:
        raise AssertionError("nothing registers here")

    @property
    def open_legs(self) -> list[FakeLeg]:
        return [leg for leg in self.legs if leg.end_reason is None]


class Wireless:
    """A flow between the server and one telephone."""

    def __init__(self, remote: Endpoint, local: Endpoint) -> None:
        self.transport = remote.transport
        self.remote = remote
        self.local = local
        self.reliable = remote.transport is not Transport.UDP
        self.outgoing = False
        self.closed = False
        self.sent: list[Message] = []

    def send(self, data: bytes) -> None:
        if self.closed:
            raise TransportFailed(FailureCode.CLOSED, "the telephone hung up its connection")
        self.sent.append(parse(data))

    def close(self) -> None:
        self.closed = True

    async def wait_closed(self) -> None:
        return None


class _Connections(Transports):
    """Connects to the telephones there are."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    async def connect(self, to: Endpoint, **_options: object) -> Wireless:
        for flow in self._world.flows:
            if flow.remote == to and not flow.closed:
                return flow
        raise TransportFailed(FailureCode.REFUSED, f"{to}: nobody listens")


class World:
    """Settings are those of TelephonyConfig."""

    def __init__(self, loop: VirtualLoop, **settings: object) -> None:
        defaults: dict[str, object] = {
            "host": HOST,
            "port": 5060,
            "tls_port": 5061,
            "tls_certificate": None,
            "tls_key": None,
            "ca_file": None,
            "advertised": "203.0.113.5",
            "public_port": 5060,
            "public_tls_port": 5061,
            "edge": "",
            "peers": (),
            "accounts": {},
            "rtp_host": HOST,
            "rtp_first": FIRST,
            "rtp_last": LAST,
            "pbx": (),
        }
        config = TelephonyConfig(**(defaults | settings))  # type: ignore[arg-type]
        self.loop = loop
        self.service = FakeService()
        self.flows: list[Wireless] = []
        transports = _Connections(self)
        self.sip = Sip(transports, user_agent="test", on_request=self._take, on_ack=self._acknowledged, clock=loop)
        self.ports = PortPool(config.rtp_host, config.rtp_first, config.rtp_last)
        self.all_ports = self.ports.free
        self.receiver = RtpReceiver()
        self.pbxs = Pbxs(lambda uri: next((one.uuid for one in config.pbx if one.uuid.hex in uri), None))
        self.pbxs.configure(config.pbx)
        self.server = UserAgentServer(
            ServerContext(
                loop,
                self.service.counters,
                Wire(self.sip, transports),
                MediaContext(self.ports, self.receiver, self.service),
                Admission(config, self.pbxs, self.service.counters, loop.time),
                Place(config.advertised, config.public_port, config.public_tls_port, config.tls_port is not None),
            )
        )

    def _take(self, transaction: object) -> None:
        self.server.take(transaction)  # type: ignore[arg-type]

    def _acknowledged(self, ack: Request, flow: object) -> None:
        self.server.acknowledged(ack, flow)  # type: ignore[arg-type]

    def count(self, name: str, kind: str = "") -> float:
        return self.service.counters.counts().get((name, kind), 0)

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        await self.server.stop()
        self.receiver.close()

    def nothing_is_left(self) -> None:
        """Everything that a call takes has been given back, once its transactions are over."""
        assert not self.server.calls
        assert not self.service.open_legs
        assert self.receiver.streams == 0
        assert self.ports.free == self.all_ports
        assert not self.sip._servers
        assert not self.sip._clients


def world_of(monkeypatch: pytest.MonkeyPatch, **settings: object) -> tuple[VirtualLoop, Callable[[], World]]:
    """A loop and what makes a world in it; RTP lives by the same clock."""
    loop = VirtualLoop()
    monkeypatch.setattr(receiver, "time", SimpleNamespace(time=loop.time, monotonic=loop.time))
    return loop, lambda: World(loop, **settings)


def response_of(message: Message) -> Response:
    assert isinstance(message, Response), message
    return message


def instance(host: str, username: str | None = None, uuid: UUID | None = None) -> PbxInstance:
    return PbxInstance(uuid or uuid4(), "PBX", host, 5060, "udp", username, None)

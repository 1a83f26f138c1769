"""Calls through the edge of the appliance to the user agent behind it, and back."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.unit.telephony.uas.world import FakeService
from voice_verify.telephony.agent import PbxState, TelephonyConfig
from voice_verify.telephony.uas import TelephonyAgent

from .edge import Edge

# Neither is the edge or the agent, which are on 127.0.0.1.
CALLER, STRANGER = "127.0.0.2", "127.0.0.3"
RTP_FIRST, RTP_LAST = 24100, 24119
PATIENCE_S = 10
A_SECOND = 50


class Service(FakeService):
    """No PBX is configured."""

    def registered(self, states: Sequence[PbxState]) -> None:
        assert not states


def free_ports(count: int) -> list[int]:
    probes = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    port, inner, worker = free_ports(3)
    with Edge(tmp_path, port=port, inner_port=inner, worker_port=worker) as running:
        yield running


@asynccontextmanager
async def agent_behind(edge: Edge) -> AsyncIterator[Service]:
    """As on the appliance: on the edge's worker port, believing it."""
    config = TelephonyConfig(
        host="127.0.0.1", port=edge.worker_port, tls_port=None, tls_certificate=None, tls_key=None, advertised="",
        public_port=edge.port, edge="127.0.0.1", peers=(f"{CALLER}/32",), accounts={}, ca_file=None,
        public_tls_port=None, rtp_first=RTP_FIRST, rtp_last=RTP_LAST, pbx=(), rtp_host="0.0.0.0",  # noqa: S104
    )  # fmt: skip
    agent, service = TelephonyAgent(), Service()
    await agent.start(config, service)
    try:
        yield service
    finally:
        await agent.stop()


class Phone:
    """A caller over `transport` that says what it is told to say; its Contact is nobody's address."""

    def __init__(self, edge: Edge, transport: str, address: str = CALLER) -> None:
        self._transport = transport
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self._socket = socket.socket(socket.AF_INET, kind)
        self._socket.bind((address, 0))
        self._socket.connect((edge.address, edge.port))
        self._socket.setblocking(False)
        self._heard = b""
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind((CALLER, 0))

    def close(self) -> None:
        self._socket.close()
        self.rtp.close()

    async def say(
        self, method: str, *headers: str, to_tag: str = "", uri: str = "sip:verify@127.0.0.1", body: str = ""
    ) -> None:
        host, port = self._socket.getsockname()
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{self._transport.upper()} {host}:{port};rport;branch=z9hG4bK{method}",
            "Max-Forwards: 70",
            "From: <sip:caller@example.org>;tag=caller",
            f"To: <sip:verify@example.org>{to_tag}",
            "Call-ID: through-the-edge",
            f"CSeq: {2 if method == 'BYE' else 1} {method}",
            f"Contact: <sip:caller@192.0.2.77:5999;transport={self._transport}>",
            *headers,
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        message = "\r\n".join(lines) + "\r\n\r\n" + body
        await asyncio.get_running_loop().sock_sendall(self._socket, message.encode())

    async def hear(self) -> str:
        """One message."""
        while b"\r\n\r\n" not in self._heard or len(self._heard) < self._length():
            self._heard += await asyncio.wait_for(
                asyncio.get_running_loop().sock_recv(self._socket, 65535), timeout=PATIENCE_S
            )
        whole = self._length()
        message, self._heard = self._heard[:whole].decode(), self._heard[whole:]
        return message

    def _length(self) -> int:
        head, _, _ = self._heard.partition(b"\r\n\r\n")
        found = re.search(rb"(?im)^(?:Content-Length|l): *(\d+)", head)
        return len(head) + 4 + (int(found[1]) if found else 0)

    async def final(self) -> str:
        while (answer := await self.hear()).startswith("SIP/2.0 1"):
            pass
        return answer

    async def call(self) -> tuple[str, list[str]]:
        """A call that is answered; the answer and the route to it (RFC 3261, section 12.1.2)."""
        port = self.rtp.getsockname()[1]
        offer = ["v=0", f"o=- 1 1 IN IP4 {CALLER}", "s=-", f"c=IN IP4 {CALLER}", "t=0 0", f"m=audio {port} RTP/AVP 8"]
        await self.say("INVITE", body="\r\n".join([*offer, ""]))
        answer = await self.final()
        assert answer.startswith("SIP/2.0 200"), answer
        route = [f"Route: {one}" for one in reversed(re.findall(r"(?m)^Record-Route: (.*?)\r?$", answer))]
        await self.say("ACK", *route, to_tag=tag_of(answer), uri=target_of(answer))
        return answer, route

    def speak(self, answer: str) -> None:
        """A second of A-law to where the answer says."""
        host, port = found(r"(?m)^c=IN IP4 (\S+)", answer), int(found(r"(?m)^m=audio (\d+)", answer))
        for number in range(A_SECOND):
            header = b"\x80\x08" + number.to_bytes(2, "big") + (number * 160).to_bytes(4, "big") + b"edge"
            self.rtp.sendto(header + b"\x55" * 160, (host, port))


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]


def tag_of(answer: str) -> str:
    return ";tag=" + found(r"(?m)^To:.*;tag=([^;\s]+)", answer)


def target_of(answer: str) -> str:
    return found(r"(?m)^Contact: <(.*?)>", answer)


async def until(ask: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not ask():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_call_is_heard_and_ended_by_the_caller(edge: Edge, transport: str) -> None:
    async def scenario() -> None:
        async with agent_behind(edge) as service:
            with closing(Phone(edge, transport)) as phone:
                answer, route = await phone.call()
                (leg,) = service.legs
                assert leg.info.peer == CALLER
                # Callers are told the port of the edge, not that of the agent.
                assert f":{edge.port}" in target_of(answer)
                phone.speak(answer)
                await until(lambda: len(leg.blocks) >= 9)
                await phone.say("BYE", *route, to_tag=tag_of(answer), uri=target_of(answer))
                assert (await phone.final()).startswith("SIP/2.0 200")
                await until(lambda: leg.end_reason is not None)

    asyncio.run(scenario())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_call_that_the_service_ends_is_hung_up_where_it_came_from(edge: Edge, transport: str) -> None:
    async def scenario() -> None:
        async with agent_behind(edge) as service:
            with closing(Phone(edge, transport)) as phone:
                await phone.call()
                service.legs[0].ended("deleted")
                assert (await phone.hear()).startswith("BYE sip:caller@192.0.2.77:5999")

    asyncio.run(scenario())


def test_caller_from_elsewhere_is_refused_whatever_he_claims(edge: Edge) -> None:
    async def scenario() -> None:
        async with agent_behind(edge):
            with closing(Phone(edge, "udp", STRANGER)) as phone:
                await phone.say("INVITE", f"X-Edge-Source: udp:{CALLER}:5060")
                assert (await phone.final()).startswith("SIP/2.0 403")

    asyncio.run(scenario())


def test_options_is_answered_by_the_agent(edge: Edge) -> None:
    async def scenario() -> None:
        async with agent_behind(edge):
            with closing(Phone(edge, "udp")) as phone:
                await phone.say("OPTIONS")
                assert (await phone.final()).startswith("SIP/2.0 200")

    asyncio.run(scenario())

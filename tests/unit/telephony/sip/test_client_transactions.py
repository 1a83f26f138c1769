"""Our requests are sent until somebody answers, and their answers find them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from tests.unit.telephony.sip.conftest import Clock, Counts, Wire
from voice_verify.telephony.sip import (
    Headers,
    Request,
    Response,
    Sip,
    TransactionTimeout,
    Transport,
    TransportFailed,
    Transports,
    reply,
)


class Exchange:
    """One request of ours on its way."""

    def __init__(self, clock: Clock, counts: Counts, wire: Wire, method: str) -> None:
        self.clock, self.wire = clock, wire
        self.sip = Sip(
            Transports(),
            user_agent="test",
            on_request=lambda _: None,
            on_ack=lambda *_: None,
            clock=clock,
            count=counts,
        )
        self.request = Request(
            method=method,
            uri="sip:pbx.example.com",
            headers=Headers(
                [
                    ("From", "<sip:us@example.com>;tag=us"),
                    ("To", "<sip:them@example.com>"),
                    ("Call-ID", "1"),
                    ("CSeq", f"3 {method}"),
                ]
            ),
        )
        self.provisional: list[int] = []
        self.task: asyncio.Task[Response] | None = None

    async def begin(self) -> None:
        self.task = asyncio.ensure_future(
            self.sip.request(
                self.request, self.wire, on_provisional=lambda response: self.provisional.append(response.status)
            )
        )
        await asyncio.sleep(0)

    def answer(self, status: int) -> Response:
        first = self.wire.sent[0]
        assert isinstance(first, Request)
        response = reply(first, status, to_tag="them")
        self.sip.received(self.wire, response)
        return response

    async def result(self) -> Response:
        assert self.task is not None
        return await self.task


Begin = Callable[..., Coroutine[None, None, Exchange]]


@pytest.fixture
def begin(clock: Clock, counts: Counts) -> Begin:
    async def make(method: str = "REGISTER", transport: Transport = Transport.UDP) -> Exchange:
        exchange = Exchange(clock, counts, Wire(transport), method)
        await exchange.begin()
        return exchange

    return make


def test_repeats_with_growing_pauses_and_gives_up_after_32_s(begin: Begin) -> None:
    async def run() -> None:
        exchange = await begin()
        exchange.clock.advance(31.9)
        # 0, 0.5, 1.5, 3.5, 7.5, 11.5, ... 31.5
        assert len(exchange.wire.sent) == 11
        exchange.clock.advance(0.2)
        with pytest.raises(TransactionTimeout):
            await exchange.result()
        assert exchange.clock.waiting == 0

    asyncio.run(run())


def test_doubles_the_pauses_of_an_invite(begin: Begin) -> None:
    async def run() -> None:
        exchange = await begin("INVITE")
        exchange.clock.advance(31.9)
        assert len(exchange.wire.sent) == 7  # 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5
        exchange.clock.advance(0.2)
        with pytest.raises(TransactionTimeout):
            await exchange.result()

    asyncio.run(run())


def test_sends_once_on_a_connection(begin: Begin) -> None:
    async def run() -> None:
        exchange = await begin(transport=Transport.TLS)
        exchange.clock.advance(20)
        assert len(exchange.wire.sent) == 1
        exchange.answer(200)
        assert (await exchange.result()).status == 200
        assert exchange.clock.waiting == 0

    asyncio.run(run())


def test_gives_the_final_response_whatever_it_is(begin: Begin) -> None:
    async def run() -> None:
        exchange = await begin()
        exchange.answer(100)
        exchange.answer(401)
        exchange.answer(401)
        assert (await exchange.result()).status == 401
        assert exchange.provisional == [100]
        exchange.clock.advance(6)
        assert exchange.clock.waiting == 0
        assert exchange.wire.methods == ["REGISTER"]

    asyncio.run(run())


def test_acknowledges_a_refusal_as_often_as_it_comes(begin: Begin) -> None:
    async def run() -> None:
        exchange = await begin("INVITE")
        exchange.answer(486)
        exchange.answer(486)
        assert (await exchange.result()).status == 486
        assert exchange.wire.methods == ["INVITE", "ACK", "ACK"]
        invite, ack, _ = exchange.wire.sent
        assert ack.vias == invite.vias
        assert (ack.cseq.number, ack.to_tag) == (3, "them")

    asyncio.run(run())


def test_sends_the_ack_of_a_2xx_again(begin: Begin) -> None:
    async def run() -> None:
        exchange = await begin("INVITE")
        response = exchange.answer(200)
        await exchange.result()
        exchange.answer(200)
        assert exchange.wire.methods == ["INVITE"]
        ack = Request(method="ACK", uri="sip:them@192.0.2.9", headers=Headers(exchange.request.headers))
        ack.headers.remove("Via")
        ack.headers.set("CSeq", "3 ACK")
        exchange.sip.send_ack(ack, exchange.wire, answers=response)
        exchange.answer(200)
        assert exchange.wire.methods == ["INVITE", "ACK", "ACK"]
        assert exchange.wire.sent[1].vias[0].branch != exchange.wire.sent[0].vias[0].branch

    asyncio.run(run())


def test_fails_at_once_when_the_connection_closes(begin: Begin) -> None:
    async def run() -> None:
        exchange = await begin(transport=Transport.TCP)
        exchange.sip.closed(exchange.wire)
        with pytest.raises(TransportFailed):
            await exchange.result()
        assert exchange.clock.waiting == 0

    asyncio.run(run())


def test_fails_at_once_when_it_cannot_be_sent(clock: Clock, counts: Counts) -> None:
    async def run() -> None:
        wire = Wire(Transport.TCP)
        wire.closed = True
        exchange = Exchange(clock, counts, wire, "BYE")
        await exchange.begin()
        with pytest.raises(TransportFailed):
            await exchange.result()
        assert clock.waiting == 0

    asyncio.run(run())


def test_forgets_what_nobody_waits_for(begin: Begin) -> None:
    async def run() -> None:
        exchange = await begin()
        assert exchange.task is not None
        exchange.task.cancel()
        await asyncio.wait([exchange.task])
        assert exchange.clock.waiting == 0

    asyncio.run(run())


def test_counts_answers_to_nothing(begin: Begin, counts: Counts) -> None:
    async def run() -> None:
        exchange = await begin()
        stranger = exchange.answer(100)
        stranger.headers.set("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKguessed")
        exchange.sip.received(exchange.wire, stranger)
        two = exchange.answer(100)
        two.headers.add("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKbehind")
        exchange.sip.received(exchange.wire, two)
        assert counts["sip_responses_unmatched"] == 2
        exchange.answer(200)
        await exchange.result()

    asyncio.run(run())


def test_names_us_in_via_and_adds_what_is_missing(begin: Begin) -> None:
    async def run() -> None:
        exchange = await begin()
        sent = exchange.wire.sent[0]
        assert str(sent.vias[0]).startswith("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK")
        assert "rport" in sent.vias[0].parameters
        assert (sent.headers.get("Max-Forwards"), sent.headers.get("User-Agent")) == ("70", "test")
        exchange.answer(200)
        await exchange.result()

    asyncio.run(run())

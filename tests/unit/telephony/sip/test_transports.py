"""Sockets: both ways over UDP, TCP and TLS, what they refuse, and what their failures are called."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.media.certificates import Authority
from tests.unit.telephony.sip.conftest import Counts
from voice_verify.telephony.sip import (
    Flow,
    Headers,
    Limits,
    Request,
    ServerTransaction,
    Sip,
    Transport,
    Transports,
)

PATIENCE_S = 20


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Any:
    def run(test: Coroutine[None, None, None]) -> None:
        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(test, PATIENCE_S))

    return run


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def server_context(authority: Authority, *names: str) -> ssl.SSLContext:
    certificate, key = authority.issue(*names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def client_context(certificate: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


@asynccontextmanager
async def user_agent(counts: Counts, limits: Limits | None = None) -> AsyncIterator[Sip]:
    def answer(transaction: ServerTransaction) -> None:
        transaction.reply(200, headers=[("X-Source", str(transaction.flow.remote))])

    sip = Sip(
        Transports(limits=limits, count=counts),
        user_agent="test",
        on_request=answer,
        on_ack=lambda *_: None,
        count=counts,
    )
    try:
        yield sip
    finally:
        await sip.close()


def options(number: int = 1) -> Request:
    return Request(
        method="OPTIONS",
        uri="sip:bot@example.com",
        headers=Headers(
            [
                ("From", "<sip:us@example.com>;tag=us"),
                ("To", "<sip:them@example.com>"),
                ("Call-ID", "1"),
                ("CSeq", f"{number} OPTIONS"),
            ]
        ),
    )


async def ask_both_ways(counts: Counts, transport: Transport, authority: Authority) -> None:
    async with user_agent(counts) as server, user_agent(counts) as client:
        flows: list[Flow] = []

        def remember(transaction: ServerTransaction) -> None:
            flows.append(transaction.flow)
            transaction.reply(200)

        server.on_request = remember
        match transport:
            case Transport.UDP:
                bound = await server.transports.listen_udp("127.0.0.1", 0)
            case Transport.TCP:
                bound = await server.transports.listen_tcp("127.0.0.1", 0)
            case Transport.TLS:
                bound = await server.transports.listen_tls("127.0.0.1", 0, server_context(authority, "127.0.0.1"))
        context = client_context(authority.certificate) if transport is Transport.TLS else None
        flow = await client.transports.connect(bound, tls=context)
        assert (await client.request(options(1), flow)).status == 200
        assert (await client.request(options(2), flow)).status == 200
        assert flows[0] == flows[1]
        assert flows[0].remote.port == flow.local.port
        # And back on what the other side opened.
        assert (await server.request(options(3), flows[0])).headers.get("X-Source") == str(flow.remote)
        again = await client.transports.connect(bound, tls=context)
        assert again == flow


@pytest.mark.parametrize("transport", list(Transport))
def test_asks_and_answers_on_one_flow(run: Any, counts: Counts, transport: Transport, authority: Authority) -> None:
    run(ask_both_ways(counts, transport, authority))

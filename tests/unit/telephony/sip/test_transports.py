"""Sockets: both ways over UDP, TCP and TLS, what they refuse, and what their failures are called."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.media.certificates import Authority
from tests.unit.telephony.sip.conftest import Counts, request
from voice_verify.telephony.sip import (
    Endpoint,
    FailureCode,
    Flow,
    Headers,
    Limits,
    Request,
    ServerTransaction,
    Sip,
    Transport,
    TransportFailed,
    Transports,
)
from voice_verify.telephony.sip.transport.failures import explain

PATIENCE_S = 20


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def factory(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def run(factory: Any) -> Any:
    def run(test: Coroutine[None, None, None]) -> None:
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


async def gone(reader: asyncio.StreamReader) -> bytes:
    """What still comes until the other side closes."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


REQUEST = request("OPTIONS").encode()
SLOW = Limits(half_open_s=0.2)


def test_drops_who_says_nothing(run: Any, counts: Counts) -> None:
    async def test() -> None:
        async with user_agent(counts, SLOW) as server:
            bound = await server.transports.listen_tcp("127.0.0.1", 0)
            reader, writer = await asyncio.open_connection(bound.host, bound.port)
            # Keep-alives alone are no message.
            writer.write(b"\r\n\r\n")
            assert await gone(reader) == b"\r\n"
            assert counts["sip_connections_dropped:half_open"] == 1
            assert server.transports.connections == 0
            writer.close()

    run(test())


def test_drops_who_sends_slower_than_anybody_does(run: Any, counts: Counts) -> None:
    async def test() -> None:
        async with user_agent(counts, SLOW) as server:
            bound = await server.transports.listen_tcp("127.0.0.1", 0)
            reader, writer = await asyncio.open_connection(bound.host, bound.port)
            writer.write(REQUEST)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200 ")
            for octet in REQUEST[:-1] * 20:
                writer.write(bytes((octet,)))
                await asyncio.sleep(0.01)
                if reader.at_eof() or writer.is_closing():
                    break
            await gone(reader)
            assert counts["sip_connections_dropped:half_open"] == 1
            writer.close()

    run(test())


def test_drops_who_is_idle_but_nobody_whom_we_called(run: Any, counts: Counts) -> None:
    async def test() -> None:
        limits = Limits(half_open_s=0.2, idle_s=0.3)
        async with user_agent(counts, limits) as server, user_agent(Counts(), limits) as client:
            bound = await server.transports.listen_tcp("127.0.0.1", 0)
            flow = await client.transports.connect(bound)
            assert (await client.request(options(), flow)).status == 200
            await flow.wait_closed()
            assert counts["sip_connections_dropped:idle"] == 1

    run(test())


def test_drops_who_begins_tls_and_does_not_end_it(run: Any, counts: Counts, authority: Authority) -> None:
    async def test() -> None:
        limits = Limits(half_open_s=0.3, connections=1)
        async with user_agent(counts, limits) as server:
            bound = await server.transports.listen_tls("127.0.0.1", 0, server_context(authority, "127.0.0.1"))
            reader, writer = await asyncio.open_connection(bound.host, bound.port)
            second, _ = await asyncio.open_connection(bound.host, bound.port)
            assert await gone(second) == b""
            assert counts["sip_connections_refused:total"] == 1
            await gone(reader)
            assert counts["sip_connections_dropped:tls"] == 1
            writer.close()
            async with user_agent(Counts()) as client:
                flow = await client.transports.connect(bound, tls=client_context(authority.certificate))
                assert (await client.request(options(), flow)).status == 200

    run(test())


def test_refuses_more_connections_of_one_source_until_one_closes(run: Any, counts: Counts) -> None:
    async def test() -> None:
        async with user_agent(counts, Limits(connections_a_source=2)) as server, user_agent(Counts()) as client:
            bound = await server.transports.listen_tcp("127.0.0.1", 0)
            flows = [await client.transports.connect(bound, reuse=False) for _ in range(2)]
            for number, flow in enumerate(flows):
                await client.request(options(number + 1), flow)
            refused = await client.transports.connect(bound, reuse=False)
            await refused.wait_closed()
            assert counts["sip_connections_refused:source"] == 1
            flows[0].close()
            await flows[0].wait_closed()
            while server.transports.connections > 1:
                await asyncio.sleep(0)
            again = await client.transports.connect(bound, reuse=False)
            assert (await client.request(options(9), again)).status == 200

    run(test())


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (REQUEST.replace(b"Content-Length: 0\r\n", b""), b"400"),
        (REQUEST.replace(b"Content-Length: 0", b"Content-Length: 65500"), b"513"),
        (b"OPTIONS sip:a SIP/2.0\r\nX: " + b"x" * 20_000, b""),
        (b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", b""),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b""),
    ],
    ids=["no length", "too long", "endless head", "http", "tls"],
)
def test_closes_a_connection_whose_messages_cannot_be_told_apart(
    run: Any, counts: Counts, sent: bytes, status: bytes
) -> None:
    async def test() -> None:
        async with user_agent(counts) as server:
            bound = await server.transports.listen_tcp("127.0.0.1", 0)
            reader, writer = await asyncio.open_connection(bound.host, bound.port)
            writer.write(sent)
            assert (await gone(reader))[8:11] == status
            assert counts["sip_connections_dropped:bad_message"] == 1
            writer.close()

    run(test())


def test_goes_on_after_a_bad_message_whose_end_is_known(run: Any, counts: Counts) -> None:
    async def test() -> None:
        async with user_agent(counts) as server:
            bound = await server.transports.listen_tcp("127.0.0.1", 0)
            reader, writer = await asyncio.open_connection(bound.host, bound.port)
            writer.write(REQUEST.replace(b"CSeq: 7 OPTIONS", b"CSeq: 7 INVITE") + REQUEST)
            assert (await reader.readuntil(b"\r\n\r\n"))[8:11] == b"400"
            assert (await reader.readuntil(b"\r\n\r\n"))[8:11] == b"200"
            writer.close()

    run(test())


def test_drops_who_does_not_read(run: Any, counts: Counts) -> None:
    async def test() -> None:
        async with user_agent(counts, Limits(write_buffer_bytes=100_000)) as server:
            bound = await server.transports.listen_tcp("127.0.0.1", 0)
            flows: list[Flow] = []
            served = asyncio.Event()

            def remember(transaction: ServerTransaction) -> None:
                flows.append(transaction.flow)
                served.set()

            server.on_request = remember
            _, writer = await asyncio.open_connection(bound.host, bound.port, limit=1024)
            writer.write(REQUEST)
            await served.wait()

            def flood() -> None:
                for _ in range(10_000):
                    flows[0].send(b"x" * 10_000)

            with pytest.raises(TransportFailed) as caught:
                flood()
            assert caught.value.code is FailureCode.SLOW_PEER
            assert counts["sip_connections_dropped:slow_peer"] == 1
            await flows[0].wait_closed()
            assert server.transports.connections == 0
            writer.close()

    run(test())


def test_fails_a_request_whose_connection_closes(run: Any, counts: Counts) -> None:
    async def test() -> None:
        async with user_agent(counts) as server, user_agent(Counts()) as client:
            bound = await server.transports.listen_tcp("127.0.0.1", 0)
            server.on_request = lambda transaction: transaction.flow.close()
            flow = await client.transports.connect(bound)
            with pytest.raises(TransportFailed) as caught:
                await client.request(options(), flow)
            assert caught.value.code is FailureCode.CLOSED
            server.on_request = lambda transaction: transaction.reply(200) and None
            again = await client.transports.connect(bound)
            assert again != flow
            assert (await client.request(options(2), again)).status == 200

    run(test())


def test_says_what_is_wrong_with_a_certificate(run: Any, counts: Counts, authority: Authority) -> None:
    async def test() -> None:
        async with user_agent(counts) as server, user_agent(Counts()) as client:
            bound = await server.transports.listen_tls("127.0.0.1", 0, server_context(authority, "pbx.example.com"))
            trusting = client_context(authority.certificate)
            with pytest.raises(TransportFailed) as caught:
                await client.transports.connect(bound, tls=trusting)
            assert caught.value.code is FailureCode.CERTIFICATE_WRONG_NAME
            assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
            with pytest.raises(TransportFailed) as caught:
                await client.transports.connect(bound, tls=client_context(None), server_name="pbx.example.com")
            assert caught.value.code is FailureCode.CERTIFICATE_UNTRUSTED
            flow = await client.transports.connect(bound, tls=trusting, server_name="pbx.example.com")
            assert (await client.request(options(), flow)).status == 200

    run(test())


def test_says_why_there_is_no_connection(run: Any, counts: Counts, authority: Authority) -> None:
    async def code_of(client: Sip, to: Endpoint) -> FailureCode:
        context = client_context(authority.certificate) if to.transport is Transport.TLS else None
        with pytest.raises(TransportFailed) as caught:
            await client.transports.connect(to, tls=context, timeout_s=0.5)
        return caught.value.code

    async def test() -> None:
        async with user_agent(counts) as client:
            # A listener that never speaks TLS, one that speaks something else, and a port that nobody has.
            silent = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
            plain = await asyncio.start_server(
                lambda _, writer: writer.write(b"SIP/2.0 400 no\r\n\r\n"), "127.0.0.1", 0
            )
            port, other = silent.sockets[0].getsockname()[1], plain.sockets[0].getsockname()[1]
            assert await code_of(client, Endpoint(Transport.TLS, "127.0.0.1", port)) is FailureCode.TIMEOUT
            assert await code_of(client, Endpoint(Transport.TLS, "127.0.0.1", other)) is FailureCode.TLS
            silent.close()
            plain.close()
            assert await code_of(client, Endpoint(Transport.TCP, "127.0.0.1", port)) is FailureCode.REFUSED
            for transport in (Transport.TCP, Transport.UDP):
                assert await code_of(client, Endpoint(transport, "..", 5060)) is FailureCode.HOST_NOT_FOUND

    run(test())


def test_answers_garbage_at_its_source_and_nowhere_else(run: Any, counts: Counts) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        async with user_agent(counts) as server:
            bound = await server.transports.listen_udp("127.0.0.1", 0)
            with (
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source,
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim,
            ):
                for each, host in ((source, "127.0.0.1"), (victim, "127.0.0.2")):
                    each.bind((host, 0))
                    each.setblocking(False)
                port = str(victim.getsockname()[1]).encode()
                named = REQUEST.replace(b"host.example.com:5060", b"127.0.0.2:" + port).replace(b";rport", b"")
                for data in (b"\r\n\r\n", b"\0", b"", named.replace(b"7 OPTIONS", b"7 BYE"), named):
                    source.sendto(data, (bound.host, bound.port))
                answers = [await loop.sock_recv(source, 65_535) for _ in range(2)]
                assert sorted(answer[8:11] for answer in answers) == [b"200", b"400"]
                with pytest.raises(BlockingIOError):
                    victim.recv(65_535)

    run(test())


@pytest.mark.parametrize(
    ("sent_by", "at_source"),
    [("127.0.0.1:{port}", False), ("127.0.0.1:{port};rport", True), ("10.0.0.9:{port}", True), ("pbx:{port}", True)],
    ids=["own port", "rport", "behind a NAT", "a name"],
)
def test_answers_where_the_peer_waits(run: Any, counts: Counts, sent_by: str, at_source: bool) -> None:
    async def test() -> None:
        async with user_agent(counts) as server:
            bound = await server.transports.listen_udp("127.0.0.1", 0)
            with socket.socket(type=socket.SOCK_DGRAM) as source, socket.socket(type=socket.SOCK_DGRAM) as listening:
                for one in (source, listening):
                    one.setblocking(False)
                    one.bind(("127.0.0.1", 0))
                via = sent_by.format(port=listening.getsockname()[1])
                asked = request("OPTIONS").encode().replace(b"host.example.com:5060;branch=z9hG4bKone;rport", b"%s")
                source.sendto(asked % f"{via};branch=z9hG4bKone".encode(), (bound.host, bound.port))
                loop = asyncio.get_running_loop()
                answer = await loop.sock_recv(source if at_source else listening, 4096)
                assert answer.startswith(b"SIP/2.0 200")

    run(test())


def test_knows_its_address_towards_a_peer(run: Any, counts: Counts) -> None:
    async def test() -> None:
        async with user_agent(counts) as client:
            bound = await client.transports.listen_udp("0.0.0.0", 0)  # noqa: S104 - that is the point
            flow = await client.transports.connect(Endpoint(Transport.UDP, "localhost", 9))
            assert flow.local == Endpoint(Transport.UDP, "127.0.0.1", bound.port)

    run(test())


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_one_socket_for_both_families_gives_addresses_as_they_are(
    run: Any, counts: Counts, transport: Transport, address: str
) -> None:
    async def test() -> None:
        async with user_agent(counts) as server, user_agent(Counts()) as client:
            listen = server.transports.listen_udp if transport is Transport.UDP else server.transports.listen_tcp
            bound = await listen("::", 0)
            flow = await client.transports.connect(Endpoint(transport, address, bound.port))
            answer = await client.request(options(), flow)
            assert answer.headers.get("X-Source") == str(Endpoint(transport, address, flow.local.port))
            assert flow.local.host == address

    run(test())


def test_leaves_nothing_behind(run: Any, counts: Counts) -> None:
    async def test() -> None:
        before = asyncio.all_tasks()
        async with user_agent(counts) as server, user_agent(Counts()) as client:
            bound = await server.transports.listen_tcp("127.0.0.1", 0)
            await server.transports.listen_udp("127.0.0.1", 0)
            flow = await client.transports.connect(bound)
            await client.request(options(), flow)
            server.on_request = lambda _: None
            waiting = asyncio.ensure_future(client.request(options(2), flow))
            await asyncio.sleep(0)
        with pytest.raises(TransportFailed):
            await waiting
        assert asyncio.all_tasks() == before
        with socket.socket() as probe:
            assert probe.connect_ex((bound.host, bound.port)) != 0

    run(test())


@pytest.mark.parametrize(
    ("verify_code", "code"),
    [
        (10, FailureCode.CERTIFICATE_EXPIRED),
        (9, FailureCode.CERTIFICATE_EXPIRED),
        (62, FailureCode.CERTIFICATE_WRONG_NAME),
        (19, FailureCode.CERTIFICATE_UNTRUSTED),
    ],
)
def test_tells_errors_of_certificates_apart(verify_code: int, code: FailureCode) -> None:
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = verify_code, "as OpenSSL says"
    failure = explain(error, Endpoint(Transport.TLS, "pbx.example.com", 5061))
    assert failure.code is code
    assert "tls:pbx.example.com:5061" in failure.message

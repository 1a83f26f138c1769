"""Registrations at a real registrar: Kamailio with digest users, over UDP, TCP and TLS, in real time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.media.certificates import Authority
from tests.media.kamailio import Kamailio
from voice_verify.telephony.agent import Counters, PbxInstance, PbxState, RegistrationState, TelephonyConfig
from voice_verify.telephony.registration import Registrations
from voice_verify.telephony.sip import Sip, Transports

PASSWORD, WRONG = "correct horse", "battery staple"
TRANSPORTS = ("udp", "tcp", "tls")
# The longest pause that an outage of a few seconds leads to, and room for a busy machine.
PATIENCE_S = 60
ADVERTISED = "192.0.2.9"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def pbx(tmp_path: Path, authority: Authority) -> Iterator[Kamailio]:
    with _pbx(tmp_path, authority.issue("127.0.0.1")) as running:
        yield running


class _Switched:
    """A Kamailio that is stopped at the end, whatever became of it."""

    def __init__(self, folder: Path, certificate: tuple[Path, Path]) -> None:
        self._pbx = Kamailio(folder, {"vv": PASSWORD, "second": PASSWORD}, certificate=certificate)

    def __enter__(self) -> Kamailio:
        self._pbx.start()
        return self._pbx

    def __exit__(self, *_: object) -> None:
        self._pbx.stop()


def _pbx(folder: Path, certificate: tuple[Path, Path]) -> _Switched:
    return _Switched(folder, certificate)


class Told:
    """The service, as far as registrations know it."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.states: dict[UUID, PbxState] = {}
        self._changed = asyncio.Event()

    def registered(self, states: Any) -> None:
        self.states = {state.uuid: state for state in states}
        self._changed.set()

    async def open(self, call: Any, ended: Any) -> Any:
        raise NotImplementedError

    async def until(self, uuid: UUID, *wanted: RegistrationState) -> PbxState:
        async with asyncio.timeout(PATIENCE_S):
            while uuid not in self.states or self.states[uuid].state not in wanted:
                self._changed.clear()
                await self._changed.wait()
        return self.states[uuid]

    async def code(self, uuid: UUID) -> str:
        """Why the registration fails."""
        state = await self.until(uuid, RegistrationState.failed)
        assert state.last_error is not None
        assert PASSWORD not in state.last_error.message
        assert WRONG not in state.last_error.message
        return state.last_error.code


@asynccontextmanager
async def registrations(authority: Authority) -> AsyncIterator[tuple[Registrations, Told]]:
    transports = Transports()
    sip = Sip(transports, user_agent="test", on_request=lambda _: None, on_ack=lambda *_: None)
    await transports.listen_udp("127.0.0.1", 0)
    told = Told()
    config = TelephonyConfig(
        host="127.0.0.1",
        port=5060,
        tls_port=None,
        tls_certificate=None,
        tls_key=None,
        ca_file=authority.certificate,
        advertised=ADVERTISED,
        public_port=5060,
        public_tls_port=5061,
        edge="",
        peers=(),
        accounts={},
        rtp_host="127.0.0.1",
        rtp_first=20000,
        rtp_last=20350,
        pbx=(),
    )
    all_of_them = Registrations(sip, transports, config, told)
    try:
        yield all_of_them, told
    finally:
        await all_of_them.stop()
        await sip.close()
        await transports.close()


def instance(pbx: Kamailio, transport: str, **changed: Any) -> PbxInstance:
    values: dict[str, Any] = {
        "uuid": uuid4(),
        "name": "Branch Lyon",
        "host": pbx.address,
        "port": pbx.tls_port if transport == "tls" else pbx.port,
        "transport": transport,
        "username": "vv",
        "password": PASSWORD,
    }
    return PbxInstance(**(values | changed))


async def contacts(pbx: Kamailio, user: str, number: int) -> list[str]:
    """The Contacts of a user, once there are so many."""
    found: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(found := await asyncio.to_thread(pbx.contacts, user)) != number:
            await asyncio.sleep(0.05)
    return found


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_registers_and_unregisters(transport: str, pbx: Kamailio, authority: Authority) -> None:
    async def work() -> None:
        async with registrations(authority) as (ours, told):
            lyon = instance(pbx, transport)
            ours.configure([lyon])
            state = await told.until(lyon.uuid, RegistrationState.registered)
            assert state.until is not None
            assert state.since is not None
            assert state.since < state.until
            assert state.last_error is None
            [contact] = await contacts(pbx, "vv", 1)
            assert contact.startswith(f"sip:vv@{ADVERTISED}:{5061 if transport == 'tls' else 5060};")
            assert ours.instance_of(contact) == lyon.uuid
            ours.configure([])
            await contacts(pbx, "vv", 0)
            assert ours.instance_of(contact) is None
            ours.configure([lyon])
            await told.until(lyon.uuid, RegistrationState.registered)
            await contacts(pbx, "vv", 1)
        assert await contacts(pbx, "vv", 0) == [], "the end of the process unregisters"

    asyncio.run(work())


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    "wrong", [{"password": WRONG}, {"password": None}, {"username": "nobody"}], ids=["password", "none", "user"]
)
def test_wrong_credentials_are_called_so(
    transport: str, wrong: dict[str, Any], pbx: Kamailio, authority: Authority
) -> None:
    async def work() -> None:
        async with registrations(authority) as (ours, told):
            lyon = instance(pbx, transport, **wrong)
            ours.configure([lyon])
            assert await told.code(lyon.uuid) == "wrong_password"

    asyncio.run(work())


def test_a_wrong_host_is_called_so(pbx: Kamailio, authority: Authority) -> None:
    async def work() -> None:
        async with registrations(authority) as (ours, told):
            free = socket.create_server(("127.0.0.1", 0))
            port = free.getsockname()[1]
            free.close()
            nowhere = [instance(pbx, transport, host="no-such-host.invalid") for transport in TRANSPORTS]
            silent = [instance(pbx, transport, port=port) for transport in ("tcp", "tls")]
            chatter = await asyncio.start_server(_greets, "127.0.0.1", 0)
            plain = instance(pbx, "tls", port=chatter.sockets[0].getsockname()[1])
            ours.configure([*nowhere, *silent, plain])
            assert {await told.code(wrong.uuid) for wrong in nowhere} == {"host_not_found"}
            assert {await told.code(wrong.uuid) for wrong in silent} == {"unreachable"}
            assert await told.code(plain.uuid) == "tls"
            chatter.close()

    asyncio.run(work())


async def _greets(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SIP/2.0 400 Bad Request\r\n\r\n")
    writer.close()


def test_a_certificate_that_is_not_to_be_trusted_is_called_so(tmp_path: Path, authority: Authority) -> None:
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    for name, issuer, said in (
        ("127.0.0.1", Authority(stranger), "not trusted"),
        ("pbx.example.com", authority, "another host"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        with _pbx(folder, issuer.issue(name)) as pbx:
            asyncio.run(_sees_certificate(pbx, authority, said))


async def _sees_certificate(pbx: Kamailio, authority: Authority, said: str) -> None:
    async with registrations(authority) as (ours, told):
        lyon = instance(pbx, "tls")
        ours.configure([lyon])
        assert await told.code(lyon.uuid) == "certificate"
        error = told.states[lyon.uuid].last_error
        assert error is not None
        assert said in error.message
        assert pbx.contacts("vv") == []


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_an_outage_is_noticed_at_once_and_survived(transport: str, pbx: Kamailio, authority: Authority) -> None:
    async def work() -> None:
        async with registrations(authority) as (ours, told):
            lyon = instance(pbx, transport)
            ours.configure([lyon])
            await told.until(lyon.uuid, RegistrationState.registered)
            await asyncio.to_thread(pbx.stop)
            state = await told.until(lyon.uuid, RegistrationState.failed)
            assert state.until is None
            await asyncio.to_thread(pbx.start)
            await told.until(lyon.uuid, RegistrationState.registered)
            await contacts(pbx, "vv", 1)

    asyncio.run(work())


def test_a_pbx_that_comes_late_is_registered_at_over_udp(pbx: Kamailio, authority: Authority) -> None:
    async def work() -> None:
        async with registrations(authority) as (ours, told):
            lyon = instance(pbx, "udp")
            await asyncio.to_thread(pbx.stop)
            with socket.socket(type=socket.SOCK_DGRAM) as instead:
                instead.bind((pbx.address, pbx.port))
                instead.setblocking(False)
                ours.configure([lyon])
                assert (await asyncio.get_running_loop().sock_recv(instead, 4096)).startswith(b"REGISTER ")
            # It is repeated for half a minute.
            await asyncio.to_thread(pbx.start)
            await told.until(lyon.uuid, RegistrationState.registered)

    asyncio.run(work())


def test_a_change_touches_no_other_instance(pbx: Kamailio, authority: Authority) -> None:
    async def work() -> None:
        async with registrations(authority) as (ours, told):
            lyon, other = instance(pbx, "tcp"), instance(pbx, "tcp", name="Branch Nice", username="second")
            ours.configure([lyon, other])
            before = await told.until(other.uuid, RegistrationState.registered)
            await told.until(lyon.uuid, RegistrationState.registered)
            attempts = told.counters.counts()["registrations", "registered"]

            ours.configure([_changed(lyon, name="Branch Paris"), other])
            assert told.states[lyon.uuid].state is RegistrationState.registered, "a name is for people"

            wrong = _changed(lyon, password=WRONG)
            ours.configure([wrong, other])
            assert await told.code(lyon.uuid) == "wrong_password"
            await contacts(pbx, "vv", 0)

            ours.configure([_changed(lyon, transport="udp"), other])
            await told.until(lyon.uuid, RegistrationState.registered)
            await contacts(pbx, "vv", 1)

            ours.configure([other])
            await contacts(pbx, "vv", 0)
            assert told.states == {other.uuid: before}
            assert await contacts(pbx, "second", 1)
            assert told.counters.counts()["registrations", "registered"] == attempts + 1

    asyncio.run(work())


def test_an_instance_without_a_user_is_not_registered(pbx: Kamailio, authority: Authority) -> None:
    async def work() -> None:
        async with registrations(authority) as (ours, told):
            trunk = instance(pbx, "udp", username=None, password=None)
            ours.configure([trunk])
            assert told.states[trunk.uuid] == PbxState(trunk.uuid, RegistrationState.not_registered, None, None, None)

    asyncio.run(work())


def _changed(one: PbxInstance, **changed: Any) -> PbxInstance:
    return PbxInstance(**(vars(one) | changed))

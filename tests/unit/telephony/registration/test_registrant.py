"""The task of an instance against a registrar on real sockets, in fast time: outages, lost connections, the end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from voice_verify.telephony.agent import Counters, PbxState, RegistrationState
from voice_verify.telephony.registration.faults import ErrorCode
from voice_verify.telephony.registration.machine import EXPIRES_S, LONGEST_PAUSE_S, Registration
from voice_verify.telephony.registration.registrant import KEEP_ALIVE_S, Place, Registrant
from voice_verify.telephony.sip import Flow, ServerTransaction, Sip, Transports

from . import fast_time
from .pbx import EVENING, WRONG, Registrar, instance, longest

USER_AGENT = "test"
# Timer F of RFC 3261.
GIVES_UP_S = 32.0
OUTAGE_S = 600.0

pytestmark = pytest.mark.parametrize("transport", ["udp", "tcp"])


class Pbx:
    """A registrar that can be switched off and on again at one address."""

    def __init__(self, transport: str) -> None:
        self.transport = transport
        self.port = 0
        self.registrar = Registrar(time_of_day)
        self.requests: list[tuple[float, str]] = []
        self.flows: set[Flow] = set()
        self._transports = Transports()

    async def on(self) -> None:
        self._transports = Transports()
        self._sip = Sip(self._transports, user_agent=USER_AGENT, on_request=self._serve, on_ack=lambda *_: None)
        listen = self._transports.listen_udp if self.transport == "udp" else self._transports.listen_tcp
        self.port = (await listen("127.0.0.1", self.port)).port

    async def off(self) -> None:
        await self._sip.close()
        await self._transports.close()

    def _serve(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        self.requests.append((asyncio.get_running_loop().time(), request.method))
        self.flows.add(transaction.flow)
        if request.method == "REGISTER":
            transaction.respond(self.registrar.answer(request))
        else:
            transaction.reply(200)

    @property
    def bound(self) -> list[str]:
        """The Expires of the registrations that were accepted."""
        return [
            request.headers.get("Expires") or ""
            for request in self.registrar.seen
            if "Authorization" in request.headers
        ]


def time_of_day() -> datetime:
    return EVENING + timedelta(seconds=asyncio.get_running_loop().time())


class Told:
    """What the service would be told."""

    def __init__(self) -> None:
        self.registrant: Registrant | None = None
        self.counters = Counters()
        self._changed = asyncio.Event()

    def __call__(self) -> None:
        self._changed.set()

    @property
    def state(self) -> PbxState:
        assert self.registrant is not None
        return self.registrant.registration.state

    async def until(self, wanted: Callable[[PbxState], bool], seconds: float = 3 * LONGEST_PAUSE_S) -> PbxState:
        async with asyncio.timeout(seconds):
            while not wanted(self.state):
                self._changed.clear()
                await self._changed.wait()
        return self.state


@asynccontextmanager
async def registering(pbx: Pbx, **changed: object) -> AsyncIterator[Told]:
    """An instance of that PBX, until the block ends."""
    transports = Transports()
    sip = Sip(transports, user_agent=USER_AGENT, on_request=lambda _: None, on_ack=lambda *_: None)
    await transports.listen_udp("127.0.0.1", 0)
    told = Told()
    values = {"host": "127.0.0.1", "port": pbx.port, "transport": pbx.transport} | changed
    registration = Registration(instance(**values), time_of_day, longest)
    place = Place("198.51.100.4", 5060, None, ssl.create_default_context())
    told.registrant = Registrant(registration, sip, transports, place=place, counters=told.counters, told=told)
    try:
        yield told
    finally:
        await told.registrant.retire()
        await sip.close()
        await transports.close()


def is_(state: RegistrationState) -> Callable[[PbxState], bool]:
    return lambda now: now.state is state


def test_registers_refreshes_and_takes_it_back(transport: str) -> None:
    async def work() -> None:
        pbx = Pbx(transport)
        await pbx.on()
        async with registering(pbx) as told:
            since = (await told.until(is_(RegistrationState.registered))).since
            await asyncio.sleep(10 * EXPIRES_S)
            assert told.state.state is RegistrationState.registered
            assert told.state.since == since
            assert told.state.until is not None
            assert told.state.until > time_of_day()
            assert 11 <= pbx.bound.count(str(EXPIRES_S)) <= 21
            assert told.counters.counts()["registrations", "registered"] == pbx.bound.count(str(EXPIRES_S))
        assert pbx.bound[-1] == "0"
        await pbx.off()

    fast_time.run(work())


def test_survives_an_outage_and_comes_back_by_itself(transport: str) -> None:
    async def work() -> None:
        pbx = Pbx(transport)
        await pbx.on()
        loop = asyncio.get_running_loop()
        async with registering(pbx) as told:
            await told.until(is_(RegistrationState.registered))
            await asyncio.sleep(60)
            await pbx.off()
            began = loop.time()
            await told.until(is_(RegistrationState.failed))
            noticed = loop.time() - began
            # By a keep-alive over UDP that is not answered, and at once when a connection breaks.
            assert noticed <= (KEEP_ALIVE_S + 2 * GIVES_UP_S + 1 if transport == "udp" else 2)
            assert told.state.last_error is not None
            assert told.state.last_error.code in (ErrorCode.timeout, ErrorCode.unreachable)
            await asyncio.sleep(OUTAGE_S)
            assert told.state.state is RegistrationState.failed
            await pbx.on()
            began = loop.time()
            await told.until(is_(RegistrationState.registered))
            assert loop.time() - began <= LONGEST_PAUSE_S + GIVES_UP_S
            assert told.state.last_error is None
        await pbx.off()

    fast_time.run(work())


def test_a_pbx_that_is_there_late_is_found(transport: str) -> None:
    async def work() -> None:
        pbx = Pbx(transport)
        await pbx.on()
        await pbx.off()
        async with registering(pbx) as told:
            await told.until(is_(RegistrationState.failed))
            await pbx.on()
            await told.until(is_(RegistrationState.registered))
        await pbx.off()

    fast_time.run(work())


def test_a_wrong_password_is_not_hammered(transport: str) -> None:
    async def work() -> None:
        pbx = Pbx(transport)
        await pbx.on()
        async with registering(pbx, password=WRONG) as told:
            state = await told.until(is_(RegistrationState.failed))
            assert state.last_error is not None
            assert state.last_error.code == ErrorCode.wrong_password
            await asyncio.sleep(600)
            assert len(pbx.registrar.seen) <= 6
            assert told.state.state is RegistrationState.failed
        assert "0" not in pbx.bound, "nothing to take back"
        await pbx.off()

    fast_time.run(work())


def test_the_way_is_kept_open(transport: str) -> None:
    async def work() -> None:
        pbx = Pbx(transport)
        await pbx.on()
        async with registering(pbx) as told:
            await told.until(is_(RegistrationState.registered))
            await asyncio.sleep(EXPIRES_S)
            if transport == "udp":
                asked = [moment for moment, method in pbx.requests if method == "OPTIONS"]
                assert EXPIRES_S / KEEP_ALIVE_S - 3 <= len(asked) <= EXPIRES_S / KEEP_ALIVE_S
            else:
                assert not any(method == "OPTIONS" for _, method in pbx.requests)
                assert len(pbx.flows) == 1, "one connection serves all refreshes"
        await pbx.off()

    fast_time.run(work())


def test_a_pbx_that_is_gone_does_not_hold_up_the_end(transport: str) -> None:
    async def work() -> None:
        pbx = Pbx(transport)
        await pbx.on()
        loop = asyncio.get_running_loop()
        async with registering(pbx) as told:
            await told.until(is_(RegistrationState.registered))
            if transport == "udp":
                await pbx.off()
            else:
                # It takes everything and says nothing.
                pbx._sip.on_request = lambda _: None
            began = loop.time()
            assert told.registrant is not None
            await told.registrant.retire()
            assert loop.time() - began <= 3
        if transport == "tcp":
            await pbx.off()

    fast_time.run(work())

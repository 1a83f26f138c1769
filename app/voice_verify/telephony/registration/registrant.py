"""The task that keeps one PBX instance registered: connects, sends, rests, keeps the way open, begins again."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from voice_verify.telephony.agent import Counters, LastError, RegistrationState
from voice_verify.telephony.registration import faults
from voice_verify.telephony.registration.faults import ErrorCode, Fault
from voice_verify.telephony.registration.machine import Registration, Wait
from voice_verify.telephony.sip import (
    Endpoint,
    Flow,
    Request,
    Response,
    Sip,
    TransactionTimeout,
    Transport,
    TransportFailed,
    Transports,
)

log = logging.getLogger(__name__)

# A name server may take 10 s to say that it does not know.
CONNECT_S = 15.0
# RFC 5626, section 4.4.1: NATs forget UDP after 30 s and more.
KEEP_ALIVE_S = 25.0
# A PBX that is gone must not hold up the end of the process.
UNREGISTER_S = 2.0
# RFC 5626, section 3.5.1.
_PING = b"\r\n\r\n"


@dataclass(frozen=True)
class Place:
    """Where PBXs reach us. `advertised`: empty for the address that we reach the PBX from; `tls`: verifies PBXs."""

    advertised: str
    port: int
    tls_port: int | None
    tls: ssl.SSLContext

    def contact(self, flow: Flow) -> tuple[str, int]:
        """Host and port of the Contact for registrations over `flow`."""
        port = self.port if flow.transport is not Transport.TLS else self.tls_port
        # Who does not listen with TLS is reached over the connection that he made, and nowhere else.
        return self.advertised or flow.local.host, port or flow.local.port


class Registrant:
    """Runs from its making until `retire`; `told` is called whenever the state may have changed."""

    def __init__(
        self,
        registration: Registration,
        sip: Sip,
        transports: Transports,
        *,
        place: Place,
        counters: Counters,
        told: Callable[[], None],
        after: asyncio.Task[None] | None = None,
    ) -> None:
        self.registration = registration
        self._sip = sip
        self._transports = transports
        self._place = place
        self._counters = counters
        self._told = told
        # Code of the error that was logged last; None when it was a success, empty before either.
        self._reported: str | None = ""
        # Connected, and the PBX answers on it; each instance has a connection of its own.
        self._flow: Flow | None = None
        # Takes back what the instance had before.
        self._after = after
        self._task = asyncio.create_task(self._run())

    async def retire(self) -> None:
        """End the task and take the registration back, if the PBX may have one."""
        self._task.cancel()
        await asyncio.wait([task for task in (self._task, self._after) if task is not None])
        registration, flow = self.registration, self._flow
        maybe_known = registration.state.state in (RegistrationState.registered, RegistrationState.registering)
        if flow is None or flow.closed or not maybe_known:
            return
        with suppress(TimeoutError, Fault):
            async with asyncio.timeout(UNREGISTER_S):
                await self._exchange(registration.begin_removal(*self._place.contact(flow)), flow)

    async def _run(self) -> None:
        if self._after is not None:
            # Its removal of our Contact must not come after our registration.
            await asyncio.wait([self._after])
        while True:
            wait = await self._attempt()
            self._told()
            try:
                await self._rest(wait.seconds)
            except Fault as fault:
                self._drop()
                wait = self.registration.lost(fault)
                self._report(self.registration.state.last_error)
                self._told()
                await asyncio.sleep(wait.seconds)

    async def _attempt(self) -> Wait:
        try:
            flow = self._flow = await self._reach()
            wait = await self._exchange(self.registration.begin(*self._place.contact(flow)), flow)
        except Fault as fault:
            self._drop()
            wait = self.registration.failed(fault)
        except Exception:
            # One answer that we did not think of must not leave the instance unregistered for good.
            log.exception(
                "a registration failed for a reason of our own",
                extra={"fields": {"pbx": str(self.registration.instance.uuid)}},
            )
            self._drop()
            wait = self.registration.failed(Fault(ErrorCode.bad_answer, "its answer could not be used: see the log"))
        self._report(self.registration.state.last_error)
        return wait

    async def _reach(self) -> Flow:
        """The connection there is, or a new flow to the PBX, whose name is looked up anew; raises Fault."""
        flow = self._flow
        if flow is not None and flow.reliable and not flow.closed:
            return flow
        instance = self.registration.instance
        transport = Transport(instance.transport)
        secure = transport is Transport.TLS
        try:
            return await self._transports.connect(
                Endpoint(transport, instance.host, instance.port),
                tls=self._place.tls if secure else None,
                server_name=instance.host.removesuffix(".") if secure else None,
                timeout_s=CONNECT_S,
                reuse=False,
            )
        except TransportFailed as failure:
            raise faults.of_transport(failure) from failure

    async def _exchange(self, request: Request, flow: Flow) -> Wait:
        """Send it and all that the answers ask for; raises Fault when there is no answer."""
        step: Request | Wait = request
        while isinstance(step, Request):
            step = self.registration.answered(await self._ask(step, flow))
        return step

    async def _ask(self, request: Request, flow: Flow) -> Response:
        """The final answer; raises Fault."""
        try:
            return await self._sip.request(request, flow, sent_by=self._place.contact(flow))
        except TransactionTimeout as timeout:
            raise Fault(ErrorCode.timeout, f"{flow.remote}: no answer in time") from timeout
        except TransportFailed as failure:
            raise faults.of_transport(failure) from failure

    async def _rest(self, seconds: float) -> None:
        """Wait before the next attempt and keep the way to the PBX open; raises Fault when a registration is lost."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            flow = self._flow
            if flow is None or not self._registered:
                await asyncio.sleep(left)
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, KEEP_ALIVE_S)):
                    await flow.wait_closed()
            if flow.closed:
                raise Fault(ErrorCode.connection_lost, "the connection to the PBX is gone")
            if not await self._keep_alive(flow, end - loop.time()):
                return

    async def _keep_alive(self, flow: Flow, left: float) -> bool:
        """Tell NATs and the PBX that we are there; False when it is better to register again at once."""
        if flow.reliable:
            with suppress(TransportFailed):
                flow.send(_PING)
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                try:
                    # Whatever it says: it is there.
                    await self._ask(self.registration.probe(), flow)
                except Fault:
                    return False
        return True

    def _drop(self) -> None:
        """Nobody answers on this flow any more."""
        if self._flow is not None:
            self._flow.close()
            self._flow = None

    @property
    def _registered(self) -> bool:
        return self.registration.state.state is RegistrationState.registered

    @property
    def _fields(self) -> dict[str, str]:
        return {"pbx": str(self.registration.instance.uuid)}

    def _report(self, error: LastError | None) -> None:
        """Count the attempt; log what is new."""
        self._counters.add("registrations", kind=error.code if error else "registered")
        code = error.code if error else None
        if code == self._reported:
            return
        self._reported = code
        if error is None:
            log.info("registered at a PBX", extra={"fields": self._fields})
        else:
            fields = {**self._fields, "code": error.code, "reason": error.message}
            log.warning("a registration at a PBX failed", extra={"fields": fields})

"""The telephony process's end of the socket: it runs an agent, and is the service that the agent sees.

The process ends when the other end is closed, so it never outlives the service.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast
from uuid import UUID

import uvloop

from voice_verify import logs
from voice_verify.processes.wire import ProtocolError, pack
from voice_verify.telephony import protocol
from voice_verify.telephony.agent import (
    Agent,
    AgentError,
    CallInfo,
    Codec,
    Counters,
    LegEnd,
    PbxInstance,
    PbxState,
    Refused,
    TelephonyConfig,
)
from voice_verify.telephony.protocol import Kind, Message, Parser, Status

log = logging.getLogger(__name__)

REPORT_S = 0.5
# Blocks of many legs go in one write: each would wake the service.
GATHER_S = 0.02
# Many seconds of all the audio there may be: the service hangs.
MAX_UNSENT_BYTES = 32 << 20
# Of the agent's stop; the service waits a little longer for this process.
STOP_S = 4.0
# What legs are told when the service is gone.
SERVICE_GONE = "shutdown"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class _Leg:
    """An open stream, as `voice_verify.telephony.agent.Leg` has it."""

    def __init__(self, host: Host, number: int, uuid: UUID, ended: Callable[[str], None]) -> None:
        self.uuid = uuid
        self.ended = ended
        self._host = host
        self._number = number

    def audio(self, block: bytes) -> None:
        self._send(pack(Kind.audio, self._number, block))

    def codec(self, codec: Codec, rate: int) -> None:
        self._send(protocol.pack_codec(self._number, codec, rate))

    def hold(self, held: bool) -> None:
        self._send(pack(Kind.hold, self._number, code=held))

    def end(self, reason: LegEnd) -> None:
        self._send(protocol.pack_end(self._number, reason))
        self._host.legs.pop(self._number, None)

    def _send(self, message: bytes) -> None:
        if self._number in self._host.legs:
            self._host.send(message)


class Host(asyncio.Protocol):
    """Runs `agent` for the service behind the transport; it is the agent's `Service`, too."""

    def __init__(self, agent: Agent) -> None:
        self.counters = Counters()
        self.legs: dict[int, _Leg] = {}
        self._agent = agent
        self._loop = asyncio.get_running_loop()
        self._parser = Parser()
        self._numbers = itertools.count(1)
        self._opening: dict[int, tuple[asyncio.Future[_Leg], Callable[[str], None]]] = {}
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        # None when the service is gone before it said anything.
        self._config: asyncio.Future[TelephonyConfig | None] = self._loop.create_future()
        self._over = asyncio.Event()
        self._pbx: Sequence[PbxInstance] = ()
        self._pbx_changed = asyncio.Event()

    async def run(self) -> int:
        """Serve until told to stop or the service is gone; the exit status, 1 when the agent cannot start."""
        config = await self._config
        if config is None:
            return 0
        try:
            await self._agent.start(config, self)
        except (AgentError, OSError) as error:
            self._fail(error)
            return 1
        self.send(pack(Kind.ready))
        others = [asyncio.create_task(self._report()), asyncio.create_task(self._configure())]
        await self._over.wait()
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self._end_all(SERVICE_GONE)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self._agent.stop()
        return 0

    # What the agent sees.

    async def open(self, call: CallInfo, ended: Callable[[str], None]) -> _Leg:
        number = next(self._numbers)
        message = protocol.pack_open(number, call)
        if self._over.is_set():
            raise _service_gone()
        opened: asyncio.Future[_Leg] = self._loop.create_future()
        self._opening[number] = opened, ended
        self.send(message)
        try:
            return await opened
        except asyncio.CancelledError:
            # Also when the answer was on its way.
            self.legs.pop(number, None)
            self.send(protocol.pack_end(number, LegEnd.client_closed))
            raise
        finally:
            self._opening.pop(number, None)

    def registered(self, states: Sequence[PbxState]) -> None:
        self.send(protocol.pack_states(states))

    def send(self, message: bytes) -> None:
        """Soon, with what else there is by then; after the end it goes nowhere."""
        if self._over.is_set():
            return
        if not self._unsent:
            self._loop.call_later(GATHER_S, self._flush)
        self._unsent.append(message)

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not of that class with uvloop, but with its methods.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._parser.feed(data):
                self._told(message)
        except ProtocolError:
            log.exception("the service sent what is no message")
            self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._over.is_set():
            log.warning("the service is gone", extra={"fields": {"error": error and str(error)}})
        self._finish()

    # What is done here.

    def _told(self, message: Message) -> None:
        match message.kind:
            case Kind.opened:
                self._opened(message.number, protocol.unpack_opened(message.content))
            case Kind.refused:
                waiting = self._opening.pop(message.number, None)
                if waiting is not None and not waiting[0].done():
                    waiting[0].set_exception(protocol.unpack_refused(message.content))
            case Kind.ended:
                leg = self.legs.pop(message.number, None)
                if leg is not None:
                    _call(leg.ended, message.content.decode(errors="replace"))
            case Kind.pbx:
                self._pbx = protocol.unpack_pbx(message.content)
                self._pbx_changed.set()
            case Kind.config:
                if not self._config.done():
                    self._config.set_result(protocol.unpack_config(message.content))
            case Kind.stop:
                self._finish()
            case _:
                raise ProtocolError(f"a message of kind {message.kind.name} is none for the telephony process")

    def _opened(self, number: int, uuid: UUID) -> None:
        waiting = self._opening.pop(number, None)
        # Cancelled ones were ended where that happened.
        if waiting is not None and not waiting[0].done():
            future, ended = waiting
            leg = self.legs[number] = _Leg(self, number, uuid, ended)
            future.set_result(leg)

    def _end_all(self, reason: str) -> None:
        for future, _ in self._opening.values():
            if not future.done():
                future.set_exception(_service_gone())
        legs, self.legs = self.legs, {}
        for leg in legs.values():
            _call(leg.ended, reason)

    def _finish(self) -> None:
        self._over.set()
        if not self._config.done():
            self._config.set_result(None)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(b"".join(unsent))
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            log.error("the service takes nothing any more")
            self._finish()

    def _fail(self, error: AgentError | OSError) -> None:
        if isinstance(error, OSError):
            error = AgentError(error.strerror or str(error), hint="see the settings VV_SIP_* and VV_RTP_*")
        log.error("calls cannot be taken: %s", error.message)
        self._unsent.append(protocol.pack_failed(error))
        self._flush()

    async def _report(self) -> None:
        while True:
            self.send(protocol.pack_status(self._status()))
            await asyncio.sleep(REPORT_S)

    def _status(self) -> Status:
        return Status(
            cpu_s=time.process_time(),
            memory_bytes=int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES,
            counts=self.counters.counts(),
            gauges=self.counters.gauges(),
        )

    async def _configure(self) -> None:
        """One change after the other; of those that come meanwhile, the last."""
        while True:
            await self._pbx_changed.wait()
            self._pbx_changed.clear()
            try:
                await self._agent.configure(self._pbx)
            except Exception:
                log.exception("a change of the PBX instances failed")


def run(agent: Agent) -> None:
    """Run `agent` for the service at the other end of the socket whose descriptor is the first argument, and exit."""
    # A terminal and systemd signal the whole group; the service says when it has no more use for this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logs.configure()
    # Two sockets for each call and the connections of peers: more than many a default allows.
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed < most:
        # A sandbox may forbid it; then fewer calls come in.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    status = uvloop.run(_serve(socket.socket(fileno=int(sys.argv[1])), agent))
    logging.shutdown()
    sys.exit(status)


async def _serve(connection: socket.socket, agent: Agent) -> int:
    loop = asyncio.get_running_loop()
    transport, host = await loop.create_unix_connection(lambda: Host(agent), sock=connection)
    try:
        return await host.run()
    finally:
        transport.close()


def _service_gone() -> Refused:
    return Refused("service_stopped", 503, "Service Unavailable", "The service stops.", None)


def _call(ended: Callable[[str], None], reason: str) -> None:
    try:
        ended(reason)
    except Exception:
        log.exception("the end of a leg was not taken")

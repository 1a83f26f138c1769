"""One connection of a media protocol, over whatever wire: from its first message to the last word."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Protocol
from uuid import UUID

from starlette.concurrency import run_in_threadpool

from voice_verify.errors import InternalError, StartTimeout, VoiceVerifyError
from voice_verify.media.actions import (
    Action,
    Adapter,
    Alive,
    End,
    Finished,
    Handshake,
    Heard,
    Message,
    Reply,
    Started,
)
from voice_verify.media.outbox import Outbox
from voice_verify.media.session import Session
from voice_verify.services.events import Ended, EndReason, Event, Failed
from voice_verify.services.streams import StreamService

log = logging.getLogger(__name__)

# Peers begin at once; who does not is a stray connection, or holds one open.
START_S = 10.0
# For the peer's answer to the end that the service has announced.
LINGER_S = 5.0


class WireClosed(Exception):
    """The peer is gone; `reason`: why its streams end."""

    def __init__(self, reason: EndReason) -> None:
        super().__init__()
        self.reason = reason


class Wire(Protocol):
    """What messages go over."""

    async def receive(self) -> Message:
        """Raises WireClosed, and VoiceVerifyError for a message that is too large."""
        ...

    async def send(self, message: Message) -> None:
        """Raises WireClosed."""
        ...

    async def close(self, end: End) -> None:
        """Say why as far as the wire can; does nothing when the peer is gone."""
        ...

    def take_directly(self, session: Session, adapter: Adapter) -> None:
        """From now on audio may go to `session` at once, past `receive`."""
        ...

    async def tell(self, uuid: UUID, event: Event) -> None:
        """Pass an event on where the protocol has a place for it; raises WireClosed."""
        ...


class Connection:
    """`handshake.parameters` choose channels and name the stream."""

    def __init__(self, wire: Wire, adapter: Adapter, handshake: Handshake, streams: StreamService, peer: str) -> None:
        self._wire = wire
        self._adapter = adapter
        self._outbox: Outbox[tuple[UUID, Event]] = Outbox()
        self._session = Session(streams, adapter, handshake.parameters, peer, self._outbox.put)

    async def run(self) -> str:
        """Serve the peer until either side ends it; returns `ok`, or the code of what went wrong."""
        receiver = asyncio.create_task(self._receive())
        teller = asyncio.create_task(self._tell())
        try:
            end = await self._last(receiver, teller)
            if end is not None:
                await self._say_goodbye(end, receiver)
        except WireClosed as closed:
            # While it was told something; what it had begun is over.
            await run_in_threadpool(self._session.end, closed.reason)
            return "ok"
        else:
            return end.error.code if end is not None and end.error is not None else "ok"
        finally:
            for task in (receiver, teller):
                task.cancel()
            await asyncio.gather(receiver, teller, return_exceptions=True)
            self._session.detach()

    async def _last(self, receiver: asyncio.Task[None], teller: asyncio.Task[End]) -> End | None:
        """Why the service ends the connection, once either side does; None when all is said."""
        await asyncio.wait({receiver, teller}, return_when=asyncio.FIRST_COMPLETED)
        return teller.result() if teller.done() else await self._after(receiver, teller)

    async def _after(self, receiver: asyncio.Task[None], teller: asyncio.Task[End]) -> End | None:
        """How to end a connection whose peer sent its last message, whatever that was; None when all is said."""
        try:
            receiver.result()
        except WireClosed as closed:
            await run_in_threadpool(self._session.end, closed.reason)
            return None
        except VoiceVerifyError as error:
            failure = error
        except Exception:
            log.exception("a media connection failed", extra={"fields": {"protocol": self._adapter.name}})
            failure = InternalError("The service failed")
        else:
            # The peer has the last word, so nothing is told about what ends now.
            teller.cancel()
            await run_in_threadpool(self._session.end, EndReason.client_closed)
            await self._send(self._adapter.finished())
            await self._wire.close(End(EndReason.client_closed))
            return None
        end = End(EndReason.error, failure)
        if self._session.legs:
            await run_in_threadpool(self._session.end, EndReason.error, failure)
            await teller
        return end

    async def _receive(self) -> None:
        """Until the peer says that the call is over; raises WireClosed and what was wrong with a message."""
        deadline = asyncio.get_running_loop().time() + START_S
        is_started = False
        while True:
            if is_started:
                message = await self._wire.receive()
            else:
                try:
                    async with asyncio.timeout_at(deadline):
                        message = await self._wire.receive()
                except TimeoutError:
                    raise StartTimeout(
                        f"No call began within {START_S:g} s", hint="connect when there is one"
                    ) from None
            read = self._adapter.text if isinstance(message, str) else self._adapter.binary
            for action in read(message):  # type: ignore[arg-type]
                if isinstance(action, Finished):
                    return
                is_started = await self._do(action) or is_started

    async def _do(self, action: Action) -> bool:
        """Whether the call has begun by it."""
        match action:
            case Heard():
                self._session.hear(action)
            case Alive():
                self._session.alive(action.held)
            case Reply():
                await self._wire.send(action.message)
            case Started():
                opened = await run_in_threadpool(self._session.open, action)
                await self._send(self._adapter.opened(opened))
                self._wire.take_directly(self._session, self._adapter)
                return True
        return False

    async def _tell(self) -> End:
        """Pass events on until all streams have ended."""
        ended: set[UUID] = set()
        error: VoiceVerifyError | None = None
        while True:
            uuid, event = await self._outbox.get()
            await self._wire.tell(uuid, event)
            if isinstance(event, Failed):
                error = event.error
            if isinstance(event, Ended):
                ended.add(uuid)
                if ended >= {leg.stream.uuid for leg in self._session.legs}:
                    return End(event.reason, error if event.reason is EndReason.error else None)

    async def _say_goodbye(self, end: End, receiver: asyncio.Task[None]) -> None:
        await self._send(self._adapter.ended(end))
        if self._adapter.lingers:
            with suppress(VoiceVerifyError, WireClosed, TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    # One that has ended by what was wrong is begun anew, to hear the answer.
                    await (self._receive() if receiver.done() else receiver)
                await self._send(self._adapter.finished())
        await self._wire.close(end)

    async def _send(self, messages: list[Message]) -> None:
        for message in messages:
            await self._wire.send(message)

"""The WebSockets of the media protocols: a path for each, one handler for all."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from voice_verify.api import problems
from voice_verify.api.events import to_json
from voice_verify.api.intake import take_directly
from voice_verify.api.media_access import admit
from voice_verify.api.websocket import CLOSE_CODES, FAILED, GOING_AWAY, INVALID_DATA, NORMAL, TRY_LATER
from voice_verify.errors import FrameTooLarge, InvalidRequest, Unavailable, VoiceVerifyError
from voice_verify.media.actions import Adapter, End, Heard, Message, Name
from voice_verify.media.asterisk import Asterisk
from voice_verify.media.audiohook import Audiohook
from voice_verify.media.connection import Connection, WireClosed
from voice_verify.media.freeswitch import Freeswitch
from voice_verify.media.jambonz import Jambonz
from voice_verify.media.session import Session
from voice_verify.media.twilio import Twilio
from voice_verify.media.vonage import Vonage
from voice_verify.services.container import Services
from voice_verify.services.events import EndReason, Event

router = APIRouter()
log = logging.getLogger(__name__)

ADAPTERS: dict[Name, type[Adapter]] = {
    adapter.name: adapter for adapter in (Twilio, Audiohook, Vonage, Asterisk, Jambonz, Freeswitch)
}
# RFC 6455, section 7.4.1: the peer closed without a code, or what it wanted is not allowed.
NO_CODE, POLICY = 1005, 1008
# The server's own, which closes all connections when it stops.
RESTART = 1012
ENDS = dict.fromkeys((NORMAL, GOING_AWAY, NO_CODE), EndReason.client_closed) | {RESTART: EndReason.shutdown}
# From this status on an error is the service's fault.
FAILED_STATUS = 500


@router.websocket("/stream/twilio")
@router.websocket("/stream/audiohook")
@router.websocket("/stream/vonage")
@router.websocket("/stream/asterisk")
@router.websocket("/stream/jambonz")
@router.websocket("/stream/freeswitch")
async def media(websocket: WebSocket) -> None:
    """Takes in one peer; one that is not let in gets a problem document as the answer to its handshake."""
    services: Services = websocket.app.state.services
    protocol = Name(websocket.scope["path"].rpartition("/")[2])
    outcome = "internal_error"
    try:
        outcome = await _serve(websocket, services, protocol)
    except VoiceVerifyError as error:
        outcome = error.code
        await websocket.send_denial_response(problems.response(error))
    finally:
        services.metrics.media_connections.labels(protocol.value, outcome).inc()
        if outcome != "ok":
            fields = {"protocol": protocol, "code": outcome, "peer": _peer(websocket)}
            log.warning("media connection failed", extra={"fields": fields})


def _peer(websocket: WebSocket) -> str:
    return websocket.client.host if websocket.client else ""


async def _serve(websocket: WebSocket, services: Services, protocol: Name) -> str:
    handshake = await admit(websocket, services, protocol)
    adapter = ADAPTERS[protocol](handshake)
    agreed = [name for name in handshake.subprotocols if name in adapter.subprotocols]
    await websocket.accept(subprotocol=agreed[0] if agreed else None)
    wire = WebSocketWire(websocket, adapter, services.settings.websocket_frame_kb * 1024)
    return await Connection(wire, adapter, handshake, services.streams, _peer(websocket)).run()


class WebSocketWire:
    """An accepted WebSocket; messages of more than `largest` bytes are refused."""

    def __init__(self, websocket: WebSocket, adapter: Adapter, largest: int) -> None:
        self._websocket = websocket
        self._adapter = adapter
        self._largest = largest
        # Events and answers are sent by two tasks.
        self._sending = asyncio.Lock()

    async def receive(self) -> Message:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WireClosed(ENDS.get(message["code"], EndReason.error))
        content: Message | None = message.get("text")
        if content is None:
            content = message["bytes"]
        if len(content) > self._largest:
            raise FrameTooLarge(
                f"A message of {len(content)} is larger than {self._largest}", hint="send 20 to 100 ms in a frame"
            )
        return content

    async def send(self, message: Message) -> None:
        try:
            async with self._sending:
                if isinstance(message, str):
                    await self._websocket.send_text(message)
                else:
                    await self._websocket.send_bytes(message)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise WireClosed(EndReason.error) from error

    async def tell(self, uuid: UUID, event: Event) -> None:
        if self._adapter.takes_events:
            for message in self._adapter.event(to_json(uuid, event)):
                await self.send(message)

    async def close(self, end: End) -> None:
        code = NORMAL if end.error is None else close_code(end.error)
        try:
            async with self._sending:
                await self._websocket.close(code, end.error.code if end.error else end.reason.value)
        except (WebSocketDisconnect, RuntimeError):
            # The peer was faster.
            return

    def take_directly(self, session: Session, adapter: Adapter) -> None:
        def take(frame: bytes) -> bool:
            if len(frame) > self._largest:
                return False
            try:
                for action in adapter.binary(frame):
                    if not isinstance(action, Heard):
                        return False
                    session.hear(action)
            except VoiceVerifyError:
                # Comes again by `receive`, where it can be answered.
                return False
            return True

        take_directly(self._websocket, take)


def close_code(error: VoiceVerifyError) -> int:
    """Why the service closes, as far as a WebSocket can say it; its code goes along as the reason."""
    for kind, code in CLOSE_CODES.items():
        if isinstance(error, kind):
            return code
    match error:
        case Unavailable():
            return TRY_LATER
        case InvalidRequest():
            return INVALID_DATA
        case _ if error.status < FAILED_STATUS:
            return POLICY
        case _:
            return FAILED

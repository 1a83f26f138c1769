"""The WebSocket of a stream: audio in binary frames comes in, events in JSON text frames go out."""

from __future__ import annotations

import asyncio
from uuid import UUID

from fastapi import APIRouter, WebSocket
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocketDisconnect

from voice_verify import errors
from voice_verify.api import problems
from voice_verify.api.dependencies import require
from voice_verify.api.events import to_json
from voice_verify.api.intake import take_directly
from voice_verify.api.middleware import identify, known
from voice_verify.engine import SAMPLE_RATE
from voice_verify.errors import FrameTooLarge, StreamNotFound, Unauthenticated, UnexpectedText, VoiceVerifyError
from voice_verify.media.outbox import Outbox
from voice_verify.services.container import Services
from voice_verify.services.events import Ended, EndReason, Event, Failed
from voice_verify.services.frames import Codec, FrameDecoder
from voice_verify.services.keys import Role
from voice_verify.services.stream import Stream

router = APIRouter()

SUBPROTOCOL = "vv.v2"
KEY_SUBPROTOCOL = "vv.key."
# RFC 6455, section 7.4.1.
NORMAL, GOING_AWAY = 1000, 1001
UNSUPPORTED_DATA, INVALID_DATA, TOO_BIG, FAILED, TRY_LATER = 1003, 1007, 1009, 1011, 1013
# The protocol itself was violated, or a frame was so large that it was not even read.
BROKEN = (1002, UNSUPPORTED_DATA, INVALID_DATA, TOO_BIG)
CLOSE_CODES: dict[type[VoiceVerifyError], int] = {
    errors.UnexpectedText: UNSUPPORTED_DATA,
    errors.UnexpectedBinary: UNSUPPORTED_DATA,
    errors.BadFrame: INVALID_DATA,
    errors.FrameTooLarge: TOO_BIG,
    errors.Overloaded: TRY_LATER,
    errors.EngineUnavailable: TRY_LATER,
}


@router.websocket("/stream/{uuid}")
async def stream_audio(websocket: WebSocket, uuid: str) -> None:
    """Takes in one client; one that is not let in gets a problem document as the answer to its handshake."""
    services: Services = websocket.app.state.services
    outbox: Outbox[Event] = Outbox()
    try:
        decoder = _decoder(websocket)
        stream = await _admit(websocket, services, uuid)
        stream.attach(decoder, _peer(websocket), outbox.put)
    except VoiceVerifyError as error:
        await websocket.send_denial_response(problems.response(error))
        return
    await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None)
    sender = asyncio.create_task(_send_events(websocket, stream, outbox))
    try:
        code = await _receive_frames(websocket, services, stream, decoder)
    except StreamNotFound:
        # Ended by the service; the sender is telling the client why.
        await sender
    except VoiceVerifyError as error:
        stream.fail(error)
        await run_in_threadpool(services.streams.end, stream.uuid, EndReason.error)
        await sender
    else:
        if code in (NORMAL, GOING_AWAY):
            await run_in_threadpool(services.streams.end, stream.uuid, EndReason.client_closed)
        elif code in BROKEN:
            await run_in_threadpool(services.streams.end, stream.uuid, EndReason.error)
    finally:
        sender.cancel()
        stream.detach(outbox.put)


def _decoder(websocket: WebSocket) -> FrameDecoder:
    """Raises UnsupportedCodec, UnsupportedRate and UnsupportedChannel."""
    codec = websocket.query_params.get("codec", Codec.pcm_s16le.value)
    rate = websocket.query_params.get("rate", str(SAMPLE_RATE))
    channel = websocket.query_params.get("channel")
    return FrameDecoder(codec, int(rate) if rate.isascii() and rate.isdigit() else 0, channel)


def _peer(websocket: WebSocket) -> str:
    return websocket.client.host if websocket.client else ""


async def _admit(websocket: WebSocket, services: Services, uuid: str) -> Stream:
    """The stream `uuid`, for a client with its ticket or an integrator's key.

    Raises Unauthenticated, Forbidden, StreamNotFound and DatabaseUnavailable.
    """
    try:
        identity = UUID(uuid)
    except ValueError:
        identity = None
    ticket = websocket.query_params.get("ticket")
    if ticket is not None:
        if identity is None or not services.streams.redeem(identity, ticket):
            raise Unauthenticated(
                "This ticket is not valid, or was used before",
                hint="open another stream, or connect with a key",
            )
    else:
        offered = [name for name in websocket.scope["subprotocols"] if name.startswith(KEY_SUBPROTOCOL)]
        if offered:
            caller = await known(services.keys, offered[0].removeprefix(KEY_SUBPROTOCOL))
        else:
            caller = await identify(services.keys, websocket.headers)
        require(caller, [Role.integrator])
    if identity is None:
        raise StreamNotFound("A stream is named by a UUID", hint="POST /api/v2/streams opens one")
    return services.streams.get(identity)


async def _receive_frames(websocket: WebSocket, services: Services, stream: Stream, decoder: FrameDecoder) -> int:
    """Feed the stream until the client is gone; returns the code of the WebSocket's end.

    Raises UnexpectedText, BadFrame, FrameTooLarge, Overloaded, StreamFailed and StreamNotFound.
    """
    largest = services.settings.websocket_frame_kb * 1024

    def take(frame: bytes) -> bool:
        if len(frame) > largest:
            return False
        try:
            services.streams.push(stream, decoder, frame)
        except VoiceVerifyError:
            return False
        return True

    take_directly(websocket, take)
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return int(message["code"])
        frame = message.get("bytes")
        if frame is None:
            raise UnexpectedText("This WebSocket takes audio in binary frames only", hint="send no text frames")
        if len(frame) > largest:
            raise FrameTooLarge(
                f"A frame of {len(frame)} bytes is larger than {largest} bytes", hint="send 20 to 100 ms in a frame"
            )
        services.streams.push(stream, decoder, frame)


async def _send_events(websocket: WebSocket, stream: Stream, outbox: Outbox[Event]) -> None:
    """Pass events on until the last one, then close."""
    code = NORMAL
    try:
        while True:
            event = await outbox.get()
            if isinstance(event, Failed):
                code = CLOSE_CODES.get(type(event.error), FAILED)
            await websocket.send_text(to_json(stream.uuid, event))
            if isinstance(event, Ended):
                await websocket.close(code if event.reason is EndReason.error else NORMAL, event.reason)
                return
    except (WebSocketDisconnect, RuntimeError):
        # The client went away meanwhile, which the receiver sees too.
        return

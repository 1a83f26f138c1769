"""Twilio Media Streams: https://www.twilio.com/docs/voice/media-streams/websocket-messages.

Text frames only, each a JSON object with an `event`. Twilio takes no messages but `media`, `mark` and `clear` back, and
those only on bidirectional streams, so it is told nothing.
"""

from __future__ import annotations

from typing import ClassVar

from voice_verify.errors import BadMessage, Forbidden, UnexpectedBinary, UnsupportedCodec
from voice_verify.media.actions import Action, Adapter, Finished, Format, Handshake, Heard, Name, Started, shortened
from voice_verify.media.objects import Object, audio, member, parse, texts

ENCODING, RATE = "audio/x-mulaw", 8000


class Twilio(Adapter):
    """`inbound` is what Twilio receives from the call, `outbound` what it plays to it."""

    name = Name.twilio
    channels: ClassVar[tuple[str, ...]] = ("inbound", "outbound")

    def __init__(self, handshake: Handshake) -> None:
        self._account = handshake.account
        self._is_connected = False
        self._stream: str | None = None
        self._tracks: tuple[str, ...] = ()

    def text(self, message: str) -> list[Action]:
        document = parse(message)
        event = member(document, "event", str)
        if event == "connected" and not self._is_connected:
            self._is_connected = True
            return []
        if not self._is_connected:
            raise BadMessage("The first message is not connected")
        if event == "start" and self._stream is None:
            return [self._start(document)]
        if event in ("connected", "start"):
            raise BadMessage("The stream was announced twice")
        if self._stream is None or document.get("streamSid") != self._stream:
            raise BadMessage("A message is of a stream that was not started")
        match event:
            case "media":
                return [self._media(member(document, "media", dict))]
            case "stop":
                return [Finished()]
            case _:
                # dtmf, mark, and what Twilio may add.
                return []

    def binary(self, message: bytes) -> list[Action]:  # noqa: ARG002
        raise UnexpectedBinary("Twilio Media Streams have text frames only")

    def _start(self, document: Object) -> Started:
        start = member(document, "start", dict)
        shape = member(start, "mediaFormat", dict)
        if (shape.get("encoding"), shape.get("sampleRate"), shape.get("channels")) != (ENCODING, RATE, 1):
            raise UnsupportedCodec("This media format is not supported", hint=f"Twilio sends {ENCODING} at {RATE} Hz")
        if self._account is not None and start.get("accountSid") != self._account:
            raise Forbidden("The stream is of another account than the one that signed")
        tracks = tuple(track for track in self.channels if track in member(start, "tracks", list))
        if not tracks:
            raise BadMessage("The stream has no track")
        self._stream, self._tracks = member(document, "streamSid", str), tracks
        parameters = start.get("customParameters")
        said = texts(parameters) if isinstance(parameters, dict) else {}
        return Started(
            Format("mulaw", RATE, tracks),
            call_id=shortened(start.get("callSid")),
            caller=shortened(said.get("caller")),
            callee=shortened(said.get("callee")),
            parameters=said,
        )

    def _media(self, media: Object) -> Heard:
        track = member(media, "track", str)
        if track not in self._tracks:
            raise BadMessage("Audio is of a track that was not announced")
        return Heard(audio(member(media, "payload", str)), track)

"""Vonage Voice API: https://developer.vonage.com/en/voice/voice-api/guides/websockets.

A text frame with the content type and the headers of the NCCO, then binary frames of 16-bit linear PCM, little endian,
one channel. Vonage takes commands of its own only, so it is told nothing.
"""

from __future__ import annotations

import re

from voice_verify.errors import BadMessage, UnexpectedBinary, UnsupportedCodec
from voice_verify.media.actions import Action, Adapter, Format, Handshake, Heard, Name, Started, shortened
from voice_verify.media.objects import member, parse, texts

_CONTENT = re.compile(r"audio/l16; ?rate=(8000|16000|24000)", re.IGNORECASE)


class Vonage(Adapter):
    name = Name.vonage

    def __init__(self, handshake: Handshake) -> None:  # noqa: ARG002
        self._is_started = False

    def text(self, message: str) -> list[Action]:
        document = parse(message)
        event = member(document, "event", str)
        if self._is_started:
            # websocket:dtmf and what Vonage may add.
            return []
        if event != "websocket:connected":
            raise BadMessage("The first message is not websocket:connected")
        content = _CONTENT.fullmatch(member(document, "content-type", str))
        if content is None:
            raise UnsupportedCodec(
                "This content type is not supported", hint="connect with audio/l16;rate=8000, 16000 or 24000"
            )
        self._is_started = True
        said = texts(document)
        call_id = said.get("conversation_uuid") or said.get("call_id")
        return [
            Started(
                Format("pcm_s16le", int(content[1])),
                call_id=shortened(call_id),
                caller=shortened(said.get("caller")),
                callee=shortened(said.get("callee")),
                parameters=said,
            )
        ]

    def binary(self, message: bytes) -> list[Action]:
        if not self._is_started:
            raise UnexpectedBinary("Audio came before websocket:connected")
        return [Heard(message)]

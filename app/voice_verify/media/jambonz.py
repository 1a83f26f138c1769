"""jambonz `listen`: https://docs.jambonz.org/verbs/verbs/listen.

A text frame with the call's attributes, sampleRate and mixType, then binary frames. What jambonz takes back plays
audio or ends the call, so it is told nothing.
"""

from __future__ import annotations

from typing import ClassVar

from voice_verify.errors import BadMessage, UnexpectedBinary
from voice_verify.media.actions import Action, Adapter, Handshake, Heard, Name, Started, shortened
from voice_verify.media.objects import member, parse, texts
from voice_verify.media.pcm import CALLER, OTHER, pcm

SUBPROTOCOL = "audio.jambonz.org"


class Jambonz(Adapter):
    name = Name.jambonz
    channels: ClassVar[tuple[str, ...]] = (CALLER, OTHER)
    subprotocols: ClassVar[tuple[str, ...]] = (SUBPROTOCOL,)

    def __init__(self, handshake: Handshake) -> None:
        if SUBPROTOCOL not in handshake.subprotocols:
            raise BadMessage("The subprotocol is missing", hint=f"jambonz offers {SUBPROTOCOL}")
        self._is_started = False

    def text(self, message: str) -> list[Action]:
        document = parse(message)
        if self._is_started:
            # DTMF, and answers to commands that are never sent.
            return []
        mix = document.get("mixType", "mono")
        heard = pcm(member(document, "sampleRate", int), mix if isinstance(mix, str) else "")
        self._is_started = True
        return [
            Started(
                heard,
                call_id=shortened(document.get("callSid")),
                caller=shortened(document.get("from")),
                callee=shortened(document.get("to")),
                parameters=texts(document),
            )
        ]

    def binary(self, message: bytes) -> list[Action]:
        if not self._is_started:
            raise UnexpectedBinary("Audio came before the attributes of the call")
        return [Heard(message)]

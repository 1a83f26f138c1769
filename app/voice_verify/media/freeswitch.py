"""FreeSWITCH's mod_audio_fork and mod_audio_stream.

https://github.com/drachtio/drachtio-freeswitch-modules/tree/main/modules/mod_audio_fork and
https://github.com/amigniter/mod_audio_stream. An optional text frame with metadata, then binary frames. Neither says
how it samples and mixes, so the URL repeats what the command says: `rate` (8000) and `mix` (mono). Both make events of
FreeSWITCH out of JSON that they receive: the first out of objects of the type `json`, the other out of any.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from voice_verify.errors import BadMessage
from voice_verify.media.actions import Action, Adapter, Handshake, Heard, Message, Name, Opened, Started, shortened
from voice_verify.media.objects import parse, texts
from voice_verify.media.pcm import CALLER, OTHER, pcm

FORK_SUBPROTOCOLS = ("audiostream.drachtio.org", "audio.drachtio.org")
RATES = {"8k": 8000, "16k": 16000}


class Freeswitch(Adapter):
    """Without a subprotocol it is mod_audio_stream."""

    name = Name.freeswitch
    channels: ClassVar[tuple[str, ...]] = (CALLER, OTHER)
    subprotocols: ClassVar[tuple[str, ...]] = FORK_SUBPROTOCOLS
    takes_events = True

    def __init__(self, handshake: Handshake) -> None:
        self._is_fork = any(name in FORK_SUBPROTOCOLS for name in handshake.subprotocols)
        rate = handshake.parameters.get("rate", "8000")
        number = RATES.get(rate) or (int(rate) if rate.isascii() and rate.isdigit() and len(rate) < 8 else 0)
        self._format = pcm(number, handshake.parameters.get("mix", "mono"))
        self._is_started = False

    def text(self, message: str) -> list[Action]:
        if self._is_started:
            # What `send_text` and `stop` send along.
            return []
        return [self._start(_metadata(message))]

    def binary(self, message: bytes) -> list[Action]:
        heard = Heard(message)
        return [heard] if self._is_started else [self._start({}), heard]

    def opened(self, streams: Sequence[Opened]) -> list[Message]:
        opened = [{"uuid": str(stream.uuid), "channel": stream.channel} for stream in streams]
        return self._told({"event": "started", "streams": opened})

    def event(self, document: str) -> list[Message]:
        return self._told(json.loads(document))

    def _told(self, document: dict[str, Any]) -> list[Message]:
        return [json.dumps({"type": "json", "data": document} if self._is_fork else document)]

    def _start(self, said: dict[str, str]) -> Started:
        self._is_started = True
        return Started(
            self._format,
            call_id=shortened(said.get("callid") or said.get("call_id")),
            caller=shortened(said.get("from")),
            callee=shortened(said.get("to")),
            parameters=said,
        )


def _metadata(message: str) -> dict[str, str]:
    """The texts in the metadata, which may be anything."""
    try:
        return texts(parse(message))
    except BadMessage:
        return {}

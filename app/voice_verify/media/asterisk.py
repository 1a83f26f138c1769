"""Asterisk's chan_websocket: https://docs.asterisk.org/Configuration/Channel-Drivers/WebSocket/.

A text frame MEDIA_START with the format, as words or, since 22.8, as JSON; then binary frames of bare codec frames.
Asterisk takes commands of its own only, and hangs the channel up when the connection closes; so it is told nothing.
"""

from __future__ import annotations

from voice_verify.errors import BadMessage, UnexpectedBinary, UnsupportedCodec
from voice_verify.media.actions import Action, Adapter, Format, Handshake, Heard, Name, Started, shortened
from voice_verify.media.objects import parse, texts

FORMATS = {
    "ulaw": Format("mulaw", 8000),
    "alaw": Format("alaw", 8000),
    "slin": Format("pcm_s16le", 8000),
    **{f"slin{rate // 1000}": Format("pcm_s16le", rate) for rate in (12000, 16000, 24000, 32000, 44100, 48000)},
}


class Asterisk(Adapter):
    name = Name.asterisk

    def __init__(self, handshake: Handshake) -> None:  # noqa: ARG002
        self._is_started = False

    def text(self, message: str) -> list[Action]:
        if self._is_started:
            # DTMF_END, MEDIA_XOFF, STATUS and what Asterisk may add.
            return []
        said = _read(message)
        if said.get("event") != "MEDIA_START":
            raise BadMessage("The first message is not MEDIA_START")
        wanted = said.get("format", "")
        if wanted not in FORMATS:
            raise UnsupportedCodec("This format is not supported", hint=f"dial with c({'|'.join(FORMATS)})")
        self._is_started = True
        call_id = said.get("channel_id") or said.get("channel")
        return [Started(FORMATS[wanted], call_id=shortened(call_id))]

    def binary(self, message: bytes) -> list[Action]:
        if not self._is_started:
            raise UnexpectedBinary("Audio came before MEDIA_START")
        return [Heard(message)]


def _read(message: str) -> dict[str, str]:
    """The event and its members, whichever way they are written."""
    if message.startswith("{"):
        return texts(parse(message))
    event, *words = message.split()[:16] or [""]
    pairs = (word.partition(":") for word in words)
    return {name: value for name, _, value in pairs} | {"event": event}

from __future__ import annotations

from uuid import UUID

import pytest

from voice_verify.errors import BadMessage, TooManyStreams
from voice_verify.media.actions import Action, End, Finished, Format, Handshake, Heard, Started
from voice_verify.media.audiosocket import Audiosocket
from voice_verify.services.events import EndReason

CALL = UUID("40325ec2-5efd-4bd3-805f-53576e581d13")
IDENTITY = b"\x01\x00\x10" + CALL.bytes
AUDIO = b"\x10\x01\x40" + bytes(320)
DTMF, HANGUP = b"\x03\x00\x015", b"\x00\x00\x00"


def heard(*pieces: bytes) -> list[Action]:
    adapter = Audiosocket(Handshake())
    return [action for piece in pieces for action in adapter.binary(piece)]


def test_a_call_is_its_uuid_audio_and_a_hangup() -> None:
    started, *audio, finished = heard(IDENTITY, AUDIO, DTMF, AUDIO, HANGUP)
    assert started == Started(Format("pcm_s16le", 8000), call_id=str(CALL), parameters={"uuid": str(CALL)})
    assert audio == [Heard(bytes(320))] * 2
    assert finished == Finished()


def test_takes_messages_in_any_pieces() -> None:
    call = IDENTITY + AUDIO + DTMF + AUDIO + HANGUP
    whole = heard(call)
    for size in (1, 2, 3, 7, 100):
        assert heard(*(call[start : start + size] for start in range(0, len(call), size))) == whole


@pytest.mark.parametrize(("kind", "rate"), [(0x10, 8000), (0x11, 12000), (0x12, 16000), (0x15, 44100), (0x18, 192000)])
def test_the_kind_says_the_rate(kind: int, rate: int) -> None:
    started = heard(IDENTITY, bytes([kind, 0, 2, 1, 0]))[0]
    assert isinstance(started, Started)
    assert started.format.rate == rate


@pytest.mark.parametrize(
    "sent",
    [
        AUDIO,
        b"GET / HTTP/1.1\r\n",
        b"\x01\x00\x0f" + bytes(15),
        IDENTITY + IDENTITY,
        IDENTITY + b"\x02\x00\x00",
        IDENTITY + AUDIO + b"\x12\x00\x02\x00\x00",
    ],
    ids=["no uuid", "another protocol", "short uuid", "two uuids", "unknown kind", "other rate"],
)
def test_refuses_what_is_no_call(sent: bytes) -> None:
    with pytest.raises(BadMessage):
        heard(sent)


def test_what_cannot_be_a_message_is_not_waited_for() -> None:
    with pytest.raises(BadMessage):
        heard(b"\x7f\xff\xff")


def test_says_why_it_hangs_up() -> None:
    adapter = Audiosocket(Handshake())
    assert adapter.ended(End(EndReason.deleted)) == [HANGUP]
    assert adapter.ended(End(EndReason.error, TooManyStreams("full"))) == [b"\xff\x00\x01\x01", HANGUP]

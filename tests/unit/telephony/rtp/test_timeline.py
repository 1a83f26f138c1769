"""Audio in blocks on a timeline without holes."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

import pytest

from voice_verify.telephony.rtp import Codec, Output, find_codec
from voice_verify.telephony.rtp.packet import Packet
from voice_verify.telephony.rtp.stats import RtpStats
from voice_verify.telephony.rtp.timeline import Timeline

from .line import ALAW_SILENCE, EVENT, G722, PCMA, PCMU, formats, speech

ALL = formats({8: PCMA, 0: PCMU, 9: G722, 101: EVENT})
START = 2**32 - 800
"""So that timestamps wrap in every test."""


class Heard:
    """A timeline and what it hands over; packet n was sent 20 ms after packet n-1 and arrives so."""

    def __init__(self, negotiated: Mapping[int, Codec] = ALL) -> None:
        self.stats = RtpStats()
        self.blocks: list[bytes] = []
        self.outputs: list[Output] = []
        self.timeline = Timeline(negotiated, self.stats, self.blocks.append, self.outputs.append)

    def say(self, *numbers: int, kind: int = 8, lost: int = 0, shift: int = 0) -> None:
        for number in numbers:
            self.place(160 * number + shift, speech(number), 0.02 * number, kind=kind, lost=lost)

    def place(self, timestamp: int, payload: bytes, arrival: float, *, kind: int = 8, lost: int = 0) -> None:
        packet = Packet(kind, 0, (START + timestamp) & 0xFFFFFFFF, 7, payload)
        self.timeline.place(packet, 1000 + arrival, lost)

    @property
    def all(self) -> bytes:
        self.timeline.flush()
        return b"".join(self.blocks)


def test_blocks_are_100_ms() -> None:
    heard = Heard()
    heard.say(*range(11))
    assert [len(block) for block in heard.blocks] == [800, 800]
    heard.timeline.flush()
    assert len(heard.blocks[-1]) == 160
    assert b"".join(heard.blocks) == b"".join(speech(number) for number in range(11))
    assert heard.timeline.handed_s == pytest.approx(0.22)


def test_a_loss_is_silence_of_the_same_length() -> None:
    heard = Heard()
    heard.say(0, 1)
    heard.say(4, lost=2)
    assert heard.all == speech(0) + speech(1) + ALAW_SILENCE * 320 + speech(4)
    assert heard.stats.jumps == 0


@pytest.mark.parametrize(
    ("kind", "silence"), [(8, b"\xd5" * 160), (0, b"\xff" * 160), (9, bytes(640))], ids=["PCMA", "PCMU", "G722"]
)
def test_silence_is_that_of_the_format(kind: int, silence: bytes) -> None:
    heard = Heard({kind: ALL[kind]})
    heard.say(0, kind=kind)
    heard.say(2, kind=kind, lost=1)
    heard.timeline.flush()
    third = len(heard.all) // 3
    assert heard.all[third : 2 * third] == silence


def test_a_digit_leaves_silence() -> None:
    heard = Heard()
    heard.say(0)
    for end in range(1, 6):
        heard.place(160, b"\x05\x0a\x03\x20", 0.02 * end, kind=101)
    heard.say(6)
    assert heard.all == speech(0) + ALAW_SILENCE * 800 + speech(6)
    assert heard.stats == RtpStats()


def test_comfort_noise_is_the_silence_that_it_stands_for() -> None:
    heard = Heard()
    heard.say(0)
    heard.place(160, b"\x40", 0.02, kind=13)
    heard.place(160 * 11, b"\x40", 0.22, kind=13)
    heard.say(13)
    assert heard.all == speech(0) + ALAW_SILENCE * 160 * 12 + speech(13)
    assert heard.stats.jumps == 0


def test_a_long_silence_is_cut_to_five_seconds() -> None:
    heard = Heard()
    heard.say(0, 3000)
    assert len(heard.all) == 160 + 40_000 + 160


def test_silence_that_is_not_sent_goes_by_with_the_clock() -> None:
    heard = Heard()
    heard.say(0)
    for turn in range(590):
        heard.timeline.wait(7 + turn / 10, 7 + turn // 50 * 5)
    assert len(heard.all) / 8000 == pytest.approx(55, abs=5)
    heard.say(3000)
    assert heard.all == speech(0) + ALAW_SILENCE * 160 * 2999 + speech(3000)
    assert heard.stats == RtpStats()


def test_on_hold_no_silence_goes_by() -> None:
    heard = Heard()
    heard.timeline.wait(1, 1)
    heard.say(0)
    heard.timeline.hold(True)
    heard.timeline.wait(2, 2)
    heard.timeline.wait(60, 60)
    heard.timeline.hold(False)
    heard.timeline.wait(120, 120)
    assert heard.all == speech(0)


def test_a_timestamp_ahead_of_the_clock_is_not_believed() -> None:
    heard = Heard()
    heard.say(0)
    heard.say(1, shift=160_000)
    heard.say(2, shift=160_000)
    assert heard.all == speech(0) + speech(1) + speech(2)
    assert heard.stats.jumps == 1


def test_a_timestamp_that_goes_back_is_followed() -> None:
    heard = Heard()
    heard.say(0, 1)
    heard.say(2, shift=-100_000)
    heard.say(3, shift=-100_000)
    assert heard.all == speech(0) + speech(1) + speech(2) + speech(3)
    assert heard.stats.jumps == 1


def test_the_pause_between_two_sources_is_silence() -> None:
    heard = Heard()
    heard.say(0)
    heard.timeline.restart()
    heard.place(777_777, speech(7), 1.02)
    assert heard.all == speech(0) + ALAW_SILENCE * 8000 + speech(7)
    assert heard.stats.jumps == 0


def test_a_burst_after_a_stall_of_the_sender_is_all_kept() -> None:
    heard = Heard()
    for number in range(50):
        heard.place(160 * number, speech(number), 2.0)
    assert heard.all == b"".join(speech(number) for number in range(50))


def test_another_format_ends_the_block_and_is_told_first() -> None:
    heard = Heard()
    heard.say(0, 1)
    heard.say(2, kind=0)
    assert heard.blocks == [speech(0) + speech(1)]
    assert heard.outputs == [Output("mulaw", 8000)]
    heard.say(3, kind=0)
    assert heard.all == b"".join(speech(number) for number in range(4))


def test_the_preferred_format_is_not_told() -> None:
    heard = Heard(formats({101: EVENT, 9: G722, 8: PCMA}))
    assert heard.timeline.output == Output("pcm_s16le", 16_000)
    heard.say(*range(5), kind=9)
    assert heard.outputs == []
    assert [len(block) for block in heard.blocks] == [3200]


def test_opus_counts_in_its_own_clock() -> None:
    opus = find_codec("opus", 48_000, 2)
    if opus is None:
        pytest.skip("libopus.so.0 is not installed")
    library = ctypes.CDLL("libopus.so.0")
    library.opus_encoder_get_size.argtypes = [ctypes.c_int]
    state = ctypes.create_string_buffer(library.opus_encoder_get_size(1))
    library.opus_encoder_init(ctypes.byref(state), ctypes.c_int32(16_000), 1, 2048)
    packet = ctypes.create_string_buffer(400)
    heard = Heard({111: opus})
    for number in (0, 1, 3):
        size = library.opus_encode(ctypes.byref(state), b"\x10\x20" * 320, 320, packet, ctypes.c_int32(400))
        heard.place(960 * number, packet.raw[:size], 0.02 * number, kind=111, lost=int(number == 3))
    assert len(heard.all) == 4 * 640
    assert heard.all[1280:1920] == bytes(640)
    assert heard.stats == RtpStats()


def test_formats_that_were_not_negotiated_are_counted() -> None:
    heard = Heard(formats({8: PCMA}))
    heard.say(0)
    heard.say(1, kind=0)
    heard.say(2)
    assert heard.all == speech(0) + ALAW_SILENCE * 160 + speech(2)
    assert heard.stats.unknown_format == 1


def test_on_hold_nothing_is_handed_over_and_nothing_made_up() -> None:
    heard = Heard()
    heard.say(0)
    heard.timeline.hold(True)
    assert heard.blocks == [speech(0)]
    heard.say(*range(1, 100))
    heard.timeline.hold(False)
    heard.say(100, 101)
    assert heard.all == speech(0) + speech(100) + speech(101)
    assert heard.stats == RtpStats()


def test_a_decoder_goes_on_over_another_negotiation() -> None:
    alone, renewed = Heard(), Heard()
    for number in range(6):
        alone.say(number, kind=9)
        renewed.timeline.negotiate({9: ALL[9]})
        renewed.say(number, kind=9)
    assert alone.all == renewed.all


def test_packets_of_any_length_fill_blocks() -> None:
    heard = Heard()
    at = 0
    for size in (80, 240, 480, 1, 0, 800, 1600):
        heard.place(at, b"\x10" * size, at / 8000)
        at += size
    assert heard.all == b"\x10" * at
    assert {len(block) for block in heard.blocks[:-1]} == {800}

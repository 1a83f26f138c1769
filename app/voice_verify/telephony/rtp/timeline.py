"""Packets in order to blocks of audio: what was not sent, or not received, is silence of the same length."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from voice_verify.telephony.rtp.codecs import Codec, Decode, Output, decoder
from voice_verify.telephony.rtp.packet import Packet
from voice_verify.telephony.rtp.stats import RtpStats

BLOCK_S = 0.1
# Silence is made for so long at a time, whatever a timestamp claims.
_MAX_FILL_S = 5.0
# How far a timestamp may be ahead of the clock: a sender that stalls and catches up, a long jitter.
_SLACK_S = 1.0
# Shorter pauses between two sources are the jitter of the line.
_PAUSE_S = 0.1
# Who is quiet for longer leaves out silence; before that it may be a stall that is caught up.
_QUIET_S = 4.0


class Timeline:
    """`clock`: of the last payload type with audio; `audible`: all payload types with audio."""

    def __init__(
        self,
        formats: Mapping[int, Codec],
        stats: RtpStats,
        on_block: Callable[[bytes], None],
        on_format: Callable[[Output], None],
    ) -> None:
        self._stats = stats
        self._on_block = on_block
        self._on_format = on_format
        self._buffer = bytearray()
        self._codecs: dict[int, tuple[Codec, Decode | None]] = {}
        self.audible: frozenset[int] = frozenset()
        self._next: int | None = None
        self._arrival: float | None = None
        self._quiet_since: float | None = None
        self._duration_s = 0.0
        self.handed_s = 0.0
        self.held = False
        self.negotiate(formats)
        self.output = next(codec.output for codec in formats.values() if codec.output)
        self.clock = next(codec.clock_rate for codec in formats.values() if codec.output)
        self._block_bytes = round(self.output.rate * BLOCK_S) * self.output.sample_bytes

    def negotiate(self, formats: Mapping[int, Codec]) -> None:
        """Payload types from now on; a decoder goes on where the type means what it meant."""
        before = self._codecs
        self._codecs = {
            number: before[number]
            if number in before and before[number][0] == codec
            else (codec, decoder(codec) if codec.output else None)
            for number, codec in formats.items()
        }
        self.audible = frozenset(number for number, codec in formats.items() if codec.output)

    def hold(self, held: bool) -> None:
        """While held nothing is handed over, and nothing is made up for it afterwards."""
        if held != self.held:
            self.flush()
            self.held = held
            self._next = self._arrival = None

    def restart(self) -> None:
        """What comes next has timestamps of its own."""
        self._next = None

    def place(self, packet: Packet, arrival: float, lost: int) -> None:
        """The next packet, `lost` of which are missing before it; `arrival` in seconds of any clock."""
        entry = self._codecs.get(packet.payload_type)
        if entry is None:
            self._stats.unknown_format += 1
            return
        codec, decode = entry
        if decode is None or codec.output is None:
            return
        try:
            audio = decode(packet.payload)
        except ValueError:
            self._stats.malformed += 1
            return
        if self.held:
            return
        if codec.clock_rate != self.clock:
            self.clock, self._next = codec.clock_rate, None
        if codec.output != self.output:
            self._change(codec.output)
        if packet.timestamp != self._next:
            self._fill(self._gap_s(packet.timestamp, arrival, lost))
        self._duration_s = len(audio) / (self.output.rate * self.output.sample_bytes)
        self._next = (packet.timestamp + round(self._duration_s * self.clock)) & 0xFFFFFFFF
        self._arrival, self._quiet_since = arrival, None
        self._buffer += audio
        if len(self._buffer) >= self._block_bytes:
            self._hand_over()

    def wait(self, now: float, heard: float) -> None:
        """All that came until `now` was placed: what a quiet sender leaves out is silence before he speaks again, too.

        Otherwise his stream would be idle, and end. `heard`: when there was a sign of life; both in seconds of a clock
        that nobody sets.
        """
        if self.held or self._arrival is None:
            return
        if self._quiet_since is None:
            self._quiet_since = now
        quiet_s = min(now - self._quiet_since, _MAX_FILL_S)
        if quiet_s > _QUIET_S and heard > self._quiet_since:
            self._fill(quiet_s)
            self._quiet_since += quiet_s
            self._arrival += quiet_s
            if self._next is not None:
                self._next = (self._next + round(quiet_s * self.clock)) & 0xFFFFFFFF

    def flush(self) -> None:
        """Hand over what is less than a block."""
        if self._buffer:
            self._emit(len(self._buffer))

    def _gap_s(self, timestamp: int, arrival: float, lost: int) -> float:
        """Silence before a packet that does not follow the last one."""
        if self._arrival is None:
            return 0.0
        elapsed = arrival - self._arrival
        if self._next is not None:
            ahead = ((timestamp - self._next + 0x80000000) & 0xFFFFFFFF) - 0x80000000
            gap = ahead / self.clock
            if 0 <= gap <= max(elapsed, lost * self._duration_s) + _SLACK_S:
                return gap
            self._stats.jumps += 1
        # The timestamp says nothing: the clock does.
        pause = elapsed - self._duration_s
        return pause if pause > _PAUSE_S else 0.0

    def _fill(self, seconds: float) -> None:
        if seconds > 0:
            self._buffer += self.output.silence * round(min(seconds, _MAX_FILL_S) * self.output.rate)
            self._hand_over()

    def _change(self, output: Output) -> None:
        self.flush()
        self.output = output
        self._block_bytes = round(output.rate * BLOCK_S) * output.sample_bytes
        self._on_format(output)

    def _hand_over(self) -> None:
        while len(self._buffer) >= self._block_bytes:
            self._emit(self._block_bytes)

    def _emit(self, size: int) -> None:
        block = bytes(self._buffer[:size])
        del self._buffer[:size]
        self.handed_s += size / (self.output.rate * self.output.sample_bytes)
        self._on_block(block)

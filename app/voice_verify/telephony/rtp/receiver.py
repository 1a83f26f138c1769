"""Reads the sockets of all streams, in turns."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from voice_verify.telephony.rtp.codecs import Output
from voice_verify.telephony.rtp.media import MediaFormat
from voice_verify.telephony.rtp.ports import PortPair
from voice_verify.telephony.rtp.stats import RtpStats
from voice_verify.telephony.rtp.stream import RtpStream

log = logging.getLogger(__name__)

# Five packets of a call at once cost a third of what a wake-up for each does, and are the block that is handed over.
TURN_S = 0.1
# RTCP can wait for a second; a tenth of the streams is asked in each turn.
_CONTROL_TURNS = 10


class RtpReceiver:
    """All streams of the process. Everything happens on the running loop."""

    def __init__(self) -> None:
        # Those that are read, in the order of opening, with the turn (modulo _CONTROL_TURNS) of their RTCP.
        self._streams: dict[RtpStream, int] = {}
        self._ended = RtpStats()
        self._opened = 0
        self._turns = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def streams(self) -> int:
        """Streams that are open."""
        return len(self._streams)

    def open(
        self,
        pair: PortPair,
        media: MediaFormat,
        *,
        on_block: Callable[[bytes], None],
        on_format: Callable[[Output], None],
    ) -> RtpStream:
        """Receive on `pair`, which belongs to the stream from now on.

        `on_block` gets 100 ms of `stream.output` at a time, `on_format` is told before that changes.
        """
        stream = RtpStream(
            pair,
            media,
            on_block=on_block,
            on_format=on_format,
            closed=self._forget,
            wall=time.time(),
            now=time.monotonic(),
        )
        self._opened += 1
        self._streams[stream] = self._opened % _CONTROL_TURNS
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TURN_S, self._turn)
        return stream

    def totals(self) -> RtpStats:
        """Counts of all streams since the start, also those that ended; the highest jitter of those that are open."""
        totals = RtpStats()
        totals.add(self._ended)
        for stream in self._streams:
            totals.add(stream.stats)
        return totals

    def close(self) -> None:
        """Close all streams."""
        for stream in list(self._streams):
            stream.close()
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        wall, now = time.time(), time.monotonic()
        self._turns = (self._turns + 1) % _CONTROL_TURNS
        for stream, control_turn in list(self._streams.items()):
            try:
                stream.turn(wall, now, control=control_turn == self._turns)
            except Exception:
                # A fault of one call must not silence the others.
                log.exception("an RTP stream failed in its turn")
        self._timer = loop.call_at(started + TURN_S, self._turn) if self._streams else None

    def _forget(self, stream: RtpStream) -> None:
        del self._streams[stream]
        self._ended.add(replace(stream.stats, jitter_s=0.0))

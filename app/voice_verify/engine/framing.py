"""Cutting the audio of many streams into VAD windows and frames, all of them in one array.

Window w of a stream holds its samples from 256 w on and 32 before; frame f those from 80 f to 80 f + 200. A frame
belongs to the window that its middle is in, and comes out once the window with its end is done, so the result does not
depend on how the audio was cut into blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from voice_verify.engine.features import FRAME_LENGTH, FRAME_SHIFT
from voice_verify.engine.model import VAD_CONTEXT, VAD_WINDOW
from voice_verify.engine.stream import StreamState

Indices = NDArray[np.int64]
Taken = Sequence[tuple[StreamState, list[NDArray[np.float32]]]]


class Framing:
    """What `taken` makes of its streams, which are n here. `finish` must follow, before anything else is cut."""

    def __init__(self, taken: Taken) -> None:
        self.streams = [stream for stream, _ in taken]
        self.audio = np.concatenate([part for stream, blocks in taken for part in (stream.tail, *blocks)])
        """The kept samples and the new ones of all streams, one stream after the other."""
        kept = _integers(len(stream.tail) for stream in self.streams)
        new = _integers(sum(map(len, blocks)) for _, blocks in taken)
        self._ends = np.cumsum(kept + new)
        self._heard = _integers(stream.samples for stream in self.streams) + new
        # Where in `audio` sample 0 of each stream is, or would be.
        self._origins = self._ends - self._heard
        self._first_windows = _integers(stream.windows for stream in self.streams)
        self._windows = self._heard // VAD_WINDOW
        self.window_counts: Indices = self._windows - self._first_windows
        """The windows of each stream that are whole now, (n,)."""

    def windows(self, streams: Indices, number: int) -> NDArray[np.float32]:
        """The window `number` (from 0) of those that are whole now, of each of `streams`: (len(streams), 288)."""
        starts = self._origins[streams] + (self._first_windows[streams] + number) * VAD_WINDOW - VAD_CONTEXT
        windows: NDArray[np.float32] = sliding_window_view(self.audio, VAD_CONTEXT + VAD_WINDOW)[starts]
        return windows

    def frames(self) -> tuple[Indices, Indices, Indices]:
        """Of each frame that is whole now: its stream, its window (0 is the last one before), its start in `audio`."""
        self._frames = np.maximum(0, (self._windows * VAD_WINDOW - FRAME_LENGTH) // FRAME_SHIFT + 1)
        first = _integers(stream.frames for stream in self.streams)
        counts = self._frames - first
        owners = np.repeat(np.arange(len(counts)), counts)
        # Counts up from `first` in each stream.
        numbers = np.arange(len(owners)) + (first - np.cumsum(counts) + counts)[owners]
        middles = numbers * FRAME_SHIFT + FRAME_LENGTH // 2
        windows = middles // VAD_WINDOW + 1 - self._first_windows[owners]
        return owners, windows, self._origins[owners] + numbers * FRAME_SHIFT

    def finish(self) -> None:
        """Let the streams remember where they are and the samples that they still need."""
        needed = np.minimum(self._frames * FRAME_SHIFT, self._windows * VAD_WINDOW - VAD_CONTEXT)
        starts, ends = (self._origins + needed).tolist(), self._ends.tolist()
        heard, windows, frames = self._heard.tolist(), self._windows.tolist(), self._frames.tolist()
        for number, stream in enumerate(self.streams):
            stream.tail = self.audio[starts[number] : ends[number]].copy()
            stream.samples, stream.windows, stream.frames = heard[number], windows[number], frames[number]


def _integers(values: Iterable[int]) -> Indices:
    return np.fromiter(values, np.int64)

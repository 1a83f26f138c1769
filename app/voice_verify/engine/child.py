"""The engine process as its parent sees it: streams' audio first, recordings in what is left."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from voice_verify.engine.encoding import Encoding
from voice_verify.engine.protocol import Kind, Parser, pack_clock
from voice_verify.processes import child
from voice_verify.processes.wire import pack

MAX_UNSENT_BYTES = 32 << 20
"""Half a minute of PCM of 60 streams: the process hangs, or is being replaced."""
# Frames of many streams go in one write; a caller hears nothing of so short a wait.
_GATHER_S = 0.05
_PART_BYTES = 1 << 18

_ENVIRONMENT = {
    # glibc gives memory back between two inferences and asks for it again: 2 to 4 times slower.
    "MALLOC_TOP_PAD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(256 << 20),
    # Our threads each compute a batch; more of them inside a matrix product only get in their way.
    "OPENBLAS_NUM_THREADS": "1",
}


class Child(child.Child[Kind]):
    """One engine process."""

    def __init__(self, model_dir: Path, threads: int) -> None:
        """Start it; raises OSError when that is impossible."""
        self._recordings: deque[Iterator[bytes]] = deque()
        super().__init__(
            "voice_verify.engine.host",
            [str(model_dir), str(threads)],
            Parser(),
            stop=pack(Kind.stop),
            environment={**os.environ, **_ENVIRONMENT},
            gather_s=_GATHER_S,
        )

    @property
    def is_full(self) -> bool:
        """Whether so much waits that no more audio should be sent."""
        return self._unsent_bytes > MAX_UNSENT_BYTES

    def send_recording(self, number: int, samples: memoryview) -> None:
        """Queue a recording of float32 bytes; it goes in parts, between which the streams' audio goes first."""
        with self._changed:
            self._recordings.append(_parts(number, samples))
            self._changed.notify()

    def _head(self) -> bytes:
        return pack_clock(self._writing_since or time.monotonic())

    @property
    def _has_parts(self) -> bool:
        return bool(self._recordings)

    def _part(self) -> bytes:
        part = next(self._recordings[0], None)
        if part is None:
            self._recordings.popleft()
        return part or b""


def _parts(number: int, samples: memoryview) -> Iterator[bytes]:
    for start in range(0, len(samples), _PART_BYTES):
        yield pack(Kind.recording, number, samples[start : start + _PART_BYTES], code=Encoding.float32)
    yield pack(Kind.analyse, number)

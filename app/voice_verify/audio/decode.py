"""A recording in a file to 8 kHz mono: WAV (PCM, A-law, µ-law), FLAC, Ogg/Opus and what else libsndfile reads."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

SAMPLE_RATE = 8000

# A header may declare anything: 1 Hz would make hours of audio out of a few bytes.
_RATES = range(4000, 384_001)
_MAX_CHANNELS = 8
_BLOCK_FRAMES = 65536
_FORMATS = "send WAV (PCM, A-law or µ-law), FLAC or Ogg/Opus"


class AudioError(Exception):
    """A recording cannot be used; `code` is audio_unreadable, audio_empty or audio_too_long."""

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


def decode(data: BinaryIO | bytes, *, max_minutes: float) -> NDArray[np.float32]:
    """The recording as 8 kHz mono samples in [-1, 1], shape (n,); channels are averaged.

    `data` must be seekable. Decoding stops as soon as `max_minutes` are passed, so a small file that unpacks to hours
    costs no memory. Raises AudioError.
    """
    source = io.BytesIO(data) if isinstance(data, bytes) else data
    source.seek(0)
    if not source.read(1):
        raise AudioError("audio_empty", "the file is empty", hint=_FORMATS)
    try:
        with _descriptor(source) as file, soundfile.SoundFile(file, closefd=False) as recording:
            samples = _read(recording, max_minutes)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            "audio_unreadable", f"the recording cannot be read: {error.error_string}", hint=_FORMATS
        ) from error
    if not np.isfinite(samples).all():
        raise AudioError("audio_unreadable", "the recording holds values that are not numbers", hint=_FORMATS)
    if not len(samples):
        raise AudioError("audio_empty", "the recording holds no audio", hint="record some speech and send it again")
    return np.clip(samples, -1.0, 1.0, out=samples)


@contextmanager
def _descriptor(source: BinaryIO) -> Iterator[int]:
    """A file descriptor at the start of `source`, of a temporary file when it is in memory only.

    From a Python object libsndfile reads through callbacks that are compiled at run time, and the appliance denies its
    service executable memory (MemoryDenyWriteExecute).
    """
    try:
        descriptor = source.fileno()
    except io.UnsupportedOperation:
        with tempfile.TemporaryFile() as file:
            source.seek(0)
            shutil.copyfileobj(source, file)
            with _descriptor(file) as descriptor:
                yield descriptor
        return
    source.flush()
    # Past Python's own buffer, which has read ahead.
    os.lseek(descriptor, 0, os.SEEK_SET)
    yield descriptor


def _read(recording: soundfile.SoundFile, max_minutes: float) -> NDArray[np.float32]:
    rate = recording.samplerate
    if rate not in _RATES or recording.channels > _MAX_CHANNELS:
        raise AudioError(
            "audio_unreadable",
            f"the recording has {rate} samples a second and {recording.channels} channel(s)",
            hint=f"send {_RATES[0]} to {_RATES[-1]} samples a second and at most {_MAX_CHANNELS} channels",
        )
    longest = int(max_minutes * 60 * rate)
    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32") if rate != SAMPLE_RATE else None
    blocks: list[NDArray[np.float32]] = []
    done = 0
    # What was decoded is counted: the length in the header may be wrong on purpose.
    while len(block := recording.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
        done += len(block)
        if done > longest:
            raise AudioError(
                "audio_too_long",
                f"the recording is longer than {max_minutes:g} minutes",
                hint="send a shorter part of it",
            )
        mono = block.mean(axis=1, dtype=np.float32)
        blocks.append(mono if resampler is None else resampler.resample_chunk(mono))
    if resampler is not None and done:
        blocks.append(resampler.resample_chunk(np.empty(0, np.float32), last=True))
    return np.concatenate(blocks) if blocks else np.empty(0, np.float32)

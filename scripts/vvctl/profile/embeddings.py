"""The embeddings of recordings, computed once: a second fit of the same recordings takes seconds."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vvctl.profile.dataset import Session
from vvctl.profile.errors import DataError

if TYPE_CHECKING:
    from voice_verify.engine.analysis import Analyser, Analysis

# A whole day's recording is a mistake; calls are not this long.
MAX_MINUTES = 180


@dataclass(frozen=True)
class Take:
    """One session as the engine hears it. `embeddings`: (n, 192) float32, L2-normalised, one a second of net speech.

    `digests`: SHA-256 of each file; `snr_db` is None where it could not be measured.
    """

    speaker: str
    session: str
    digests: tuple[str, ...]
    embeddings: NDArray[np.float32]
    audio_s: float
    snr_db: float | None
    clipped_share: float

    @property
    def label(self) -> str:
        """What a person finds it by."""
        return f"{self.speaker}/{self.session}"


@dataclass(frozen=True)
class Unusable:
    """A session that cannot be heard, and why."""

    session: Session
    why: str


class Listener:
    """Turns recordings into embeddings with the engine of the service, and remembers them in `cache`.

    The cache holds biometric data: it is made for its owner's eyes only, and may be deleted at any time.
    """

    def __init__(self, model_dir: Path, cache: Path, *, fp32: bool = False) -> None:
        """Raises VvctlError when there is no model."""
        # Only what listens needs the engine, which takes a second to import.
        from voice_verify.engine import EngineError  # noqa: PLC0415
        from voice_verify.engine.analysis import Analyser  # noqa: PLC0415

        try:
            self._analyser: Analyser = Analyser(model_dir, fp32=fp32)
        except EngineError as error:
            raise DataError(error.message, hint=error.hint) from error
        # The model file says which networks there are: any other one makes other embeddings.
        networks = hashlib.sha256((model_dir / "model.json").read_bytes()).hexdigest()[:16]
        self._cache = cache / f"{networks}-{self.precision}"
        self._cache.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def precision(self) -> str:
        """What the network computes in: int8 or fp32."""
        return self._analyser.precision

    @property
    def model_identity(self) -> str:
        return self._analyser.model.identity

    def listen(self, sessions: Sequence[Session]) -> Iterator[Take | Unusable]:
        """In order, each session or why it cannot be used."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from pool.map(self._hear, sessions)

    def _hear(self, session: Session) -> Take | Unusable:
        from voice_verify.audio.decode import AudioError, decode  # noqa: PLC0415

        try:
            contents = [path.read_bytes() for path in session.files]
            digests = tuple(hashlib.sha256(content).hexdigest() for content in contents)
            entry = self._cache / f"{hashlib.sha256(''.join(digests).encode()).hexdigest()}.npz"
            if not entry.exists():
                audio = np.concatenate([decode(content, max_minutes=MAX_MINUTES) for content in contents])
                _write(entry, self._analyser.analyse(audio))
            return _read(entry, session, digests)
        except OSError as error:
            return Unusable(session, f"{error.filename} cannot be read: {error.strerror}")
        except AudioError as error:
            return Unusable(session, error.message)


def _read(entry: Path, session: Session, digests: tuple[str, ...]) -> Take:
    with np.load(entry, allow_pickle=False) as arrays:
        audio_s, snr_db, clipped_share = arrays["figures"].tolist()
        embeddings = arrays["embeddings"]
    snr = None if math.isnan(snr_db) else snr_db
    return Take(session.speaker, session.name, digests, embeddings, audio_s, snr, clipped_share)


def _write(entry: Path, analysis: Analysis) -> None:
    """Whole or not at all, also when it is interrupted or two threads hear the same content."""
    snr_db = math.nan if analysis.quality.snr_db is None else analysis.quality.snr_db
    figures = np.array([analysis.audio_s, snr_db, analysis.quality.clipped_share])
    with NamedTemporaryFile(dir=entry.parent, delete=False) as file:
        np.savez(file, embeddings=analysis.embeddings, figures=figures)
    Path(file.name).replace(entry)

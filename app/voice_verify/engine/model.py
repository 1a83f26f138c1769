"""The model directory made by `vvctl model build`, and the two networks in it."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from voice_verify.engine.errors import ModelError
from voice_verify.engine.features import FEATURE_RECIPE
from voice_verify.engine.voice import normalise

if TYPE_CHECKING:
    import onnxruntime

log = logging.getLogger(__name__)

Precision = Literal["int8", "fp32"]

EMBEDDING_FILE = "campplus.onnx"
INT8_FILE = "campplus.int8.onnx"
SELFTEST_FILE = "selftest.npz"
VAD_FILE = "silero_vad.onnx"

MIN_SELFTEST_COSINE = 0.98
"""Between int8 and fp32 on the self-test: 0.993 is the smallest with VNNI, 0.45 the largest with one kernel weight in a
thousand at its limit. The products are integers, so processors that do not saturate agree."""

VAD_WINDOW = 256
VAD_CONTEXT = 32
_VAD_STATE = 256
_WARNING = 2
_HINT = "build it with `vvctl model build` and point VV_MODEL_DIR at it"


class ModelInfo(BaseModel):
    """model.json. `identity` says which voiceprints can be compared: same checkpoint, same features."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    identity: str
    name: str
    dimensions: int
    feature_recipe: str
    checkpoint_sha256: str
    files: dict[str, str]


def read_model_info(directory: Path) -> ModelInfo:
    """Read model.json and check the hash of every file it names.

    Raises ModelError when something is missing, damaged or made for other features than this engine's.
    """
    try:
        info = ModelInfo.model_validate_json((directory / "model.json").read_bytes())
    except OSError as error:
        raise ModelError(f"no model in {directory}: {error.strerror}", hint=_HINT) from error
    except ValidationError as error:
        raise ModelError(f"{directory / 'model.json'} is not a model description: {error}", hint=_HINT) from error
    if info.feature_recipe != FEATURE_RECIPE:
        raise ModelError(
            f"the model in {directory} is for features {info.feature_recipe}, this service makes {FEATURE_RECIPE}",
            hint=_HINT,
        )
    for name in (EMBEDDING_FILE, INT8_FILE, SELFTEST_FILE, VAD_FILE):
        if name not in info.files:
            raise ModelError(f"{directory / 'model.json'} does not name {name}", hint=_HINT)
    for name, expected in info.files.items():
        try:
            found = hashlib.sha256((directory / name).read_bytes()).hexdigest()
        except OSError as error:
            raise ModelError(f"{directory / name} cannot be read: {error.strerror}", hint=_HINT) from error
        if found != expected:
            raise ModelError(f"{directory / name} is damaged: sha256 {found}, expected {expected}", hint=_HINT)
    return info


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    # The process that serves the API describes the model, too, but never computes with it.
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _WARNING
    # Idle pool threads would otherwise spin on cores that the media edge needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    # onnxruntime raises many types without a common base of its own.
    except Exception as error:
        raise ModelError(f"{path} cannot be loaded: {error}", hint=_HINT) from error


class EmbeddingNetwork:
    """CAM++, in int8 where this processor computes it right, else in fp32.

    Without VNNI the products of int8 may saturate, so int8 must reproduce what fp32 gave when the model was built.
    """

    precision: Precision

    def __init__(self, directory: Path, threads: int, *, fp32: bool = False) -> None:
        """`fp32` leaves int8 aside, for comparison. Raises ModelError when neither can be loaded."""
        self.precision = "int8" if not fp32 and self._load_int8(directory, threads) else "fp32"
        if self.precision == "fp32":
            self._session = _session(directory / EMBEDDING_FILE, threads)

    def _load_int8(self, directory: Path, threads: int) -> bool:
        """Whether int8 is loaded and computes right here."""
        try:
            self._session = _session(directory / INT8_FILE, threads)
            cosine = self._selftest(directory / SELFTEST_FILE)
            # Written so that NaN fails too.
            doubt = "" if cosine >= MIN_SELFTEST_COSINE else f"cosine {cosine:.3f} to fp32 in the self-test"
        except ModelError as error:
            doubt = error.message
        if doubt:
            log.warning("embedding in fp32, which takes three times as long: int8 is wrong here: %s", doubt)
        return not doubt

    def embed(self, chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        """L2-normalised embeddings, shape (n, dimensions), of mean-subtracted features of shape (n, frames, 80)."""
        (embeddings,) = self._session.run(None, {"features": chunks})
        return normalise(embeddings)

    def _selftest(self, path: Path) -> float:
        """The smallest cosine to the stored fp32 embeddings. Raises ModelError when it cannot be computed."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return float((self.embed(arrays["features"]) * arrays["embeddings"]).sum(axis=1).min())
        # onnxruntime raises many types without a common base of its own.
        except Exception as error:
            raise ModelError(f"the self-test with {path} fails: {error}", hint=_HINT) from error


class VadNetwork:
    """Silero VAD at 8 kHz, which takes windows of 32 ms, each with the end of the window before."""

    def __init__(self, directory: Path) -> None:
        # The graph is small: more than one thread costs more than it gives.
        self._session = _session(directory / VAD_FILE, 1)

    @staticmethod
    def initial_state() -> NDArray[np.float32]:
        """What a stream starts with, shape (256,)."""
        return np.zeros(_VAD_STATE, np.float32)

    def speech(
        self, windows: NDArray[np.float32], states: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probability of speech (n,) and the next states (n, 256).

        `windows` is (n, 288): 32 samples of context and 256 new ones; `states` is (n, 256).
        """
        probabilities, states = self._session.run(None, {"windows": windows, "states": states})
        return probabilities[:, 0], states

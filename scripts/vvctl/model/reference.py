"""Proof that a converted network computes what the original computes.

reference.npz holds a test signal, its features and the embeddings that PyTorch gives from the same checkpoint
(tests/unit/model/make_reference.py made it).
"""

from __future__ import annotations

from importlib.resources import files
from io import BytesIO

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from vvctl.errors import IntegrityError

TOLERANCE = 5e-5
"""Largest difference allowed in any dimension: 2e-5 measured, values up to 3; other processors add in another order."""


def load() -> dict[str, NDArray[np.float32]]:
    """`signal` (n,) 8 kHz in [-1, 1], `features` (chunks, 100, 80) and `embeddings` (chunks, dimensions), raw."""
    content = (files("vvctl.model") / "reference.npz").read_bytes()
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def embed(network: bytes, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """What `network` (ONNX) makes of `features` (n, frames, 80): (n, dimensions). Raises IntegrityError."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"features": features})
    # onnxruntime raises many types without a common base of its own.
    except Exception as error:
        raise IntegrityError(f"CAM++ cannot be run: {error}") from error
    return np.asarray(found, np.float32)


def verify(network: bytes) -> float:
    """The largest difference between `network` (ONNX) and the reference; raises IntegrityError beyond TOLERANCE."""
    expected = load()
    difference = float(np.abs(embed(network, expected["features"]) - expected["embeddings"]).max())
    # Written so that NaN fails too.
    if not difference <= TOLERANCE:
        raise IntegrityError(
            f"campplus.onnx differs from the reference by {difference:.1e}, allowed are {TOLERANCE:.0e}",
            hint="the conversion (scripts/vvctl/model/campplus.py) or onnxruntime computes something else",
        )
    return difference

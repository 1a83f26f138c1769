"""CAM++ in int8: static, convolutions only, one scale for each output channel of a kernel.

Activations are unsigned and weights signed (U8S8), which is what the VNNI instructions multiply. Their ranges come
from calibration.npz (tests/unit/model/make_calibration.py made it). Without VNNI their products may saturate: the
engine tests itself against fp32 when it starts, with what `selftest` gives. Kernels of 7 bits would not saturate, but
lose twice as much (mean cosine to fp32 0.983, not 0.992).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quant_pre_process,
    quantize_static,
)

from vvctl.errors import IntegrityError
from vvctl.model import reference

MIN_COSINE = 0.95
"""Between the embeddings of one second in int8 and in fp32: 0.971 is the smallest of the calibration chunks, 0.947 of
568 others, 0.992 their mean. Voiceprints and decisions stand on many seconds: 0.990 is the smallest over 5 s."""


_BATCH = 8


def calibration() -> NDArray[np.float32]:
    """48 chunks of telephone speech as the network takes them, (48, 100, 80)."""
    content = (files("vvctl.model") / "calibration.npz").read_bytes()
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        features: NDArray[np.float32] = arrays["levels"] * arrays["scale"] + arrays["offset"]
    return features


def quantise(network: bytes) -> bytes:
    """`network` (CAM++ in fp32) with its convolutions in int8; the same input and output."""
    with tempfile.TemporaryDirectory() as directory:
        prepared, quantised = Path(directory) / "prepared.onnx", Path(directory) / "int8.onnx"
        quant_pre_process(onnx.load_from_string(network), prepared, skip_optimization=True, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            quantised,
            _Reader(),
            quant_format=QuantFormat.QDQ,
            # A ReLU behind a convolution costs nothing once both are one.
            op_types_to_quantize=["Conv", "Relu"],
            nodes_to_exclude=_in_float(onnx.load_from_string(network).graph),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            # The mean of the batches' extremes: one loud chunk does not coarsen all others (cosine 0.992, else 0.989).
            extra_options={"CalibMovingAverage": True},
        )
        return quantised.read_bytes()


def verify(network: bytes, quantised: bytes) -> float:
    """The smallest cosine between both networks' embeddings of the calibration chunks.

    Raises IntegrityError below MIN_COSINE.
    """
    chunks = calibration()
    exact, found = _normalise(reference.embed(network, chunks)), _normalise(reference.embed(quantised, chunks))
    smallest = float((exact * found).sum(axis=1).min())
    # Written so that NaN fails too.
    if not smallest >= MIN_COSINE:
        raise IntegrityError(
            f"int8 differs too much from fp32: cosine {smallest:.3f}, at least {MIN_COSINE} is needed",
            hint="build on a processor with VNNI; else scripts/vvctl/model/quantise.py or onnxruntime is to blame",
        )
    return smallest


def selftest(network: bytes) -> bytes:
    """What the engine tests int8 with: an .npz of `features` and the L2-normalised fp32 `embeddings` (n, dimensions).

    The features (n, 100, 80) are the reference's, whose signal is made up, so nobody holds rights in what is shipped.
    """
    features = reference.load()["features"]
    content = BytesIO()
    np.savez_compressed(content, features=features, embeddings=_normalise(reference.embed(network, features)))
    return content.getvalue()


def _normalise(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return scaled


def _in_float(graph: onnx.GraphProto) -> list[str]:
    """What stays in fp32: the first convolution and the activations of the masks.

    The one has a single input channel (mean cosine 0.994, in int8 0.992; no slower), the others a single frame.
    """
    dense = {node.output[0] for node in graph.node if node.op_type == "Gemm"}
    first = next(node.name for node in graph.node if node.op_type == "Conv")
    return [first] + [node.name for node in graph.node if node.op_type == "Relu" and node.input[0] in dense]


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    """Hands the calibration chunks out in batches."""

    def __init__(self) -> None:
        chunks = calibration()
        self._batches: Iterator[NDArray[np.float32]] = iter(np.split(chunks, len(chunks) // _BATCH))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"features": batch}

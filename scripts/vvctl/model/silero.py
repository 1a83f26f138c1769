"""Silero VAD for 8 kHz as a graph of our own that computes the same in a quarter of the time.

The original (snakers4/silero-vad, MIT) runs convolutions over four frames; here a frame and its neighbours are columns
of one row, so that all is matrix products of a row a window. Its steps, found in silero_vad.onnx: 288 samples, 32 more
reflected at the end; Fourier transform of 4 frames of 128 samples every 64, magnitudes of 65 bins; convolutions of
width 3 (strides 1, 2, 2, 1) with ReLU; LSTM cell; dense layer with ReLU before and sigmoid after it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vvctl.errors import IntegrityError
from vvctl.model import reference

SAMPLE_RATE = 8000
CONTEXT, WINDOW = 32, 256
STATE = 256
"""Of one stream: the LSTM's output (128) and its cell (128)."""

TOLERANCE = 1e-4
"""Largest difference allowed of a probability or a value of the state, 3e-5 measured.

Relative for values beyond 1: a cell of the LSTM grows to 230 in a minute of overdriven speech.
"""

_SAMPLES = CONTEXT + WINDOW
_FRAME, _HOP, _FRAMES, _BINS = 128, 64, 4, 65
_HIDDEN = 128
_OPSET, _IR_VERSION = 18, 9
_SHAPES = {
    "stft.forward_basis_buffer": (2 * _BINS, 1, _FRAME),
    "encoder.0.reparam_conv.weight": (128, _BINS, 3),
    "encoder.1.reparam_conv.weight": (64, 128, 3),
    "encoder.2.reparam_conv.weight": (64, 64, 3),
    "encoder.3.reparam_conv.weight": (128, 64, 3),
    "encoder.0.reparam_conv.bias": (128,),
    "encoder.1.reparam_conv.bias": (64,),
    "encoder.2.reparam_conv.bias": (64,),
    "encoder.3.reparam_conv.bias": (128,),
    "decoder.rnn.weight_ih": (4 * _HIDDEN, _HIDDEN),
    "decoder.rnn.weight_hh": (4 * _HIDDEN, _HIDDEN),
    "decoder.rnn.bias_ih": (4 * _HIDDEN,),
    "decoder.rnn.bias_hh": (4 * _HIDDEN,),
    "decoder.decoder.2.weight": (1, _HIDDEN, 1),
    "decoder.decoder.2.bias": (1,),
}


def build(original: bytes) -> onnx.ModelProto:
    """The graph `windows` (B, 288) and `states` (B, 256) to `speech` (B, 1) and `next_states` (B, 256).

    Raises IntegrityError when `original` is not Silero VAD with these layers.
    """
    graph = _Graph()
    graph.network(_weights(original))
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "silero_vad_8k",
            [
                helper.make_tensor_value_info("windows", TensorProto.FLOAT, ["batch", _SAMPLES]),
                helper.make_tensor_value_info("states", TensorProto.FLOAT, ["batch", STATE]),
            ],
            [
                helper.make_tensor_value_info("speech", TensorProto.FLOAT, ["batch", 1]),
                helper.make_tensor_value_info("next_states", TensorProto.FLOAT, ["batch", STATE]),
            ],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )


def verify(original: bytes, network: bytes) -> float:
    """The largest difference between both over speech-like sound, noise and silence, each with its own state.

    Raises IntegrityError beyond TOLERANCE.
    """
    signal = reference.load()["signal"]
    noise = np.random.default_rng(8).standard_normal(len(signal)).astype(np.float32)
    difference = compare(original, network, np.stack([signal, signal[::-1] * 0.1, noise, noise * 1e-3, noise * 0]))
    # Written so that NaN fails too.
    if not difference <= TOLERANCE:
        raise IntegrityError(
            f"our Silero VAD differs from the original by {difference:.1e}, allowed are {TOLERANCE:.0e}",
            hint="the conversion (scripts/vvctl/model/silero.py) or onnxruntime computes something else",
        )
    return difference


def compare(original: bytes, network: bytes, signals: NDArray[np.float32]) -> float:
    """The largest difference of probabilities and states over `signals` (n, samples), each network with its own state.

    Relative where the values are beyond 1. Raises IntegrityError when one cannot be run.
    """
    padded = np.pad(signals, ((0, 0), (CONTEXT, 0))).astype(np.float32)
    theirs, ours = np.zeros((2, len(signals), _HIDDEN), np.float32), np.zeros((len(signals), STATE), np.float32)
    rate = np.array(SAMPLE_RATE, np.int64)
    largest = 0.0
    try:
        first, second = (
            onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]) for content in (original, network)
        )
        for start in range(0, padded.shape[1] - _SAMPLES + 1, WINDOW):
            windows = np.ascontiguousarray(padded[:, start : start + _SAMPLES])
            expected, theirs = first.run(None, {"input": windows, "state": theirs, "sr": rate})
            found, ours = second.run(None, {"windows": windows, "states": ours})
            wanted = np.concatenate([expected, theirs[0], theirs[1]], axis=1)
            difference = np.abs(np.concatenate([found, ours], axis=1) - wanted) / np.maximum(1.0, np.abs(wanted))
            # max of numpy, because that of Python loses NaN.
            largest = float(np.max([largest, difference.max()]))
    # onnxruntime raises many types without a common base of its own.
    except Exception as error:
        raise IntegrityError(f"Silero VAD cannot be run: {error}") from error
    return largest


def _weights(original: bytes) -> dict[str, NDArray[np.float32]]:
    """The constants of the branch for 8 kHz by their names in PyTorch."""
    try:
        nodes = onnx.load_from_string(original).graph.node
        choice = next(node for node in nodes if node.op_type == "If")
        # The condition is "the sample rate is 16000".
        branch = next(item.g for item in choice.attribute if item.name == "else_branch")
    except Exception as error:
        raise IntegrityError(f"silero_vad.onnx is not Silero VAD: {error!r}") from error
    found = {}
    for node in branch.node:
        name = node.output[0].rpartition("__")[2]
        if node.op_type == "Constant" and name in _SHAPES:
            found[name] = numpy_helper.to_array(node.attribute[0].t)
    for name, shape in _SHAPES.items():
        if name not in found or found[name].shape != shape:
            raise IntegrityError(f"silero_vad.onnx has no {name} of shape {shape}: it is another version")
    return found


class _Graph:
    """Collects nodes and constants; methods take and return names of values."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def _constant(self, values: NDArray[Any]) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def _columns(self, value: str, start: int, end: int) -> str:
        return self._node("Slice", value, *(self._constant(np.array([number])) for number in (start, end, 1)))

    def _join(self, *values: str, output: str = "") -> str:
        return self._node("Concat", *values, axis=1, output=output)

    def _dense(self, value: str, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        return self._node("Gemm", value, self._constant(kernel), self._constant(bias))

    def network(self, weights: dict[str, NDArray[np.float32]]) -> None:
        def layer(number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            name = f"encoder.{number}.reparam_conv"
            return weights[f"{name}.weight"], weights[f"{name}.bias"]

        transform = _transform(weights["stft.forward_basis_buffer"][:, 0])
        middle = _FRAMES // 2 * _HOP
        # Frames 0 and 1 lie in the first 192 samples, 2 and 3 in the last 160 and their reflection.
        magnitudes = self._join(
            self._magnitudes("windows", 0, middle + _HOP, transform[:, :2]),
            self._magnitudes("windows", middle, _SAMPLES, transform[:, 2:]),
        )
        value = self._join(
            self._convolution(magnitudes, (0, 3), (0, 1), *layer(0)),
            self._convolution(magnitudes, (1, 4), (2, 3), *layer(0)),
        )
        value = self._join(
            self._convolution(value, (0, 2), (0,), *layer(1)), self._convolution(value, (1, 4), (2,), *layer(1))
        )
        value = self._convolution(value, (0, 2), (0,), *layer(2))
        value = self._convolution(value, (0, 1), (0,), *layer(3))
        self._decode(value, weights)

    def _magnitudes(self, value: str, start: int, end: int, transform: NDArray[np.float32]) -> str:
        """Magnitudes of the frames that lie in the samples `start` to `end`: `transform` is (288, frames, 2, 65)."""
        frames = transform.shape[1]
        kernel = transform[start:end].transpose(0, 2, 1, 3).reshape(end - start, -1)
        parts = self._node("MatMul", self._columns(value, start, end), self._constant(kernel))
        squares = self._node("Mul", parts, parts)
        half = frames * _BINS
        return self._node(
            "Sqrt",
            self._node("Add", self._columns(squares, 0, half), self._columns(squares, half, 2 * half)),
        )

    def _convolution(
        self,
        value: str,
        inputs: tuple[int, int],
        centres: tuple[int, ...],
        kernel: NDArray[np.float32],
        bias: NDArray[np.float32],
    ) -> str:
        """Width 3, padded with zeros, then ReLU: the output frames that are centred on the input frames `centres`.

        `value` holds frames side by side, of which only `inputs` (first, after last) are looked at; `kernel` is (out,
        in, 3).
        """
        first, after = inputs
        out, channels, _ = kernel.shape
        matrix = np.zeros((after - first, channels, len(centres), out), np.float32)
        for column, centre in enumerate(centres):
            for tap in range(3):
                frame = centre + tap - 1
                if first <= frame < after:
                    matrix[frame - first, :, column] = kernel[:, :, tap].T
        rows = self._columns(value, first * channels, after * channels)
        flat = matrix.reshape((after - first) * channels, len(centres) * out)
        return self._node("Relu", self._dense(rows, flat, np.tile(bias, len(centres))))

    def _decode(self, value: str, weights: dict[str, NDArray[np.float32]]) -> None:
        """The LSTM cell as one product of its input and its last output, and the probability of speech."""
        hidden, cell = self._columns("states", 0, _HIDDEN), self._columns("states", _HIDDEN, STATE)
        kernel = np.concatenate([weights["decoder.rnn.weight_ih"], weights["decoder.rnn.weight_hh"]], axis=1).T
        bias = weights["decoder.rnn.bias_ih"] + weights["decoder.rnn.bias_hh"]
        # PyTorch orders the gates input, forget, cell, output; the three sigmoids go side by side.
        order = np.arange(4 * _HIDDEN).reshape(4, _HIDDEN)[[0, 1, 3, 2]].ravel()
        gates = self._dense(self._join(value, hidden), kernel[:, order], bias[order])
        opened = self._node("Sigmoid", self._columns(gates, 0, 3 * _HIDDEN))
        enter, keep, leave = (self._columns(opened, i * _HIDDEN, (i + 1) * _HIDDEN) for i in range(3))
        entering = self._node("Mul", enter, self._node("Tanh", self._columns(gates, 3 * _HIDDEN, 4 * _HIDDEN)))
        cell = self._node("Add", self._node("Mul", keep, cell), entering)
        hidden = self._node("Mul", leave, self._node("Tanh", cell))
        self._join(hidden, cell, output="next_states")
        last = weights["decoder.decoder.2.weight"][:, :, 0].T
        score = self._dense(self._node("Relu", hidden), last, weights["decoder.decoder.2.bias"])
        self._node("Sigmoid", score, output="speech")


def _transform(basis: NDArray[np.float32]) -> NDArray[np.float32]:
    """The Fourier transform of the four frames as a matrix (288, 4, 2, 65): samples, frames, real and imaginary, bins.

    `basis` is (130, 128). What is reflected at the end (sample 288 + k is sample 286 - k) is added to where it is from.
    """
    matrix = np.zeros((_SAMPLES, _FRAMES, 2 * _BINS), np.float64)
    for frame in range(_FRAMES):
        for tap in range(_FRAME):
            sample = frame * _HOP + tap
            if sample >= _SAMPLES:
                sample = 2 * (_SAMPLES - 1) - sample
            matrix[sample, frame] += basis[:, tap]
    return matrix.reshape(_SAMPLES, _FRAMES, 2, _BINS).astype(np.float32)

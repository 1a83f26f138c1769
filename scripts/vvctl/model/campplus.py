"""CAM++ as an ONNX graph for windows of at most 200 frames.

Architecture: "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware Masking" (Interspeech
2023) and its implementation in 3D-Speaker (speakerlab/models/campplus, Apache-2.0). Batch normalisation is folded into
the convolution in front of it where there is one. After the first layer's stride of 2, a window of at most 200 frames
is one segment of the context-aware mask (100 frames), so the segment mean equals the global mean and the mask is
computed once a window.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vvctl.errors import IntegrityError
from vvctl.model.checkpoint import Weights

MAX_FRAMES = 200
BINS = 80

_EPSILON = 1e-5
_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
"""In the order of the operator's inputs. As one operator it takes a pass over the values less than as two."""
# Opset 18 is the newest that every onnxruntime since 1.14 runs.
_OPSET, _IR_VERSION = 18, 9
_BLOCKS = ((12, 1), (24, 2), (16, 2))
"""Layers and dilation of the three densely connected blocks."""


def build(weights: Weights, dimensions: int) -> onnx.ModelProto:
    """The graph `features` (B, T, 80), mean-subtracted, to `embedding` (B, dimensions).

    Raises IntegrityError when a weight is missing or left over; reference.verify finds one of the wrong shape.
    """
    graph = _Graph(weights)
    try:
        graph.network()
    except KeyError as error:
        raise IntegrityError(f"the checkpoint has no {error.args[0]}: it is not CAM++") from error
    if graph.unused:
        raise IntegrityError(f"the checkpoint has weights that CAM++ does not: {', '.join(sorted(graph.unused)[:3])}")
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "campplus",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", "frames", BINS])],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", dimensions])],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )


class _Graph:
    """Collects nodes and constants; methods take and return names of values."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self.unused = set(weights)
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def _weight(self, name: str) -> NDArray[np.float32]:
        self.unused.discard(name)
        return self._weights[name]

    def _constant(self, values: Any, dtype: type[np.generic] = np.float32) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype), name))
        return name

    def _node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def _batch_norm(self, name: str, *, affine: bool = True) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Batch normalisation as a scale and a shift, each (channels,)."""
        scale = 1.0 / np.sqrt(self._weight(f"{name}.running_var") + _EPSILON)
        if affine:
            scale = scale * self._weight(f"{name}.weight")
        shift = -self._weight(f"{name}.running_mean") * scale
        return scale, shift + self._weight(f"{name}.bias") if affine else shift

    def _convolution(self, value: str, name: str, *, norm: str = "", relu: bool = False, **attributes: Any) -> str:
        """A convolution, followed by the batch normalisation `norm` (folded) and ReLU."""
        kernel = self._weight(f"{name}.weight")
        bias = self._weight(f"{name}.bias") if f"{name}.bias" in self._weights else None
        if norm:
            scale, shift = self._batch_norm(norm)
            kernel = kernel * scale.reshape((-1,) + (1,) * (kernel.ndim - 1))
            bias = shift if bias is None else bias * scale + shift
        constants = [self._constant(kernel)] + ([] if bias is None else [self._constant(bias)])
        value = self._node("Conv", value, *constants, kernel_shape=kernel.shape[2:], **attributes)
        return self._node("Relu", value) if relu else value

    def _dense(self, value: str, name: str, *, factor: float = 1.0) -> str:
        """A convolution of width 1 over a single frame, (B, channels) to (B, channels)."""
        kernel = self._weight(f"{name}.weight")[:, :, 0] * np.float32(factor)
        return self._node("Gemm", value, self._constant(kernel.T), self._constant(self._weight(f"{name}.bias")))

    def _norm_relu(self, value: str, name: str) -> str:
        parameters = [self._constant(self._weight(f"{name}.{part}")) for part in _BATCH_NORM]
        return self._node("Relu", self._node("BatchNormalization", value, *parameters, epsilon=_EPSILON))

    def _time_mean(self, value: str, *, keep: bool = True) -> str:
        return self._node("ReduceMean", value, self._constant([2], np.int64), keepdims=int(keep))

    def network(self) -> None:
        value = self._node("Transpose", "features", perm=[0, 2, 1])
        value = self._residual_head(self._node("Unsqueeze", value, self._constant([1], np.int64)))
        value = self._convolution(
            value, "xvector.tdnn.linear", norm="xvector.tdnn.nonlinear.batchnorm", relu=True, strides=[2], pads=[2, 2]
        )
        for number, (layers, dilation) in enumerate(_BLOCKS, 1):
            for layer in range(1, layers + 1):
                value = self._dense_layer(value, f"xvector.block{number}.tdnnd{layer}", dilation)
            value = self._norm_relu(value, f"xvector.transit{number}.nonlinear.batchnorm")
            last = number == len(_BLOCKS)
            norm = "xvector.out_nonlinear.batchnorm" if last else ""
            value = self._convolution(value, f"xvector.transit{number}.linear", norm=norm, relu=last)
        self._embedding(value)

    def _residual_head(self, value: str) -> str:
        """The 2-D residual network, (B, 1, 80, T) to (B, 320, T): strides halve the bins, never the frames."""
        square: dict[str, Any] = {"pads": [1, 1, 1, 1]}
        value = self._convolution(value, "head.conv1", norm="head.bn1", relu=True, **square)
        for layer in ("head.layer1", "head.layer2"):
            for index, stride in enumerate((2, 1)):
                block = f"{layer}.{index}"
                inner = self._convolution(
                    value, f"{block}.conv1", norm=f"{block}.bn1", relu=True, strides=[stride, 1], **square
                )
                inner = self._convolution(inner, f"{block}.conv2", norm=f"{block}.bn2", **square)
                if stride > 1:
                    value = self._convolution(
                        value, f"{block}.shortcut.0", norm=f"{block}.shortcut.1", strides=[stride, 1]
                    )
                value = self._node("Relu", self._node("Add", inner, value))
        value = self._convolution(value, "head.conv2", norm="head.bn2", relu=True, strides=[2, 1], **square)
        return self._node("Reshape", value, self._constant([0, 320, -1], np.int64))

    def _dense_layer(self, value: str, name: str, dilation: int) -> str:
        """One densely connected layer with its context-aware mask; its output is appended to the input."""
        inner = self._norm_relu(value, f"{name}.nonlinear1.batchnorm")
        inner = self._convolution(inner, f"{name}.linear1", norm=f"{name}.nonlinear2.batchnorm", relu=True)
        local = self._convolution(
            inner, f"{name}.cam_layer.linear_local", dilations=[dilation], pads=[dilation, dilation]
        )
        # Segment mean plus global mean, which are equal here: twice the mean, folded into the weights.
        mean = self._time_mean(inner, keep=False)
        context = self._node("Relu", self._dense(mean, f"{name}.cam_layer.linear1", factor=2.0))
        mask = self._node("Sigmoid", self._dense(context, f"{name}.cam_layer.linear2"))
        mask = self._node("Unsqueeze", mask, self._constant([2], np.int64))
        return self._node("Concat", value, self._node("Mul", local, mask), axis=1)

    def _embedding(self, value: str) -> None:
        """Mean and unbiased standard deviation over time, then the last layer: batch norm without ReLU."""
        mean = self._time_mean(value)
        difference = self._node("Sub", value, mean)
        square_sum = self._node(
            "ReduceSum", self._node("Mul", difference, difference), self._constant([2], np.int64), keepdims=1
        )
        frames = self._node("Gather", self._node("Shape", value), self._constant(2, np.int64))
        degrees = self._node("Sub", self._node("Cast", frames, to=TensorProto.FLOAT), self._constant(np.float32(1.0)))
        deviation = self._node("Sqrt", self._node("Div", square_sum, degrees))
        statistics = self._node("Squeeze", self._node("Concat", mean, deviation, axis=1), self._constant([2], np.int64))
        scale, shift = self._batch_norm("xvector.dense.nonlinear.batchnorm", affine=False)
        kernel = self._weight("xvector.dense.linear.weight")[:, :, 0] * scale[:, None]
        self._node("Gemm", statistics, self._constant(kernel.T), self._constant(shift), output="embedding")

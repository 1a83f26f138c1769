"""What the parts of the engine take in this process's instruction set: `python -m tests.load.kernels MODEL_DIR`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from voice_verify.engine.features import FRAME_LENGTH, FRAME_SHIFT, SAMPLE_RATE, log_mel
from voice_verify.engine.model import VAD_CONTEXT, VAD_WINDOW, EmbeddingNetwork, VadNetwork

BATCH = 8
STREAMS = 64
FRAMES = 100
REPEATS = 30


def main(model_dir: Path) -> None:
    random = np.random.default_rng(1)
    chunks = random.normal(size=(BATCH, FRAMES, 80)).astype(np.float32)
    best, fp32 = EmbeddingNetwork(model_dir, 1), EmbeddingNetwork(model_dir, 1, fp32=True)
    vad = VadNetwork(model_dir)
    windows = random.normal(0, 0.1, (STREAMS, VAD_CONTEXT + VAD_WINDOW)).astype(np.float32)
    states = np.stack([vad.initial_state()] * STREAMS)
    frames = random.normal(0, 0.1, (STREAMS * FRAMES, FRAME_LENGTH)).astype(np.float32)
    document = {
        "vad": _milliseconds(lambda: vad.speech(windows, states)) / STREAMS * SAMPLE_RATE / VAD_WINDOW,
        "features": _milliseconds(lambda: log_mel(frames)) / (STREAMS * FRAMES) * SAMPLE_RATE / FRAME_SHIFT,
        "fp32": _milliseconds(lambda: fp32.embed(chunks)) / BATCH,
        "int8": _milliseconds(lambda: best.embed(chunks)) / BATCH,
        "precision": best.precision,
        "saturates": _saturates(),
    }
    print(json.dumps(document))


def _milliseconds(work: Callable[[], object]) -> float:
    """CPU time of one call, the median of many: the machine is shared."""
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return float(np.median(times)) * 1000


def _saturates() -> bool:
    """Whether sums of products of unsigned and signed bytes are cut off at 16 bits, as they are without VNNI."""
    rows = 64
    inputs = [helper.make_tensor_value_info("a", TensorProto.UINT8, [1, rows])]
    outputs = [helper.make_tensor_value_info("c", TensorProto.INT32, [1, 1])]
    weights = helper.make_tensor("b", TensorProto.INT8, [rows, 1], [127] * rows)
    graph = helper.make_graph([helper.make_node("MatMulInteger", ["a", "b"], ["c"])], "dot", inputs, outputs, [weights])
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (product,) = session.run(None, {"a": np.full((1, rows), 255, np.uint8)})
    return int(product[0, 0]) != 255 * 127 * rows


if __name__ == "__main__":
    main(Path(sys.argv[1]))

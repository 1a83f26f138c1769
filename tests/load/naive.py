"""The naive way, as a baseline: embed all the audio so far again at each query.

Same model, same functions, same processor; `python -m tests.load.naive MODEL_DIR AUDIO LENGTH…` measures it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from voice_verify.engine import SAMPLE_RATE, Engine

from . import machine
from .call import QUERY_S
from .conversation import Conversation

CALL_LENGTHS_S = (30, 60, 180)
# The cost grows with the audio so far, so that a few moments of a call stand for all of its queries.
MOMENTS = 4


def measure(model_dir: Path, conversation: Conversation, core: int) -> dict[int, float]:
    """CPU seconds a call-second on `core`, by the length of the call."""
    audio = conversation.samples.tobytes()
    command = [sys.executable, "-m", "tests.load.naive", str(model_dir), *map(str, CALL_LENGTHS_S)]
    with machine.pinned(core):
        done = subprocess.run(command, input=audio, env=os.environ, capture_output=True, check=True, timeout=600)
    return {int(length): cost for length, cost in json.loads(done.stdout).items()}


def main(model_dir: Path, lengths: list[int]) -> None:
    audio = np.frombuffer(sys.stdin.buffer.read(), np.int16).astype(np.float32) / np.float32(32768)
    engine = Engine(model_dir, threads=1)
    engine.analyse(audio[: 5 * SAMPLE_RATE])
    print(json.dumps({length: _cost(engine, audio, length) for length in lengths}))


def _cost(engine: Engine, audio: np.ndarray, length: int) -> float:
    moments = (np.arange(MOMENTS) + 0.5) / MOMENTS * length
    started = time.process_time()
    for moment in moments:
        engine.analyse(audio[: int(moment * SAMPLE_RATE)])
    return (time.process_time() - started) / MOMENTS / QUERY_S


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(length) for length in sys.argv[2:]])

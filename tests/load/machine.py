"""The machine that a benchmark ran on, and how much it can be trusted."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np

FLAGS = ("avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8")


def description() -> dict[str, str]:
    """What a figure means nothing without."""
    names = {"model name": "unknown", "flags": ""}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            names[name.strip()] = value.strip()
    flags = set(names["flags"].split())
    packages = ("onnxruntime", "numpy", "uvicorn", "websockets", "sqlalchemy", "psycopg")
    return {
        "processor": names["model name"],
        "flags": " ".join(flag for flag in FLAGS if flag in flags),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "python": sys.version.split()[0],
        "packages": ", ".join(f"{name} {version(name)}" for name in packages),
    }


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started inside runs on that core only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def fixed_work_s(core: int) -> float:
    """Wall-clock seconds for work that is always the same: other load on the core and a slower clock lengthen it."""
    random = np.random.default_rng(1)
    matrix = random.normal(size=(256, 256)).astype(np.float32)
    with pinned(core):
        started = time.perf_counter()
        for _ in range(300):
            # Never fed back: denormal numbers take 75 times as long, or not, as some library has set the processor.
            np.tanh(matrix @ matrix / np.float32(16))
        return time.perf_counter() - started

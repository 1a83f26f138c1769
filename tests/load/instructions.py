"""The same software held to AVX2, as on processors of before 2017: a Xeon E5 has no AVX512 and no VNNI.

onnxruntime has no switch for it. It asks the processor what it can do (CPUID), and the operating system whether that
may be used (XGETBV, which says that registers of AVX512 are saved on a context switch). A copy of its library in which
XGETBV answers "AVX, but not AVX512" therefore takes exactly the path of a processor without. That it does is not
believed but shown: without VNNI, products of int8 saturate, and the copy's do (tests.load.kernels looks).
What is not shown is the older processor's clock, cache and cores.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnxruntime

from . import machine

# XOR ECX,ECX; XGETBV: how compilers ask for XCR0.
XGETBV = re.compile(rb"\x31\xc9\x0f\x01\xd0")
# XOR ECX,ECX; MOV AL,7; NOP: the state of x87, SSE and AVX is saved, that of AVX512 is not.
WITHOUT_AVX512 = b"\x31\xc9\xb0\x07\x90"
# numpy and its BLAS have switches.
NUMPY = {
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Haswell",
}


class Unmeasurable(Exception):
    """Why this machine cannot be held to AVX2."""


@dataclass(frozen=True)
class Kernels:
    """Milliseconds of CPU a second of speech (embedding) or of audio; `saturates`: int8 products are cut off."""

    vad: float
    features: float
    fp32: float
    int8: float
    precision: str
    saturates: bool


def avx2_only(folder: Path) -> dict[str, str]:
    """The environment in which a process uses no more than AVX2; makes what it needs in `folder`.

    Raises Unmeasurable.
    """
    flags = machine.description()["flags"].split()
    if "avx512f" not in flags:
        raise Unmeasurable("this processor has no AVX512: the figures above are those of AVX2")
    if "avx_vnni" in flags:
        raise Unmeasurable("this processor also has VNNI for AVX2, which the copy would still use")
    source = Path(onnxruntime.__file__).parent
    copy = folder / source.name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("transformers", "tools", "__pycache__"))
    (library,) = copy.glob("capi/onnxruntime_pybind11_state*.so")
    changed, count = XGETBV.subn(WITHOUT_AVX512, library.read_bytes())
    if not count:
        raise Unmeasurable("this build of onnxruntime asks for XCR0 in another way")
    library.write_bytes(changed)
    return {**NUMPY, "PYTHONPATH": str(folder.resolve())}


def kernels(model_dir: Path, core: int, environment: Mapping[str, str]) -> Kernels:
    """Measure the parts of the engine in a process of their own, held to AVX2 when there is an `environment` for it.

    Raises Unmeasurable.
    """
    command = [sys.executable, "-m", "tests.load.kernels", str(model_dir)]
    with machine.pinned(core):
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=300
        )
    if done.returncode != 0:
        raise Unmeasurable(f"the measuring process failed: {done.stderr[-500:]}")
    measured = Kernels(**json.loads(done.stdout))
    if environment and not measured.saturates:
        raise Unmeasurable("the changed copy of onnxruntime uses VNNI all the same")
    return measured

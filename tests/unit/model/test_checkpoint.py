from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vvctl.errors import IntegrityError
from vvctl.model import checkpoint

# torch's pickles, written by hand: GLOBAL, a persistent reference and REDUCE.
STORAGE = b"(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI%d\ntQ"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n(%sI%d\n%s%sI00\nccollections\nOrderedDict\n(tRtR"


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(b"I%d\n" % value for value in values) + b"t"


def tensor(count: int, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    return b"(dVw\n" + TENSOR % (STORAGE % count, offset, numbers(*size), numbers(*stride)) + b"s."


def archive(pickled: bytes, values: Any = range(6), **more: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/data/0", np.array(list(values), np.float32).tobytes())
        for name, content in more.items():
            file.writestr(name, content)
    return buffer.getvalue()


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_reads_a_tensor() -> None:
    weights = checkpoint.read(archive(tensor(6, 2, (2, 2), (2, 1))))
    np.testing.assert_array_equal(weights["w"], [[2, 3], [4, 5]])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_hostile_pickle_is_refused_and_does_nothing(tmp_path: Path, protocol: int) -> None:
    target = tmp_path / "made by the pickle"
    content = archive(pickle.dumps(OrderedDict(w=Hostile(target)), protocol))
    with pytest.raises(IntegrityError, match=r"it asks for \w+\.mkdir"):
        checkpoint.read(content)
    assert not target.exists()


@pytest.mark.parametrize(
    "name", ["builtins\neval", "os\nsystem", "torch\nload", "torch._utils\n_rebuild_tensor", "numpy\nfromfile"]
)
def test_no_other_name_is_resolved(name: str) -> None:
    with pytest.raises(IntegrityError, match="it asks for"):
        checkpoint.read(archive(f"c{name}\n(Vx\ntR.".encode()))


@pytest.mark.parametrize(
    ("pickled", "why"),
    [
        (tensor(6, 2, (3, 2), (2, 1)), "does not lie inside"),
        (tensor(6, -2, (2,), (1,)), "does not lie inside"),
        (tensor(6, 0, (-2, -2), (-2, 1)), "does not lie inside|refused"),
        (tensor(6, 0, (2, 2), (100000, 1)), "does not lie inside"),
        (tensor(60, 0, (2, 2), (2, 1)), "6 values instead of 60"),
        (b"(lVx\na.", "not a table of tensors"),
        (b"(dVw\nI1\ns.", "'w' is not a tensor"),
        (b"(dVw\n", "refused"),
        (b"", "refused"),
    ],
)
def test_tensors_that_lie_about_themselves_are_refused(pickled: bytes, why: str) -> None:
    with pytest.raises(IntegrityError, match=why):
        checkpoint.read(archive(pickled))


def test_a_zip_that_unpacks_to_too_much_is_refused() -> None:
    with pytest.raises(IntegrityError, match="unpacks to more than"):
        checkpoint.read(archive(tensor(6, 0, (6,), (1,)), bomb=bytes(257 * 1024 * 1024)))


def test_what_is_no_checkpoint_is_refused() -> None:
    with pytest.raises(IntegrityError, match="refused"):
        checkpoint.read(b"PK\x03\x04 and so on")
    with pytest.raises(IntegrityError, match=r"2 data\.pkl instead of one"):
        checkpoint.read(archive(b".", **{"other/data.pkl": b"."}))

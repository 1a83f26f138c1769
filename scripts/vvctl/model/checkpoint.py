"""Reading a PyTorch checkpoint without PyTorch and without trusting it.

A checkpoint is a zip with one pickle, `data.pkl`, whose tensors refer to raw storages `data/<key>`. A pickle can run
any code, so only the four names that tensors need are resolved, and each is replaced by a function of ours.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from vvctl.errors import IntegrityError

Weights = dict[str, NDArray[np.float32]]

_STORAGES: dict[str, type[np.float32] | type[np.int64]] = {"FloatStorage": np.float32, "LongStorage": np.int64}
# CAM++ holds 28 MB; a zip that unpacks to more than this is none.
_MAX_BYTES = 256 * 1024 * 1024


def read(content: bytes) -> Weights:
    """The tensors of a checkpoint by name; integer ones (batch counters) are left out.

    Raises IntegrityError when the file is not such a checkpoint or asks for anything else than tensors.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_BYTES:
                _refuse(f"it unpacks to more than {_MAX_BYTES} bytes")
            pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                _refuse(f"it holds {len(pickles)} data.pkl instead of one")
            loaded = _Unpickler(archive, pickles[0].removesuffix("data.pkl")).load()
    except IntegrityError:
        raise
    # A damaged or hostile pickle may raise nearly anything.
    except Exception as error:
        raise IntegrityError(f"the checkpoint is refused: {error}") from error
    if not isinstance(loaded, dict) or not loaded:
        _refuse("it is not a table of tensors")
    for name, tensor in loaded.items():
        if not isinstance(name, str) or not isinstance(tensor, np.ndarray):
            _refuse(f"entry {name!r} is not a tensor")
    return {name: tensor for name, tensor in loaded.items() if tensor.dtype == np.float32}


def _refuse(why: str) -> NoReturn:
    raise IntegrityError(f"the checkpoint is refused: {why}", hint="it is not the file that appliance.yml pins")


def _tensor(storage: NDArray[Any], offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> object:
    """What torch._utils._rebuild_tensor_v2 does, for contiguous tensors inside their storage only."""
    count = math.prod(size)
    contiguous = tuple(math.prod(size[axis + 1 :]) for axis in range(len(size)))
    if tuple(stride) != contiguous or not 0 <= offset <= offset + count <= len(storage):
        _refuse(f"a tensor of shape {size} does not lie inside its storage")
    return storage[offset : offset + count].reshape(size)


class _Unpickler(pickle.Unpickler):
    """Resolves the names of tensors and nothing else."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}data.pkl")))
        self._archive = archive
        self._root = root

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        return _refuse(f"it asks for {module}.{name}")

    def persistent_load(self, reference: Any) -> NDArray[Any]:
        kind, dtype, key, _device, count = reference
        if kind != "storage" or dtype not in _STORAGES.values():
            _refuse(f"it refers to {kind!r}")
        storage: NDArray[Any] = np.frombuffer(self._archive.read(f"{self._root}data/{key}"), dtype)
        if len(storage) != count:
            _refuse(f"storage {key} has {len(storage)} values instead of {count}")
        return storage

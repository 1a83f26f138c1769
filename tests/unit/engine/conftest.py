"""The real model and real speech: Debian's Asterisk prompts, 8 kHz, one speaker a directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from voice_verify.engine import SAMPLE_RATE, Engine
from vvctl.appliance import find_root

PROMPTS = Path("/usr/share/asterisk/sounds")
Speech = Callable[[str, float, float], NDArray[np.float32]]


@pytest.fixture(scope="session")
def model_dir() -> Path:
    directory = find_root(Path(__file__).parent) / "build" / "model"
    if not (directory / "model.json").is_file():
        pytest.fail(f"no model in {directory}: run `make model` first")
    return directory


@pytest.fixture(scope="session")
def engine(model_dir: Path) -> Iterator[Engine]:
    engine = Engine(model_dir)
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def speech() -> Speech:
    """`speech(speaker, start, length)`: seconds of one speaker's prompts, one after another, always the same."""
    joined: dict[str, NDArray[np.float32]] = {}

    def read(speaker: str) -> NDArray[np.float32]:
        files = sorted((PROMPTS / speaker).rglob("*.wav"))
        if not files:
            pytest.fail(f"no prompts in {PROMPTS / speaker}: install Debian's asterisk-core-sounds-*-wav packages")
        # Shorter ones are digits, beeps and noises.
        return np.concatenate([soundfile.read(file, dtype="float32")[0] for file in files if _seconds(file) >= 1.5])

    def part(speaker: str, start: float, length: float) -> NDArray[np.float32]:
        if speaker not in joined:
            joined[speaker] = read(speaker)
        first = int(start * SAMPLE_RATE)
        found = joined[speaker][first : first + int(length * SAMPLE_RATE)]
        assert len(found) == int(length * SAMPLE_RATE), f"{speaker} has too few prompts"
        return found

    return part


def _seconds(file: Path) -> float:
    return float(soundfile.info(file).duration)

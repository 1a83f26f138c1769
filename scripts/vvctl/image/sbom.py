"""The bill of materials (CycloneDX): Debian packages and Python distributions of the image."""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vvctl.appliance import Appliance
from vvctl.image.disks import identity
from vvctl.image.run import run
from vvctl.image.workspace import Source


def generate(rootfs: Path, appliance: Appliance, source: Source, seed: str) -> dict[str, Path]:
    """Write the bills into the root file system itself; return them by name: `debian` and `python`.

    The same root file system and seed give the same bytes. Raises CommandFailed when a generator fails.
    """
    targets = bills(rootfs, appliance)
    for target in targets.values():
        target.parent.mkdir(parents=True, exist_ok=True)
    _debian(rootfs, targets["debian"], appliance, source, seed)
    _python(rootfs, targets["python"], appliance, source)
    return targets


def bills(rootfs: Path, appliance: Appliance) -> dict[str, Path]:
    """Where the bills lie in a root file system."""
    folder = rootfs / "usr/share" / appliance.product.name / "sbom"
    return {kind: folder / f"{kind}.cdx.json" for kind in ("debian", "python")}


def count(bill: Path) -> int:
    """How many installed packages a bill lists; Debian's lists the source of each beside it."""
    content: dict[str, Any] = json.loads(bill.read_text(encoding="utf-8"))
    return sum("arch=source" not in component.get("purl", "") for component in content.get("components", []))


def _tool(name: str) -> Path:
    return Path(sys.executable).with_name(name)


def _debian(rootfs: Path, target: Path, appliance: Appliance, source: Source, seed: str) -> None:
    run(
        [
            _tool("debsbom"), "generate", "--root", rootfs, "--sbom-type", "cdx", "--with-licenses",
            "--distro-name", appliance.product.name, "--distro-version", appliance.product.version,
            "--distro-supplier", appliance.product.vendor,
            "--distro-arch", appliance.os.architecture, "--cdx-serialnumber", identity(seed, "sbom-debian"),
            "--timestamp", datetime.fromtimestamp(source.epoch, UTC).isoformat(),
            # It adds .cdx.json itself.
            "--out", str(target).removesuffix(".cdx.json"),
        ]
    )  # fmt: skip


def _python(rootfs: Path, target: Path, appliance: Appliance, source: Source) -> None:
    packages = rootfs / appliance.paths.application.removeprefix("/") / "venv/lib" / f"python{appliance.os.python}"
    with tempfile.TemporaryDirectory(prefix="vv-sbom-") as scratch:
        # cyclonedx-py asks an interpreter for its path; the guest's cannot run here, so this answers for it.
        interpreter = Path(scratch) / "python"
        answer = json.dumps([str(packages / "site-packages")])
        interpreter.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n", encoding="utf-8")
        interpreter.chmod(0o755)
        run(
            [
                _tool("cyclonedx-py"), "environment", "--output-reproducible", "--mc-type", "application",
                "--output-file", target, interpreter,
            ],
            env=source.environment,
        )  # fmt: skip

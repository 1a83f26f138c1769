"""Releases to upgrade to: images of this checkout under later versions, each with one migration more."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from vvctl.image.build import INPUTS
from vvctl.image.workspace import read_source

# What the builds need not make again.
_TAKEN_OVER = ("rootfs", "stamps/rootfs", "wheels", "model")
_MIGRATIONS = "app/voice_verify/store/migrations/versions"


@dataclass(frozen=True)
class Release:
    """`migrations`: what each does to the database, in SQL, on top of those of the checkout."""

    version: str
    migrations: tuple[str, ...] = ()


_LANGUAGE = "ALTER TABLE speakers ADD COLUMN language VARCHAR(35) NOT NULL DEFAULT 'und'"
FIRST = Release("0.1.0")
SECOND = Release("0.2.0", (_LANGUAGE,))
# Comes up well, but for one instance that its last migration took for a duplicate.
BROKEN = Release("0.3.0", (_LANGUAGE, "DELETE FROM pbx_instances WHERE name = 'Lyon'"))


def build(root: Path, folder: Path, release: Release, issuer: str) -> Path:
    """The OVA of a release that takes licences of `issuer`, made from a copy of the checkout in `folder`.

    It is made again only when something that goes into it changed.
    """
    copy = folder / release.version
    _copy_checkout(root, copy)
    _declare(copy / "appliance.yml", release.version, issuer)
    for number, sql in enumerate(release.migrations):
        _add_migration(copy / _MIGRATIONS, sql, number)
    for name in _TAKEN_OVER:
        if not (copy / "build" / name).exists():
            (copy / "build" / name).parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", "--reflink=auto", root / "build" / name, copy / "build" / name], check=True)
    epoch = read_source(root, INPUTS).epoch
    for command in (["config", "generate"], ["image", "build"]):
        print(_run(command, cwd=copy, epoch=epoch), flush=True)
    return copy / f"dist/voice-verify-{release.version}.ova"


def vendor(folder: Path) -> tuple[Path, str]:
    """The private key that signs licences for these images, the same for each run, and the public one (hex)."""
    private, public = folder / "vendor.key", folder / "vendor.pub"
    if not public.exists():
        folder.mkdir(parents=True, exist_ok=True)
        private.unlink(missing_ok=True)
        public.write_text(_run(["licence", "keygen", "--output", private]), encoding="utf-8")
    return private, public.read_text(encoding="utf-8").strip()


def licence(folder: Path, key: Path) -> Any:
    """A licence for twenty calls that holds for a year."""
    expires = datetime.now(UTC).date() + timedelta(days=365)
    file = folder / "licence.json"
    file.unlink(missing_ok=True)
    given = ["--key", key, "--customer", "Example Bank", "--calls", "20", "--expires", expires.isoformat()]
    _run(["licence", "issue", *given, "--output", file], cwd=folder / FIRST.version)
    return json.loads(file.read_bytes())


def _copy_checkout(root: Path, copy: Path) -> None:
    """Every file that git knows or would take, as it is now; what builds left in the copy stays."""
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    kept = {"build", "dist"}
    for entry in copy.iterdir() if copy.exists() else ():
        if entry.name not in kept:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for name in filter(None, listed.split("\0")):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target, follow_symlinks=False)


def _declare(path: Path, version: str, issuer: str) -> None:
    text = path.read_text(encoding="utf-8")
    text, versions = re.subn(r"(?m)^  version: .*$", f"  version: {version}", text, count=1)
    text, issuers = re.subn(r"(?m)^  issuers: \[\]$", f"  issuers: [{issuer}]", text)
    assert (versions, issuers) == (1, 1), "appliance.yml looks otherwise than this expects"
    path.write_text(text, encoding="utf-8")


def _add_migration(versions: Path, sql: str, number: int) -> None:
    last = max(int(path.name[:4]) for path in versions.glob("[0-9]*.py"))
    revision = last + 1
    (versions / f"{revision:04}_release_{number}.py").write_text(
        f'''"""Of a release that only tests know."""

from alembic import op

revision = "{revision:04}"
down_revision = "{last:04}"


def upgrade() -> None:
    op.execute("{sql}")
''',
        encoding="utf-8",
    )


def _run(command: Sequence[str | Path], *, cwd: Path | None = None, epoch: int | None = None) -> str:
    """What vvctl prints; that of the copy `cwd`, which is no checkout: `epoch` dates what it builds."""
    environment = dict(os.environ)
    if cwd is not None:
        environment["PYTHONPATH"] = f"{cwd}/scripts:{cwd}/app"
    if epoch is not None:
        environment["SOURCE_DATE_EPOCH"] = str(epoch)
    vvctl = Path(sys.executable).with_name("vvctl")
    return subprocess.run(
        [vvctl, *command], cwd=cwd, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout

"""Build the committed image twice, in clones of the checkout, and compare what comes out."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from vvctl.appliance import load
from vvctl.errors import ConfigurationError, IntegrityError
from vvctl.image.fingerprint import file_sha256
from vvctl.image.package import CHECKSUMS, Names
from vvctl.image.report import Report
from vvctl.image.run import run
from vvctl.image.workspace import Workspace, free_gib, read_source, remove_tree

# Two root file systems and two dist/, and the disks of one build at a time; 6 GiB were measured.
_NEEDED_GIB = 16
# Enough to see what is going on.
_SHOWN = 20


def verify(root: Path, console: Console, mirror: str | None) -> None:
    """Build HEAD twice and compare everything in dist/ but the build manifest, which holds times.

    Raises IntegrityError that names what differs, and keeps both builds then. Raises ConfigurationError when the
    checkout has changes that are not committed: a clone would not have them.
    """
    workspace = Workspace(root)
    if read_source(root).dirty:
        raise ConfigurationError("there are changes that are not committed", hint="commit them first: HEAD is built")
    if free_gib(workspace.build) < _NEEDED_GIB:
        raise ConfigurationError(f"less than {_NEEDED_GIB} GiB are free for {workspace.build}")
    report = Report(console)
    folder = workspace.build / "reproduce"
    clones = [folder / "first", folder / "second"]
    remove_tree(folder)
    for clone in clones:
        with report.phase(f"{clone.name} build"):
            _build(root, clone, mirror)
    names = Names.of(load(root / "appliance.yml"))
    left_out = {names.build_manifest, CHECKSUMS}
    differing = [name for name in differences(*(clone / "dist" for clone in clones)) if name not in left_out]
    if differing:
        trees = list(differences(*(Workspace(clone).provisioned for clone in clones)))
        shown = "".join(f"\n  {path}" for path in trees[:_SHOWN])
        raise IntegrityError(
            f"two builds of the same commit differ in {', '.join(differing)}"
            + (f"; {len(trees)} files of the root file systems differ:{shown}" if trees else ""),
            hint=f"both builds are in {folder}; docs/reproducible.md says what may differ",
        )
    console.print(f"{names.ova}: the same twice, {file_sha256(clones[0] / 'dist' / names.ova)}")
    remove_tree(folder)


def _build(root: Path, clone: Path, mirror: str | None) -> None:
    run(["git", "clone", "--quiet", "--shared", root, clone])
    target = Workspace(clone)
    shutil.copytree(Workspace(root).model, target.model)
    command = [sys.executable, "-c", "from vvctl.cli import main; main()", "image", "build"]
    run(
        [*command, *(["--mirror", mirror] if mirror else [])],
        # The clone's own tooling, not the one that is installed.
        env={"PYTHONPATH": str(clone / "scripts")},
        cwd=clone,
        log=clone.with_suffix(".log"),
    )


def differences(first: Path, second: Path) -> Iterator[str]:
    """Names of the files below two folders that differ in content, kind, mode or owner, or are only in one."""
    for name in sorted(_names(first) | _names(second)):
        if _description(first / name) != _description(second / name):
            yield name


def _names(folder: Path) -> set[str]:
    return {
        str((Path(path) / name).relative_to(folder))
        for path, folders, files in os.walk(folder)
        for name in (*folders, *files)
    }


def _description(path: Path) -> tuple[object, ...]:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return ()
    link = stat.S_ISLNK(status.st_mode)
    content = str(path.readlink()) if link else file_sha256(path) if stat.S_ISREG(status.st_mode) else ""
    return status.st_mode, status.st_uid, status.st_gid, content

"""What Packer's sources for machines start from: the pristine root file system on a disk, with a door for the build.

Nothing of it is ever handed out: it lets in whoever has the key beside it.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from rich.console import Console

from vvctl.appliance import load
from vvctl.image import disks, package, seal
from vvctl.image.build import INPUTS, check_host
from vvctl.image.container import authorize
from vvctl.image.ext4 import E2fsprogs
from vvctl.image.fingerprint import file_sha256
from vvctl.image.guard import ends_on_signals, tells_full_disk
from vvctl.image.report import Report
from vvctl.image.rootfs import build_rootfs
from vvctl.image.sources import apt_sources
from vvctl.image.wheels import build_wheels
from vvctl.image.workspace import Workspace, copy_tree, read_source, remove_tree, replace_tree

NAMES = package.Names("base")
SYSTEM, INPUTS_ARCHIVE = "system.raw", "inputs.tar"


def make_base(root: Path, console: Console, mirror: str | None) -> Path:
    """Make build/base; returns it.

    It holds `system.raw` with SHA256SUMS (for qemu), `base-system.raw.zst` (for amazon-ebssurrogate), `base.ova` with
    both disks (to import for vsphere-clone), `id_ed25519` (root's key), `inputs.tar` (wheelhouse/ and model/).
    Raises ConfigurationError when this machine cannot build images or there is no model, and CommandFailed.
    """
    workspace = Workspace(root)
    check_host(workspace)
    appliance = load(root / "appliance.yml")
    partial = workspace.build / "base.partial"
    tree, work = workspace.build / "base-rootfs.partial", workspace.build / "base-disks.partial"
    with workspace.locked(), ends_on_signals(), tells_full_disk(workspace.build):
        report = Report(console, workspace.logs / "build.log")
        source = read_source(root, INPUTS)
        with report.phase("root file system"):
            build_rootfs(workspace, appliance, apt_sources(appliance.os.suite, mirror), source)
        with report.phase("wheels"):
            build_wheels(workspace, appliance.os.python, source)
        for path in (partial, work):
            package.fresh_folder(path)
        try:
            with report.phase("base disks"):
                copy_tree(workspace.rootfs, tree)
                authorize(tree, partial)
                seal.make_bootable(tree, appliance)
                raw = {"system": partial / SYSTEM, "data": work / "data.raw"}
                tools = E2fsprogs(tree, source.environment)
                disks.assemble_system_disk(
                    appliance, tree, raw["system"], "base", tools=tools, environment=source.environment
                )
                disks.make_data_disk(appliance, raw["data"], "base", tools=tools)
            with report.phase("disk formats"):
                vmdks = package.convert_disks(raw, partial, work, NAMES, "base")
                package.write_ova(
                    appliance, raw, vmdks, partial / NAMES.ova,
                    epoch=source.epoch, build_id="base", eula=package.read_eula(root / "LICENSE"),
                )  # fmt: skip
                (partial / package.CHECKSUMS).write_text(f"{file_sha256(raw['system'])}  {SYSTEM}\n", encoding="utf-8")
            _archive(partial / INPUTS_ARCHIVE, {"wheelhouse": workspace.wheels, "model": workspace.model})
            replace_tree(partial, workspace.base)
        finally:
            for path in (tree, work, partial):
                remove_tree(path)
    return workspace.base


def _archive(target: Path, folders: dict[str, Path]) -> None:
    """What the roles install from, as the one file that is sent to the machine."""
    with tarfile.open(target, "w") as archive:
        for name, folder in folders.items():
            archive.add(folder, name)

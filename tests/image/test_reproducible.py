"""The delivered OVA is made again, byte by byte, from the root file system that the build left."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import IO, cast

from vvctl.appliance import Appliance
from vvctl.image import disks, package, vmdk
from vvctl.image.ext4 import E2fsprogs
from vvctl.image.fingerprint import file_sha256
from vvctl.image.workspace import Workspace


def test_packaging_again_gives_the_same_ova(root: Path, appliance: Appliance, tmp_path: Path) -> None:
    names, workspace = package.Names.of(appliance), Workspace(root)
    facts = json.loads((workspace.dist / names.build_manifest).read_text())
    epoch, seed = facts["source_date_epoch"], facts["inputs"]["all"]
    environment = {"SOURCE_DATE_EPOCH": str(epoch), "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    tools = E2fsprogs(workspace.provisioned, environment)
    raw = {"system": tmp_path / "system.raw", "data": tmp_path / "data.raw"}
    disks.assemble_system_disk(
        appliance, workspace.provisioned, raw["system"], seed, tools=tools, environment=environment
    )
    disks.make_data_disk(appliance, raw["data"], seed, tools=tools)
    vmdks = [tmp_path / names.vmdk(disk) for disk in raw]
    for disk, target in zip(raw, vmdks, strict=True):
        vmdk.convert(raw[disk], target, package.disk_content_id(seed, disk))
    again = tmp_path / names.ova
    package.write_ova(
        appliance, raw, vmdks, again,
        epoch=epoch, build_id=facts["build_id"], eula=package.read_eula(root / "LICENSE"),
    )  # fmt: skip
    assert _members(again) == _members(workspace.dist / names.ova)
    assert file_sha256(again) == facts["artefacts"][names.ova]["sha256"]


def _members(ova: Path) -> dict[str, tuple[int, str]]:
    """Size in bytes and SHA-256 of what is in it, by name: says which part differs."""
    with tarfile.open(ova) as archive:
        return {
            member.name: (
                member.size,
                hashlib.file_digest(cast(IO[bytes], archive.extractfile(member)), "sha256").hexdigest(),
            )
            for member in archive
        }

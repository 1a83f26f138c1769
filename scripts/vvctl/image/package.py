"""Phases 5 and 6: what is handed out, in a folder that takes the place of dist/ only when all of it is right."""

from __future__ import annotations

import hashlib
import json
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vvctl.appliance import Appliance
from vvctl.errors import ConfigurationError, IntegrityError
from vvctl.image import ova, ovf, sparse, vmdk
from vvctl.image.ext4 import E2fsprogs
from vvctl.image.fingerprint import file_sha256
from vvctl.image.run import run
from vvctl.image.workspace import remove_tree, replace_tree

CHECKSUMS = "SHA256SUMS"
TOOLS = ("qemu-img", "zstd")


@dataclass(frozen=True)
class Names:
    """File names of one version's artefacts."""

    base: str

    @classmethod
    def of(cls, appliance: Appliance) -> Names:
        return cls(f"{appliance.product.name}-{appliance.product.version}")

    @property
    def ova(self) -> str:
        return f"{self.base}.ova"

    @property
    def build_manifest(self) -> str:
        return f"{self.base}.build.json"

    def vmdk(self, disk: str) -> str:
        return f"{self.base}-{disk}.vmdk"

    def raw(self, disk: str) -> str:
        return f"{self.base}-{disk}.raw.zst"

    def sbom(self, kind: str) -> str:
        return f"{self.base}-{kind}.cdx.json"


def disk_content_id(seed: str, disk: str) -> int:
    """The CID of the VMDK of `disk` in the build with `seed`."""
    return vmdk.content_id(hashlib.sha256(f"{seed}/{disk}".encode()).hexdigest())


def convert_disks(raw: dict[str, Path], folder: Path, vmdks: Path, names: Names, seed: str) -> list[Path]:
    """Write the compressed raw disks into `folder` and the VMDKs into `vmdks`; returns the VMDKs in order."""
    folder.mkdir(parents=True, exist_ok=True)
    vmdks.mkdir(parents=True, exist_ok=True)
    targets = [vmdks / names.vmdk(disk) for disk in raw]
    with ThreadPoolExecutor(max_workers=2) as pool:
        jobs: list[Future[Any]] = [
            pool.submit(vmdk.convert, path, target, disk_content_id(seed, disk))
            for (disk, path), target in zip(raw.items(), targets, strict=True)
        ]
        jobs += [pool.submit(sparse.compress, path, folder / names.raw(disk)) for disk, path in raw.items()]
        for job in jobs:
            job.result()
    return targets


def read_eula(path: Path) -> str:
    """The text of a licence agreement.

    Raises ConfigurationError when there is none, or it cannot stand in XML.
    """
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the licence agreement {path} cannot be read: {error}") from error
    unusable = sorted({character for character in text if character < " " and character not in "\t\n"})
    if unusable or not text:
        raise ConfigurationError(
            f"the licence agreement {path} {f'holds {unusable[0]!r}' if unusable else 'is empty'}",
            hint="give a plain text in UTF-8",
        )
    return text


def write_ova(
    appliance: Appliance, raw: dict[str, Path], vmdks: list[Path], target: Path, *, epoch: int, build_id: str, eula: str
) -> None:
    """Describe the disks in an OVF and pack everything as `target`."""
    disks = [
        ovf.Disk(file.name, file.stat().st_size, path.stat().st_size, vmdk.populated_size(file))
        for file, path in zip(vmdks, raw.values(), strict=True)
    ]
    ova.write(target, ovf.descriptor(appliance, disks, full_version=build_id, eula=eula), vmdks, epoch)


def validate(target: Path, raw: dict[str, Path], vmdks: list[Path], tools: E2fsprogs, root_offset_mib: int) -> None:
    """Check what was made: file systems, VMDKs against their raw disks, OVF schema, manifest and references.

    Raises CommandFailed or IntegrityError.
    """
    tools.check(raw["system"], offset_mib=root_offset_mib)
    tools.check(raw["data"])
    for path in vmdks:
        run(["qemu-img", "check", "-q", "-f", "vmdk", path])
    members = ova.verify(target)
    if members[2:] != [path.name for path in vmdks]:
        raise IntegrityError(f"{target.name} holds {members}, not the disks {[path.name for path in vmdks]}")


def finish(folder: Path, dist: Path, names: Names, bills: dict[str, Path], facts: dict[str, Any]) -> dict[Path, int]:
    """Add bills of materials, build manifest and checksums to `folder`, then put it in the place of `dist`.

    Returns the artefacts with their sizes in bytes.
    """
    for kind, bill in bills.items():
        shutil.copyfile(bill, folder / names.sbom(kind))
    facts = facts | {
        "artefacts": {
            path.name: {"bytes": path.stat().st_size, "sha256": file_sha256(path)} for path in sorted(folder.iterdir())
        }
    }
    (folder / names.build_manifest).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    digests = {name: entry["sha256"] for name, entry in facts["artefacts"].items()}
    digests[names.build_manifest] = file_sha256(folder / names.build_manifest)
    listing = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
    (folder / CHECKSUMS).write_text(listing, encoding="utf-8")
    replace_tree(folder, dist)
    return {path: path.stat().st_size for path in sorted(dist.iterdir())}


def is_complete(dist: Path, names: Names, build_id: str) -> bool:
    """Whether `dist` holds the artefacts of `build_id`, each with the size that its build manifest gives."""
    try:
        facts = json.loads((dist / names.build_manifest).read_text(encoding="utf-8"))
        sizes = {name: (dist / name).stat().st_size for name in facts["artefacts"]}
    except (OSError, ValueError, KeyError):
        return False
    return facts.get("build_id") == build_id and all(
        sizes[name] == entry["bytes"] for name, entry in facts["artefacts"].items()
    )


def fresh_folder(path: Path) -> Path:
    """An empty folder in the place of whatever an earlier run left at `path`."""
    remove_tree(path)
    path.mkdir(parents=True)
    return path

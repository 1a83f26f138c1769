"""What is published: the disks in dist/, and which build they are of."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from vvctl.appliance import Appliance
from vvctl.errors import IntegrityError, VvctlError
from vvctl.image.fingerprint import file_sha256
from vvctl.image.package import CHECKSUMS, Names
from vvctl.publish.zstdisk import ZstDisk

# The only size that the EBS direct API knows.
BLOCK_SIZE = 512 << 10
_GIB = 1 << 30
DISKS = ("system", "data")


class NothingToPublish(VvctlError):
    """dist/ does not hold a complete image."""

    code = "nothing_to_publish"


@dataclass(frozen=True)
class Disk:
    """One compressed raw disk; `sha256` is that of the file."""

    name: str
    path: Path
    sha256: str

    def blocks(self) -> ZstDisk:
        return ZstDisk(self.path, BLOCK_SIZE)

    def survey(self) -> Survey:
        """Read the whole disk; raises IntegrityError when it is damaged."""
        blocks = self.blocks()
        checksums = {index: hashlib.sha256(block).digest() for index, block in blocks}
        return Survey(self, blocks.size, checksums)


@dataclass(frozen=True)
class Survey:
    """What of a disk has to be sent: SHA-256 of each block that is not zero, by its index in ascending order."""

    disk: Disk
    size: int
    checksums: dict[int, bytes]

    @property
    def volume_gib(self) -> int:
        return -(-self.size // _GIB)

    @property
    def sent_bytes(self) -> int:
        return len(self.checksums) * BLOCK_SIZE

    @property
    def aggregate(self) -> bytes:
        """The checksum of the whole snapshot: SHA-256 over all blocks' digests in order (CompleteSnapshot, LINEAR)."""
        return hashlib.sha256(b"".join(self.checksums.values())).digest()


@dataclass(frozen=True)
class Release:
    """One build, ready to be published."""

    product: str
    title: str
    version: str
    format_epoch: int
    build: str
    commit: str
    disks: dict[str, Disk]

    @property
    def image_name(self) -> str:
        """Name of the image when nobody gave one; an image's name is unique in its region and account."""
        # AWS takes no plus sign in the name of an image.
        return f"{self.product}-{self.build.replace('+', '-')}"

    @property
    def content(self) -> str:
        """Identity of both disks."""
        return hashlib.sha256("".join(disk.sha256 for disk in self.disks.values()).encode()).hexdigest()


def read(dist: Path, appliance: Appliance) -> Release:
    """The build in `dist`; raises NothingToPublish or IntegrityError."""
    names = Names.of(appliance)
    hint = "build the image: make image"
    try:
        facts = json.loads((dist / names.build_manifest).read_text(encoding="utf-8"))
        lines = (dist / CHECKSUMS).read_text(encoding="utf-8").splitlines()
        build, commit = facts["build_id"], facts["git_commit"] + ("-dirty" if facts["git_dirty"] else "")
    except FileNotFoundError as error:
        raise NothingToPublish(f"there is no {error.filename}", hint=hint) from error
    except (ValueError, KeyError) as error:
        raise IntegrityError(f"{dist / names.build_manifest} cannot be read: {error}", hint=hint) from error
    declared = {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}
    disks = {}
    for disk in DISKS:
        path = dist / names.raw(disk)
        if not path.is_file():
            raise NothingToPublish(f"there is no {path}", hint=hint)
        digest = file_sha256(path)
        if declared.get(path.name) != digest:
            raise IntegrityError(f"{path} is not what {CHECKSUMS} declares", hint=hint)
        disks[disk] = Disk(disk, path, digest)
    product = appliance.product
    epoch = appliance.disks.data.format_epoch
    return Release(product.name, product.title, product.version, epoch, build, commit, disks)

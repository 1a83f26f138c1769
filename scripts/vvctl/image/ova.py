"""Pack OVF, manifest and disks into an OVA, and read one back (DMTF DSP0243 1.1.0, sections 5.1 and 5.3)."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from lxml import etree

from vvctl.errors import IntegrityError
from vvctl.image import ovf
from vvctl.image.fingerprint import file_sha256
from vvctl.image.sign import check_signature

_MANIFEST_LINE = re.compile(r"SHA256\((?P<name>[^)]+)\)= (?P<digest>[0-9a-f]{64})")


def manifest(digests: dict[str, str]) -> bytes:
    """The manifest: a SHA-256 a file."""
    return "".join(f"SHA256({name})= {digest}\n" for name, digest in digests.items()).encode()


def write(ova: Path, descriptor: bytes, disks: Sequence[Path], epoch: int) -> None:
    """Write `ova`: descriptor, manifest, then `disks` in the order in which the descriptor refers to them."""
    name = ova.stem
    digests = {f"{name}.ovf": hashlib.sha256(descriptor).hexdigest()}
    digests |= {disk.name: file_sha256(disk) for disk in disks}
    with tarfile.open(ova, "w", format=tarfile.USTAR_FORMAT) as archive:

        def add(member: str, size: int, content: IO[bytes]) -> None:
            info = tarfile.TarInfo(member)
            info.size, info.mtime, info.mode = size, epoch, 0o644
            archive.addfile(info, content)

        add(f"{name}.ovf", len(descriptor), io.BytesIO(descriptor))
        listing = manifest(digests)
        add(f"{name}.mf", len(listing), io.BytesIO(listing))
        for disk in disks:
            with disk.open("rb") as content:
                add(disk.name, disk.stat().st_size, content)


def verify(ova: Path) -> list[str]:
    """Read an OVA back and return its members in their order.

    Raises IntegrityError when the order is wrong, a digest or size differs, a member is not in the manifest, a
    signature does not belong to the manifest, or the descriptor does not follow its schema.
    """
    found: dict[str, str] = {}
    sizes: dict[str, int] = {}
    texts: dict[str, bytes] = {}
    with tarfile.open(ova, "r:") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is None:
                raise IntegrityError(f"{ova.name}: {member.name} is no file")
            sizes[member.name] = member.size
            if member.name.endswith((".ovf", ".mf", ".cert")):
                texts[member.name] = content.read()
                found[member.name] = hashlib.sha256(texts[member.name]).hexdigest()
            else:
                found[member.name] = _digest(content)
    names = list(found)
    if [Path(name).suffix for name in names[:2]] != [".ovf", ".mf"]:
        raise IntegrityError(f"{ova.name} begins with {', '.join(names[:2])} instead of descriptor and manifest")
    signed = [names[2]] if len(names) > 2 and names[2].endswith(".cert") else []
    for certificate in signed:
        check_signature(texts[certificate], names[1], texts[names[1]])
    listed = dict(_MANIFEST_LINE.findall(texts[names[1]].decode()))
    expected = {name: digest for name, digest in found.items() if name not in {names[1], *signed}}
    if listed != expected:
        differing = sorted(name for name in listed.keys() | expected.keys() if listed.get(name) != expected.get(name))
        raise IntegrityError(f"{ova.name}: the manifest is wrong about {', '.join(differing)}")
    ovf.validate(texts[names[0]])
    _verify_references(ova, texts[names[0]], names[2 + len(signed) :], sizes)
    return names


def _digest(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := content.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _verify_references(ova: Path, descriptor: bytes, disks: list[str], sizes: dict[str, int]) -> None:
    files = etree.fromstring(descriptor).findall(f"{{{ovf.OVF}}}References/{{{ovf.OVF}}}File")
    referred = {file.get(f"{{{ovf.OVF}}}href"): file.get(f"{{{ovf.OVF}}}size") for file in files}
    if list(referred) != disks:
        raise IntegrityError(f"{ova.name} holds {disks}, its descriptor refers to {list(referred)}")
    wrong = [name for name in disks if referred[name] != str(sizes[name])]
    if wrong:
        raise IntegrityError(f"{ova.name}: the descriptor gives the wrong size for {', '.join(wrong)}")

"""An OVA as it is sent: checked first, then read member by member without unpacking it."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vvctl.errors import ConfigurationError
from vvctl.image import ova

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Member:
    """A file of the OVA: its place and size in bytes."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class Archive:
    """An OVA that is what its manifest says."""

    path: Path
    members: dict[str, Member]

    @classmethod
    def load(cls, path: Path) -> Archive:
        """Check `path` whole; raises ConfigurationError when there is none, IntegrityError when it is damaged."""
        try:
            names = ova.verify(path)
            with tarfile.open(path, "r:") as opened:
                found = {entry.name: entry for entry in opened}
        except (OSError, tarfile.TarError) as error:
            raise ConfigurationError(
                f"{path} cannot be read as an OVA: {error}", hint="`make image` builds dist/"
            ) from error
        return cls(path, {name: Member(name, found[name].offset_data, found[name].size) for name in names})

    @property
    def descriptor(self) -> str:
        """The text of the OVF."""
        return b"".join(self.blocks(next(iter(self.members)))).decode()

    @property
    def disks(self) -> list[Member]:
        return [member for name, member in self.members.items() if name.endswith(".vmdk")]

    def blocks(self, name: str) -> Iterator[bytes]:
        """The content of a member, in pieces."""
        member = self.members[name]
        with self.path.open("rb") as file:
            file.seek(member.offset)
            left = member.size
            while left:
                block = file.read(min(left, _BLOCK))
                if not block:
                    raise ConfigurationError(f"{self.path} became shorter while it was read")
                left -= len(block)
                yield block

    def digest(self, name: str) -> str:
        """The SHA-256 of a member; the manifest and the certificate are not in the manifest."""
        digest = hashlib.sha256()
        for block in self.blocks(name):
            digest.update(block)
        return digest.hexdigest()

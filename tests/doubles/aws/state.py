"""What the account holds: snapshots with their blocks in sparse files, and images."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .machines import Machines
from .refusal import Refusal

ACCOUNT = "123456789012"
BLOCK_SIZE = 512 << 10
BLOCKS_PER_GIB = (1 << 30) // BLOCK_SIZE
AWS_MANAGED_KEY = "alias/aws/ebs"


@dataclass
class Snapshot:
    id: str
    region: str
    size_gib: int
    file: Path
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    key: str | None = None
    timeout_s: float = 3600.0
    state: str = "pending"
    # Completion was asked for; it takes some looks until it is done.
    completing: int | None = None
    digests: dict[int, bytes] = field(default_factory=dict)
    tokens: dict[int, str] = field(default_factory=dict)
    shared_with: set[str] = field(default_factory=set)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    last_write: float = field(default_factory=time.monotonic)
    # Of one that CreateSnapshot made: which volume, and what was on it then; see machines.py.
    volume: str = ""
    content: Any = None

    def write(self, index: int, block: bytes) -> None:
        with self.file.open("r+b") as file:
            file.seek(index * BLOCK_SIZE)
            file.write(block)
        self.digests[index] = hashlib.sha256(block).digest()
        self.tokens[index] = hashlib.sha256(f"{self.id}/{index}".encode()).hexdigest()

    def read(self, index: int) -> bytes:
        with self.file.open("rb") as file:
            file.seek(index * BLOCK_SIZE)
            return file.read(BLOCK_SIZE).ljust(BLOCK_SIZE, b"\0")

    @property
    def aggregate(self) -> bytes:
        return hashlib.sha256(b"".join(digest for _, digest in sorted(self.digests.items()))).digest()

    def look(self) -> None:
        """Time passes when somebody looks, so that tests do not wait for it."""
        if self.state == "pending" and time.monotonic() > self.last_write + self.timeout_s:
            self.state = "error"
        if self.state == "pending" and self.completing is not None:
            self.completing -= 1
            if self.completing < 0:
                self.state = "completed"


@dataclass
class Image:
    id: str
    region: str
    name: str
    attributes: dict[str, Any]
    # By device: the Ebs structure of the mapping.
    devices: dict[str, dict[str, Any]]
    tags: dict[str, str] = field(default_factory=dict)
    shared_with: set[str] = field(default_factory=set)
    # Looks until it is available.
    pending: int = 1

    made: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def state(self) -> str:
        return "pending" if self.pending > 0 else "available"

    @property
    def snapshot_ids(self) -> set[str]:
        return {ebs["SnapshotId"] for ebs in self.devices.values()}


class Region:
    """One region of the account."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.snapshots: dict[str, Snapshot] = {}
        self.images: dict[str, Image] = {}
        # What a client token was first used for, and what came of it.
        self.tokens: dict[str, tuple[Any, Any]] = {}
        self.machines = Machines()
        # Keys that are there, but whose use is refused when a machine is switched on.
        self.unusable_keys: set[str] = set()
        # By service and code, as Service Quotas has them.
        self.quotas: dict[tuple[str, str], float] = {("ebs", "L-7A658B76"): 50.0}
        self.encrypts_by_default = False
        self.default_key = AWS_MANAGED_KEY

    def snapshot(self, identifier: str) -> Snapshot:
        if identifier not in self.snapshots:
            raise Refusal("InvalidSnapshot.NotFound", f"The snapshot '{identifier}' does not exist.")
        return self.snapshots[identifier]

    def image(self, identifier: str) -> Image:
        if identifier not in self.images:
            raise Refusal("InvalidAMIID.NotFound", f"The image id '[{identifier}]' does not exist")
        return self.images[identifier]


class Account:
    """All regions; `folder` keeps the bytes of the snapshots."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self._regions: dict[str, Region] = {}
        self._numbers = itertools.count(1)

    def region(self, name: str) -> Region:
        return self._regions.setdefault(name, Region(name))

    @property
    def regions(self) -> list[Region]:
        return list(self._regions.values())

    def new_id(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers):017x}"

    def new_snapshot(self, region: str, size_gib: int, **facts: Any) -> Snapshot:
        identifier = self.new_id("snap")
        file = self.folder / identifier
        file.touch()
        snapshot = Snapshot(identifier, region, size_gib, file, **facts)
        self.region(region).snapshots[identifier] = snapshot
        return snapshot

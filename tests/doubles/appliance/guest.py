"""What a system runs, and what is on a data disk, as far as an upgrade can tell from outside."""

from __future__ import annotations

import copy
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from enum import StrEnum

# What the guest counts only up to a point in time, because it grows with every request.
GROWING = ("audit",)


class Behaviour(StrEnum):
    """How a system goes wrong."""

    HEALTHY = "healthy"
    NEVER_READY = "never_ready"
    CRASH_LOOP = "crash_loop"
    # Half the migration is on the data disk when it stops.
    MIGRATION_FAILS = "migration_fails"
    # What it finds on the data disk is of another epoch than its own, so it touches nothing.
    WRONG_EPOCH = "wrong_epoch"
    # It is ready, and a record is missing.
    LOSES_RECORDS = "loses_records"
    # It takes no notice of the power button.
    HUNG_SHUTDOWN = "hung_shutdown"


@dataclass
class Data:
    """The content of a data disk. A snapshot of it is `copy()`."""

    format_epoch: int = 1
    schema_revision: str = "0001"
    maintenance: bool = False
    records: dict[str, list[str]] = field(
        default_factory=lambda: {
            "speakers": ["anna", "boris", "chloe"],
            "profiles": ["mixed"],
            "pbx": ["head office"],
            "settings": ["advertised_address=192.0.2.7"],
            "licence": ["150 calls"],
            "audit": ["appliance set up"],
        }
    )

    def copy(self) -> Data:
        return copy.deepcopy(self)

    def kept(self) -> dict[str, list[str]]:
        """The records that an upgrade may not change."""
        return {kind: list(found) for kind, found in self.records.items() if kind not in GROWING}


@dataclass(frozen=True)
class Version:
    """A release: what it is called, and what it writes."""

    number: str = "1.0.0"
    format_epoch: int = 1
    schema_revision: str = "0001"


A, B = Version(), Version("1.1.0", 2, "0002")


class Guest:
    """One system's software. The platform's double tells it of power and of the power button."""

    def __init__(
        self,
        version: Version = A,
        behaviour: Behaviour = Behaviour.HEALTHY,
        *,
        boot_s: float = 0.2,
        shutdown_s: float = 0.2,
    ) -> None:
        self.version = version
        self.behaviour = behaviour
        # Streams that are open; none survives the system.
        self.streams = 0
        self.boot = ""
        self._data: Data | None = None
        self._boot_s, self._shutdown_s = boot_s, shutdown_s
        self._on_at = 0.0
        self._off_at: float | None = None

    def power_on(self, data: Data | None) -> None:
        """Start, with the data disk that is attached; it is migrated, or spoilt, at once."""
        self.boot, self.streams = secrets.token_hex(8), 0
        self._on_at, self._off_at = time.monotonic(), None
        self._data = data
        if data is None or self._refuses(data) or self.behaviour is Behaviour.NEVER_READY:
            return
        if self.behaviour is Behaviour.MIGRATION_FAILS:
            data.schema_revision = f"{self.version.schema_revision}, half"
            data.records["speakers"].pop()
        elif self.behaviour is Behaviour.CRASH_LOOP:
            data.records["settings"].append("crashed")
        else:
            data.format_epoch, data.schema_revision = self.version.format_epoch, self.version.schema_revision
            if self.behaviour is Behaviour.LOSES_RECORDS:
                data.records["speakers"].pop()

    def power_off(self) -> None:
        """The power is cut."""
        self._data, self.streams = None, 0

    def power_button(self) -> None:
        """Shut down in order; `shut_down` tells when it is done."""
        if self.behaviour is not Behaviour.HUNG_SHUTDOWN and self._off_at is None:
            self._off_at = time.monotonic() + self._shutdown_s

    @property
    def shut_down(self) -> bool:
        """Whether it has switched itself off, so that the platform shows it as off."""
        return self._off_at is not None and time.monotonic() >= self._off_at

    @property
    def data(self) -> Data | None:
        """The data disk as its service sees it, once it has started; None while nobody answers."""
        up_s = time.monotonic() - self._on_at
        if self._data is None or self._off_at is not None or up_s < self._boot_s:
            return None
        # Up for half a second, then down for as long.
        if self.behaviour is Behaviour.CRASH_LOOP and int(up_s / 0.5) % 2:
            return None
        return self._data

    @property
    def ready(self) -> bool:
        data = self.data
        return (
            data is not None
            and self.behaviour not in {Behaviour.NEVER_READY, Behaviour.CRASH_LOOP, Behaviour.WRONG_EPOCH}
            and (data.format_epoch, data.schema_revision) == (self.version.format_epoch, self.version.schema_revision)
        )

    def _refuses(self, data: Data) -> bool:
        return (
            self.behaviour is Behaviour.WRONG_EPOCH
            or data.format_epoch > self.version.format_epoch
            or data.schema_revision > self.version.schema_revision
        )


def inventory(guest: Guest, data: Data, through: int | None) -> dict[str, object]:
    """The document of GET /maintenance/inventory."""
    upto = len(data.records["audit"]) if through is None else through
    counted = {kind: found[:upto] if kind in GROWING else found for kind, found in data.records.items()}
    return {
        "format": 1,
        "version": guest.version.number,
        "format_epoch": data.format_epoch,
        "schema_revision": data.schema_revision,
        "boot": guest.boot,
        "ready": guest.ready,
        "through": str(upto),
        "records": {
            kind: {"count": len(found), "sha256": hashlib.sha256(json.dumps(found).encode()).hexdigest()}
            for kind, found in sorted(counted.items())
        },
    }

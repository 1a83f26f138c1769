"""What an upgrade is about: which machine, which disk, which OVA, and how the vCenter is reached."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from vvctl.errors import ConfigurationError
from vvctl.publish.vmware.connection import Credentials, Server

USER_VARIABLE, PASSWORD_VARIABLE = "VV_VSPHERE_USER", "VV_VSPHERE_PASSWORD"
_SHOWN = ("machine", "data_disk")


@dataclass(frozen=True)
class Facts:
    """As they are written into the journal. Objects of vCenter are named by their managed object ids."""

    host: str
    port: int
    ca_file: str
    thumbprint: str
    datacenter: str
    folder: str
    name: str
    vm: str
    # Where the data disk is: its UUID, the datastore, its file, and the place at its controller.
    disk_uuid: str
    disk_file: str
    disk_label: str
    datastore: str
    unit: int
    # What the appliance is reached by, and who chose it.
    address: str
    address_type: str
    ova: str
    # SHA-256 of the OVA's manifest, which has those of all its files.
    ova_digest: str
    version: str
    format_epoch: int
    # Who upgrades, for others to read.
    by: str

    def as_json(self) -> dict[str, Any]:
        """With what is shown to a person."""
        return {
            **asdict(self),
            "machine": f"{self.name} ({self.vm})",
            "data_disk": f"{self.disk_label}, {self.disk_file}",
        }

    @classmethod
    def of(cls, found: dict[str, Any]) -> Self:
        return cls(**{key: value for key, value in found.items() if key not in _SHOWN})

    @property
    def server(self) -> Server:
        return Server(self.host, self.port, Path(self.ca_file) if self.ca_file else None, self.thumbprint)


def credentials() -> Credentials:
    """From the environment: a resumed upgrade needs them as well, and nothing of them is written down.

    Raises ConfigurationError.
    """
    missing = [name for name in (USER_VARIABLE, PASSWORD_VARIABLE) if not os.environ.get(name)]
    if missing:
        raise ConfigurationError(
            f"{' and '.join(missing)} must be set", hint="the vCenter's user, written user@domain, and the password"
        )
    return Credentials(os.environ[USER_VARIABLE], os.environ[PASSWORD_VARIABLE])

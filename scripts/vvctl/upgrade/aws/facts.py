"""What an upgrade is about: which machine, which disks, which image."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Facts:
    """As they are written into the journal; all ids are EC2's."""

    region: str
    zone: str
    instance: str
    name: str
    root_device: str
    data_device: str
    # The root volume before the upgrade, and whether EC2 deletes it with the instance.
    root_volume: str
    root_ends_with_machine: bool
    data_volume: str
    data_ends_with_machine: bool
    image: str
    image_name: str
    # The image's root snapshot.
    snapshot: str
    version: str
    format_epoch: int
    # Who upgrades, for others to read.
    by: str

    def as_json(self) -> dict[str, Any]:
        """With what is shown to a person."""
        return {
            **asdict(self),
            "machine": f"{self.name} ({self.instance})" if self.name else self.instance,
            "data_disk": self.data_volume,
        }

    @classmethod
    def of(cls, found: dict[str, Any]) -> Self:
        return cls(**{key: value for key, value in found.items() if key not in {"machine", "data_disk"}})

    @property
    def machine(self) -> str:
        name: str = self.as_json()["machine"]
        return name

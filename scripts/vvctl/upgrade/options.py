"""What a person may choose for an upgrade."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Canary:
    """A speaker who is enrolled, and another recording of that voice."""

    speaker: str
    recording: Path


@dataclass(frozen=True)
class Options:
    """`drain_s`: how long running calls may go on; after that they are ended when `force_off`, else it is given up.

    The deadlines are for a guest that shuts down, and for one that starts and migrates its data.
    """

    drain_s: float = 600.0
    force_off: bool = False
    canaries: list[Canary] = field(default_factory=list)
    shutdown_s: float = 180.0
    start_s: float = 900.0
    poll_s: float = 1.0

    def document(self) -> dict[str, Any]:
        """For the journal."""
        return asdict(self) | {"canaries": [[canary.speaker, str(canary.recording)] for canary in self.canaries]}

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """Those of a document."""
        canaries = [Canary(speaker, Path(recording)) for speaker, recording in document["canaries"]]
        return cls(**(document | {"canaries": canaries}))

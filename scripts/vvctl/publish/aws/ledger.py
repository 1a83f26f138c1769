"""What a publication's journal says: which snapshots were begun, and which blocks AWS has acknowledged."""

from __future__ import annotations

import uuid
from pathlib import Path
from urllib.parse import quote

from vvctl.errors import VvctlError
from vvctl.journal import Journal
from vvctl.publish.aws.plan import Plan
from vvctl.publish.aws.release import Release


class OtherPublication(VvctlError):
    """The journal is of an image of this name with other content or another encryption."""

    code = "other_publication"


def journal_path(folder: Path, account: str, region: str, name: str) -> Path:
    """Where the journal of the image `name` is kept."""
    return folder / f"aws-{account}-{region}-{quote(name, safe='')}.journal"


class Ledger:
    """One publication.

    Its identity is drawn once; client tokens are derived from it, so a lost answer can be asked for again.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @property
    def publication(self) -> str | None:
        """The identity; None when nothing was begun."""
        return self._journal.records[0]["publication"] if self._journal.records else None

    def begin(self, plan: Plan, release: Release, publication: str | None = None) -> str:
        """Begin, or go on with, publishing `release`; returns the identity, which `publication` may give.

        Raises OtherPublication.
        """
        header = {
            "event": "begun",
            "image": plan.name,
            "region": plan.region,
            "content": release.content,
            "encrypted": plan.encrypted,
            "kms_key": plan.kms_key,
        }
        if not self._journal.records:
            self._journal.append({**header, "publication": publication or str(uuid.uuid4())})
        begun = self._journal.records[0]
        if differing := [key for key, value in header.items() if begun[key] != value]:
            raise OtherPublication(
                f"{plan.name} was begun in {plan.region} with another {', '.join(differing)}",
                hint="give another --name, or remove what was begun: vvctl unpublish aws",
            )
        return str(begun["publication"])

    def token(self, *parts: object) -> str:
        """A client token: the same for the same step of this publication."""
        return str(uuid.uuid5(uuid.UUID(self.publication), "/".join(map(str, parts))))

    def attempt(self, disk: str) -> int:
        """How many snapshots of `disk` expired before the one that is written now."""
        return sum(record["event"] == "expired" and record["disk"] == disk for record in self._journal.records)

    def snapshot(self, disk: str) -> str | None:
        """The snapshot of `disk` that is written or complete."""
        for record in reversed(self._journal.records):
            if record.get("disk") == disk:
                return record["snapshot"] if record["event"] == "started" else None
        return None

    def started(self, disk: str, snapshot: str) -> None:
        self._journal.append({"event": "started", "disk": disk, "snapshot": snapshot})

    def expired(self, disk: str, snapshot: str) -> None:
        self._journal.append({"event": "expired", "disk": disk, "snapshot": snapshot})

    def arrived(self, snapshot: str) -> set[int]:
        """The blocks of `snapshot` that need not be sent again."""
        return {
            record["index"]
            for record in self._journal.records
            if record["event"] == "block" and record["snapshot"] == snapshot
        }

    def block(self, snapshot: str, index: int) -> None:
        # Lost with the power, a block is only sent once more.
        self._journal.append({"event": "block", "snapshot": snapshot, "index": index}, durable=False)

    def copying(self, region: str) -> None:
        """A copy to `region` is about to be begun."""
        self._journal.append({"event": "copying", "region": region})

    @property
    def copies(self) -> list[str]:
        """Regions where a copy may be."""
        return [record["region"] for record in self._journal.records if record["event"] == "copying"]

    def forget(self) -> None:
        self._journal.remove()

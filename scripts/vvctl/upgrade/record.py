"""What an upgrade writes down: who and what, decisions, and how long each state took. Never what the world is like."""

from __future__ import annotations

import errno
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vvctl.errors import VvctlError
from vvctl.journal import Journal
from vvctl.upgrade.history import JOURNAL, Before, Decision, History

# Given up when the disk is full, so that an upgrade under way can go on to its end or back; it writes a tenth of this.
_RESERVE_BYTES = 256 << 10


class JournalFull(VvctlError):
    """There is no room to write down what is done next, so it is not done."""

    code = "journal_full"
    exit_status = 3


class UpgradeRecord(History):
    """The journal of one upgrade, in `directory` together with its backup."""

    def __init__(self, directory: Path) -> None:
        """Raises JournalInUse while another process works on this upgrade, JournalDamaged, and JournalFull."""
        self.directory = directory
        self._reserve = directory / "reserve"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._journal = Journal(directory / JOURNAL)
        except OSError as error:
            raise self._full(error) from error
        super().__init__(self._journal.records)

    def begin(self, provider: str, facts: dict[str, Any], settings: dict[str, Any]) -> None:
        """Write down what is upgraded, with which image; the first record. Raises JournalFull."""
        try:
            # Nothing that a file system could shrink.
            with self._reserve.open("wb") as file:
                file.write(secrets.token_bytes(_RESERVE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._reserve.unlink(missing_ok=True)
            raise self._full(error) from error
        self._append(
            kind="begun", id=secrets.token_hex(8), by=_operator(), provider=provider, facts=facts, settings=settings
        )
        _make_durable(self.directory)
        _make_durable(self.directory.parent)

    def open(self) -> None:
        """Write down who works on it now, for `status`. Raises JournalFull."""
        self._append(kind="opened", host=os.uname().nodename, pid=os.getpid(), by=_operator())

    def note_before(self, before: Before) -> None:
        self._append(kind="before", before=vars(before))

    def decide(self, decision: Decision, why: str = "") -> None:
        """Write it down, once; it is on the disk when this returns. Raises JournalFull."""
        if not self.decided(decision):
            self._append(kind="decision", decision=decision, why=why)

    def enter(self, state: str) -> None:
        self._append(kind="entered", state=state)

    def leave(self, state: str, seconds: float) -> None:
        self._append(kind="left", state=state, seconds=round(seconds, 3))

    def close(self) -> None:
        if self.records and self.decided(Decision.ENDED):
            self._reserve.unlink(missing_ok=True)
        self._journal.close()

    def _append(self, **record: Any) -> None:
        record["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            self._journal.append(record)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT} or not self._reserve.exists():
                raise self._full(error) from error
            self._reserve.unlink()
            self._append(**record)

    def _full(self, error: OSError) -> JournalFull:
        return JournalFull(
            f"{self.directory} cannot be written: {error.strerror}",
            hint="make room there, then `vvctl upgrade resume`; until then nothing more is done",
        )


def _make_durable(directory: Path) -> None:
    """Have the names in it survive a power loss."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _operator() -> str:
    """Who does it, for others to read: account and computer."""
    return f"{os.environ.get('SUDO_USER') or os.environ.get('USER') or os.getuid()}@{os.uname().nodename}"

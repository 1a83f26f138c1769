"""What can go wrong with a backup."""

from __future__ import annotations

from vvctl.errors import VvctlError


class BackupExists(VvctlError):
    """A file is in the way; nothing was written over."""

    code = "backup_exists"


class BackupUnreadable(VvctlError):
    """The file is no backup, is damaged, or is for the owner of another key."""

    code = "backup_unreadable"


class BackupUnwritable(VvctlError):
    """The file cannot be written where it was wanted."""

    code = "backup_unwritable"


class CallsGoOn(VvctlError):
    """Calls did not end in time."""

    code = "calls_go_on"

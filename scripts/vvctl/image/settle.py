"""Take out of a provisioned root file system what differs from build to build: times and traces of single runs.

What cannot be taken out is listed, with reasons, in docs/reproducible.md.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from vvctl.image.workspace import remove_tree

_DAY_S = 24 * 60 * 60
# What the running system makes anew: inode numbers and times of libraries, private folders of units.
_REMOVED = ("var/cache/ldconfig/aux-cache", "var/cache/debconf/*-old", "var/lib/dpkg/*-old", "etc/*-", "var/tmp/*")


def settle(rootfs: Path, epoch: int) -> None:
    """Make `rootfs` what it would be had it been built in the second `epoch` (seconds since 1970).

    Files keep an older time that their package gave them, as reproducible-builds.org asks for archives.
    """
    for pattern in _REMOVED:
        for path in rootfs.glob(pattern):
            remove_tree(path)
    _settle_accounts(rootfs / "etc/shadow", epoch // _DAY_S)
    for name in ("etc/.updated", "var/.updated"):
        _settle_update_stamp(rootfs / name, epoch)
    _settle_debconf(rootfs / "var/cache/debconf/config.dat")
    for folder, names, files in os.walk(rootfs):
        for name in (*names, *files):
            _clamp_time(Path(folder) / name, epoch)
    _clamp_time(rootfs, epoch)


def _settle_accounts(shadow: Path, day: int) -> None:
    """The third field is the day of the last change of a password (shadow(5)): of the build, for accounts it made."""
    lines = []
    for line in shadow.read_text(encoding="utf-8").splitlines():
        fields = line.split(":")
        if fields[2].isdigit():
            fields[2] = str(min(int(fields[2]), day))
        lines.append(":".join(fields))
    _rewrite(shadow, "".join(f"{line}\n" for line in lines))


def _settle_update_stamp(stamp: Path, epoch: int) -> None:
    """What systemd compares with the time of /usr: must /etc and /var follow? See systemd-update-done(8)."""
    if stamp.exists():
        text = stamp.read_text(encoding="utf-8")
        _rewrite(stamp, re.sub(r"(?m)^TIMESTAMP_NSEC=\d+$", f"TIMESTAMP_NSEC={epoch}000000000", text))


def _settle_debconf(answers: Path) -> None:
    """The name of a temporary file, which ucf leaves among debconf's answers."""
    if answers.exists():
        _rewrite(answers, re.sub(r"(?m)^ NEW = /tmp/.*\n", "", answers.read_text(encoding="utf-8")))


def _rewrite(file: Path, text: str) -> None:
    """Give an existing file another content; owner and mode stay, and its time is clamped with all others."""
    file.write_text(text, encoding="utf-8")


def _clamp_time(path: Path, epoch: int) -> None:
    """No change is newer than `epoch`, no access older: reading makes newer ones, which mke2fs writes as `epoch`."""
    status, limit = path.lstat(), epoch * 1_000_000_000
    accessed, changed = max(status.st_atime_ns, limit), min(status.st_mtime_ns, limit)
    if (accessed, changed) != (status.st_atime_ns, status.st_mtime_ns):
        os.utime(path, ns=(accessed, changed), follow_symlinks=False)

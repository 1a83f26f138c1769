"""Debian's newest Asterisk in a root file system of its own: nothing of it is installed on this machine."""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from pathlib import Path

from vvctl.image.run import run
from vvctl.image.sources import KEYRING, apt_sources
from vvctl.image.workspace import remove_tree, replace_tree

# bookworm and trixie were released without Asterisk.
SUITE = "sid"
PACKAGES = ("asterisk", "ca-certificates", "nginx-light")
# Where a program in it finds its folder of this machine.
HOME = "/srv"
AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"
# The mounts end with the program: `unshare` gives it a mount namespace of its own.
_ENTER = f"""
root=$1 home=$2 authority=$3
shift 3
mount --bind "$home" "$root{HOME}"
mount --bind "$authority" "$root/{AUTHORITIES}"
mount -t proc proc "$root/proc"
exec chroot "$root" "$@"
"""


class Root:
    """The root file system below `cache`, made once (1 min, 300 MB); remove it there for a newer Asterisk."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / f"asterisk-{SUITE}"
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / f"asterisk-{SUITE}.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._folder.exists():
                _make(self._folder)
        self.asterisk_etc = self._folder / "etc" / "asterisk"
        self.version = run(["chroot", self._folder, "asterisk", "-V"]).strip()

    def command(self, home: Path, authority: Path, command: Sequence[str]) -> list[str]:
        """What runs `command` in it, with `home` as /srv and `authority` as all that it trusts."""
        enter = ("unshare", "--mount", "--propagation", "private", "sh", "-euc", _ENTER, "sh")
        return [*enter, str(self._folder), str(home), str(authority), *command]


def _make(folder: Path) -> None:
    partial = folder.with_name(f"{folder.name}.partial")
    remove_tree(partial)
    archive = apt_sources(SUITE)[0].uri
    run(
        [
            *("mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
            '--aptopt=APT::Install-Recommends "false"',
            '--aptopt=Acquire::Retries "5"',
            # sid's index is valid for a week only, and a mirror may be older; its signature is checked all the same.
            '--aptopt=Acquire::Check-Valid-Until "false"',
            *(f"--dpkgopt=path-exclude=/usr/share/{left_out}/*" for left_out in ("man", "locale", "doc")),
            # Names are asked of the host that the program runs on.
            """--customize-hook=echo "nameserver 127.0.0.1" > "$1/etc/resolv.conf" """.strip(),
            *(SUITE, partial, f"deb [signed-by={KEYRING}] {archive} {SUITE} main"),
        ],
        log=folder.with_suffix(".log"),
    )
    replace_tree(partial, folder)

"""What may end a build early, a person or a full disk, and how it ends then."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vvctl.errors import CommandFailed, VvctlError
from vvctl.image.run import end_all
from vvctl.signals import handled

_FULL = (errno.ENOSPC, errno.EDQUOT)
# strerror(3) of both; the programs that are run print it.
_FULL_TEXTS = ("No space left on device", "Disk quota exceeded")


class DiskFull(VvctlError):
    """There was no room for what the build writes."""

    code = "disk_full"


@contextmanager
def ends_on_signals() -> Iterator[None]:
    """Let Ctrl-C and a polite kill end the build with the container gone, also where a shell ignores Ctrl-C for it.

    Raises KeyboardInterrupt where the build is. Once: cleaning up takes some seconds, and a second Ctrl-C would leave
    the container behind.
    """
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(_number: int, _frame: object) -> None:
        for number in ending:
            signal.signal(number, signal.SIG_IGN)
        end_all()
        raise KeyboardInterrupt

    with handled(interrupt, *ending):
        yield


@contextmanager
def tells_full_disk(folder: Path) -> Iterator[None]:
    """Turn every way in which a full disk shows itself into DiskFull, which says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise _full(folder) from error
    except CommandFailed as error:
        if not any(text in error.message for text in _FULL_TEXTS):
            raise
        raise _full(folder) from error


def _full(folder: Path) -> DiskFull:
    return DiskFull(
        f"there is no room left for {folder}; dist/ is as it was",
        hint="make room and run it again; `vvctl image clean` removes what earlier builds left",
    )

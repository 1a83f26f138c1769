"""Python loads this first where its directory is on the path: faults in what vvctl asks of the operating system.

Python announces such calls as audit events, before they are made; whoever listens may refuse. The calls that change the
machine in $VV_TEST_MACHINE are written to $VV_TEST_CALLS, a line each; $VV_TEST_FAULT says what happens to which.
"""

import errno
import os
import re
import signal
import sys
import time
from pathlib import Path

_MACHINE, _CALLS, _FAULT = (os.environ.get(f"VV_TEST_{name}", "") for name in ("MACHINE", "CALLS", "FAULT"))
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_PATH_EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "shutil.rmtree")
_SLOW_S = 2.0
_ID = re.compile(r"[0-9a-f]{16}")
_state = {"busy": False, "dying": False}


def _listen(event, given):
    if _state["busy"]:
        return
    if _state["dying"]:
        _die()
    if event not in _PATH_EVENTS and event not in {"open", "subprocess.Popen", "socket.connect", "os.kill"}:
        return
    call = _mutation(event, given)
    if call is None:
        return
    _state["busy"] = True
    try:
        _strike(_counted(call), call)
    finally:
        _state["busy"] = False


def _mutation(event, given):  # noqa: PLR0911 - a case a line
    """What the call does to the machine, in a word or two; None for nothing."""
    if event == "os.kill":
        return "kill" if given[1] else None
    if event == "socket.connect":
        return "qmp" if str(given[1]).endswith("qmp.sock") else None
    if event == "subprocess.Popen":
        words = [str(word) for word in given[1]]
        if "-daemonize" in words:
            return "qemu"
        changes = {"create", "convert", "rebase"} & set(words)
        return f"qemu-img {changes.pop()}" if "qemu-img" in words and changes else None
    # Of a link, the name that is made.
    path = os.fsdecode(given[1 if event in {"os.symlink", "os.link"} else 0]) if not isinstance(given[0], int) else ""
    if not path.startswith(_MACHINE) or "/ova" in path:
        return None
    if event == "open" and not (isinstance(given[2], int) and given[2] & _WRITES):
        return None
    # The same call has the same name in every upgrade.
    return f"{event.partition('.')[2] or event} {_ID.sub('ID', path.rpartition('/')[2])}"


def _counted(call):
    """The number of the call."""
    descriptor = os.open(_CALLS, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, call.encode() + b"\n")
    os.lseek(descriptor, 0, os.SEEK_SET)
    number = os.read(descriptor, 1 << 20).count(b"\n")
    os.close(descriptor)
    return number


def _strike(number, call):
    try:
        kind, nth = Path(_FAULT).read_text(encoding="ascii").split()
    except FileNotFoundError:
        return
    if int(nth) != number:
        return
    if kind == "refuse":
        raise PermissionError(errno.EACCES, "refused by the test", call)
    if kind == "unavailable":
        raise BlockingIOError(errno.EAGAIN, "not now, says the test", call)
    if kind == "slow":
        time.sleep(_SLOW_S)
    if kind == "kill_before":
        _die()
    # The next call of any kind comes when this one has been made.
    _state["dying"] = kind == "kill_after"


def _die():
    _state["busy"] = True
    os.kill(os.getpid(), signal.SIGKILL)


if _MACHINE:
    sys.addaudithook(_listen)

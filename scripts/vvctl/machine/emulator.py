"""Which QEMU runs the guest, and how: on the processor (KVM), or translated (TCG) by a version that does it right."""

from __future__ import annotations

import fcntl
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from vvctl.image.sources import apt_sources
from vvctl.image.workspace import remove_tree, replace_tree
from vvctl.machine.errors import require, run

PROGRAM = "qemu-system-x86_64"
_PACKAGE = "qemu-system-x86"
# linux/kvm.h: the ioctl KVM_GET_API_VERSION has answered 12 since Linux 2.6.22.
_KVM_GET_API_VERSION = 0xAE00
_KVM_API_VERSION = 12
# Before 8.0 TCG leaves rubbish in the flags after cmpxchg16b, which Linux has in its memory allocator: an interrupt at
# that instruction ends in a double fault of the guest (seen with 7.2 in one of three boots). The processor cannot be
# given without that instruction either, because numpy needs it.
_SOUND_TRANSLATION = 8


@dataclass(frozen=True)
class Emulator:
    """How QEMU is called, and how patient one has to be with it."""

    name: str
    command: tuple[str, ...]
    arguments: tuple[str, ...]
    # Every time limit is given for a guest at native speed and multiplied by this.
    patience: int


def choose(cache: Path, suite: str) -> Emulator:
    """KVM where it works, else TCG of this machine's QEMU, else of the one in Debian `suite`, unpacked into `cache`.

    Raises MissingTool or CommandFailed.
    """
    if _kvm_works():
        require(PROGRAM, package=_PACKAGE)
        return Emulator("kvm", (PROGRAM,), ("-accel", "kvm", "-machine", "q35", "-cpu", "host"), patience=1)
    command = (PROGRAM,) if _installed_version() >= _SOUND_TRANSLATION else _unpacked(cache / f"qemu-{suite}", suite)
    # la57=off: five-level page tables double the cost of a translated page walk.
    arguments = ("-accel", "tcg,thread=multi,tb-size=512", "-machine", "q35", "-cpu", "max,la57=off")
    # Computing is 25 times slower, but most of a boot waits for something else.
    return Emulator("tcg", command, arguments, patience=10)


def _kvm_works() -> bool:
    """Whether KVM runs guests.

    The device file alone proves nothing: a virtual machine without nested virtualization may have it as well,
    so the processor has to offer svm (AMD) or vmx (Intel), and the device has to answer.
    """
    flags = set(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split())
    if not flags & {"svm", "vmx"}:
        return False
    try:
        with Path("/dev/kvm").open("rb+", buffering=0) as device:
            return fcntl.ioctl(device, _KVM_GET_API_VERSION) == _KVM_API_VERSION
    except OSError:
        return False


def _installed_version() -> int:
    """Major version of this machine's QEMU; 0 without one."""
    if shutil.which(PROGRAM) is None:
        return 0
    found = re.search(r"version (\d+)\.", run([PROGRAM, "--version"], package=_PACKAGE))
    return int(found[1]) if found else 0


def _unpacked(folder: Path, suite: str) -> tuple[str, ...]:
    """The command for the QEMU of `suite` in `folder`, which is filled once (10 s, 170 MB) and changes nothing else."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Others may want it at the same moment: they wait, and find it.
        with folder.with_suffix(".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                _unpack(folder, suite)
    usr = folder / "usr"
    # Its own loader and libraries: those of this machine may be older.
    return (
        *(str(usr / "lib64/ld-linux-x86-64.so.2"), "--library-path", str(usr / "lib/x86_64-linux-gnu")),
        *(str(usr / "bin" / PROGRAM), "-L", str(usr / "share/qemu"), "-L", str(usr / "share/seabios")),
    )


def _unpack(folder: Path, suite: str) -> None:
    print(f"unpacking the QEMU of Debian {suite} into {folder}: this machine's is missing, or too old to emulate")
    partial = folder.with_name(f"{folder.name}.partial")
    remove_tree(partial)
    sources = [line for source in apt_sources(suite) for line in source.lines]
    run(
        [
            *("mmdebstrap", "--variant=extract", "--aptopt=APT::Install-Recommends false"),
            *(f"--include={_PACKAGE}", suite, str(partial), *sources),
        ],
        package="mmdebstrap",
    )
    replace_tree(partial, folder)

"""How QEMU runs the guest's instructions on this host: on the processor (KVM) or translated (TCG)."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass
from pathlib import Path

# linux/kvm.h: the ioctl KVM_GET_API_VERSION has answered 12 since Linux 2.6.22.
_KVM_GET_API_VERSION = 0xAE00
_KVM_API_VERSION = 12


@dataclass(frozen=True)
class Acceleration:
    """QEMU's arguments for one way to run a guest, and how patient one has to be with it."""

    name: str
    arguments: tuple[str, ...]
    # Every time limit is given for a guest at native speed and multiplied by this.
    patience: int


KVM = Acceleration("kvm", ("-accel", "kvm", "-machine", "q35", "-cpu", "host"), patience=1)
# la57=off: five-level page tables double the cost of a translated page walk.
# cx16=off: QEMU 7.2 computes the flags after cmpxchg16b from a stale operand; an interrupt at that very instruction,
# which Linux has in its memory allocator, then ends in a double fault (seen in one of three boots).
# Translated code is 10 to 25 times slower, most of a boot waits for something else.
TCG = Acceleration(
    "tcg",
    ("-accel", "tcg,thread=multi,tb-size=512", "-machine", "q35", "-cpu", "max,la57=off,cx16=off"),
    patience=8,
)


def probe() -> Acceleration:
    """KVM where it works, else TCG.

    The device file alone proves nothing: a virtual machine without nested virtualization may have it as well,
    so the processor has to offer svm (AMD) or vmx (Intel), and the device has to answer.
    """
    flags = set(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split())
    if not flags & {"svm", "vmx"}:
        return TCG
    try:
        with Path("/dev/kvm").open("rb+", buffering=0) as device:
            works = fcntl.ioctl(device, _KVM_GET_API_VERSION) == _KVM_API_VERSION
    except OSError:
        works = False
    return KVM if works else TCG

"""Where properties come from. The first source that has any wins; they are never mixed."""

from __future__ import annotations

from ..environment import Environment, Unreadable
from ..programs import output

VMWARE, EC2 = "vmware", "amazon"


def find(*, network: bool) -> Environment | None:
    """What the platform, or else a disc, says about this machine; None when nothing does.

    EC2 is asked over the network: without one the answer is pending.
    """
    platform = output(["systemd-detect-virt", "--vm"]).strip()
    # Imported when needed: on a slow machine each takes its time.
    if platform == EC2:
        from . import imds  # noqa: PLC0415

        if not network:
            return Environment(imds.SOURCE, pending=True, assigns_addresses=True)
        try:
            return imds.read()
        except Unreadable as error:
            return Environment(imds.SOURCE, problem=str(error), assigns_addresses=True)
    if platform == VMWARE:
        from . import guestinfo  # noqa: PLC0415

        found = guestinfo.read()
        if found:
            return found
    from . import disc, nocloud  # noqa: PLC0415

    return disc.read() or nocloud.read()

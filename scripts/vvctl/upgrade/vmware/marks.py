"""What an upgrade leaves on machines, in their extra configuration, so that it is found again without the journal."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

# Of the old machine: whose upgrade is under way, and who runs it.
LOCK, LOCK_BY = "vvctl.upgrade.lock", "vvctl.upgrade.lock.by"
# Of the new one: the upgrade that made it, and the instance UUID of the machine that it replaces.
MADE_BY, REPLACES = "vvctl.upgrade.made-by", "vvctl.upgrade.replaces"
# All that belongs to it is there.
STAGED = "vvctl.upgrade.staged"
# The data disk is again as it was before the new machine's first start.
RESTORED = "vvctl.upgrade.restored"
# The new machine is in charge.
ACTIVE = "vvctl.upgrade.active"
# Of the old one, then: until the upgrade is final there is a way back to it.
FORMER = "vvctl.upgrade.former"
# What people see in the vSphere client.
ATTRIBUTE = "Voice Verify upgrade"
# Of the upgrade's id, in names.
_SHORT = 8
# vCenter takes 80 characters.
_LONGEST = 80


def option(key: str, value: str) -> Any:
    """For a configuration; an empty value takes the mark away."""
    return vim.option.OptionValue(key=key, value=value)


def snapshot_name(upgrade: str) -> str:
    return f"vvctl upgrade {upgrade}"


def staged_name(name: str, upgrade: str) -> str:
    """What the new machine is called until it is in charge."""
    return _with(name, f".new-{upgrade[:_SHORT]}")


def former_name(name: str, upgrade: str) -> str:
    """What the old machine is called from then on."""
    return _with(name, f".old-{upgrade[:_SHORT]}")


def _with(name: str, ending: str) -> str:
    return name[: _LONGEST - len(ending)] + ending

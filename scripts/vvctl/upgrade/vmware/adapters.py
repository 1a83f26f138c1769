"""The identity: the MAC address by which a network knows the appliance.

vCenter overrides an address that it has assigned to two machines, so it is taken from one before the other gets it.
"""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from vvctl.upgrade.errors import ProviderError
from vvctl.upgrade.vmware import hands
from vvctl.upgrade.vmware.facts import Facts
from vvctl.upgrade.vmware.session import Session
from vvctl.upgrade.vmware.view import Machine

_Operation = vim.vm.device.VirtualDeviceSpec.Operation
_ASSIGNED = "assigned"


def has_identity(machine: Machine | None, facts: Facts) -> bool:
    """Whether it would be reached once it runs."""
    return machine is not None and any(
        _same(adapter, facts) and adapter.connectable.startConnected for adapter in machine.adapters
    )


def give_up(session: Session, machine: Machine, facts: Facts) -> None:
    """Disconnect it, with an address of its own."""
    adapter = _adapter(machine)
    if not _same(adapter, facts) and not adapter.connectable.startConnected:
        return
    if _same(adapter, facts):
        # An empty one is chosen by vCenter.
        adapter.addressType, adapter.macAddress = _ASSIGNED, ""
    _change(session, f"disconnecting {machine.name}", machine, adapter, connected=False)


def take(session: Session, machine: Machine, facts: Facts) -> None:
    """Connect it, with the appliance's address."""
    if has_identity(machine, facts):
        return
    adapter = _adapter(machine)
    adapter.addressType, adapter.macAddress = facts.address_type, facts.address
    _change(session, f"giving {machine.name} the address {facts.address}", machine, adapter, connected=True)


def unplug(adapter: Any) -> None:
    """Have an adapter start without a connection."""
    adapter.connectable = vim.vm.device.VirtualDevice.ConnectInfo(
        startConnected=False, connected=False, allowGuestControl=True
    )


def _same(adapter: Any, facts: Facts) -> bool:
    return str(adapter.macAddress).lower() == facts.address.lower()


def _adapter(machine: Machine) -> Any:
    if not machine.adapters:
        raise ProviderError(f"{machine.name} has no network adapter", hint="add one, then resume")
    return machine.adapters[0]


def _change(session: Session, doing: str, machine: Machine, adapter: Any, *, connected: bool) -> None:
    adapter.connectable.startConnected = connected
    spec = vim.vm.ConfigSpec(deviceChange=[vim.vm.device.VirtualDeviceSpec(operation=_Operation.edit, device=adapter)])
    hands.configure(session, doing, machine, spec)

"""What is done to a machine: a task of vCenter each, over when it returns. Every function raises ProviderError."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pyVmomi import vim, vmodl

from vvctl.publish.vmware.connection import Connection
from vvctl.publish.vmware.errors import UNREACHABLE
from vvctl.upgrade.errors import ProviderError
from vvctl.upgrade.vmware import marks
from vvctl.upgrade.vmware.session import Session
from vvctl.upgrade.vmware.view import Machine


def configure(session: Session, doing: str, machine: Machine, spec: Any) -> None:
    """Change its configuration, unless somebody else has changed it since it was looked at."""
    spec.changeVersion = machine.change_version
    session.task(doing, lambda _: machine.object.ReconfigVM_Task(spec))


def mark(session: Session, machine: Machine, **changes: Any) -> None:
    """Change marks, and the name with them; see marks.py."""
    options = [marks.option(key, value) for key, value in changes.pop("options").items()]
    configure(session, f"marking {machine.name}", machine, vim.vm.ConfigSpec(extraConfig=options, **changes))


def show(session: Session, machine: Machine, text: str) -> None:
    """Tell people who look at it in the vSphere client; what counts is the marks, so it may fail."""

    def shown(connection: Connection) -> None:
        manager = connection.content.customFieldsManager
        fields = connection.read(manager, "field").get("field", [])
        field = next((field for field in fields if field.name == marks.ATTRIBUTE), None)
        field = field or manager.AddCustomFieldDef(marks.ATTRIBUTE, vim.VirtualMachine)
        manager.SetField(machine.object, field.key, text)

    with suppress(ProviderError, vmodl.MethodFault, *UNREACHABLE):
        session.call("showing the upgrade", shown)


def power_on(session: Session, machine: Machine) -> None:
    session.task(f"starting {machine.name}", lambda _: machine.object.PowerOnVM_Task())


def power_off(session: Session, machine: Machine) -> None:
    session.task(f"switching {machine.name} off", lambda _: machine.object.PowerOffVM_Task())


def shut_down(session: Session, machine: Machine) -> None:
    """Have the guest's tools do it."""
    session.call(f"shutting {machine.name} down", lambda _: machine.object.ShutdownGuest())


def destroy(session: Session, machine: Machine) -> None:
    """Delete it with the disks that are attached to it."""
    session.task(f"deleting {machine.name}", lambda _: machine.object.Destroy_Task())

"""Publish the OVA as a template: a machine that is never started, from which others are made."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim, vmodl

from vvctl.image.report import size_text
from vvctl.publish.display import Display
from vvctl.publish.vmware import preflight
from vvctl.publish.vmware.archive import Archive
from vvctl.publish.vmware.connection import Connection
from vvctl.publish.vmware.description import Description
from vvctl.publish.vmware.errors import UNREACHABLE, LeftBehind, VsphereError, explained, reason
from vvctl.publish.vmware.lease import Lease, Transfer
from vvctl.publish.vmware.place import Place, machine

# A finished template carries its own instance UUID under this key. A clone has the key too, and another UUID; what a
# broken run left has the identity of that run.
MARK = "vvctl.publication"
# To take a failure back, the network may have to come back first, or vCenter may have to end an import whose answer was
# lost: it does so after 5 minutes without progress (HttpNfcLeaseInfo.leaseTimeout).
_REMOVAL_PAUSES_S = (0, 1, 3, 6, 20, 60, 120, 150)


@dataclass(frozen=True)
class Order:
    """What the template is to be."""

    name: str
    # A deployment option of the OVF, "" for its default.
    option: str = ""
    thick: bool = False


class Publisher:
    """Puts one OVA at one place."""

    def __init__(self, connection: Connection, archive: Archive, place: Place, order: Order) -> None:
        self._connection = connection
        self._archive = archive
        self._place = place
        self._order = order
        self._description = Description.read(archive.descriptor)
        self._run = str(uuid.uuid4())
        self._lease: Lease | None = None

    def check(self) -> str:
        """Raise the VsphereError for whatever would fail; else say what would be done."""
        with explained("checking"):
            needed = self._description.size(thick=self._order.thick)
            preflight.check(self._connection, self._place, self._order.name, needed)
            self._import_spec()
        sent = sum(disk.size for disk in self._archive.disks)
        return f"{size_text(sent)} to send, {size_text(needed)} on the datastore"

    def publish(self, display: Display) -> str:
        """Import the OVA and mark it as a template; returns its identity in vCenter.

        Whatever goes wrong, Ctrl-C included, nothing of this run stays. Raises LeftBehind when that cannot be had, and
        else the error that stopped it.
        """
        self.check()
        with self._taken_back_on_failure(display):
            with explained("importing"):
                spec = self._import_spec()
                for warning in spec.warning or []:
                    display.say(f"vCenter warns: {reason(warning)}")
                with display.waiting("vCenter prepares the machine"):
                    lease = self._begin(spec)
                items = spec.fileItem
                total = sum(self._archive.members[item.path].size for item in items)
                with display.transfer("Sending the disks", total) as meter:
                    lease.upload(self._archive, items, Transfer(total, meter))
                lease.complete()
            with explained("making the template"):
                self._finish(lease.machine)
        return str(lease.machine._moId)

    def _begin(self, spec: Any) -> Lease:
        place = self._place
        lease = Lease(self._connection, place.pool.ImportVApp(spec.importSpec, place.folder, place.host))
        self._lease = lease
        lease.wait_until_ready()
        return lease

    def _import_spec(self) -> Any:
        """What vCenter makes of the OVF; raises VsphereError when it cannot take it."""
        networks = [
            vim.OvfManager.NetworkMapping(name=name, network=self._place.network) for name in self._description.networks
        ]
        result = self._connection.content.ovfManager.CreateImportSpec(
            self._archive.descriptor,
            self._place.pool,
            self._place.datastore,
            vim.OvfManager.CreateImportSpecParams(
                entityName=self._order.name,
                locale="",
                deploymentOption=self._order.option,
                networkMapping=networks,
                diskProvisioning="thick" if self._order.thick else "thin",
                hostSystem=self._place.host,
            ),
        )
        if result.error or result.importSpec is None:
            reasons = "; ".join(reason(error) for error in result.error or [])
            raise VsphereError(f"vCenter cannot import this OVA: {reasons or 'it does not say why'}")
        config = result.importSpec.configSpec
        config.extraConfig = [*(config.extraConfig or []), vim.option.OptionValue(key=MARK, value=self._run)]
        return result

    def _finish(self, template: Any) -> None:
        identity = self._connection.read(template, "config.instanceUuid")["config.instanceUuid"]
        mark = vim.option.OptionValue(key=MARK, value=identity)
        self._connection.wait(template.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[mark])))
        template.MarkAsTemplate()

    @contextmanager
    def _taken_back_on_failure(self, display: Display) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with display.waiting("Taking back what was made; six minutes at most"):
                self._take_back()
            raise

    def _take_back(self) -> None:
        """Remove the machine of this run, if there is one; raises LeftBehind when it is still there at the end."""
        problem: Exception | None = None
        for pause in _REMOVAL_PAUSES_S:
            time.sleep(pause)
            try:
                self._remove()
            except vim.fault.NotAuthenticated as error:
                problem = error
                with suppress(vmodl.MethodFault, *UNREACHABLE):
                    self._connection.renew()
            except (vmodl.MethodFault, *UNREACHABLE) as error:
                problem = error
            else:
                return
        raise LeftBehind(
            f"the half-made {self._order.name} in {self._place.folder_path} could not be removed: {reason(problem)}",
            hint="remove it in the vSphere client",
        ) from problem

    def _remove(self) -> None:
        if self._lease is not None:
            # Refused once the import is complete, or when vCenter has ended it.
            with suppress(vim.fault.InvalidState, vmodl.fault.ManagedObjectNotFound, vim.fault.Timedout):
                self._lease.abort()
        # By its place and mark: the answer with its identity may have been lost.
        made = machine(self._connection, self._place.folder_path, self._order.name)
        if made is None:
            return
        known = self._lease is not None and self._lease.machine == made
        if known or mark_of(self._connection, made) == self._run:
            with suppress(vmodl.fault.ManagedObjectNotFound):
                self._connection.wait(made.Destroy_Task())


def mark_of(connection: Connection, target: Any) -> str:
    """What MARK says on a machine, "" when it does not carry it."""
    options = connection.read(target, "config.extraConfig").get("config.extraConfig") or []
    return next((str(option.value) for option in options if option.key == MARK), "")

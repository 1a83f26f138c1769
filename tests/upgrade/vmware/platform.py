"""The double of vCenter as a platform of the fault matrix: a machine, imported and started, and the next OVA."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.doubles.appliance import OPERATOR_KEY, A, Appliance, B, Behaviour, Data, Fault, Faults, Guest, Version
from tests.doubles.vmware.server import PASSWORD, USER, Identity, make_identity, running
from tests.upgrade.platform import NEW, OLD, Observed
from vvctl.appliance import Appliance as Config
from vvctl.image import package, vmdk
from vvctl.publish.vmware.archive import Archive

from .administrator import Administrator, logged_in
from .guests import Guests

NAME = "voice verify one"
_KINDS = {
    Fault.REFUSE: "fail",
    Fault.LOST_BEFORE: "drop-before",
    Fault.LOST_AFTER: "drop-after",
    Fault.SLOW: "slow",
    Fault.UNAVAILABLE: "unavailable",
    Fault.KILL_BEFORE: "kill-before",
    Fault.KILL_AFTER: "kill-after",
}
# Every answer has two objects at most.
_STRICT = ("-page", "2")


class VmwarePlatform:
    """See tests/upgrade/platform.py."""

    name = "vmware"
    faults = frozenset(Fault)

    def __init__(self, folder: Path, program: Path, config: Config, guests: Guests) -> None:
        self._folder, self._program, self.config = folder, program, config
        self._identity = make_identity(folder)
        self._stack = ExitStack()
        self._count = itertools.count()
        self.guests = guests
        self.images = {version: make_ova(config, folder, version) for version in (A, B)}
        self.image = self.images[B]
        self._server = Appliance(self._at_address)
        self.options: Sequence[str] = ()

    @contextmanager
    def serving(self) -> Iterator[None]:
        """The appliance answers meanwhile."""
        with self._stack, self._server:
            yield

    @property
    def appliance(self) -> Faults:
        return self._server.faults

    @property
    def identity(self) -> Identity:
        return self._identity

    def mutations(self) -> list[str]:
        return self.vcenter.changes()

    def arm(self, kind: Fault, nth: int) -> None:
        self.vcenter.arm(nth, _KINDS[kind])

    def victim(self, pid: int) -> None:
        self.vcenter.victim(pid)
        self._server.faults.victim(pid)

    def env(self) -> dict[str, str]:
        return {"VV_VSPHERE_USER": USER, "VV_VSPHERE_PASSWORD": PASSWORD, "VV_API_KEY": OPERATOR_KEY}

    def run_arguments(self) -> list[str]:
        return [
            *("vmware", "--server", f"localhost:{self.vcenter.port}"),
            *("--vcenter-ca-file", str(self._identity.authority)),
            *("--machine", NAME, "--ova", str(self.image), "--url", self._server.url),
        ]

    def reset(
        self,
        new: Behaviour = Behaviour.HEALTHY,
        old: Behaviour = Behaviour.HEALTHY,
        options: Sequence[str] = (),
    ) -> None:
        """`options` are more ones of the double."""
        self._stack.close()
        self.guests.forget()
        self._server.faults.reset()
        self._server.requests.clear()
        store = self._folder / f"store-{next(self._count)}"
        store.mkdir()
        command = [*_STRICT, "-hook", self.guests.url, *options]
        self.vcenter = self._stack.enter_context(running(self._program, self._identity, store, command))
        self.guests.switched_off = self.vcenter.switched_off
        with logged_in(self.vcenter) as administrator:
            machine = administrator.import_ova(Archive.load(self.images[A]), NAME)
            self.old: str = machine._moId
            self.data_file = self._machine(self.old)["disks"][1]["root"]
            self.address = self._machine(self.old)["cards"][0]["address"]
            self.guests.layers[self.data_file] = Data()
            self.guests.made = lambda moid: _guest(A, old) if moid == self.old else _guest(B, new)
            administrator.does(machine.PowerOnVM_Task())
        self.vcenter.fail()

    def _machine(self, moid: str) -> dict[str, Any]:
        return next(machine for machine in self.vcenter.state()["machines"] if machine["id"] == moid)

    def observe(self) -> Observed:
        state = self.vcenter.state()
        machines = {self._called(machine, state): machine for machine in state["machines"]}
        options = [machine["options"] for machine in machines.values()]
        locks = {found["vvctl.upgrade.lock"] for found in options if "vvctl.upgrade.lock" in found}
        attached = {disk["root"] for machine in state["machines"] for disk in machine["disks"]}
        tops = [self._data_of(machine) for machine in state["machines"] if self._data_of(machine)]
        file = tops[0] if tops else self.data_file
        content = self.guests.layers.get(file) if file is not None and self.data_file in state["files"] else None
        return Observed(
            systems=frozenset(machines),
            running=frozenset(name for name, machine in machines.items() if machine["on"]),
            data_at=frozenset(name for name, machine in machines.items() if self._data_of(machine)),
            identity_at=frozenset(name for name, machine in machines.items() if self._reached(machine)),
            in_charge=next((name for name, machine in machines.items() if machine["name"] == NAME), None),
            lock=" and ".join(sorted(locks)) or None,
            safety=any(machine["snapshots"] for machine in machines.values()),
            records=content.kept() if content else None,
            format_epoch=content.format_epoch if content else None,
            maintenance=content.maintenance if content else False,
            leftovers=frozenset(state["files"]) - attached - {self.data_file},
        )

    def _called(self, machine: dict[str, Any], state: dict[str, Any]) -> str:
        if machine["id"] == self.old:
            return OLD
        others = [other for other in state["machines"] if other["id"] != self.old]
        return NEW if machine == others[0] else f"{NEW} {machine['id']}"

    def _data_of(self, machine: dict[str, Any]) -> str | None:
        """The file of the data disk that it writes to."""
        return next((disk["file"] for disk in machine["disks"] if disk["root"] == self.data_file), None)

    def _reached(self, machine: dict[str, Any]) -> bool:
        return any(card["address"] == self.address and card["connected"] for card in machine["cards"])

    def _at_address(self) -> Guest | None:
        machines = [found for found in self.vcenter.state()["machines"] if found["on"] and self._reached(found)]
        return self.guests.guest(machines[0]["id"]) if machines else None

    @contextmanager
    def administrator(self) -> Iterator[Administrator]:
        """Somebody in the vSphere client, before or after the upgrade; what he does is no call of it."""
        with self.intruder() as found:
            yield found
        self.vcenter.fail()

    @contextmanager
    def intruder(self) -> Iterator[Administrator]:
        """Somebody in the vSphere client meanwhile."""
        with logged_in(self.vcenter) as found:
            yield found


def _guest(version: Version, behaviour: Behaviour) -> Guest:
    """One that makes nobody wait longer than a look takes."""
    return Guest(version, behaviour, boot_s=0.05, shutdown_s=0.05)


def make_ova(config: Config, folder: Path, version: Version) -> Path:
    """One like ours, with tiny disks."""
    product = config.product.model_copy(update={"version": version.number})
    data = config.disks.data.model_copy(update={"format_epoch": version.format_epoch})
    disks = config.disks.model_copy(update={"data": data})
    config = config.model_copy(update={"product": product, "disks": disks})
    names = package.Names.of(config)
    source = random.Random(version.number)  # noqa: S311
    raw = {disk: folder / f"{version.number}-{disk}.raw" for disk in ("system", "data")}
    vmdks = []
    for disk, path in raw.items():
        with path.open("wb") as content:
            content.write(source.randbytes(64 << 10))
            content.truncate((2 if disk == "system" else 8) << 20)
        vmdks.append(folder / names.vmdk(disk))
        vmdk.convert(path, vmdks[-1], 1)
    target = folder / names.ova
    build = f"{version.number}+0123456789ab"
    package.write_ova(config, raw, vmdks, target, epoch=1750000000, build_id=build, eula="Agree.")
    return target


@contextmanager
def platform(folder: Path, program: Path, config: Config) -> Iterator[VmwarePlatform]:
    """The double, its guests and the appliance, serving."""
    with Guests() as guests:
        made = VmwarePlatform(folder, program, config, guests)
        with made.serving():
            made.reset()
            yield made

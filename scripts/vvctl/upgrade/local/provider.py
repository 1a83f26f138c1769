"""QEMU machines on this computer: directories in which one system is exchanged for another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from vvctl.errors import VvctlError
from vvctl.machine.archive import unpack
from vvctl.upgrade.errors import LockedByAnother, ProviderError
from vvctl.upgrade.local import lock, power, preflight
from vvctl.upgrade.local.data import DataDisk
from vvctl.upgrade.local.facts import Facts
from vvctl.upgrade.local.home import UNFINISHED, Home, SystemDirectory, point
from vvctl.upgrade.plan import Effect, Finding
from vvctl.upgrade.release import Release
from vvctl.upgrade.world import Role, System, World

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def _as_provider_errors(method: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """What the operating system and the programs around QEMU complain about, in the words of an upgrade."""

    @wraps(method)
    def translated(*given: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
        try:
            return method(*given, **named)
        except (ProviderError, LockedByAnother):
            raise
        except OSError as error:
            said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise ProviderError(said, transient=isinstance(error, BlockingIOError)) from error
        except VvctlError as error:
            raise ProviderError(error.message, hint=error.hint) from error

    return translated


class LocalProvider:
    """One machine, as upgrade `upgrade_id` works on it."""

    name = "local"
    safety_before_move = False

    def __init__(self, facts: Facts, upgrade_id: str) -> None:
        self._facts = facts
        self._id = upgrade_id
        self._home = Home(Path(facts.directory))
        self._data = DataDisk(self._home, upgrade_id)

    def target(self) -> Release:
        return Release(self._facts.version, self._facts.format_epoch)

    @_as_provider_errors
    def observe(self) -> World:
        attached = {system.id for system in self._data.attached_to()}
        foreign = attached - {self._system(role).id for role in Role}
        image = self._data.image()
        in_charge = self._home.in_charge()
        return World(
            old=self._found(Role.OLD),
            new=self._found(Role.NEW),
            data_id=str(image) if image is not None else None,
            data_at=next((role for role in Role if self._system(role).id in attached), None),
            foreign=", ".join(sorted(foreign)) or None,
            safety=self._data.safety(),
            identity_at=next((role for role in Role if self._system(role).network.exists()), None),
            active=next((role for role in Role if in_charge == self._system(role)), None),
            lock=lock.holder(self._home),
        )

    @_as_provider_errors
    def preflight(self) -> Sequence[Finding]:
        return preflight.findings(self._home, self._facts)

    def effects(self) -> Sequence[Effect]:
        old, new = self._system(Role.OLD), self._home.system(self._id or "NEW")
        disk = self._facts.data_disk
        return [
            Effect("LOCK", f"makes {self._home.lock}"),
            Effect("STAGE_NEW", f"makes {new.path} from {self._facts.ova}"),
            Effect("QUIESCE", f"shuts down {old.name}"),
            Effect("MOVE_DATA", f"{disk} goes from {old.id} to {new.id}"),
            Effect("SAFETY", f"freezes {disk}; an overlay in {self._home.disks} takes the writes"),
            Effect("IDENTITY", f"{old.network.name} goes from {old.id} to {new.id}"),
            Effect("START", f"starts {new.id}"),
            Effect("COMMIT", f"{self._home.active} names {new.id}"),
            Effect("RESTORE_DATA", f"{disk} takes the place of the overlay, which is deleted"),
            Effect("START_OLD", f"starts {old.name}"),
            Effect("DROP_NEW", f"deletes {new.path}"),
            Effect("FINALIZE", f"brings {disk} and the overlay together and deletes {old.path}"),
        ]

    @_as_provider_errors
    def lock(self) -> None:
        lock.take(self._home, self._id)

    @_as_provider_errors
    def unlock(self) -> None:
        if lock.holder(self._home) == self._id:
            # Links that were cut off in the making.
            for unfinished in self._home.path.glob(f"*{UNFINISHED}"):
                unfinished.unlink()
        lock.give_back(self._home, self._id)

    @_as_provider_errors
    def stage_new(self) -> None:
        new = self._system(Role.NEW)
        if new.path.exists():
            return
        stage(new, Path(self._facts.ova), self.target())
        new.unfinished.rename(new.path)

    @_as_provider_errors
    def discard_new(self) -> None:
        self._delete(self._system(Role.NEW))

    @_as_provider_errors
    def ask_to_stop(self, role: Role) -> None:
        power.power_button(self._system(role))

    @_as_provider_errors
    def cut_power(self, role: Role) -> None:
        power.cut(self._system(role))

    @_as_provider_errors
    def start(self, role: Role) -> None:
        power.start(self._home, self._system(role))

    @_as_provider_errors
    def move_data(self, to: Role) -> None:
        self._require_off()
        self._data.attach(self._system(to))

    @_as_provider_errors
    def take_safety(self) -> None:
        self._require_off()
        self._data.take_safety()

    @_as_provider_errors
    def restore_safety(self) -> None:
        self._require_off()
        self._data.restore()

    @_as_provider_errors
    def drop_safety(self) -> None:
        self._data.drop_safety()

    @_as_provider_errors
    def move_identity(self, to: Role) -> None:
        self._require_off()
        source, target = self._system(to.other).network, self._system(to).network
        if source.exists():
            source.rename(target)

    @_as_provider_errors
    def mark_active(self, role: Role) -> None:
        if self._home.in_charge() != self._system(role):
            point(self._home.active, self._system(role).path)

    @_as_provider_errors
    def retire(self, role: Role) -> None:
        self._delete(self._system(role))

    def _system(self, role: Role) -> SystemDirectory:
        return self._home.system(self._facts.old if role is Role.OLD else self._id)

    def _found(self, role: Role) -> System | None:
        system = self._system(role)
        if not self._id and role is Role.NEW:
            return None
        if system.path.exists():
            return System(system.id, system.name, running=power.process(system) is not None)
        if system.unfinished.exists():
            return System(system.id, system.id, running=False, staged=False)
        return None

    def _require_off(self) -> None:
        for role in Role:
            if power.process(self._system(role)) is not None:
                raise ProviderError(f"{self._system(role).name} runs")

    def _delete(self, system: SystemDirectory) -> None:
        if system.path.exists():
            if system.data.is_symlink() or power.process(system) is not None:
                raise ProviderError(f"{system.name} has the data disk, or runs")
            if system.unfinished.exists():
                shutil.rmtree(system.unfinished)
            system.path.rename(system.unfinished)
        if system.unfinished.exists():
            shutil.rmtree(system.unfinished)


def stage(system: SystemDirectory, image: Path, release: Release) -> Path:
    """Make the system, but for its place, from an OVA; returns the OVA's data disk, which is in the way."""
    if system.unfinished.exists():
        shutil.rmtree(system.unfinished)
    system.unfinished.mkdir(parents=True)
    packaged = unpack(image, system.unfinished / "ova")
    packaged.system.replace(system.unfinished / system.disk.name)
    document = {"version": release.version, "format_epoch": release.format_epoch}
    (system.unfinished / "release.json").write_text(json.dumps(document), encoding="utf-8")
    return packaged.data


def make(facts: dict[str, Any], upgrade_id: str, _poll_s: float) -> LocalProvider:
    return LocalProvider(Facts(**facts), upgrade_id)

"""A machine is made from an OVA, as an import into a hypervisor does."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vvctl.machine.command import Hardware
from vvctl.machine.environment import write_environment_disc
from vvctl.upgrade import ova
from vvctl.upgrade.local.facts import NoMachine
from vvctl.upgrade.local.home import Home, point
from vvctl.upgrade.local.provider import stage

_MAC_PREFIX = "52:54:00"


@dataclass(frozen=True)
class Order:
    """How the machine shall be. `forwards`: port on 127.0.0.1 -> TCP port of the guest."""

    hardware: Hardware
    forwards: Mapping[int, int]
    properties: Mapping[str, str]
    # Which QEMU translates where there is no hardware virtualization: that of this Debian suite, kept there.
    suite: str
    emulator_cache: Path


def create(directory: Path, image: Path, order: Order) -> Home:
    """Make it, switched off. Raises NoMachine when the directory is not empty, and IntegrityError."""
    if directory.exists() and any(directory.iterdir()):
        raise NoMachine(f"{directory} is not empty", hint="name a new directory")
    home = Home(directory.resolve())
    release = ova.release(image)
    system = home.system(f"{release.version}-{secrets.token_hex(3)}")
    packaged_data = stage(system, image, release)
    home.disks.mkdir()
    packaged_data.replace(home.disks / "data.qcow2")
    shutil.rmtree(packaged_data.parent)
    system.unfinished.rename(system.path)
    point(system.data, home.disks / "data.qcow2")
    mac = ":".join([_MAC_PREFIX, *(f"{byte:02x}" for byte in secrets.token_bytes(3))])
    network = {"mac": mac, "forwards": {str(port): guest for port, guest in order.forwards.items()}}
    system.network.write_text(json.dumps(network), encoding="utf-8")
    if order.properties:
        write_environment_disc(home.properties, order.properties)
    document = {
        "firmware": order.hardware.firmware,
        "bus": order.hardware.bus,
        "network_card": order.hardware.network_card,
        "cores": order.hardware.cores,
        "memory_mb": order.hardware.memory_mb,
        "suite": order.suite,
        "emulator_cache": str(order.emulator_cache.resolve()),
    }
    home.description.write_text(json.dumps(document, indent=2), encoding="utf-8")
    point(home.active, system.path)
    return home

"""The machines that the tests share, since each boot takes a minute or more under emulation.

`first` boots alone, so that its times mean something; while it is examined, two others without a usable data disk boot
beside it. Then its disks are frozen and looked at through overlays: as NVMe, and the data disk under another system.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vvctl.appliance import Appliance
from vvctl.image.build import make_system_disk
from vvctl.machine import Bus, Emulator, PackagedDisks, choose, copy, overlay, unpack
from vvctl.machine.session import newest_ova

from . import voices
from .guest import Credentials, Guest, Measured

# The order in which the machines are needed.
_MODULES = [
    "test_harness",
    "test_packaged_image",
    "test_first_boot",
    "test_network",
    "test_verification",
    "test_bad_input",
    "test_no_data_disk",
    "test_foreign_data_disk",
    "test_reboot",
    "test_nvme",
    "test_new_system_disk",
]
_CONSOLE_LINES = 40

Start = Callable[..., Guest]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _MODULES.index(item.path.stem) if item.path.stem in _MODULES else -1)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the end of the consoles of the machines that a failed test used."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if not report.failed:
        return
    guests = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Guest)]
    for guest in guests:
        last = "\n".join(guest.machine.console().splitlines()[-_CONSOLE_LINES:])
        report.sections.append((f"console of {guest.name} ({guest.machine.console_log})", last))


@pytest.fixture(scope="session")
def measured(root: Path) -> Iterator[Measured]:
    """What is measured; ends in build/reports/boot.json."""
    found: Measured = {}
    started = time.monotonic()
    yield found
    found["tests_s"] = round(time.monotonic() - started)
    path = root / "build" / "reports" / "boot.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"\n{path}:\n{json.dumps(found, indent=2)}")


@pytest.fixture(scope="session")
def work(root: Path) -> Iterator[Path]:
    """A folder for disks, gone afterwards; on the file system of build/, since /tmp may be memory."""
    folder = root / "build" / "boot-test"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def packaged(root: Path, work: Path) -> PackagedDisks:
    """The disks taken out of the OVA, as a hypervisor's import does; nothing writes to them."""
    return unpack(newest_ova(root / "dist"), work / "packaged")


@pytest.fixture(scope="session")
def credentials(work: Path) -> Credentials:
    return Credentials(work)


@pytest.fixture(scope="session")
def emulator(root: Path, appliance: Appliance, measured: Measured) -> Emulator:
    chosen = choose(root / "build" / "cache", appliance.os.suite)
    measured["emulator"] = chosen.name
    return chosen


@pytest.fixture(scope="session")
def start(root: Path, appliance: Appliance, credentials: Credentials, emulator: Emulator) -> Iterator[Start]:
    """Powers on a guest that is gone after the tests."""
    logs = root / "build" / "logs" / "boot"
    shutil.rmtree(logs, ignore_errors=True)
    started: list[Guest] = []

    def power_on(name: str, disks: list[Path], **hardware: Any) -> Guest:
        guest = Guest(
            name, disks=disks, appliance=appliance, credentials=credentials, logs=logs, emulator=emulator, **hardware
        )
        started.append(guest)
        return guest

    yield power_on
    for guest in started:
        guest.keep_journal()
        guest.close()


@pytest.fixture(scope="session")
def first(start: Start, packaged: PackagedDisks, work: Path, measured: Measured) -> Guest:
    """The appliance as imported: pvscsi and vmxnet3, a data disk that is formatted and empty. Ready."""
    disks = [overlay(packaged.system, work / "first-system.qcow2"), overlay(packaged.data, work / "first-data.qcow2")]
    guest = start("first", disks)
    measured["first_boot"] = {"ssh_s": round(guest.wait_ssh()), "ready_s": round(guest.wait_ready())}
    print(f"[first] power-on to SSH and ready: {measured['first_boot']}", flush=True)
    guest.let_integrator_in()
    return guest


@pytest.fixture(scope="session")
def enrolled(first: Guest, measured: Measured) -> list[dict[str, Any]]:
    """The answers to the enrolments of both speakers on `first`, at the same time: the engine hears them together."""
    began = time.monotonic()
    speakers = (voices.TARGET, voices.IMPOSTOR)
    answers = first.at_once(
        [lambda speaker=speaker: first.enrol(speaker, voices.enrolment(speaker)) for speaker in speakers]
    )
    measured["enrolment_of_two_s"] = round(time.monotonic() - began)
    return answers


@pytest.fixture(scope="session")
def without_data(start: Start, packaged: PackagedDisks, work: Path, first: Guest) -> Guest:
    """A clone of `first` whose data disk was forgotten."""
    return start("without-data", [overlay(packaged.system, work / "without-data-system.qcow2")])


@pytest.fixture(scope="session")
def foreign_disk(work: Path) -> Path:
    """Somebody else's disk: XFS, raw."""
    path = work / "foreign.raw"
    with path.open("wb") as file:
        file.truncate(2 << 30)
    subprocess.run(["mkfs.xfs", "-q", "-L", "accounting", str(path)], check=True)
    return path


@pytest.fixture(scope="session")
def with_foreign_data(start: Start, packaged: PackagedDisks, work: Path, foreign_disk: Path, first: Guest) -> Guest:
    """A clone of `first` that got somebody else's disk."""
    system = overlay(packaged.system, work / "foreign-system.qcow2")
    attached = work / "attached.raw"
    shutil.copyfile(foreign_disk, attached)
    return start("foreign-data", [system, attached])


@pytest.fixture(scope="session")
def frozen(first: Guest, enrolled: list[dict[str, Any]]) -> list[Path]:
    """The disks of `first`, shut down in order, with two speakers enrolled."""
    identity = first.identity()
    first.shut_down()
    (first.logs / "identity.json").write_text(json.dumps(identity), encoding="utf-8")
    return list(first.disks)


@pytest.fixture(scope="session")
def as_nvme(start: Start, frozen: list[Path], work: Path) -> Guest:
    """The disks of `first` as NVMe with a virtio network card."""
    disks = [overlay(disk, work / f"nvme-{index}.qcow2") for index, disk in enumerate(frozen)]
    return start("nvme", disks, bus=Bus.NVME, network_card="virtio-net-pci")


@pytest.fixture(scope="session")
def renewed(start: Start, root: Path, frozen: list[Path], work: Path) -> Guest:
    """The data disk of `first` with a freshly built system disk."""
    raw = work / "renewed-system.raw"
    make_system_disk(root, raw, "tests/image")
    system = copy(raw, work / "renewed-system.qcow2", source_format="raw")
    return start("renewed", [system, overlay(frozen[1], work / "renewed-data.qcow2")])

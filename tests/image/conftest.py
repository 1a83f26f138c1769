"""The machines that the tests share, since each boot takes a minute or more under emulation.

`first` boots alone, so that its times mean something; while it is examined, two others without a usable data disk boot
beside it. Then two boot beside each other: its data disk with another system as an instance of EC2, and a snapshot of
both its disks on virtio. Thereby each data source configures one of them.
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

from tests.unit.guest.certificates import NAME, Certificates
from tests.unit.guest.certificates import make as make_certificates
from vvctl.appliance import Appliance
from vvctl.image.build import make_system_disk
from vvctl.machine import Bus, Emulator, PackagedDisks, choose, copy, overlay, unpack
from vvctl.machine.errors import run
from vvctl.machine.session import newest_ova

from . import lynis as audit
from . import sources, voices
from .guest import REPLY_LIMIT_S, SETTLE_LIMIT_S, Credentials, Guest, Measured

# The order in which the machines are needed.
_MODULES = [
    "test_harness",
    "test_packaged_image",
    "test_secrets",
    "test_first_boot",
    "test_hardening",
    "test_network",
    "test_access",
    "test_verification",
    "test_calls",
    "test_bad_input",
    "test_no_data_disk",
    "test_wrong_configuration",
    "test_foreign_data_disk",
    "test_lynis",
    "test_reboot",
    "test_ec2",
    "test_new_system_disk",
    "test_snapshot",
    "test_clones",
]
_CONSOLE_LINES = 40
_ENLARGED_GB = 60

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
def lynis(first: Guest) -> None:
    """Lynis runs on `first` beside the tests."""
    audit.start(first)


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
def with_tls(first: Guest) -> Certificates:
    """`first` gets a domain, and a certificate with its private key; it keeps them."""
    made, domain = make_certificates(), NAME.partition(".")[2]
    first.shell.send(
        made.with_key.encode(),
        f"cat > /run/own.pem && vv-setup set domain={domain} certificate=@/run/own.pem && rm /run/own.pem",
        timeout_s=first.slow(REPLY_LIMIT_S),
    )
    for port in ("https", "api_tls", "sips"):
        first.until(f"TLS on {port}", lambda port=port: first.served_certificate(port), SETTLE_LIMIT_S)
    return made


@pytest.fixture(scope="session")
def snapshot(first: Guest, enrolled: list[dict[str, Any]], work: Path) -> list[Path]:
    """The disks of `first` at one moment while it runs, with two speakers enrolled; a third comes after it."""
    frozen = first.snapshot([work / "first-system-later.qcow2", work / "first-data-later.qcow2"])
    first.enrol(voices.LATER, voices.enrolment(voices.TARGET))
    return frozen


@pytest.fixture(scope="session")
def identities() -> dict[str, dict[str, str]]:
    """Of the machines that are gone, by name."""
    return {}


@pytest.fixture(scope="session")
def final(
    first: Guest, snapshot: list[Path], with_tls: Certificates, identities: dict[str, dict[str, str]]
) -> list[Path]:
    """The disks of `first`, shut down in order, with three speakers and a certificate."""
    identities[first.name] = first.identity()
    first.shut_down()
    return list(first.disks)


@pytest.fixture(scope="session")
def renewed(start: Start, root: Path, final: list[Path], work: Path) -> Guest:
    """The data disk of `first`, enlarged, with a freshly built system disk, as an instance of AWS Nitro."""
    raw = work / "renewed-system.raw"
    make_system_disk(root, raw, "tests/image")
    system = copy(raw, work / "renewed-system.qcow2", source_format="raw")
    data = overlay(final[1], work / "renewed-data.qcow2")
    run(["qemu-img", "resize", "-q", str(data), f"{_ENLARGED_GB}G"], package="qemu-utils")
    return start("renewed", [system, data], bus=Bus.NVME, network_card="virtio-net-pci", source=sources.ec2)


@pytest.fixture(scope="session")
def restored(start: Start, snapshot: list[Path], final: list[Path], work: Path) -> Guest:
    """The snapshot of `first` restored, on virtio, with its settings from NoCloud."""
    disks = [overlay(disk, work / f"restored-{index}.qcow2") for index, disk in enumerate(snapshot)]
    return start("restored", disks, bus=Bus.VIRTIO, network_card="virtio-net-pci", source=sources.nocloud)

"""Real QEMU machines as a platform of the fault matrix: a guest that boots in seconds, and the next OVA of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.doubles.appliance import OPERATOR_KEY, A, B, Behaviour, Fault, Faults
from tests.upgrade.platform import NEW, OLD, Observed
from vvctl.appliance import Appliance as Config
from vvctl.machine.command import Bus, Hardware
from vvctl.upgrade.local import power
from vvctl.upgrade.local.create import Order, create
from vvctl.upgrade.local.home import Home

from .image import Builder
from .proxy import Proxy

# A real machine boots meanwhile, under emulation.
PATIENT = ("--poll", "0.2", "--start-within", "240", "--shutdown-within", "60")
_GUEST_PORT = 8000
_BOOT_S = 120
_HOOK = Path(__file__).parent / "hook"
# What a machine has that nobody is upgrading.
_OWN = {"machine.json", "active", "disks", "systems"}


class LocalPlatform:
    """See tests/upgrade/platform.py. Without a wire there is no lost answer on the platform's side."""

    name = "local"
    faults = frozenset({Fault.REFUSE, Fault.UNAVAILABLE, Fault.SLOW, Fault.KILL_BEFORE, Fault.KILL_AFTER})

    def __init__(self, folder: Path, root: Path, config: Config, proxy: Proxy, port: int) -> None:
        self._folder, self._root, self._config, self._proxy, self._port = folder, root, config, proxy, port
        self.images = Builder(folder / "images", root, config)
        (folder / "images").mkdir()
        self.machine = folder / "machine"
        self._calls, self._fault = folder / "calls", folder / "fault"
        self.old = ""
        self._ova = self.images.ova(B)

    @property
    def appliance(self) -> Faults:
        return self._proxy.faults

    def mutations(self) -> list[str]:
        return self._calls.read_text(encoding="utf-8").splitlines() if self._calls.exists() else []

    def arm(self, kind: Fault, nth: int) -> None:
        self._fault.write_text(f"{kind} {nth}", encoding="ascii")

    def victim(self, pid: int) -> None:
        """It kills itself."""

    def env(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, [str(_HOOK), os.environ.get("PYTHONPATH")]))
        return {
            "PYTHONPATH": path,
            "VV_TEST_MACHINE": str(self.machine),
            "VV_TEST_CALLS": str(self._calls),
            "VV_TEST_FAULT": str(self._fault),
            "VV_API_KEY": OPERATOR_KEY,
        }

    def run_arguments(self) -> list[str]:
        return ["local", "--machine", str(self.machine), "--ova", str(self._ova), "--url", self._proxy.url]

    def reset(self, new: Behaviour = Behaviour.HEALTHY, old: Behaviour = Behaviour.HEALTHY) -> None:
        home = self.make(new, old)
        system = home.in_charge()
        assert system is not None
        power.start(home, system)
        self.wait()
        self._calls.unlink(missing_ok=True)
        self._fault.unlink(missing_ok=True)
        self._proxy.faults.reset()

    def make(self, new: Behaviour = Behaviour.HEALTHY, old: Behaviour = Behaviour.HEALTHY) -> Home:
        """A fresh machine, switched off."""
        self.switch_off()
        shutil.rmtree(self.machine, ignore_errors=True)
        order = Order(
            hardware=Hardware("bios", bus=Bus.VIRTIO, network_card="virtio-net-pci", cores=1, memory_mb=256),
            forwards={self._port: _GUEST_PORT},
            properties={},
            suite=self._config.os.suite,
            emulator_cache=self._root / "build/cache",
        )
        home = create(self.machine, self.images.ova(A, old), order)
        self._ova = self.images.ova(B, new)
        system = home.in_charge()
        assert system is not None
        self.old = system.id
        return home

    def observe(self) -> Observed:
        systems = sorted((self.machine / "systems").iterdir())
        with_data = [system for system in systems if (system / "data").is_symlink()]
        image = with_data[0].joinpath("data").resolve() if with_data else None
        content = self._content(image) if image is not None else None
        points = sorted(self.machine.glob("safety-*"))
        lock = self.machine / "lock"
        known_disks = {point.resolve() for point in points} | {image}
        leftovers = {path.name for path in self.machine.iterdir() if path.name not in _OWN and path not in points}
        leftovers |= {path.name for path in (self.machine / "disks").iterdir() if path.resolve() not in known_disks}
        return Observed(
            systems=frozenset(self._name(path) for path in systems),
            running=frozenset(self._name(path) for path in self._running()),
            data_at=frozenset(self._name(path) for path in with_data),
            identity_at=frozenset(self._name(path) for path in systems if (path / "network.json").exists()),
            in_charge=self._name((self.machine / "active").readlink()),
            lock=json.loads(lock.read_text(encoding="utf-8"))["upgrade"] if lock.exists() else None,
            safety=bool(points),
            records={kind: found for kind, found in content["records"].items() if kind != "audit"} if content else None,
            format_epoch=content["format_epoch"] if content else None,
            maintenance=bool(content and content["maintenance"]),
            leftovers=frozenset(leftovers - {"lock"}),
        )

    def switch_off(self) -> None:
        """All machines of this platform."""
        for pid in self._processes():
            os.kill(pid, signal.SIGKILL)
        while self._processes():
            time.sleep(0.02)

    def _name(self, system: Path) -> str:
        return OLD if system.name.removesuffix(".part") == self.old else NEW

    def _processes(self) -> dict[int, Path]:
        """Every QEMU that has a system disk of this machine, and the system: by what the kernel tells."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                    alive = "Z" not in (entry / "stat").read_text().rpartition(")")[2].split()[0]
                except OSError:
                    continue
                if "-daemonize" in words and f"{self.machine}/" in words[words.index("-pidfile") + 1] and alive:
                    found[int(entry.name)] = Path(words[words.index("-pidfile") + 1]).parent
        return found

    def _running(self) -> list[Path]:
        return list(self._processes().values())

    def _content(self, image: Path) -> dict | None:  # type: ignore[type-arg]
        """What is on the data disk, read from the file beside whoever runs."""
        raw = self._folder / "observed.raw"
        done = subprocess.run(
            ["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", image, raw], capture_output=True, check=False
        )
        if done.returncode != 0:
            return None
        found = subprocess.run(["debugfs", "-R", "cat /records.json", raw], capture_output=True, check=True).stdout
        return json.loads(found)  # type: ignore[no-any-return]

    def wait(self) -> None:
        deadline = time.monotonic() + _BOOT_S
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"http://127.0.0.1:{self._port}/health/ready", timeout=2).status_code == httpx.codes.OK:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise TimeoutError("the guest did not boot")


@contextmanager
def platform(folder: Path, root: Path, config: Config) -> Iterator[LocalPlatform]:
    """Machines in `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Proxy(port) as proxy:
        made = LocalPlatform(folder, root, config, proxy, port)
        try:
            yield made
        finally:
            made.switch_off()

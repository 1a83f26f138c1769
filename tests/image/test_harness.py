"""What a test run leaves behind when it is killed: nothing that hinders the next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vvctl.appliance import Appliance
from vvctl.machine import Emulator, EmulatorAborted, Hardware, Machine, MachineError, Network

RUN = """
import sys, time
from pathlib import Path
from vvctl.machine import Hardware, Machine, Network, choose

with Network() as network, Machine("killed", Path(sys.argv[1]), disks=[], nic=network.nic,
                                   hardware=Hardware(firmware=sys.argv[2], memory_mb=64),
                                   emulator=choose(Path(sys.argv[3]), sys.argv[4])) as machine:
    print(network.namespace, machine.qmp.execute("query-status")["status"], flush=True)
    time.sleep(600)
"""


def test_killed_run_leaves_no_machine_and_no_network(
    appliance: Appliance, root: Path, work: Path, emulator: Emulator
) -> None:
    cache = str(root / "build" / "cache")
    command = [sys.executable, "-c", RUN, str(work / "killed"), appliance.ovf.firmware, cache, appliance.os.suite]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        namespace, status = run.stdout.readline().split()
        assert status == "running"
        run.send_signal(signal.SIGKILL)
    with Network() as network:
        # The same place is taken anew, with a namespace in which nothing of the killed run is left.
        assert network.namespace == namespace
        assert network.run(["ip", "-brief", "link", "show", "tap0"], package="iproute2").split()[1] == "DOWN"
    deadline = time.monotonic() + 10
    while _machines(work, "killed") and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _machines(work, "killed") == []
    assert namespace not in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("signal_number", "error"), [(signal.SIGABRT, EmulatorAborted), (signal.SIGKILL, MachineError)]
)
def test_own_mistake_of_the_emulator_is_told_from_other_ends(
    appliance: Appliance, work: Path, emulator: Emulator, signal_number: signal.Signals, error: type[MachineError]
) -> None:
    hardware = Hardware(firmware=appliance.ovf.firmware, memory_mb=64)
    with (
        Network() as network,
        Machine("ended", work / "ended", disks=[], nic=network.nic, hardware=hardware, emulator=emulator) as machine,
    ):
        (process,) = _machines(work, "ended")
        os.kill(process, signal_number)
        deadline = time.monotonic() + 10
        while machine.running and time.monotonic() < deadline:
            time.sleep(0.1)
        with pytest.raises(MachineError, match="machine ended stopped") as raised:
            machine.require_running()
        assert raised.type is error


def _machines(work: Path, name: str) -> list[int]:
    """Processes that have the console of machine `name` in their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "qemu-system" in arguments.partition("-name")[0] and str(work / name / "console.log") in arguments:
            found.append(int(path.parent.name))
    return found

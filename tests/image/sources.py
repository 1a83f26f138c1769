"""How a machine is told its settings: each of the data sources that can be had without the real platform."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pycdlib

from tests.doubles import imds
from vvctl.machine import Network, write_environment_disc

# What the platform gives on EC2, so that the user data must not.
_BY_PLATFORM = {"address", "gateway", "ssh_key"}
_METADATA = "169.254.169.254"


@dataclass(frozen=True)
class Given:
    """What a source adds to the machine: a disc in its drive, or what its firmware says about it."""

    disc: Path | None = None
    identity: tuple[str, ...] = ()


# From the guest's network, a path without suffix for files of its own, and the properties.
Source = Callable[[Network, Path, Mapping[str, str]], AbstractContextManager[Given]]


@contextmanager
def ovf_disc(network: Network, path: Path, properties: Mapping[str, str]) -> Iterator[Given]:
    """The OVF environment as ISO."""
    yield Given(disc=write_environment_disc(path.with_suffix(".iso"), properties))


@contextmanager
def nocloud(network: Network, path: Path, properties: Mapping[str, str]) -> Iterator[Given]:
    """A disc labelled CIDATA."""
    yield Given(disc=write_nocloud_disc(path.with_suffix(".iso"), properties))


@contextmanager
def ec2(network: Network, path: Path, properties: Mapping[str, str]) -> Iterator[Given]:
    """EC2: an address by DHCP, metadata by IMDSv2 at the real address, and firmware that says so.

    The SSH key is that of the key pair. Type 0 is there for its bit "virtual machine", which tells an instance from the
    metal (systemd, src/basic/virt.c).
    """
    with ExitStack() as undo:
        network.run(["ip", "address", "add", f"{_METADATA}/32", "dev", "bridge0"], package="iproute2")
        undo.enter_context(_running(network, _dhcp_server(network), path.with_suffix(".dhcp.log")))
        card = {"mac": network.nic.mac, "device_number": 0, "local_ipv4s": [str(network.guest.ip)]}
        instance = {
            "user_data": user_data({key: text for key, text in properties.items() if key not in _BY_PLATFORM}),
            "public_key": properties["ssh_key"],
            "interfaces": [card],
        }
        command = [sys.executable, imds.__file__, _METADATA, "80"]
        undo.enter_context(_running(network, command, path.with_suffix(".imds.log"), given=json.dumps(instance)))
        vendor = "Amazon EC2"
        yield Given(identity=(f"type=0,vendor={vendor},version=1.0", f"type=1,manufacturer={vendor}"))


def user_data(properties: Mapping[str, str]) -> str:
    """The text that a person writes; values of several lines stand indented."""
    lines = ["#voice-verify"]
    for key, value in properties.items():
        lines += [f"{key}: |", *(f"  {line}" for line in value.splitlines())] if "\n" in value else [f"{key}: {value}"]
    return "\n".join(lines) + "\n"


def write_nocloud_disc(path: Path, properties: Mapping[str, str]) -> Path:
    """An ISO 9660 image labelled CIDATA, with Rock Ridge and Joliet names."""
    disc = pycdlib.PyCdlib()
    disc.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="CIDATA")
    for name, short, text in (("user-data", "USERDATA", user_data(properties)), ("meta-data", "METADATA", "")):
        content = text.encode()
        disc.add_fp(io.BytesIO(content), len(content), f"/{short}.;1", rr_name=name, joliet_path=f"/{name}")
    disc.write(str(path))
    disc.close()
    return path


def _dhcp_server(network: Network) -> list[str]:
    """The command of one that gives the guest its address, and nothing to anybody else."""
    address = network.guest
    return [
        *("dnsmasq", "--keep-in-foreground", "--log-facility=-", "--log-dhcp", "--conf-file=/dev/null", "--pid-file="),
        # Another account would outlive this process: the kernel forgets then what ends it.
        *("--user=root", "--port=0", "--no-ping", "--leasefile-ro", "--dhcp-authoritative"),
        *("--interface=bridge0", "--bind-interfaces"),
        f"--dhcp-range={network.gateway},static,{address.netmask},1h",
        f"--dhcp-host={network.nic.mac},{address.ip}",
        f"--dhcp-option=option:router,{network.gateway}",
    ]


@contextmanager
def _running(network: Network, command: Sequence[str], log: Path, given: str = "") -> Iterator[None]:
    """A program in the guest's network that reads `given`; it ends with this process, whatever happens to that."""
    whole = ["setpriv", "--pdeathsig", "KILL", "--", "ip", "netns", "exec", network.namespace, *command]
    with (
        log.open("wb") as output,
        subprocess.Popen(whole, stdin=subprocess.PIPE, stdout=output, stderr=output) as program,
    ):
        assert program.stdin is not None
        try:
            program.stdin.write(given.encode())
            program.stdin.close()
            yield
            assert program.poll() is None, f"{command[0]} ended: {log.read_text()[-500:]}"
        finally:
            program.kill()

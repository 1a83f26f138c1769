"""Where the OVF environment comes from, and what it says (DMTF DSP0243, section 11)."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

FILE_NAME = "ovf-env.xml"
GUESTINFO = "info-get guestinfo.ovfEnv"
NAMESPACE = "http://schemas.dmtf.org/ovf/environment/1"
# A few hundred bytes a property; anything larger is not an OVF environment.
MAXIMUM_BYTES = 256 * 1024


@dataclass(frozen=True)
class Environment:
    """The XML text and where it was found."""

    text: str
    source: str


class EnvironmentUnreadable(Exception):
    """There is an OVF environment, but it cannot be understood."""


def find() -> Environment | None:
    """The environment that the hypervisor gives, from VMware's guestinfo or from a disc; None without one."""
    return from_guestinfo() or from_disc()


def from_guestinfo() -> Environment | None:
    """Ask VMware's channel, only where there is one: elsewhere the question itself would fail."""
    if _output(["systemd-detect-virt", "--vm"]).strip() != "vmware":
        return None
    text = _output(["vmware-rpctool", GUESTINFO])
    return Environment(text, "VMware guestinfo") if text.strip() else None


def from_disc() -> Environment | None:
    """Look for the file on every ISO 9660 medium, whichever drive or bus it is on."""
    for device in _output(["blkid", "-c", "/dev/null", "-t", "TYPE=iso9660", "-o", "device"]).split():
        with tempfile.TemporaryDirectory(prefix="vv-setup-", dir="/run") as folder:
            mount = ["mount", "-t", "iso9660", "-o", "ro,nodev,nosuid,noexec", device, folder]
            if subprocess.run(mount, capture_output=True, check=False).returncode:
                continue
            try:
                text = _read(Path(folder) / FILE_NAME)
            finally:
                subprocess.run(["umount", folder], check=False)
        if text is not None:
            return Environment(text, f"disc {device}")
    return None


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(MAXIMUM_BYTES + 1).decode("utf-8", errors="replace")
    except OSError:
        return None


def _output(command: list[str]) -> str:
    """Standard output of a program; empty when it is not installed or fails."""
    try:
        done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})
    except OSError:
        return ""
    return "" if done.returncode else done.stdout.decode("utf-8", errors="replace")


def parse(text: str) -> dict[str, str]:
    """The properties of an OVF environment, key to value.

    Raises EnvironmentUnreadable for what is no such document, and for a document type declaration, which none has.
    """
    if len(text) > MAXIMUM_BYTES:
        raise EnvironmentUnreadable(f"it is larger than {MAXIMUM_BYTES // 1024} KiB")
    values: dict[str, str] = {}
    root: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        root.append(name)
        if name == f"{NAMESPACE} Property":
            key = attributes.get(f"{NAMESPACE} key")
            if key is not None:
                values[key] = attributes.get(f"{NAMESPACE} value", "")

    def refuse(*_: object) -> None:
        raise EnvironmentUnreadable("it has a document type declaration")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text.strip(), True)
    except expat.ExpatError as error:
        raise EnvironmentUnreadable(f"it is not XML: {error}") from error
    if root[0] != f"{NAMESPACE} Environment":
        raise EnvironmentUnreadable(f"its root element is {root[0].rpartition(' ')[2]}, not Environment")
    return values

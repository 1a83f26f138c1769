"""The configuration files of this machine, written so that a power cut leaves the old or the new one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

NETWORK = "/etc/systemd/network/10-voice-verify.network"
TIME = "/etc/systemd/timesyncd.conf.d/voice-verify.conf"
HOSTNAME = "/etc/hostname"
HOSTS = "/etc/hosts"
# Domain names of the appliance's web parts, beside its own host name.
WEB_HOSTS = ("voiceverify", "kibana", "grafana")
_MARK = "# Written by vv-setup from the properties of this machine"


@dataclass(frozen=True)
class File:
    """A file to be; `content` None means that there is to be none."""

    path: str
    content: str | None
    mode: int = 0o644


def plan(values: Mapping[str, str], *, keys_file: str, operator_key_sha256_file: str) -> list[File]:
    """All files for checked `values`. No side effects."""
    return [
        File(NETWORK, _network(values)),
        File(TIME, f"{_MARK}\n[Time]\nNTP={values['ntp']}\n" if values["ntp"] else None),
        File(HOSTNAME, f"{values['hostname']}\n"),
        File(HOSTS, _hosts(values)),
        File(keys_file, f"{_MARK}\n{values['ssh_key']}\n" if values["ssh_key"] else None),
        # Readable for the service's account; the hash of a key is no secret.
        File(operator_key_sha256_file, f"{values['operator_key_sha256']}\n" if values["operator_key_sha256"] else None),
    ]


def _network(values: Mapping[str, str]) -> str | None:
    """A systemd.network file; None where the image's DHCP default does."""
    if not (values["address"] or values["dns"] or values["domain"]):
        return None
    lines = [_MARK, "[Match]", "Type=ether", "Name=en* eth*", "Virtualization=!container", "", "[Network]"]
    if values["address"]:
        lines.append(f"Address={values['address']}")
        lines += [f"Gateway={values['gateway']}"] if values["gateway"] else []
    else:
        lines.append("DHCP=yes")
    lines += [f"DNS={address}" for address in values["dns"].split()]
    lines += [f"Domains={values['domain']}"] if values["domain"] else []
    if not values["address"]:
        lines += ["", "[DHCPv4]", "ClientIdentifier=mac"]
        lines += ["UseDNS=no"] if values["dns"] else []
    return "\n".join(lines) + "\n"


def _hosts(values: Mapping[str, str]) -> str:
    name, domain = values["hostname"], values["domain"]
    own = [f"{name}.{domain}", name] if domain else [name]
    own += [f"{web}.{domain}" for web in WEB_HOSTS if domain and web != name]
    return (
        f"{_MARK}\n127.0.0.1 localhost\n127.0.1.1 {' '.join(own)}\n"
        "::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n"
    )


def write_all(files: Sequence[File], root: Path = Path("/")) -> list[str]:
    """Bring every file into its state below `root`; returns the paths that changed."""
    return [file.path for file in files if _write(root / file.path.lstrip("/"), file)]


def _write(path: Path, file: File) -> bool:
    if file.content is None:
        existed = path.exists()
        path.unlink(missing_ok=True)
        return existed
    content = file.content.encode()
    if path.is_file() and path.read_bytes() == content and path.stat().st_mode & 0o777 == file.mode:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), file.mode)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True

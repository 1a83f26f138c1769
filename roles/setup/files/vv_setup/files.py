"""The configuration files of this machine, written so that a power cut leaves the old or the new one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import names, network
from .environment import Interface

TIME = "/etc/systemd/timesyncd.conf.d/voice-verify.conf"
HOSTNAME = "/etc/hostname"
HOSTS = "/etc/hosts"
_MARK = "# Written by vv-setup from the properties of this machine"


@dataclass(frozen=True)
class File:
    """A file to be; `content` None means that there is to be none."""

    path: str
    content: str | None
    mode: int = 0o644


def plan(values: Mapping[str, str], interfaces: Sequence[Interface], settings: Mapping[str, Any]) -> list[File]:
    """All files for checked `values`. No side effects; `settings` say where those of other programs are."""
    keys_file = f"{settings['authorized_keys_folder']}/{settings['administrator']}"
    cards = {card.number: network.secondary(card, _MARK) for card in interfaces}
    return [
        File(network.PATH, network.first(values, _MARK)),
        *(File(path, cards.get(number)) for number, path in network.SECONDARY_PATHS.items()),
        File(TIME, f"{_MARK}\n[Time]\nNTP={values['ntp']}\n" if values["ntp"] else None),
        File(HOSTNAME, f"{values['hostname']}\n"),
        File(HOSTS, _hosts(values)),
        File(keys_file, f"{_MARK}\n{values['ssh_key']}\n" if values["ssh_key"] else None),
        # Readable for the service's account; the hash of a key is no secret.
        File(
            settings["operator_key_sha256_file"],
            f"{values['operator_key_sha256']}\n" if values["operator_key_sha256"] else None,
        ),
        File(settings["recipient_file"], f"{values['backup_recipient']}\n" if values["backup_recipient"] else None),
        File(settings["access_file"], _access(values, settings["properties"])),
        # It may hold a private key.
        File(settings["certificate_file"], values["certificate"] or None, 0o600),
    ]


def _access(values: Mapping[str, str], properties: Sequence[Mapping[str, str]]) -> str:
    """Who may reach which ports, for the firewall."""
    keys = [entry["key"] for entry in properties if entry["type"] == "networks"]
    access = {"sources": {key: values[key].split() for key in keys}, "plain_ports": values["plain_ports"]}
    return json.dumps(access, indent=2) + "\n"


def _hosts(values: Mapping[str, str]) -> str:
    name = values["hostname"]
    # The first name of a line is the canonical one.
    full, *others = names.on_domain(values) or [name]
    own = [full, name, *others] if full != name else [name]
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

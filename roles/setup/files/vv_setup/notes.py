"""What others are told about this machine, in memory only: the service, what sizes itself by the tier, the console."""

from __future__ import annotations

import grp
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import sizing

_HTTP, _HTTPS = 80, 443
# Debian's group of those who may read logs.
_ADMINISTRATORS = "adm"


def leave(settings: dict[str, Any], outcome: dict[str, Any]) -> bool:
    """Write the notes; returns whether the settings of the service differ from those that were there."""
    values = outcome["values"]
    size = sizing.this_machine(settings["tiers"], values["tier"])
    folder = Path(settings["runtime_folder"])
    folder.mkdir(parents=True, exist_ok=True)
    wanted = _service_settings(settings, values, size)
    service = Path(settings["service_settings_file"])
    changed = not service.is_file() or service.read_text(encoding="utf-8") != wanted
    service.write_text(wanted, encoding="utf-8")
    first, last = sizing.rtp_ports(size["streams"], **settings["rtp_ports"])
    # Sizes are no secret: the units that size themselves run as accounts of their own.
    Path(settings["sizing_file"]).write_text(json.dumps({**size, "rtp_ports": [first, last]}), encoding="utf-8")
    # By DHCP it is known only once there is a network; the SIP edge then looks itself.
    own = values["advertised_address"] or values["address"].partition("/")[0]
    Path(settings["edge_settings_file"]).write_text(f"SIP_EDGE_ADDRESS={own}\n", encoding="utf-8")
    note = folder / "setup.json"
    # For administrators, whose vv-status reads it; not for the accounts of services.
    note.touch(mode=0o600)
    os.chown(note, 0, grp.getgrnam(_ADMINISTRATORS).gr_gid)
    note.chmod(0o640)
    # The certificate is in a file of its own, and may come with its private key.
    told = {key: value for key, value in values.items() if key != "certificate"}
    note.write_text(json.dumps({**outcome, "values": told, "sizing": size}), encoding="utf-8")
    return changed


def _service_settings(settings: dict[str, Any], values: Mapping[str, str], size: sizing.Sizing) -> str:
    lines = [f"VV_MAX_STREAMS={size['streams']}", f"VV_ENGINE_THREADS={size['engine_threads']}"]
    if values["domain"]:
        secure = values["plain_ports"] == "closed"
        scheme, usual = ("wss", _HTTPS) if secure else ("ws", _HTTP)
        port = settings["https_port" if secure else "http_port"]
        lines.append(f"VV_PUBLIC_WS_URL={scheme}://voiceverify.{values['domain']}{'' if port == usual else f':{port}'}")
    first, last = sizing.rtp_ports(size["streams"], **settings["rtp_ports"])
    lines += [f"VV_RTP_FIRST={first}", f"VV_RTP_LAST={last}"]
    # Without it each caller is told the address by which he reaches this machine.
    if values["advertised_address"]:
        lines.append(f"VV_SIP_ADVERTISED={values['advertised_address']}")
    if values["audiosocket_peers"]:
        lines.append(f"VV_AUDIOSOCKET_PEERS={','.join(values['audiosocket_peers'].split())}")
    return "\n".join(lines) + "\n"

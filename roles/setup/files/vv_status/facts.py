"""Gathers the state of the machine. Everything is read again each time; nothing here changes anything."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

HEALTH_TIMEOUT_S = 5.0
FAILING_RESTARTS = 2


def gather(settings: dict[str, Any]) -> dict[str, Any]:
    """The whole state, ready for JSON. Holds no secret."""
    setup = read_json(f"{settings['runtime_folder']}/setup.json")
    services = unit_states(settings["services"])
    ready = answers_ready(settings["api_port"])
    return {
        "title": settings["title"],
        "version": settings["version"],
        "build_id": settings["build_id"],
        "hostname": socket.gethostname(),
        "addresses": addresses(),
        "api_port": settings["api_port"],
        "http_port": settings["http_port"],
        "ready": ready,
        "services": services,
        "data_disk": read_json(settings["data_state_file"]),
        "setup": {key: setup.get(key) for key in ("state", "source", "problems")},
        "sizing": setup.get("sizing", {}),
    }


def read_json(path: str) -> dict[str, Any]:
    """What another program left; empty when it has not, or this account may not read it."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def unit_states(units: list[str]) -> dict[str, str]:
    """ActiveState of each systemd unit, in the order given; `failing` when it is started again and again."""
    done = subprocess.run(
        ["systemctl", "show", "--property=ActiveState,NRestarts", *units], capture_output=True, text=True, check=False
    )
    states = []
    for block in done.stdout.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        active = values.get("ActiveState", "unknown")
        # Between two attempts systemd says "activating", however often it has tried.
        failing = active != "active" and int(values.get("NRestarts") or 0) >= FAILING_RESTARTS
        states.append("failing" if failing else active)
    return dict(zip(units, states, strict=False))


def addresses() -> list[str]:
    """IPv4 addresses that other machines may reach."""
    done = subprocess.run(
        ["ip", "-j", "-4", "address", "show", "scope", "global"], capture_output=True, text=True, check=False
    )
    try:
        links = json.loads(done.stdout)
    except ValueError:
        return []
    return [info["local"] for link in links for info in link.get("addr_info", [])]


def answers_ready(port: int) -> bool:
    """Whether the service says that it is ready."""
    # By hand: http.client and what it imports cost seconds on an emulated machine.
    request = b"GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=HEALTH_TIMEOUT_S) as connection:
            connection.sendall(request)
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


def operator_key(settings: dict[str, Any]) -> str:
    """The generated first operator key while it waits to be seen; empty for others than root."""
    path = settings["operator_key_file"]
    if not os.access(path, os.R_OK):
        return ""
    return Path(path).read_text(encoding="utf-8").strip()

"""Gathers the state of the machine. Everything is read again each time; nothing here changes anything."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

HEALTH_TIMEOUT_S = 5.0
HEALTH_MAXIMUM_BYTES = 64 * 1024
FAILING_RESTARTS = 2


def gather(settings: dict[str, Any]) -> dict[str, Any]:
    """The whole state, ready for JSON. Holds no secret."""
    setup = read_json(f"{settings['runtime_folder']}/setup.json")
    services = unit_states([*settings["services"], settings["backups_unit"]])
    backup_state = services.pop(settings["backups_unit"], "unknown")
    ready, health = ask_service(settings["api_port"])
    return {
        "title": settings["title"],
        "version": settings["version"],
        "build_id": settings["build_id"],
        "hostname": socket.gethostname(),
        "addresses": addresses(),
        "api_port": settings["api_port"],
        "api_tls_port": settings["api_tls_port"],
        "http_port": settings["http_port"],
        "ready": ready,
        "services": services,
        "data_disk": read_json(settings["data_state_file"]),
        "setup": {
            **{key: setup.get(key) for key in ("state", "source", "problems", "overrides")},
            "domain": setup.get("values", {}).get("domain"),
        },
        "identity": read_json(settings["taken_over_file"]),
        "tls": read_json(settings["tls_state_file"]),
        "backup": {
            "wanted": bool(setup.get("values", {}).get("backup_recipient")),
            "failed": backup_state == "failed",
            **backups(settings["backups_folder"]),
        },
        "licence": health.get("licence", {}),
        "sizing": setup.get("sizing", {}),
    }


def read_json(path: str) -> dict[str, Any]:
    """What another program left; empty when it has not, or this account may not read it."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def backups(folder: str) -> dict[str, Any]:
    """How many there are, and when the newest was made; empty where there are none, or this account may not look."""
    try:
        # No library: importing one costs more than this does.
        names = sorted(name for name in os.listdir(folder) if name.endswith(".age"))  # noqa: PTH208
        made = os.stat(f"{folder}/{names[-1]}").st_mtime  # noqa: PTH116
    except (OSError, IndexError):
        return {}
    return {"count": len(names), "newest": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(made))}


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
    # An address of another scope leaves an empty object.
    return [info["local"] for link in links for info in link.get("addr_info", []) if "local" in info]


def ask_service(port: int) -> tuple[bool, dict[str, Any]]:
    """Whether the service says that it is ready, and its health document; empty without an answer."""
    # By hand: http.client and what it imports cost seconds on an emulated machine.
    request = b"GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n"
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=HEALTH_TIMEOUT_S) as connection:
            connection.sendall(request)
            while len(answer) < HEALTH_MAXIMUM_BYTES and (part := connection.recv(4096)):
                answer += part
    except OSError:
        return False, {}
    head, _, body = answer.partition(b"\r\n\r\n")
    try:
        health = json.loads(body)
    except ValueError:
        health = {}
    return head.split(b" ")[1:2] == [b"200"], health if isinstance(health, dict) else {}

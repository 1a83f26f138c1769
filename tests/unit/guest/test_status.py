"""What the console says in each situation, and above all what to do next."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vv_status import facts, screen

HEALTHY: dict[str, Any] = {
    "title": "Voice Verify", "version": "1.2.3", "build_id": "abc", "hostname": "vv1", "addresses": ["192.0.2.10"],
    "api_port": 8000, "http_port": 80, "ready": True,
    "services": {"postgresql.service": "active", "voice-verify.service": "active", "nginx.service": "active"},
    "data_disk": {"state": "ready", "message": "/dev/sdb (40.0 GiB)", "advice": ""},
    "setup": {"state": "applied", "source": "VMware guestinfo", "problems": []},
    "sizing": {"tier": 1, "label": "Small", "streams": 50, "cores": 12, "memory_gb": 15.6},
}  # fmt: skip


def test_healthy_machine_says_where_to_go() -> None:
    text = screen.render(HEALTHY)
    assert "Voice Verify 1.2.3" in text
    assert "192.0.2.10" in text
    assert "1 (Small): 50 streams" in text
    assert text.endswith("Next: open http://192.0.2.10:8000/swagger/\n")


def test_missing_data_disk_says_why_services_are_down() -> None:
    disk = {"state": "missing", "message": "no data disk", "advice": "attach it"}
    down = dict.fromkeys(HEALTHY["services"], "inactive")
    text = screen.render({**HEALTHY, "data_disk": disk, "services": down, "ready": False})
    assert "DATA DISK: no data disk" in text
    assert "attach it" in text
    assert "services stay down" in text


def test_refused_properties_are_listed() -> None:
    setup = {"state": "refused", "source": "disc /dev/sr0", "problems": ["address = 'x': no", "dns = 'y': no"]}
    text = screen.render({**HEALTHY, "setup": setup})
    assert "address = 'x': no" in text
    assert "dns = 'y': no" in text
    assert "correct the properties" in text


@pytest.mark.parametrize(
    ("change", "step"),
    [
        ({"addresses": []}, "connect the network"),
        ({"ready": False}, "wait until"),
        (
            {"services": {"voice-verify.service": "failed"}, "ready": False},
            "journalctl --boot --unit voice-verify.service",
        ),
    ],
)
def test_next_step_fits_the_situation(change: dict[str, Any], step: str) -> None:
    assert step in screen.next_step({**HEALTHY, **change})


def test_generated_key_is_shown_while_it_waits() -> None:
    assert "vv_secret" in screen.render(HEALTHY, "vv_secret")
    assert "operator API key" not in screen.render(HEALTHY)


def test_early_boot_without_any_notes_is_no_error() -> None:
    state = {**HEALTHY, "data_disk": {}, "setup": {"state": None, "source": None, "problems": None}, "sizing": {}}
    assert "looking" in screen.render({**state, "ready": False, "addresses": []})


@pytest.mark.parametrize(("answer", "ready"), [(b"HTTP/1.1 200 OK\r\n\r\n", True), (b"HTTP/1.1 503 No\r\n\r\n", False)])
def test_readiness_is_what_the_service_answers(answer: bytes, ready: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(1024)
                peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert facts.answers_ready(listener.getsockname()[1]) is ready
        thread.join()


def test_silence_is_not_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert not facts.answers_ready(port)


def test_facts_are_gathered_without_a_secret(tmp_path: Path, programs: Callable[[str, str], None]) -> None:
    programs("systemctl", "printf 'NRestarts=0\\nActiveState=active\\n\\nNRestarts=9\\nActiveState=activating\\n'")
    programs("ip", """echo '[{"ifname": "ens192", "addr_info": [{"local": "192.0.2.10"}]}]'""")
    (tmp_path / "setup.json").write_text(
        json.dumps({"state": "applied", "values": {"ssh_key": "k"}, "sizing": {"tier": 1}})
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        unused = listener.getsockname()[1]
    state = facts.gather(
        {
            "title": "t", "version": "v", "build_id": "b", "api_port": unused, "http_port": 80,
            "runtime_folder": str(tmp_path), "data_state_file": str(tmp_path / "none"),
            "services": ["a.service", "b.service"], "operator_key_file": str(tmp_path / "key"),
        }
    )  # fmt: skip
    assert state["services"] == {"a.service": "active", "b.service": "failing"}
    assert state["addresses"] == ["192.0.2.10"]
    assert state["sizing"] == {"tier": 1}
    assert "values" not in json.dumps(state)

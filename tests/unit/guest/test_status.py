"""What the console says in each situation, and above all what to do next."""

from __future__ import annotations

import json
import os
import pty
import socket
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from vv_status import facts, operator_key, screen
from vv_status.console import CLEAR, Console

HEALTHY: dict[str, Any] = {
    "title": "Voice Verify", "version": "1.2.3", "build_id": "abc", "hostname": "vv1", "addresses": ["192.0.2.10"],
    "api_port": 8000, "api_tls_port": 8443, "http_port": 80, "ready": True,
    "services": {"postgresql.service": "active", "voice-verify.service": "active", "nginx.service": "active"},
    "data_disk": {"state": "ready", "message": "/dev/sdb (40.0 GiB)", "advice": ""},
    "setup": {
        "state": "applied", "source": "VMware guestinfo", "problems": [], "overrides": [], "domain": "example.org",
    },
    "identity": {},
    "backup": {"wanted": False, "failed": False},
    "tls": {"enabled": False, "names_fit": False, "problem": "", "not_after": ""},
    "licence": {"state": "valid", "calls": 50, "expires": "2027-01-31", "problems": []},
    "sizing": {"tier": 1, "label": "Small", "streams": 50, "cores": 12, "memory_gb": 15.6},
}  # fmt: skip


def test_healthy_machine_says_where_to_go() -> None:
    text = screen.render(HEALTHY)
    assert "Voice Verify 1.2.3" in text
    assert "192.0.2.10" in text
    assert "1 (Small): 50 streams" in text
    assert text.endswith("Next: open http://192.0.2.10:8000/swagger/\n")


def test_screen_tells_setup_tls_and_licence() -> None:
    text = screen.render(HEALTHY)
    assert "Setup     as VMware guestinfo says\n" in text
    assert "TLS       off\n" in text
    assert "Licence   valid: 50 calls, until 2027-01-31\n" in text
    assert "Host      vv1, voiceverify.example.org\n" in text
    assert max(map(len, text.splitlines())) <= 80


def test_what_was_set_here_is_told_beside_its_source() -> None:
    setup = {**HEALTHY["setup"], "overrides": ["gateway", "tier"]}
    assert "as VMware guestinfo says; set here: gateway, tier" in screen.render({**HEALTHY, "setup": setup})
    assert "Setup     as set here\n" in screen.render({**HEALTHY, "setup": {**setup, "source": ""}})


def test_next_step_with_tls_is_the_secure_address() -> None:
    tls = {"enabled": True, "names_fit": True, "problem": "", "not_after": "2027-03-01T00:00:00+00:00"}
    text = screen.render({**HEALTHY, "tls": tls})
    assert "TLS       on, certificate until 2027-03-01" in text
    assert text.endswith("Next: open https://voiceverify.example.org:8443/swagger/\n")


def test_screen_tells_of_backups_once_they_are_wanted() -> None:
    assert "Backups" not in screen.render(HEALTHY)
    backup = {"wanted": True, "failed": True}
    text = screen.render({**HEALTHY, "backup": backup})
    assert "Backups   none yet\n" in text
    assert "BACKUP: the last one failed; sudo journalctl --unit vv-backup says why" in text
    backup |= {"failed": False, "count": 3, "newest": "2026-11-23T02:31:00Z"}
    assert "Backups   3 on the data disk, newest 2026-11-23T02:31:00Z\n" in screen.render({**HEALTHY, "backup": backup})


def test_tls_and_licence_problems_are_told() -> None:
    tls = {"enabled": False, "names_fit": False, "problem": "the certificate belongs to another key", "not_after": ""}
    licence = {**HEALTHY["licence"], "state": "expired", "problems": ["The licence expired on 2026-01-31."]}
    text = screen.render({**HEALTHY, "tls": tls, "licence": licence})
    assert "TLS: the certificate belongs to another key" in text
    assert "LICENCE: The licence expired on 2026-01-31." in text


def test_missing_data_disk_says_why_services_are_down() -> None:
    disk = {"state": "missing", "message": "no data disk", "advice": "attach it"}
    down = dict.fromkeys(HEALTHY["services"], "inactive")
    text = screen.render({**HEALTHY, "data_disk": disk, "services": down, "ready": False})
    assert "DATA DISK: no data disk" in text
    assert "attach it" in text
    assert "services stay down" in text


def test_refused_properties_are_listed() -> None:
    problems = ["address = 'x': no", "dns = 'y': no"]
    setup = {**HEALTHY["setup"], "state": "refused", "source": "disc /dev/sr0", "problems": problems}
    text = screen.render({**HEALTHY, "setup": setup})
    assert "address = 'x': no" in text
    assert "dns = 'y': no" in text
    assert "correct the properties" in text
    assert "sudo vv-setup set" in text


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


def test_generated_key_is_shown_on_the_screen_only() -> None:
    shown = screen.render(HEALTHY, "vv_secret", may_be_kept_here=True)
    assert "vv_secret" in shown
    assert "type kept and press Enter" in shown
    assert max(map(len, shown.splitlines())) <= 80
    elsewhere = screen.render(HEALTHY, "vv_secret")
    assert "vv_secret" not in elsewhere
    assert "sudo vv-key first" in elsewhere
    assert "operator API key" not in screen.render(HEALTHY)


@pytest.mark.parametrize(("typed", "gone"), [("kept\n", True), ("  KEPT \r\n", True), ("\n", False), ("kep\n", False)])
def test_generated_key_goes_when_somebody_types_that_it_is_kept(tmp_path: Path, typed: str, gone: bool) -> None:
    path = tmp_path / "operator-key"
    path.write_text("vv_secret\n")
    assert operator_key.waiting(str(path)) == "vv_secret"
    assert operator_key.acknowledge(str(path), typed) is gone
    assert operator_key.waiting(str(path)) == ("" if gone else "vv_secret")


@pytest.fixture
def terminals() -> Iterator[tuple[int, str, int, str]]:
    """Two terminals, for the screen and the serial line: each the person's end, and the path of the machine's."""
    ends = [pty.openpty() for _ in range(2)]
    for _, machine in ends:
        tty.setraw(machine)
    yield ends[0][0], os.ttyname(ends[0][1]), ends[1][0], os.ttyname(ends[1][1])
    for descriptor in (descriptor for pair in ends for descriptor in pair):
        os.close(descriptor)


def test_screen_and_serial_line_show_what_is_theirs(terminals: tuple[int, str, int, str]) -> None:
    person, screen_path, logger, line_path = terminals
    console = Console(screen_path, line_path)
    console.show(screen="with a key", line="without")
    assert os.read(person, 999).decode() == f"{CLEAR}with a key"
    assert os.read(logger, 999).decode() == "\r\nwithout"


def test_what_is_typed_on_the_screen_is_read_and_cleared_away(terminals: tuple[int, str, int, str]) -> None:
    person, screen_path, _, line_path = terminals
    console = Console(screen_path, line_path)
    console.show(screen="state", line="state")
    os.read(person, 999)
    assert console.wait(0.01) is None
    os.write(person, b"kept\n")
    assert console.wait(5) == "kept\n"
    console.show(screen="state", line="state")
    assert os.read(person, 999).decode() == f"{CLEAR}state"


def test_screen_that_was_taken_away_is_opened_again(tmp_path: Path, terminals: tuple[int, str, int, str]) -> None:
    person, screen_path, _, line_path = terminals
    link = tmp_path / "screen"
    gone, other = pty.openpty()
    link.symlink_to(os.ttyname(other))
    console = Console(str(link), line_path)
    console.show(screen="state", line="state")
    os.close(other)
    os.close(gone)
    assert console.wait(0.01) == ""
    link.unlink()
    link.symlink_to(screen_path)
    console.show(screen="state", line="state")
    assert os.read(person, 999).decode() == f"{CLEAR}state"


def test_machine_without_a_screen_waits(tmp_path: Path) -> None:
    console = Console(str(tmp_path / "no"), str(tmp_path / "no"))
    console.show(screen="state", line="state")
    assert console.wait(0.01) is None


def test_early_boot_without_any_notes_is_no_error() -> None:
    state = {**HEALTHY, "data_disk": {}, "setup": {}, "sizing": {}, "tls": {}, "licence": {}}
    assert "looking" in screen.render({**state, "ready": False, "addresses": []})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b'HTTP/1.1 200 OK\r\n\r\n{"licence": {"calls": 2}}', (True, {"licence": {"calls": 2}})),
        (b'HTTP/1.1 503 No\r\n\r\n{"status": "not_ready"}', (False, {"status": "not_ready"})),
        (b"HTTP/1.1 502 No\r\n\r\n<html/>", (False, {})),
        (b"HTTP/1.1 200 OK\r\n\r\n[]", (True, {})),
        (b"", (False, {})),
    ],
)
def test_readiness_is_what_the_service_answers(answer: bytes, expected: tuple[bool, dict[str, Any]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(1024)
                # In two pieces, as a network may deliver it.
                peer.sendall(answer[:20])
                peer.sendall(answer[20:])

        thread = threading.Thread(target=serve)
        thread.start()
        assert facts.ask_service(listener.getsockname()[1]) == expected
        thread.join()


def test_silence_is_not_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert facts.ask_service(port) == (False, {})


def test_facts_are_gathered_without_a_secret(tmp_path: Path, programs: Callable[[str, str], None]) -> None:
    programs(
        "systemctl",
        r"printf 'NRestarts=0\nActiveState=active\n\nNRestarts=9\nActiveState=activating\n\nActiveState=failed\n'",
    )
    programs("ip", """echo '[{"ifname": "ens192", "addr_info": [{}, {"local": "192.0.2.10"}]}]'""")
    (tmp_path / "setup.json").write_text(
        json.dumps({"state": "applied", "values": {"ssh_key": "k", "domain": "example.org"}, "sizing": {"tier": 1}})
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        unused = listener.getsockname()[1]
    (tmp_path / "backups").mkdir()
    for name in ("1.age", "2.age", "3.age.part"):
        (tmp_path / "backups" / name).touch()
        os.utime(tmp_path / "backups" / name, (0, 0))
    state = facts.gather(
        {
            "title": "t", "version": "v", "build_id": "b", "api_port": unused, "api_tls_port": 8443, "http_port": 80,
            "runtime_folder": str(tmp_path), "data_state_file": str(tmp_path / "none"),
            "services": ["a.service", "b.service"], "operator_key_file": str(tmp_path / "key"),
            "taken_over_file": "/nowhere", "backups_unit": "c.service", "backups_folder": str(tmp_path / "backups"),
            "tls_state_file": str(tmp_path / "none"),
        }
    )  # fmt: skip
    assert state["services"] == {"a.service": "active", "b.service": "failing"}
    newest = "1970-01-01T00:00:00Z"
    assert state["backup"] == {"wanted": False, "failed": True, "count": 2, "newest": newest}
    assert state["addresses"] == ["192.0.2.10"]
    assert state["sizing"] == {"tier": 1}
    assert state["setup"]["domain"] == "example.org"
    assert "values" not in json.dumps(state)


def test_identity_that_was_taken_over_is_told() -> None:
    assert "Identity  taken over from the data disk\n" in screen.render({**HEALTHY, "identity": {"state": "taken"}})
    assert "Identity" not in screen.render(HEALTHY)


def test_identity_of_another_appliance_is_a_problem() -> None:
    state = {**HEALTHY, "identity": {"state": "another", "problem": "the data disk is another appliance's"}}
    assert "IDENTITY: the data disk is another appliance's" in screen.render(state)

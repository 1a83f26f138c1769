"""The service as the image runs it: on PostgreSQL, from the wheelhouse, in its sandbox."""

from __future__ import annotations

import json
import time

import pytest
from testinfra.host import Host

testinfra_hosts = ["podman://voice-verify-voice_verify"]
GET = "import urllib.request, sys; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"
READY_S = 120
# An INVITE without anything to hear, which can be refused but not taken; prints the final answer.
CALL = """
import socket
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(10)
client.connect(("127.0.0.1", 5070))
host, port = client.getsockname()
offer = f"v=0\\r\\no=- 1 1 IN IP4 {host}\\r\\ns=-\\r\\nc=IN IP4 {host}\\r\\nt=0 0\\r\\nm=video 40000 RTP/AVP 31\\r\\n"
lines = [
    "INVITE sip:verify@127.0.0.1 SIP/2.0", f"Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{port}",
    "Max-Forwards: 70", "From: <sip:caller@example.org>;tag=1", "To: <sip:verify@example.org>", f"Call-ID: {port}",
    "CSeq: 1 INVITE", f"Contact: <sip:caller@{host}:{port}>", "Content-Type: application/sdp",
    f"Content-Length: {len(offer)}", "", offer,
]
client.send("\\r\\n".join(lines).encode())
answer = "SIP/2.0 1"
while answer.startswith("SIP/2.0 1"):
    answer = client.recv(65535).decode()
print(answer)
"""


@pytest.fixture(scope="module", autouse=True)
def started(host: Host) -> None:
    host.check_output("systemctl daemon-reload")
    host.check_output("systemctl restart postgresql")
    host.check_output("systemctl start voice-verify voice-verify-key")
    wait_until_ready(host)


def wait_until_ready(host: Host) -> None:
    deadline = time.monotonic() + READY_S
    while host.run("python3 -c %s http://127.0.0.1:8000/health/ready", GET).rc:
        assert time.monotonic() < deadline, host.run("journalctl --unit voice-verify --lines 30").stdout
        time.sleep(1)


def test_service_is_ready_on_postgresql(host: Host) -> None:
    assert "postgresql+psycopg" in host.file("/etc/voice-verify/voice-verify.env").content_string
    tables = host.check_output(
        "runuser -u voice-verify -- psql -h /run/postgresql -Atc %s voice-verify",
        "select count(*) from information_schema.tables where table_schema = 'public'",
    )
    assert int(tables) > 1


def test_licence_is_installed_and_the_service_believes_signatures_only(host: Host) -> None:
    file = host.file("/usr/share/voice-verify/licence.json")
    assert (file.user, file.group, file.mode) == ("root", "root", 0o644)
    health = json.loads(host.check_output("python3 -c %s http://127.0.0.1:8000/health/ready", GET))
    assert health["licence"]["state"] == "evaluation"
    assert "does not trust" in health["licence"]["problems"][0]


def test_calls_come_in_over_loopback_only_and_media_from_everywhere(host: Host) -> None:
    checks = json.loads(host.check_output("python3 -c %s http://127.0.0.1:8000/health/ready", GET))["checks"]
    assert [check["ok"] for check in checks if check["name"] == "telephony"] == [True]
    sockets = host.check_output("ss --no-header --listening --numeric --udp --tcp").splitlines()
    listening = {(line.split()[0], line.split()[4]) for line in sockets}
    assert {entry for entry in listening if entry[1].endswith(":5070")} == {
        ("udp", "127.0.0.1:5070"), ("tcp", "127.0.0.1:5070"),
    }  # fmt: skip
    assert "VV_RTP_HOST=0.0.0.0" in host.file("/etc/voice-verify/voice-verify.env").content_string.splitlines()


def test_calls_prove_a_password_that_the_administrator_has_put_there(host: Host) -> None:
    file, pid = "/etc/credstore/voice-verify.sip-accounts", "systemctl show --property=MainPID --value voice-verify"
    before = host.check_output(pid)
    host.check_output("umask 077; echo %s > %s", '{"trunk": "a-long-random-password"}', file)
    try:
        host.check_output("systemctl restart voice-verify")
        wait_until_ready(host)
        assert "SIP/2.0 401" in host.check_output("python3 -c %s", CALL)
    finally:
        host.check_output("rm %s", file)
        host.check_output("systemctl restart voice-verify")
    wait_until_ready(host)
    assert host.check_output(pid) != before
    assert "SIP/2.0 488" in host.check_output("python3 -c %s", CALL)


def test_opus_can_be_decoded(host: Host) -> None:
    find = "from voice_verify.telephony.rtp import opus; print(opus.library() is not None)"
    assert host.check_output("/opt/voice-verify/venv/bin/python -c %s", find) == "True"


def test_service_runs_as_its_own_account(host: Host) -> None:
    pid = host.check_output("systemctl show --property=MainPID --value voice-verify")
    assert host.check_output("stat --format=%%U /proc/%s", pid) == "voice-verify"


def test_settings_are_not_for_everybody(host: Host) -> None:
    file = host.file("/etc/voice-verify/voice-verify.env")
    assert (file.user, file.group, file.mode) == ("root", "voice-verify", 0o640)


def test_new_operator_key_waits_in_memory_and_opens_the_api(host: Host) -> None:
    path = "/run/voice-verify-key/operator-key"
    assert host.file(path).mode == 0o600
    assert host.check_output("findmnt --noheadings --output FSTYPE --target %s", path) == "tmpfs"
    key = host.file(path).content_string.strip()
    program = (
        "import urllib.request as u, sys;"
        "r = u.Request(sys.argv[1], headers={'Authorization': 'Bearer ' + sys.argv[2]});"
        "print(u.urlopen(r, timeout=10).read().decode())"
    )
    answer = json.loads(host.check_output("python3 -c %s http://127.0.0.1:8000/api/v2/streams %s", program, key))
    assert answer is not None


def test_later_boots_make_no_other_key(host: Host) -> None:
    before = host.file("/run/voice-verify-key/operator-key").content_string
    host.check_output("systemctl restart voice-verify-key")
    assert host.file("/run/voice-verify-key/operator-key").content_string == before


def test_first_key_is_shown_once(host: Host) -> None:
    key = host.file("/run/voice-verify-key/operator-key").content_string.strip()
    assert host.check_output("vv-key first") == key
    assert not host.file("/run/voice-verify-key/operator-key").exists
    again = host.run("vv-key first")
    assert again.rc == 1
    assert "vv-key create --name operator-2 --role operator" in again.stderr
    host.check_output("systemctl restart voice-verify-key")
    assert not host.file("/run/voice-verify-key/operator-key").exists


def test_given_key_hash_is_stored_once(host: Host) -> None:
    digest = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
    host.check_output("printf '%s\\n' > /etc/voice-verify/operator-key.sha256", digest)
    for _ in range(2):
        host.check_output("systemctl restart voice-verify-key")
    assert host.file("/data/voice-verify/first-operator-key").content_string.strip() == digest


@pytest.mark.parametrize("unit", ["voice-verify", "voice-verify-data-key", "voice-verify-key"])
def test_unit_is_sandboxed(host: Host, unit: str) -> None:
    report = host.check_output("systemd-analyze security --no-pager %s.service", unit)
    assert float(report.splitlines()[-1].split(":")[1].split()[0]) < 3.0


def test_onnxruntime_knows_the_processor_and_reports_nothing(host: Host) -> None:
    journal = host.check_output("journalctl --unit voice-verify --output cat")
    assert "cpuinfo" not in journal
    assert "telemetry" not in journal.lower()


def test_unit_needs_the_data_disk(host: Host) -> None:
    for unit in ("voice-verify", "voice-verify-key"):
        needed = host.check_output("systemctl show --property=RequiresMountsFor --value %s", unit)
        assert "/data/voice-verify" in needed.split()


def test_code_is_compiled_for_a_quick_start(host: Host) -> None:
    host.check_output(
        "test -e $(echo /opt/voice-verify/venv/lib/python3*/site-packages/voice_verify/__pycache__/cli.*.pyc)"
    )


def test_administrator_makes_keys_for_integrators(host: Host) -> None:
    key = host.check_output("vv-key create --name crm --role integrator")
    assert key.splitlines()[-1].startswith("vv_")
    assert '"crm"' in host.check_output("vv-key list")
    assert key.splitlines()[-1] not in host.check_output("journalctl --boot --no-pager")


def test_keys_are_for_root_only(host: Host) -> None:
    refused = host.run("runuser -u nobody -- vv-key list")
    assert refused.rc == 1
    assert "sudo vv-key list" in refused.stderr

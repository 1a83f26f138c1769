"""What nginx serves with and without a certificate, to a client that checks what it gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

testinfra_hosts = ["podman://voice-verify-nginx"]
HERE = Path(__file__).parent
SERVICE, CLIENT = ((HERE / name).read_text(encoding="utf-8") for name in ("service.py", "client.py"))
FOLDER, STATE = "/data/tls/current", "/run/voice-verify/tls.json"
ANY = "ALL"
TLS_PORTS = [443, 8443]


@pytest.fixture(scope="module", autouse=True)
def certificates(host: Host) -> None:
    """An authority in /root/ca.pem, and two certificates of one key in FOLDER and /root/renewed."""
    host.check_output(f"mkdir -p {FOLDER} /run/voice-verify /root/renewed")
    key = "-newkey rsa:2048 -nodes -days 9"
    host.check_output(
        f"openssl req -x509 {key} -subj /CN=CA -addext keyUsage=critical,keyCertSign"
        " -keyout /root/ca.key -out /root/ca.pem"
    )
    host.check_output(
        f"openssl req {key} -subj /CN=vv -addext subjectAltName=DNS:voiceverify.example.org"
        f" -keyout {FOLDER}/private-key.pem -out /root/request.pem"
    )
    sign = (
        "openssl x509 -req -days 9 -CA /root/ca.pem -CAkey /root/ca.key -copy_extensions copyall -in /root/request.pem"
    )
    host.check_output(f"{sign} -out {FOLDER}/certificate.pem")
    host.check_output(f"{sign} -out /root/renewed/certificate.pem")
    host.check_output("systemctl daemon-reload")
    host.check_output("systemd-run --unit=service python3 -c %s", SERVICE)


@pytest.fixture
def with_tls(host: Host) -> None:
    switch(host, on=True)


@pytest.fixture
def without_tls(host: Host) -> None:
    switch(host, on=False)


def switch(host: Host, *, on: bool) -> None:
    host.check_output("printf '%%s' %s > " + STATE, json.dumps({"enabled": on}))
    # What systemd counts as too many starts is normal here.
    host.check_output("systemctl reset-failed nginx; systemctl restart nginx")


def client(host: Host, action: str, port: int, *arguments: str) -> str:
    words = " %s" * (len(arguments) + 3)
    return host.check_output("python3 -c" + words, CLIENT, action, str(port), *arguments)


def request(host: Host, port: int, *arguments: str) -> dict[str, Any]:
    return dict(json.loads(client(host, "request", port, *arguments)))


@pytest.mark.usefixtures("without_tls")
def test_without_a_certificate_only_the_plain_port_is_served(host: Host) -> None:
    assert [client(host, "handshake", port, "TLSv1_3", ANY) for port in TLS_PORTS] == ["refused", "refused"]
    assert request(host, 80, "GET", "/")["status"] == 302


@pytest.mark.usefixtures("with_tls")
@pytest.mark.parametrize("port", TLS_PORTS)
@pytest.mark.parametrize(
    ("version", "ciphers", "agreed"),
    [
        ("TLSv1_3", ANY, "TLSv1.3 TLS_AES_256_GCM_SHA384"),
        ("TLSv1_2", "ECDHE-RSA-AES128-GCM-SHA256", "TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256"),
        ("TLSv1_2", "ECDHE-RSA-AES128-SHA256", "ALERT"),
        ("TLSv1_2", "AES128-GCM-SHA256", "ALERT"),
        ("TLSv1_1", ANY, "ALERT"),
    ],
)
def test_only_safe_versions_and_ciphers_are_agreed(
    host: Host, port: int, version: str, ciphers: str, agreed: str
) -> None:
    assert agreed in client(host, "handshake", port, version, ciphers)


@pytest.mark.usefixtures("with_tls")
@pytest.mark.parametrize("port", [80, *TLS_PORTS])
def test_websocket_passes_to_the_service(host: Host, port: int) -> None:
    assert client(host, "stream", port) == "hello"


@pytest.mark.usefixtures("with_tls")
@pytest.mark.parametrize(
    ("port", "location"),
    [(80, "http://voiceverify.example.org:8000/swagger/"), (443, "https://voiceverify.example.org:8443/swagger/")],
)
def test_front_page_leads_to_the_api(host: Host, port: int, location: str) -> None:
    reply = request(host, port, "GET", "/", "Host: voiceverify.example.org")
    assert reply == {"status": 302, "location": location, "server": "nginx"}


@pytest.mark.usefixtures("with_tls")
@pytest.mark.parametrize("port", [80, 443])
@pytest.mark.parametrize(("action", "argument", "status"), [("request", "GET", "404"), ("upload", "5", "413")])
def test_web_ports_serve_nothing_else(host: Host, port: int, action: str, argument: str, status: str) -> None:
    arguments = (argument, "/api/v2/streams") if action == "request" else (argument,)
    assert status in client(host, action, port, *arguments)


@pytest.mark.usefixtures("with_tls")
def test_twin_of_the_api_passes_everything_on(host: Host) -> None:
    seen = request(host, 8443, "GET", "/swagger/?q=1", "Authorization: Bearer x")["seen"]
    assert (seen["path"], seen["headers"]["authorization"]) == ("/swagger/?q=1", "Bearer x")


@pytest.mark.usefixtures("with_tls")
def test_service_sees_the_real_client_whatever_it_claims(host: Host) -> None:
    claims = ("X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: http", "Host: voiceverify.example.org:8443")
    headers = request(host, 8443, "GET", "/", *claims)["seen"]["headers"]
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "https"
    assert headers["host"] == "voiceverify.example.org:8443"


@pytest.mark.usefixtures("with_tls")
def test_long_upload_reaches_the_service_while_it_is_sent(host: Host) -> None:
    told = json.loads(client(host, "upload", 8443, "102400"))
    assert told["size"] == 100 << 20
    assert told["spread_s"] > 1.5


@pytest.mark.usefixtures("with_tls")
def test_renewed_certificate_is_served_and_running_calls_go_on(host: Host) -> None:
    told = json.loads(client(host, "call_over_renewal", 443))
    assert told["heard"] == "still here"
    assert told["before"] != told["after"]


def test_certificate_that_cannot_be_served_leaves_the_plain_port_open(host: Host) -> None:
    host.check_output(
        f"mv {FOLDER}/private-key.pem {FOLDER}/away.pem; openssl genrsa -out {FOLDER}/private-key.pem 2048"
    )
    switch(host, on=True)
    assert client(host, "handshake", 443, "TLSv1_3", ANY) == "refused"
    assert request(host, 80, "GET", "/")["status"] == 302
    host.check_output(f"mv {FOLDER}/away.pem {FOLDER}/private-key.pem")


@pytest.mark.usefixtures("with_tls")
def test_certificate_that_goes_closes_the_tls_ports_at_the_next_reload(host: Host) -> None:
    host.check_output(f"rm {STATE}; systemctl reload nginx; sleep 1")
    assert client(host, "handshake", 443, "TLSv1_3", ANY) == "refused"
    assert client(host, "stream", 80) == "hello"


@pytest.mark.usefixtures("with_tls")
def test_stream_without_the_service_is_a_bad_gateway(host: Host) -> None:
    host.check_output("systemctl stop service")
    assert request(host, 443, "GET", "/stream/abc")["status"] == 502


def test_unit_is_sandboxed(host: Host) -> None:
    report = host.check_output("systemd-analyze security --no-pager nginx.service")
    assert float(report.splitlines()[-1].split(":")[1].split()[0]) < 3.0


def test_no_log_is_written_to_the_system_disk(host: Host) -> None:
    host.check_output("rm -f /var/log/nginx/*")
    host.check_output("systemctl restart nginx")
    request(host, 80, "GET", "/nothing")
    assert host.check_output("find /var/log/nginx -type f") == ""

"""Port 80: WebSockets go to the service, everything else is told where to go."""

from __future__ import annotations

import pytest
from testinfra.host import Host

testinfra_hosts = ["podman://voice-verify-nginx"]

# A stand-in for the service: answers the WebSocket handshake and echoes one masked frame's payload unmasked.
ECHO = r"""
import base64, hashlib, socket
listener = socket.create_server(("127.0.0.1", 8000))
while True:
    peer, _ = listener.accept()
    head = b""
    while b"\r\n\r\n" not in head:
        head += peer.recv(4096)
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if ": " in line)
    key = {name.lower(): value for name, value in lines.items()}["sec-websocket-key"]
    digest = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    answer = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    answer.append("Sec-WebSocket-Accept: " + digest)
    peer.sendall(("\r\n".join(answer) + "\r\n\r\n").encode())
    frame = peer.recv(4096)
    mask, payload = frame[2:6], frame[6:]
    data = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    peer.sendall(bytes([0x81, len(data)]) + data)
    peer.close()
"""
CLIENT = r"""
import socket
peer = socket.create_connection(("127.0.0.1", 80), timeout=10)
ask = ["GET /stream/abc HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
ask.append("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
peer.sendall(("\r\n".join(ask) + "\r\n\r\n").encode())
head = peer.recv(4096).decode()
peer.sendall(bytes([0x81, 0x85, 1, 2, 3, 4]) + bytes(b ^ (1, 2, 3, 4)[i % 4] for i, b in enumerate(b"hello")))
print(head.split("\r\n")[0], peer.recv(4096)[2:].decode())
"""
FETCH = r"""
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
c.request(sys.argv[1], sys.argv[2], body=b"x" * int(sys.argv[3]))
r = c.getresponse(); print(r.status, r.getheader("Location"), r.getheader("Server"))
"""


@pytest.fixture(scope="module", autouse=True)
def started(host: Host) -> None:
    host.check_output("systemctl daemon-reload")
    host.check_output("systemctl restart nginx")


def test_websocket_passes_to_the_service(host: Host) -> None:
    host.check_output("systemd-run --unit=echo python3 -c %s", ECHO)
    assert host.check_output("python3 -c %s", CLIENT) == "HTTP/1.1 101 Switching Protocols hello"
    host.check_output("systemctl stop echo")


def test_stream_without_the_service_is_a_bad_gateway(host: Host) -> None:
    assert host.check_output("python3 -c %s GET /stream/abc 0", FETCH).startswith("502 ")


def test_front_page_leads_to_the_api(host: Host) -> None:
    assert host.check_output("python3 -c %s GET / 0", FETCH) == "302 http://127.0.0.1:8000/swagger/ nginx"


@pytest.mark.parametrize(
    ("method", "path", "size", "status"), [("GET", "/api/v2/streams", 0, "404"), ("POST", "/", 5000, "413")]
)
def test_nothing_else_is_served(host: Host, method: str, path: str, size: int, status: str) -> None:
    assert host.check_output("python3 -c %s %s %s %s", FETCH, method, path, str(size)).startswith(status)


def test_unit_is_sandboxed(host: Host) -> None:
    report = host.check_output("systemd-analyze security --no-pager nginx.service")
    assert float(report.splitlines()[-1].split(":")[1].split()[0]) < 3.0


def test_no_log_is_written_to_the_system_disk(host: Host) -> None:
    host.check_output("rm -f /var/log/nginx/*")
    host.check_output("systemctl restart nginx")
    host.run("python3 -c %s GET /nothing 0", FETCH)
    assert host.check_output("find /var/log/nginx -type f") == ""

"""Talks to nginx as a client that trusts /root/ca.pem, and prints what it got: client.py ACTION PORT [ARGUMENT...]."""

import http.client
import json
import socket
import ssl
import subprocess
import sys
import time

NAME = "voiceverify.example.org"
TLS_PORTS = (443, 8443)


def context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile="/root/ca.pem")


def connect(port: int, settings: ssl.SSLContext | None = None) -> socket.socket:
    raw = socket.create_connection(("127.0.0.1", port), timeout=20)
    return (settings or context()).wrap_socket(raw, server_hostname=NAME) if port in TLS_PORTS else raw


def handshake(port: int, version: str, ciphers: str) -> str:
    """Offers one version and some ciphers, also unsafe ones; prints what was agreed."""
    settings = context()
    settings.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    settings.minimum_version = settings.maximum_version = ssl.TLSVersion[version]
    try:
        with connect(port, settings) as peer:
            return f"{peer.version()} {peer.cipher()[0]}"
    except ssl.SSLError as error:
        return error.reason
    except ConnectionRefusedError:
        return "refused"


def serial(peer: ssl.SSLSocket) -> str:
    return peer.getpeercert()["serialNumber"]


def open_stream(port: int) -> socket.socket:
    peer = connect(port)
    lines = ["GET /stream/abc HTTP/1.1", f"Host: {NAME}:{port}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    peer.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert peer.recv(4096).startswith(b"HTTP/1.1 101 ")
    return peer


def say(peer: socket.socket, word: str) -> str:
    peer.sendall(bytes([0x81, 0x80 | len(word), 0, 0, 0, 0]) + word.encode())
    return peer.recv(4096)[2:].decode()


def stream(port: int) -> str:
    with open_stream(port) as peer:
        return say(peer, "hello")


def call_over_renewal(port: int) -> str:
    """A call that goes on while the certificate is renewed, and a new one after it; prints both and their serials."""
    with open_stream(port) as running:
        before = serial(running)
        subprocess.run(["cp", "-a", "/root/renewed/.", "/data/tls/current/"], check=True)
        subprocess.run(["systemctl", "reload", "nginx"], check=True)
        time.sleep(2)
        heard = say(running, "still here")
    with open_stream(port) as new:
        return json.dumps({"heard": heard, "before": before, "after": serial(new)})


def request(port: int, method: str, path: str, *headers: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.sock = connect(port)
    connection.request(method, path, headers=dict(header.split(": ") for header in headers))
    reply = connection.getresponse()
    return json.dumps(
        {"status": reply.status, "location": reply.getheader("Location"), "server": reply.getheader("Server")}
        | ({"seen": json.loads(reply.read())} if reply.status == 200 else {})
    )


def upload(port: int, kilobytes: str) -> str:
    """Sends half, pauses two seconds, sends the rest; prints what the service says."""
    size = int(kilobytes) << 10
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.sock = connect(port)
    connection.putrequest("POST", "/api/v2/enroll")
    connection.putheader("Content-Length", str(size))
    connection.endheaders()
    connection.send(b"x" * (size // 2))
    time.sleep(2)
    connection.send(b"x" * (size // 2))
    reply = connection.getresponse()
    return reply.read().decode() if reply.status == 200 else str(reply.status)


action, port, *arguments = sys.argv[1:]
print(globals()[action](int(port), *arguments))

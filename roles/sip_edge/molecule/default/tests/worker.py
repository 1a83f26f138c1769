"""Stands for the service's SIP on loopback: worker.py PORT EDGE_PORT FILE.

Every message that comes is a line of JSON in FILE. Requests are answered with 200, but for some users of the request
URI: `ring` gets 180, and 487 when it cancels; `hangup` gets a BYE when its ACK has come, and so does `later`, once the
file LATER is there.
"""

import json
import re
import socket
import sys
import threading
import time
from pathlib import Path

port, edge_port, seen = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
LATER = seen.with_name("later")
COPIED = ("via", "from", "to", "call-id", "cseq", "record-route")

Headers = list[tuple[str, str]]
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
invitations: dict[str, Headers] = {}


def parse(data: bytes) -> tuple[str, Headers]:
    first, *lines = data.decode().partition("\r\n\r\n")[0].split("\r\n")
    return first, [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]


def encode(lines: list[str]) -> bytes:
    return ("\r\n".join([*lines, "Content-Length: 0"]) + "\r\n\r\n").encode()


def answer(status: str, headers: Headers) -> bytes:
    copied = [(name, value) for name, value in headers if name.lower() in COPIED]
    tagged = [
        f"{name}: {value}{';tag=worker' * (name.lower() == 'to' and 'tag=' not in value)}" for name, value in copied
    ]
    return encode([f"SIP/2.0 {status}", *tagged, f"Contact: <sip:127.0.0.1:{port}>"])


def bye(headers: Headers) -> bytes:
    """Ends the dialog that the INVITE with these headers began (RFC 3261, section 12.2.1.1)."""
    found = {name.lower(): value for name, value in headers}
    target = re.search("<(.*)>", found["contact"])
    assert target
    return encode(
        [
            f"BYE {target[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKbye{found['call-id']}",
            "Max-Forwards: 70",
            *(f"Route: {value}" for name, value in headers if name.lower() == "record-route"),
            f"From: {found['to']};tag=worker",
            f"To: {found['from']}",
            f"Call-ID: {found['call-id']}",
            "CSeq: 1 BYE",
        ]
    )


def hang_up(headers: Headers, *, later: bool) -> None:
    while later and not LATER.exists():
        time.sleep(0.05)
    own.sendto(bye(headers), ("127.0.0.1", edge_port))


def serve(first: str, headers: Headers, peer: tuple[str, int]) -> None:
    found = {name.lower(): value for name, value in headers}
    invitation = invitations.setdefault(found["call-id"], headers)
    if first.startswith("CANCEL "):
        own.sendto(answer("487 Request Terminated", invitation), peer)
    if first.startswith("ACK "):
        if ":hangup@" in found["to"] or ":later@" in found["to"]:
            threading.Thread(target=hang_up, args=(invitation,), kwargs={"later": ":later@" in found["to"]}).start()
    elif not first.startswith("SIP/2.0"):
        own.sendto(answer("180 Ringing" if first.startswith("INVITE sip:ring@") else "200 OK", headers), peer)


own.bind(("127.0.0.1", port))
while True:
    data, address = own.recvfrom(65535)
    request, fields = parse(data)
    with seen.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"first": request, "headers": fields, "peer": address, "size": len(data)}) + "\n")
    serve(request, fields, address)

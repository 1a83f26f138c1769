"""A caller that speaks raw SIP to the edge and prints JSON: client.py ACTION ADDRESS [ARGUMENT...].

ADDRESS is its own, so that each test has one, and a ban of one stays without effect on others.
"""

import json
import re
import socket
import ssl
import sys
import time
import uuid
from pathlib import Path

PORT, TLS_PORT, EDGE_PORT = 5060, 5061, 5071
EDGE = "127.0.0.1"
PATIENCE_S = 8.0
# Long enough for what comes over loopback, where nothing should come.
QUIET_S = 1.0
# Where nobody's messages are to go.
VICTIM = ("127.0.0.200", 5999)
LATER = Path("/root/later")

address = sys.argv[2]


def connect(transport: str) -> socket.socket:
    if transport == "udp":
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.bind((address, 0))
        client.connect((EDGE, PORT))
    else:
        client = socket.create_connection((EDGE, TLS_PORT if transport == "tls" else PORT), 20, (address, 0))
        if transport == "tls":
            client = ssl.create_default_context(cafile="/root/ca.pem").wrap_socket(
                client, server_hostname="vv.example.org"
            )
    client.settimeout(PATIENCE_S)
    return client


def message(
    client: socket.socket, method: str, user: str = "agent", *, uri: str = "", headers: tuple[str, ...] = (),
    to_tag: str = "", call: str = "", contact: str = "", body: str = "", sequence: int = 1, via: str = "",
) -> bytes:  # fmt: skip
    transport = "TLS" if isinstance(client, ssl.SSLSocket) else "UDP" if client.type == socket.SOCK_DGRAM else "TCP"
    host, port = client.getsockname()
    lines = [
        f"{method} {uri or f'sip:{user}@{EDGE}'} SIP/2.0",
        f"Via: SIP/2.0/{transport} {via or f'{host}:{port};rport'};branch=z9hG4bK{uuid.uuid4().hex}",
        "Max-Forwards: 70",
        "From: <sip:caller@example.org>;tag=caller",
        f"To: <sip:{user}@example.org>{to_tag}",
        f"Call-ID: {call or uuid.uuid4().hex}",
        f"CSeq: {sequence} {method}",
        f"Contact: {contact or f'<sip:caller@{host}:{port};transport={transport.lower()}>'}",
        *headers,
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def receive(client: socket.socket, patience_s: float = PATIENCE_S) -> str:
    """One message; empty when none comes."""
    client.settimeout(patience_s)
    try:
        return client.recv(65535).decode()
    except TimeoutError:
        return ""
    except OSError as error:
        return f"closed: {error}"


def final(client: socket.socket) -> str:
    """The answer that is not provisional; empty without one."""
    found = receive(client)
    while found.startswith("SIP/2.0 1"):
        # Over a connection the next may have come with it.
        found = found.partition("\r\n\r\n")[2] or receive(client)
    return found


def status(answer: str) -> str:
    return answer[8:11]


def routes(answer: str) -> tuple[str, ...]:
    """The Route headers of whoever called (RFC 3261, section 12.1.2)."""
    return tuple(f"Route: {value}" for value in reversed(re.findall("(?m)^Record-Route: (.*?)\r?$", answer)))


def request(method: str, transport: str, *headers: str) -> object:
    with connect(transport) as client:
        client.sendall(message(client, method, headers=headers))
        answer = final(client)
        return {
            "status": status(answer),
            "answer": answer,
            "source": f"{transport}:{address}:{client.getsockname()[1]}",
        }


def call(transport: str, user: str, contact: str = "") -> object:
    """A call that the other side ends; the request that ends it and where it came."""
    with connect(transport) as client:
        name = uuid.uuid4().hex
        client.sendall(message(client, "INVITE", user, call=name, contact=contact))
        answer = final(client)
        client.sendall(message(client, "ACK", user, call=name, to_tag=";tag=worker", headers=routes(answer)))
        ended = receive(client)
    return {"routes": routes(answer), "ended": ended}


def call_that_waits_elsewhere() -> object:
    """The caller sends from one port and waits at another, which Via and Contact name."""
    with connect("udp") as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waiting:
        waiting.bind((address, 0))
        name, place = uuid.uuid4().hex, f"{address}:{waiting.getsockname()[1]}"
        contact = f"<sip:caller@{place}>"
        client.sendall(message(client, "INVITE", "hangup", call=name, contact=contact, via=place))
        answer = final(waiting)
        client.sendall(
            message(client, "ACK", "hangup", call=name, to_tag=";tag=worker", headers=routes(answer), via=place)
        )
        return {"ended": receive(waiting), "elsewhere": receive(client, QUIET_S)}


def call_over_a_closed_connection() -> object:
    """The caller's connection is gone when the other side hangs up; the caller listens where its Contact says."""
    LATER.unlink(missing_ok=True)
    with socket.create_server((address, 0)) as listener:
        with connect("tcp") as client:
            name, contact = uuid.uuid4().hex, f"<sip:caller@192.0.2.77:{listener.getsockname()[1]};transport=tcp>"
            client.sendall(message(client, "INVITE", "later", call=name, contact=contact))
            answer = final(client)
            client.sendall(message(client, "ACK", "later", call=name, to_tag=";tag=worker", headers=routes(answer)))
        time.sleep(0.5)
        LATER.touch()
        listener.settimeout(PATIENCE_S)
        with listener.accept()[0] as returned:
            return {"ended": receive(returned)}


def cancel() -> object:
    with connect("udp") as client:
        invite = message(client, "INVITE", "ring")
        client.sendall(invite)
        while "180" not in status(receive(client)):
            pass
        client.sendall(re.sub(rb"\r\nContact: .*", b"", invite.replace(b"INVITE", b"CANCEL")))
        return sorted([status(receive(client)), status(receive(client))])


def retransmitted() -> object:
    with connect("udp") as client:
        invite = message(client, "INVITE", "agent", call="retransmitted")
        client.sendall(invite)
        client.sendall(invite)
        return {"status": status(final(client))}


def relay() -> object:
    """A call that wants to go somewhere else."""
    with connect("udp") as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
        victim.bind(VICTIM)
        host, port = VICTIM
        client.sendall(
            message(client, "INVITE", uri=f"sip:x@{host}:{port}", headers=(f"Route: <sip:{host}:{port};lr>",))
        )
        return {"status": status(final(client)), "victim": receive(victim, QUIET_S)}


def answer_for_somebody_else() -> object:
    """An answer to nothing that was asked, which names the next to hear it."""
    with connect("udp") as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
        victim.bind(VICTIM)
        lines = ["SIP/2.0 200 OK", "Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKa"]
        lines += [
            f"Via: SIP/2.0/UDP {VICTIM[0]}:{VICTIM[1]};branch=z9hG4bKb",
            "From: <sip:a@b>;tag=1",
            "To: <sip:a@b>;tag=2",
        ]
        lines += ["Call-ID: x", "CSeq: 1 OPTIONS", "Content-Length: 0"]
        client.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return {"victim": receive(victim, QUIET_S)}


def from_the_worker(to_tag: str) -> object:
    """What the worker begins, or says it goes on with."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as worker,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim,
    ):
        worker.bind((address, 0))
        worker.connect((EDGE, EDGE_PORT))
        victim.bind(VICTIM)
        host, port = VICTIM
        route = (f"Route: <sip:{EDGE}:{EDGE_PORT};lr>",)
        worker.sendall(message(worker, "BYE", uri=f"sip:x@{host}:{port}", to_tag=to_tag, headers=route))
        return {"status": status(receive(worker)), "victim": receive(victim, QUIET_S)}


def malformed() -> object:
    """Junk, and SIP that is none; the answers to it, and to an ordinary request after it."""
    with connect("udp") as client:
        good = message(client, "OPTIONS")
        answers = []
        for junk in (
            b"\0" * 500,
            b"INVITE",
            b"INVITE sip:x@y SIP/2.0\r\n\r\n",
            good.replace(b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE"),
            good.replace(b"Content-Length: 0", b"Content-Length: 9999"),
            re.sub(rb"Call-ID: .*\r\n", b"", good),
            good.replace(b"From: ", b"From: <<<>"),
        ):
            client.sendall(junk)
            answers.append(status(receive(client, QUIET_S)))
        client.sendall(good)
        return {"answers": answers, "then": status(final(client))}


def large(part: str) -> object:
    """A message with much of `part`: body or headers."""
    with connect("tcp") as client:
        if part == "body":
            client.sendall(message(client, "INVITE", "large", body="x" * 25000))
        else:
            client.sendall(message(client, "INVITE", "large", headers=tuple(f"X-{n}: {'x' * 100}" for n in range(200))))
        return {"status": status(final(client))}


def scan(count: str) -> object:
    """As a scanner does it; then an ordinary request of the same address."""
    with connect("udp") as client:
        for _ in range(int(count)):
            client.sendall(message(client, "OPTIONS", headers=("User-Agent: friendly-scanner",)))
            time.sleep(0.01)
        answers = receive(client, QUIET_S)
        client.sendall(message(client, "OPTIONS"))
        return {"answers": answers, "then": status(receive(client, QUIET_S))}


def flood(count: str) -> object:
    """As fast as it goes; then an ordinary request of the same address."""
    with connect("udp") as client:
        for _ in range(int(count)):
            client.sendall(message(client, "OPTIONS"))
        time.sleep(0.5)
    with connect("udp") as client:
        client.sendall(message(client, "OPTIONS"))
        return {"then": status(receive(client, QUIET_S))}


def certificate() -> object:
    """The serial number of what is shown; empty when nobody listens."""
    try:
        with connect("tls") as client:
            assert isinstance(client, ssl.SSLSocket)
            shown = client.getpeercert()
            return {"serial": shown and shown["serialNumber"], "version": client.version()}
    except ConnectionRefusedError:
        return {"serial": ""}


print(json.dumps(globals()[sys.argv[1]](*sys.argv[3:])))

"""What can be reached from outside: scanned from a host of its own on the guest's network."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lxml import etree

from vvctl.appliance import Appliance, Port

from .guest import Guest

# Packets a second that the emulated guest still answers.
SCAN_RATE = 4000
REPLY_S = 5

# Echoes TCP or UDP on one port, for as long as its unit runs.
LISTENER = """
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
server = socket.socket(socket.AF_INET, kind)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("0.0.0.0", int(sys.argv[2])))
if sys.argv[1] == "tcp":
    server.listen()
    while True:
        connection, _ = server.accept()
        connection.sendall(b"reached")
        connection.close()
while True:
    _, peer = server.recvfrom(100)
    server.sendto(b"reached", peer)
"""


@pytest.fixture(scope="module", autouse=True)
def _others_boot_meanwhile(first: Guest, without_data: Guest, with_foreign_data: Guest) -> None:
    """Being scanned is little work."""


def _allowed(appliance: Appliance, protocol: str) -> list[Port]:
    return [port for port in appliance.ports if port.open in {"always", "default"} and protocol in port.protocols]


def _numbers(ports: list[Port]) -> set[int]:
    return {number for port in ports for number in range(port.first, (port.last or port.first) + 1)}


def _scan(guest: Guest, *arguments: str) -> dict[int, str]:
    """Ports that gave any answer, or may have been let in, with nmap's state."""
    command = ["nmap", "-n", "-Pn", "-oX", "-", *arguments, guest.address]
    document = etree.fromstring(guest.network.run(command, package="nmap").encode())
    return {int(port.get("portid", "0")): port.find("state").get("state", "") for port in document.iter("port")}


def _ask(address: str, protocol: str, port: int) -> bool:
    """Whether the listener on `port` answers."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as client:
        client.settimeout(REPLY_S)
        try:
            client.connect((address, port))
            if protocol == "udp":
                client.send(b"anybody there?")
            return client.recv(100) == b"reached"
        except OSError:
            return False


@contextmanager
def _listening(guest: Guest, protocol: str, port: int) -> Iterator[None]:
    """A real listener in the guest that is seen from inside."""
    unit = f"listener-{protocol}-{port}"
    guest.root(f"systemd-run --quiet --unit={unit} python3 -c '{LISTENER}' {protocol} {port}")
    flag = "t" if protocol == "tcp" else "u"
    try:
        guest.until(f"{unit}", lambda: guest.root(f"ss -Hln{flag} sport = :{port}") or None, 10)
        yield
    finally:
        guest.root(f"systemctl stop {unit}")


def test_only_declared_tcp_ports_are_open(first: Guest, appliance: Appliance) -> None:
    allowed = _numbers(_allowed(appliance, "tcp"))
    rate = ("--min-rate", str(SCAN_RATE), "--max-rate", str(SCAN_RATE), "--max-retries", "1")
    answered = _scan(first, "-sS", "-p-", *rate)
    beyond = {port: state for port, state in answered.items() if port not in allowed and state != "filtered"}
    assert beyond == {}
    # Again and slowly: in the fast scan an answer may get lost.
    declared = _scan(first, "-sS", "-p", ",".join(map(str, sorted(allowed))))
    serving = {appliance.port(name).first for name in ("ssh", "http", "api", "sip")}
    assert {port for port, state in declared.items() if state == "open"} == serving
    assert {port for port, state in declared.items() if state == "filtered"} == set()


def test_undeclared_tcp_ports_give_no_answer(first: Guest, appliance: Appliance) -> None:
    """Filtered, not closed: nobody learns from a refusal that the machine is there."""
    allowed = _numbers(_allowed(appliance, "tcp"))
    probes = [port for port in (23, 443, 5432, 5433, 8001, 8443, 9092, 19999, 65535) if port not in allowed]
    states = _scan(first, "-sS", "-p", ",".join(map(str, probes)))
    assert set(states.values()) == {"filtered"}


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_listener_on_an_undeclared_port_is_unreachable_from_outside(first: Guest, protocol: str) -> None:
    port = 12345
    with _listening(first, protocol, port):
        ask = f'import socket; s = socket.create_connection(("{first.address}", {port}), 5); print(s.recv(9))'
        if protocol == "tcp":
            assert "reached" in first.root(f"python3 -c '{ask}'")
        assert not _ask(first.address, protocol, port)


def test_declared_udp_ports_are_let_in_and_their_neighbours_are_not(first: Guest, appliance: Appliance) -> None:
    rtp = appliance.port("rtp")
    assert rtp.last is not None
    reachable = {}
    # Nobody listens there without a call; who does on SIP's port answers in test_calls.
    for port in (rtp.first, rtp.last, rtp.last + 1):
        with _listening(first, "udp", port):
            reachable[port] = _ask(first.address, "udp", port)
    assert reachable == {rtp.first: True, rtp.last: True, rtp.last + 1: False}


def test_udp_scan_finds_no_undeclared_service(first: Guest, appliance: Appliance) -> None:
    allowed = _numbers(_allowed(appliance, "udp"))
    usual = (53, 67, 68, 69, 111, 123, 137, 161, 323, 500, 514, 1900, 5353, 5355, 9100)
    states = _scan(first, "-sU", "-p", ",".join(str(port) for port in usual if port not in allowed))
    # Nothing came back, which nmap cannot tell from a silent service; a refusal or an answer would say otherwise.
    assert set(states.values()) <= {"open|filtered", "filtered"}


def test_refuses_undeclared_ports_over_ipv6(first: Guest, appliance: Appliance) -> None:
    """The link-local address is there on every network, asked for or not."""
    link_local = first.root(
        'ip -6 -j address show scope link | grep -o \'"local":"fe80[^"]*\' | cut -d\'"\' -f4 | head -n 1'
    )
    ports = sorted(_numbers(_allowed(appliance, "tcp")) | {23, 5432, 12345})
    command = ["nmap", "-6", "-n", "-Pn", "-sS", "-oX", "-", "-p", ",".join(map(str, ports)), f"{link_local}%bridge0"]
    document = etree.fromstring(first.network.run(command, package="nmap").encode())
    states = {int(port.get("portid", "0")): port.find("state").get("state") for port in document.iter("port")}
    assert {states[port] for port in (23, 5432, 12345)} == {"filtered"}

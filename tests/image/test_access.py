"""Who reaches which port once there is a certificate, and once the properties say who may connect.

Seen from two hosts on the guest's network: this one, and one in the guest's network namespace.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import httpx
import pytest
from lxml import etree

from tests.unit.guest.certificates import NAME, Certificates
from vvctl.appliance import Appliance

from .guest import REPLY_LIMIT_S, SETTLE_LIMIT_S, Guest

PORTS = ("ssh", "http", "api", "https", "api_tls", "sips", "audiosocket")
# The service has to restart before it serves AudioSocket: until then a refusal shows that the port is open.
SERVED = {"ssh", "http", "api", "https", "api_tls", "sips"}


def seen_from_here(guest: Guest, appliance: Appliance) -> set[str]:
    """Ports of which the machine answers to this host, be it with a refusal."""
    return {name for name in PORTS if _answers(guest, appliance.port(name).first)}


def _answers(guest: Guest, port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(5)
        try:
            client.connect((guest.address, port))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return True


def seen_from_the_other_host(guest: Guest, appliance: Appliance) -> set[str]:
    numbers = {appliance.port(name).first: name for name in PORTS}
    command = ["nmap", "-n", "-Pn", "-sS", "-oX", "-", "-p", ",".join(map(str, numbers)), guest.address]
    document = etree.fromstring(guest.network.run(command, package="nmap").encode())
    states = {int(port.get("portid", "0")): port.find("state").get("state") for port in document.iter("port")}
    return {numbers[port] for port, state in states.items() if state != "filtered"}


def set_here(guest: Guest, **properties: str) -> None:
    guest.root("vv-setup set " + " ".join(f"{key}={value}" for key, value in properties.items()))


@pytest.fixture(scope="module")
def restricted(first: Guest, with_tls: Certificates, appliance: Appliance) -> Iterator[None]:
    """SSH and the web for this host, AudioSocket for the other one; lifted again."""
    changed = {
        "ssh_sources": first.network.host,
        "web_sources": first.network.host,
        "audiosocket_peers": first.network.gateway,
    }
    set_here(first, **changed)
    first.until(
        "the firewall",
        lambda: True if "api" not in seen_from_the_other_host(first, appliance) else None,
        SETTLE_LIMIT_S,
    )
    yield
    first.root(f"vv-setup unset {' '.join(changed)}")
    first.until(
        "the firewall", lambda: True if "api" in seen_from_the_other_host(first, appliance) else None, SETTLE_LIMIT_S
    )


@pytest.mark.parametrize("port", ["https", "api_tls"])
def test_certificate_of_the_property_is_served(
    first: Guest, with_tls: Certificates, appliance: Appliance, port: str
) -> None:
    trusted = ssl.create_default_context(cadata=with_tls.chain)
    url = f"https://{first.address}:{appliance.port(port).first}/health/ready"
    with httpx.Client(verify=trusted, timeout=first.slow(REPLY_LIMIT_S)) as client:
        reply = client.get(url, headers={"Host": NAME}, extensions={"sni_hostname": NAME})
    assert reply.status_code < 500


def test_certificate_opens_the_twins_for_everybody(first: Guest, with_tls: Certificates, appliance: Appliance) -> None:
    assert seen_from_here(first, appliance) == SERVED
    assert seen_from_the_other_host(first, appliance) == SERVED


def test_restricted_ports_answer_nobody_else(first: Guest, restricted: None, appliance: Appliance) -> None:
    assert seen_from_here(first, appliance) == SERVED
    assert seen_from_the_other_host(first, appliance) == {"sips", "audiosocket"}


def test_plain_ports_close_when_told_to(first: Guest, restricted: None, appliance: Appliance) -> None:
    set_here(first, plain_ports="closed")
    first.until("port 80 to close", lambda: None if _answers(first, appliance.port("http").first) else True, 20)
    assert seen_from_here(first, appliance) == {"ssh", "https", "api_tls", "sips"}
    first.root("vv-setup unset plain_ports")
    first.until("port 80", lambda: _answers(first, appliance.port("http").first) or None, 20)

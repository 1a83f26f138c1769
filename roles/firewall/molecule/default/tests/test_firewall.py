"""The rules in the kernel, and what they let through: knocked at and scanned from other network namespaces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

testinfra_hosts = ["podman://voice-verify-firewall"]
ACCESS, TLS = "/etc/voice-verify/access.json", "/run/voice-verify/tls.json"
HERE = Path(__file__).parent
KNOCK, SCAN = ((HERE / name).read_text(encoding="utf-8") for name in ("knock.py", "scan.py"))
# This machine's addresses, and a host in the network of each.
ADMINISTRATOR, STRANGER = "192.0.2.1", "198.51.100.1"
ADMINISTRATOR_6 = "2001:db8::1"
PLAIN, CALLS, TWINS = {80, 8000}, {5060}, {443, 8443, 5061}


@pytest.fixture(scope="module", autouse=True)
def neighbours(host: Host) -> Iterator[None]:
    """Two other machines; nothing listens on this one, so an open port refuses and a closed one is mute."""
    host.check_output("systemctl stop ssh; mkdir -p /etc/voice-verify /run/voice-verify")
    for name, here, there in (
        ("administrator", ADMINISTRATOR, "192.0.2.2"),
        ("stranger", STRANGER, "198.51.100.2"),
    ):
        card = name[:5]
        for command in (
            f"ip netns add {name}",
            f"ip link add {card} type veth peer name there netns {name}",
            f"ip address add {here}/24 dev {card}",
            f"ip link set {card} up",
            f"ip -n {name} address add {there}/24 dev there",
            f"ip -n {name} link set there up",
        ):
            host.check_output(command)
    host.check_output(f"ip address add {ADMINISTRATOR_6}/64 dev admin nodad")
    host.check_output("ip -n administrator address add 2001:db8::2/64 dev there nodad")
    yield
    host.check_output("ip netns delete administrator; ip netns delete stranger")


@pytest.fixture(autouse=True)
def unrestricted(host: Host) -> None:
    load(host)


def load(
    host: Host, *, tls: bool | None = False, names_fit: bool = True, plain_ports: str = "open", **sources: list[str]
) -> None:
    """Load the rules for these properties; `tls` None: it is not known yet."""
    write(host, ACCESS, {"sources": sources, "plain_ports": plain_ports})
    if tls is None:
        host.check_output(f"rm -f {TLS}")
    else:
        write(host, TLS, {"enabled": tls, "names_fit": tls and names_fit, "problem": ""})
    host.check_output("systemctl restart vv-firewall")


def write(host: Host, path: str, content: object) -> None:
    host.check_output("printf '%%s' %s > " + path, content if isinstance(content, str) else json.dumps(content))


def knock(host: Host, origin: str, address: str, port: int, protocol: str = "tcp") -> str:
    return host.check_output(
        "ip netns exec " + origin + " python3 -ISc %s %s %s %s", KNOCK, protocol, address, str(port)
    )


def scan(host: Host, origin: str, address: str) -> set[int]:
    return set(map(int, host.check_output("ip netns exec " + origin + " python3 -ISc %s %s", SCAN, address).split()))


def ruleset(host: Host) -> list[dict[str, Any]]:
    return list(json.loads(host.check_output("nft --json list ruleset"))["nftables"])


@pytest.mark.parametrize(
    ("properties", "reached"),
    [
        ({}, {22} | PLAIN | CALLS),
        ({"tls": True}, {22} | PLAIN | CALLS | TWINS),
        ({"tls": True, "plain_ports": "closed"}, {22} | CALLS | TWINS),
    ],
    ids=["as delivered", "with TLS", "TLS only"],
)
def test_scan_of_all_ports_finds_only_the_declared_ones(
    host: Host, properties: dict[str, Any], reached: set[int]
) -> None:
    load(host, **properties)
    assert scan(host, "stranger", STRANGER) == reached


def test_scan_of_all_ports_finds_what_is_for_this_network(host: Host) -> None:
    load(
        host,
        tls=True,
        ssh_sources=["192.0.2.0/24"],
        web_sources=["192.0.2.2/32"],
        call_sources=["198.51.100.0/24"],
        audiosocket_peers=["198.51.100.2/32"],
    )
    assert scan(host, "administrator", ADMINISTRATOR) == {22, 80, 443, 8000, 8443}
    assert scan(host, "stranger", STRANGER) == {5060, 5061, 9092}


@pytest.mark.parametrize("port", [5060, 20000, 20350])
def test_calls_are_let_in_from_their_networks_only(host: Host, port: int) -> None:
    load(host, call_sources=["192.0.2.0/24"])
    assert knock(host, "administrator", ADMINISTRATOR, port, "udp") == "refused"
    assert knock(host, "stranger", STRANGER, port, "udp") == "dropped"


@pytest.mark.parametrize("port", [19999, 20351, 123])
def test_other_datagrams_are_dropped(host: Host, port: int) -> None:
    assert knock(host, "administrator", ADMINISTRATOR, port, "udp") == "dropped"


def test_restricted_port_is_closed_over_ipv6_and_the_others_are_not(host: Host) -> None:
    assert knock(host, "administrator", ADMINISTRATOR_6, 8000) == "refused"
    load(host, web_sources=["0.0.0.0/0"])
    assert knock(host, "administrator", ADMINISTRATOR_6, 8000) == "dropped"
    assert knock(host, "administrator", ADMINISTRATOR_6, 22) == "refused"
    assert knock(host, "stranger", STRANGER, 8000) == "refused"


@pytest.mark.parametrize(
    ("tls", "names_fit", "answer"), [(None, False, "dropped"), (False, False, "refused"), (True, False, "refused")]
)
def test_plain_ports_close_only_when_their_twins_can_take_over(
    host: Host, tls: bool | None, names_fit: bool, answer: str
) -> None:
    load(host, tls=tls, names_fit=names_fit, plain_ports="closed")
    assert knock(host, "administrator", ADMINISTRATOR, 8000) == answer


def test_everything_else_is_dropped_and_nothing_forwarded(host: Host) -> None:
    chains = {entry["chain"]["name"]: entry["chain"] for entry in ruleset(host) if "chain" in entry}
    assert (chains["input"]["policy"], chains["forward"]["policy"]) == ("drop", "drop")


def test_loading_again_does_not_double_the_rules(host: Host) -> None:
    before = len(ruleset(host))
    host.check_output("systemctl reload vv-firewall")
    assert len(ruleset(host)) == before


def test_properties_that_cannot_be_read_leave_the_rules_in_force(host: Host) -> None:
    load(host, ssh_sources=["192.0.2.0/24"])
    write(host, ACCESS, "{torn")
    failed = host.run("vv-firewall")
    assert failed.rc == 1
    assert "access.json cannot be read" in failed.stderr
    assert knock(host, "administrator", ADMINISTRATOR, 22) == "refused"
    assert knock(host, "stranger", STRANGER, 22) == "dropped"


def test_rules_that_nft_does_not_take_leave_those_in_force(host: Host) -> None:
    host.check_output("printf '#!/bin/sh\necho no such rule >&2; exit 1\n' > /usr/local/sbin/nft")
    host.check_output("chmod +x /usr/local/sbin/nft")
    failed = host.run("PATH=/usr/local/sbin:$PATH vv-firewall")
    host.check_output("rm /usr/local/sbin/nft")
    assert failed.rc == 1
    assert "nft does not take the rules: no such rule" in failed.stderr
    assert knock(host, "administrator", ADMINISTRATOR, 8000) == "refused"


def test_boot_with_properties_that_cannot_be_read_leaves_only_ssh_open(host: Host) -> None:
    write(host, ACCESS, "{torn")
    # As at power-on: the first rules are loaded, and then ours should be.
    host.run("systemctl restart nftables")
    host.run("for i in $(seq 50); do systemctl is-failed --quiet vv-firewall && break; sleep 0.1; done")
    assert host.check_output("systemctl is-failed vv-firewall") == "failed"
    assert [knock(host, "stranger", STRANGER, port) for port in (22, 80, 8000, 443)] == ["refused"] + ["dropped"] * 3


def test_first_rules_are_replaced_whenever_they_are_loaded(host: Host) -> None:
    host.check_output("systemctl restart nftables")
    assert knock(host, "administrator", ADMINISTRATOR, 8000) == "refused"
    host.check_output("systemctl reload nftables; sleep 1")
    assert knock(host, "administrator", ADMINISTRATOR, 8000) == "refused"


def test_stopping_the_units_opens_nothing(host: Host) -> None:
    host.check_output("systemctl stop vv-firewall nftables")
    assert knock(host, "administrator", ADMINISTRATOR, 5432) == "dropped"


def test_rules_can_be_printed_without_loading_them(host: Host) -> None:
    before = ruleset(host)
    write(host, ACCESS, {"sources": {"ssh_sources": ["203.0.113.0/24"]}, "plain_ports": "open"})
    assert "203.0.113.0/24" in host.check_output("vv-firewall --print")
    assert ruleset(host) == before


def test_metadata_service_is_for_root_only(host: Host) -> None:
    host.check_output("ip -n administrator address add 169.254.169.254/32 dev there")
    host.check_output("ip route add 169.254.169.254/32 dev admin")
    ask = "python3 -ISc %s tcp 169.254.169.254 80"
    assert host.check_output(ask, KNOCK) == "refused"
    assert host.check_output("runuser -u nobody -- " + ask, KNOCK) == "No route to host"


def test_ping_and_neighbour_discovery_are_answered(host: Host) -> None:
    rules = host.check_output("nft list chain inet appliance input")
    assert "icmp type echo-request" in rules
    assert "nd-neighbor-solicit" in rules


def test_many_ssh_connections_from_one_machine_are_slowed_down(host: Host) -> None:
    quick = (
        "import socket; s = socket.socket; "
        "print(*(c.settimeout(0.05) or c.connect_ex(('192.0.2.1', 22)) for c in (s() for _ in range(75))))"
    )
    answers = host.check_output("ip netns exec administrator python3 -ISc %s", quick).split()
    # 111 is "refused": nothing listens.
    assert answers[0] == "111"
    assert answers[-1] != "111"


def test_unit_is_sandboxed(host: Host) -> None:
    report = host.check_output("systemd-analyze security --no-pager vv-firewall.service")
    assert float(report.splitlines()[-1].split(":")[1].split()[0]) < 3.0


def test_rules_are_loaded_before_the_network_comes_up(host: Host) -> None:
    before = host.check_output("systemctl show --property=Before --value vv-firewall").split()
    after = host.check_output("systemctl show --property=After --value vv-firewall").split()
    assert "network-pre.target" in before
    assert "nftables.service" in after

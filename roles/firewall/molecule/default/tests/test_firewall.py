"""The rules in the kernel, and what they let through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from vvctl.appliance import find_root, load

testinfra_hosts = ["podman://voice-verify-firewall"]
PORTS = load(find_root(Path(__file__).parent) / "appliance.yml").ports


@pytest.fixture(scope="module", autouse=True)
def loaded(host: Host) -> None:
    host.check_output("systemctl restart nftables")


def ruleset(host: Host) -> list[dict[str, Any]]:
    return list(json.loads(host.check_output("nft --json list ruleset"))["nftables"])


def elements(host: Host, name: str) -> set[str]:
    found = set()
    for entry in ruleset(host):
        if entry.get("set", {}).get("name") == name:
            for element in entry["set"]["elem"]:
                value = element["elem"]["val"] if isinstance(element, dict) and "elem" in element else element
                found.add("-".join(map(str, value["range"])) if isinstance(value, dict) else str(value))
    return found


def test_only_what_is_open_by_default_is_let_in(host: Host) -> None:
    for protocol in ("tcp", "udp"):
        declared = {port.numbers for port in PORTS if protocol in port.protocols and port.open in {"always", "default"}}
        assert elements(host, f"open_{protocol}") == declared


@pytest.mark.parametrize("chain", ["input", "forward"])
def test_everything_else_is_dropped(host: Host, chain: str) -> None:
    chains = {entry["chain"]["name"]: entry["chain"] for entry in ruleset(host) if "chain" in entry}
    assert chains[chain]["policy"] == "drop"


def test_loading_again_does_not_double_the_rules(host: Host) -> None:
    before = len(ruleset(host))
    host.check_output("systemctl restart nftables")
    assert len(ruleset(host)) == before


@pytest.fixture(scope="module")
def neighbour(host: Host) -> str:
    """A network namespace in the container that stands for another machine; gives this machine's address."""
    for command in (
        "ip netns add neighbour",
        "ip link add here type veth peer name there netns neighbour",
        "ip address add 192.0.2.1/24 dev here",
        "ip link set here up",
        "ip -n neighbour address add 192.0.2.2/24 dev there",
        "ip -n neighbour link set there up",
    ):
        host.check_output(command)
    return "192.0.2.1"


KNOCK = """
import socket, sys
s = socket.socket(); s.settimeout(2)
try:
    s.connect((sys.argv[1], int(sys.argv[2]))); print("connected")
except ConnectionRefusedError: print("refused")
except TimeoutError: print("dropped")
"""


@pytest.mark.parametrize(
    ("port", "answer"),
    [(22, "refused"), (80, "refused"), (8000, "refused"), (443, "dropped"), (5432, "dropped"), (9092, "dropped")],
)
def test_another_machine_reaches_only_open_ports(host: Host, neighbour: str, port: int, answer: str) -> None:
    # Nothing listens here: an open port refuses, a closed one does not answer at all.
    host.check_output("systemctl stop ssh")
    assert host.check_output("ip netns exec neighbour python3 -c %s %s %s", KNOCK, neighbour, str(port)) == answer


def test_ping_and_neighbour_discovery_are_answered(host: Host) -> None:
    rules = host.check_output("nft list chain inet appliance input")
    assert "icmp type echo-request" in rules
    assert "nd-neighbor-solicit" in rules


def test_many_ssh_connections_from_one_machine_are_slowed_down(host: Host, neighbour: str) -> None:
    answers = host.check_output(
        "ip netns exec neighbour sh -c %s",
        f"for i in $(seq 1 75); do timeout 0.2 python3 -IS -c '{_QUICK}' {neighbour} 22; done",
    )
    assert "dropped" in answers


_QUICK = (
    "import socket, sys; s = socket.socket(); s.settimeout(0.05); r = s.connect_ex((sys.argv[1], int(sys.argv[2]))); "
    'print("refused" if r == 111 else "dropped")'
)

"""Which port is open to whom. That the kernel takes the rules, and what they let through, is tested in the role."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml
from vv_firewall import main, rules
from vv_firewall.access import Access, Tls, Unreadable, read_access, read_tls

from vvctl.appliance import find_root

PORTS: list[rules.Port] = yaml.safe_load((find_root(Path(__file__).parent) / "appliance.yml").read_text())["ports"]
ON, OTHER_NAMES, OFF, UNKNOWN = Tls(True, True), Tls(True, False), Tls(False, False), None
ALWAYS = {"ssh"}
PLAIN = {"http", "api"}
CALLS = {"sip", "rtp"}
TWINS = {"https", "api_tls", "sips"}


def access(plain_ports: str = "open", **sources: str) -> Access:
    return Access({name: tuple(map(IPv4Network, text.split())) for name, text in sources.items()}, plain_ports)


def opened(given: Access, tls: Tls | None) -> set[str]:
    return {port["name"] for port in rules.let_in(PORTS, given, tls)}


def accepts(given: Access, tls: Tls | None = OFF) -> list[str]:
    text = rules.render(rules.let_in(PORTS, given, tls), given, ssh_port=22, ssh_per_minute=60)
    return [line.strip() for line in text.splitlines() if "dport {" in line]


@pytest.mark.parametrize(
    ("plain_ports", "tls", "expected"),
    [
        ("open", UNKNOWN, ALWAYS | PLAIN | CALLS),
        ("open", OFF, ALWAYS | PLAIN | CALLS),
        ("open", OTHER_NAMES, ALWAYS | PLAIN | CALLS | TWINS),
        ("open", ON, ALWAYS | PLAIN | CALLS | TWINS),
        # Before it is known whether there is a certificate nothing goes in clear that must not.
        ("closed", UNKNOWN, ALWAYS | CALLS),
        ("closed", OFF, ALWAYS | PLAIN | CALLS),
        ("closed", OTHER_NAMES, ALWAYS | PLAIN | CALLS | TWINS),
        ("closed", ON, ALWAYS | CALLS | TWINS),
    ],
)
def test_ports_are_open_by_tls_and_wish(plain_ports: str, tls: Tls | None, expected: set[str]) -> None:
    assert opened(access(plain_ports), tls) == expected


def test_sip_over_udp_has_no_twin_and_stays_open() -> None:
    assert "sip" in opened(access("closed"), ON)


def test_audiosocket_is_open_to_its_peers_only() -> None:
    assert "audiosocket" not in opened(access(audiosocket_peers=""), ON)
    assert 'ip saddr @audiosocket_peers tcp dport { 9092 } accept comment "audiosocket_peers"' in accepts(
        access(audiosocket_peers="198.51.100.7")
    )


def test_unrestricted_ports_are_open_to_everybody_over_both_protocols_of_the_internet() -> None:
    assert accepts(access()) == [
        'tcp dport { 5060 } accept comment "call_sources"',
        'udp dport { 5060, 20000-20350 } accept comment "call_sources"',
        'tcp dport { 22 } accept comment "ssh_sources"',
        'tcp dport { 80, 8000 } accept comment "web_sources"',
    ]


def test_restricted_ports_are_open_to_their_networks_and_closed_over_ipv6() -> None:
    lines = accepts(access(web_sources="192.0.2.0/24 198.51.100.7"), ON)
    assert 'ip saddr @web_sources tcp dport { 80, 443, 8000, 8443 } accept comment "web_sources"' in lines
    assert 'tcp dport { 22 } accept comment "ssh_sources"' in lines
    assert [line for line in lines if re.search(r"\b(80|443|8000|8443)\b", line)] == [
        line for line in lines if "@web_sources" in line
    ]


def test_networks_stand_in_a_set_of_their_property() -> None:
    text = rules.render(PORTS, access(ssh_sources="192.0.2.0/24 198.51.100.7"), ssh_port=22, ssh_per_minute=60)
    assert re.search(r"set ssh_sources \{[^}]*elements = \{ 192\.0\.2\.0/24, 198\.51\.100\.7/32 \}", text)
    assert "set web_sources" not in text


def test_everything_else_is_dropped_and_nothing_is_forwarded() -> None:
    text = rules.render([], access(), ssh_port=22, ssh_per_minute=60)
    assert "hook input priority filter; policy drop;" in text
    assert "hook forward priority filter; policy drop;" in text


def test_metadata_is_for_root_only() -> None:
    text = rules.render([], access(), ssh_port=22, ssh_per_minute=60)
    assert "ip daddr 169.254.169.254 meta skuid != 0 reject" in text
    assert "ip6 daddr fd00:ec2::254 meta skuid != 0 reject" in text


def test_rules_replace_all_others_at_once() -> None:
    text = rules.render(PORTS, access(), ssh_port=22, ssh_per_minute=60)
    assert next(line for line in text.splitlines() if not line.startswith("#")) == "flush ruleset"


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return {
        "ports": PORTS,
        "ssh_port": 22,
        "ssh_per_minute": 60,
        "access_file": str(tmp_path / "access.json"),
        "tls_state_file": str(tmp_path / "tls.json"),
    }


def write(path: str, content: object) -> None:
    Path(path).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def test_overlapping_networks_become_one(settings: dict[str, Any]) -> None:
    sources = {"ssh_sources": ["192.0.2.0/24", "192.0.2.7", "192.0.3.0/24"]}
    write(settings["access_file"], {"sources": sources, "plain_ports": "open"})
    assert "elements = { 192.0.2.0/23 }" in main.make(settings)


def test_until_the_properties_are_known_only_ssh_is_open(settings: dict[str, Any]) -> None:
    assert main.make(settings) == main.make_first(settings)
    assert re.findall(r"dport \{ (.*) \}", main.make_first(settings)) == ["22"]


def test_certificate_opens_the_tls_ports(settings: dict[str, Any]) -> None:
    write(settings["access_file"], {"sources": {}, "plain_ports": "closed"})
    write(settings["tls_state_file"], {"enabled": True, "names_fit": True, "problem": ""})
    assert 'tcp dport { 443, 8443 } accept comment "web_sources"' in main.make(settings)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{torn",
        "[]",
        {},
        {"sources": {}},
        {"sources": [], "plain_ports": "open"},
        {"sources": {"ssh_sources": ["192.0.2.1/24"]}, "plain_ports": "open"},
        {"sources": {"ssh_sources": ["2001:db8::/32"]}, "plain_ports": "open"},
        {"sources": {"ssh_sources": ["0.0.0.0/0; drop"]}, "plain_ports": "open"},
        {"sources": {"ssh_sources": None}, "plain_ports": "open"},
        {"sources": {}, "plain_ports": "maybe"},
    ],
)
def test_access_that_cannot_be_read_is_no_open_door(settings: dict[str, Any], content: object) -> None:
    write(settings["access_file"], content)
    with pytest.raises(Unreadable, match=r"access\.json"):
        main.make(settings)


@pytest.mark.parametrize("content", ["{torn", "[]", {}, {"enabled": "yes", "names_fit": True}])
def test_state_of_tls_that_cannot_be_read_changes_no_rules(settings: dict[str, Any], content: object) -> None:
    write(settings["access_file"], {"sources": {}, "plain_ports": "closed"})
    write(settings["tls_state_file"], content)
    with pytest.raises(Unreadable, match=r"tls\.json"):
        main.make(settings)


def test_absent_files_are_not_known_yet(tmp_path: Path) -> None:
    assert read_access(tmp_path / "access.json") is None
    assert read_tls(tmp_path / "tls.json") is None

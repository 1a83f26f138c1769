"""What each property may hold; every problem is reported at once."""

from __future__ import annotations

import base64

import pytest
from vv_setup.properties import Property, check

PROPERTIES: list[Property] = [
    {"key": "hostname", "type": "hostname", "default": "voiceverify"},
    {"key": "domain", "type": "domain", "default": ""},
    {"key": "address", "type": "interface", "default": ""},
    {"key": "gateway", "type": "address", "default": ""},
    {"key": "dns", "type": "addresses", "default": ""},
    {"key": "ntp", "type": "hosts", "default": ""},
    {"key": "ssh_key", "type": "ssh_key", "default": ""},
    {"key": "operator_key_sha256", "type": "sha256", "default": ""},
    {"key": "web_sources", "type": "networks", "default": ""},
    {"key": "plain_ports", "type": "plain_ports", "default": "open"},
    {"key": "backup_recipient", "type": "age_recipient", "default": ""},
    {"key": "tier", "type": "tier", "default": ""},
]


def blob(*fields: bytes) -> str:
    return base64.b64encode(b"".join(len(field).to_bytes(4, "big") + field for field in fields)).decode()


# Of a key that nobody has any more.
AGE = "age1lu7vtlnauyx6256u4uygcs4zyhcg5jzzv5eds8axpxccg5mjlfssevyt9p"
KEY = f"ssh-ed25519 {blob(b'ssh-ed25519', bytes(32))}"


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("hostname", "VV-1", "vv-1"),
        ("domain", "Example.ORG.", "example.org"),
        ("address", "192.0.2.10/24", "192.0.2.10/24"),
        ("address", "192.0.2.0/31", "192.0.2.0/31"),
        ("dns", "192.0.2.1, 192.0.2.2", "192.0.2.1 192.0.2.2"),
        ("ntp", "ntp1.example.org,192.0.2.5", "ntp1.example.org 192.0.2.5"),
        ("ssh_key", f"  {KEY}   me@example.org ", f"{KEY} me@example.org"),
        ("operator_key_sha256", "AB" * 32, "ab" * 32),
        ("hostname", "", "voiceverify"),
        ("domain", "", ""),
        ("web_sources", "192.0.2.0/24,198.51.100.7", "192.0.2.0/24 198.51.100.7/32"),
        ("plain_ports", "Closed", "closed"),
        ("backup_recipient", AGE.upper(), AGE),
        ("tier", "02", "2"),
    ],
)
def test_value_is_taken_in_its_one_written_form(key: str, text: str, value: str) -> None:
    values, problems = check({key: text}, PROPERTIES)
    assert problems == []
    assert values[key] == value


@pytest.mark.parametrize(
    ("key", "text", "hint"),
    [
        ("hostname", "a_b", "letters, digits and hyphens"),
        ("hostname", "vv.example.org", "without a domain"),
        ("hostname", "-a", "letters"),
        ("hostname", "x" * 64, "63"),
        ("hostname", "vv\nSetEnv=x", "letters"),
        ("domain", "example..org", "labels"),
        ("domain", "exa mple.org", "labels"),
        ("address", "192.0.2.10", "192.0.2.10/24"),
        ("address", "192.0.2.0/24", "network or broadcast"),
        ("address", "192.0.2.255/24", "network or broadcast"),
        ("address", "300.1.1.1/24", "not an IPv4 address"),
        ("address", "192.0.2.10/33", "not an IPv4 address"),
        ("address", "127.0.0.1/8", "cannot be a machine's"),
        ("address", "2001:db8::1/64", "not an IPv4 address"),
        ("gateway", "gateway", "not an IPv4 address"),
        ("dns", "192.0.2.1,ns.example.org", "not an IPv4 address"),
        ("ntp", "ntp server!", "labels"),
        ("ntp", "192.0.2.999", "not an IPv4 address"),
        ("ssh_key", "my key", "OpenSSH public key"),
        ("ssh_key", "-----BEGIN OPENSSH PRIVATE KEY-----", "make a new pair"),
        ("ssh_key", "ssh-ed25519 AAAA", "cut off"),
        ("ssh_key", "ssh-ed25519 !!!!", "cut off"),
        ("ssh_key", f"ssh-rsa {blob(b'ssh-ed25519', bytes(32))}", "cut off"),
        ("ssh_key", f"ssh-ed25519 {blob(b'ssh-ed25519')}", "cut off"),
        ("ssh_key", KEY[:-4], "cut off"),
        ("ssh_key", f'command="id" {KEY}', "OpenSSH public key"),
        ("ssh_key", f"{KEY}\n{KEY}", "OpenSSH public key"),
        ("operator_key_sha256", "secret", "64 hexadecimal digits"),
        ("web_sources", "192.0.2.7/24", "the network is 192.0.2.0/24"),
        ("web_sources", "192.0.2.0/24; 198.51.100.0/24", "not an IPv4 network"),
        ("web_sources", "2001:db8::/32", "not an IPv4 network"),
        ("backup_recipient", AGE[:-1], "age-keygen -y KEYFILE"),
        ("backup_recipient", f"{AGE[:-1]}q", "mistyped"),
        ("backup_recipient", AGE[:10] + AGE[11] + AGE[10] + AGE[12:], "mistyped"),
        ("backup_recipient", KEY, "not a public key of age"),
        ("backup_recipient", f"AGE-SECRET-KEY-1{'Q' * 58}", "this is the private key"),
        ("plain_ports", "no", "open or closed"),
        ("tier", "²", "number of a tier"),
        ("domain", "192.0.2.10", "this is an address"),
        ("hostname", "localhost", "a name of its own"),
    ],
)
def test_wrong_value_is_refused_with_what_to_write(key: str, text: str, hint: str) -> None:
    _, problems = check({key: text}, PROPERTIES)
    assert len(problems) == 1
    assert problems[0].startswith((f"{key} = ", f"{key}: "))
    assert hint in problems[0]


def test_all_problems_are_reported_at_once() -> None:
    _, problems = check({"hostname": "_", "address": "x", "ssh_key": "y", "dns": "z"}, PROPERTIES)
    assert [problem.replace(":", " ").split()[0] for problem in problems] == ["hostname", "address", "dns", "ssh_key"]


def test_keys_of_the_hypervisor_are_left_alone() -> None:
    values, problems = check({"vmware.something": "1"}, PROPERTIES)
    assert problems == []
    assert "vmware.something" not in values


def test_long_values_are_shortened_in_the_report() -> None:
    _, problems = check({"hostname": "x" * 5000}, PROPERTIES)
    assert len(problems[0]) < 200

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
]


def blob(name: str) -> str:
    return base64.b64encode(len(name).to_bytes(4, "big") + name.encode() + bytes(36)).decode()


KEY = f"ssh-ed25519 {blob('ssh-ed25519')}"


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
        ("ssh_key", "-----BEGIN OPENSSH PRIVATE KEY-----", "OpenSSH public key"),
        ("ssh_key", "ssh-ed25519 AAAA", "cut off"),
        ("ssh_key", "ssh-ed25519 !!!!", "cut off"),
        ("ssh_key", f"ssh-rsa {blob('ssh-ed25519')}", "cut off"),
        ("ssh_key", f'command="id" {KEY}', "OpenSSH public key"),
        ("ssh_key", f"{KEY}\n{KEY}", "OpenSSH public key"),
        ("operator_key_sha256", "secret", "64 hexadecimal digits"),
    ],
)
def test_wrong_value_is_refused_with_what_to_write(key: str, text: str, hint: str) -> None:
    _, problems = check({key: text}, PROPERTIES)
    assert len(problems) == 1
    assert problems[0].startswith(f"{key} = ")
    assert hint in problems[0]


def test_all_problems_are_reported_at_once() -> None:
    _, problems = check({"hostname": "_", "address": "x", "ssh_key": "y", "dns": "z"}, PROPERTIES)
    assert [problem.partition(" ")[0] for problem in problems] == ["hostname", "address", "dns", "ssh_key"]


@pytest.mark.parametrize(
    ("address", "gateway", "hint"),
    [
        ("192.0.2.10/24", "198.51.100.1", "outside the network 192.0.2.0/24"),
        ("192.0.2.10/24", "192.0.2.10", "this machine itself"),
        ("", "192.0.2.1", "there is no address"),
    ],
)
def test_gateway_must_fit_the_address(address: str, gateway: str, hint: str) -> None:
    _, problems = check({"address": address, "gateway": gateway}, PROPERTIES)
    assert len(problems) == 1
    assert hint in problems[0]


def test_keys_of_the_hypervisor_are_left_alone() -> None:
    values, problems = check({"vmware.something": "1"}, PROPERTIES)
    assert problems == []
    assert "vmware.something" not in values


def test_long_values_are_shortened_in_the_report() -> None:
    _, problems = check({"hostname": "x" * 5000}, PROPERTIES)
    assert len(problems[0]) < 200

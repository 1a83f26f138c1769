"""Mistakes that administrators make, and what the machine must say to each.

For the unit tests, which apply them to a folder, and for tests/image, which give them to a booted machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .certificates import Certificates

HALF_A_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"
STATIC = {"address": "192.0.2.10/24", "gateway": "192.0.2.1"}
_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@dataclass(frozen=True)
class Wrong:
    """`says` is what the report must contain, the property and what to do among it.

    `person`: written by a person as user data, where an unknown key is a mistake. `cloud`: given on EC2. `hidden` must
    not be repeated in the report.
    """

    name: str
    properties: Mapping[str, str]
    says: tuple[str, ...]
    person: bool = False
    cloud: bool = False
    hidden: str = ""


def wrong_configurations(certificates: Certificates) -> list[Wrong]:
    """All of them; those with `cloud` or `person` do not apply to an OVF environment."""
    return [*_network(), *_names(), *_keys(), *_certificates(certificates), *_access(), *_by_source()]


def _network() -> list[Wrong]:
    return [
        Wrong("address without its prefix", {"address": "192.0.2.10"}, ("address", "192.0.2.10/24")),
        Wrong("address of the network", {"address": "192.0.2.0/24"}, ("address", "network or broadcast")),
        Wrong("number too large", {"address": "192.0.2.300/24"}, ("address", "not an IPv4 address")),
        Wrong("IPv6 address", {"address": "2001:db8::10/64"}, ("address", "not an IPv4 address")),
        Wrong("loopback address", {"address": "127.0.0.1/8"}, ("address", "cannot be a machine's")),
        Wrong(
            "gateway outside the subnet",
            {"address": "192.0.2.10/24", "gateway": "198.51.100.1"},
            ("gateway", "outside the network 192.0.2.0/24"),
        ),
        Wrong(
            "gateway is the machine itself",
            {"address": "192.0.2.10/24", "gateway": "192.0.2.10"},
            ("gateway", "this machine itself"),
        ),
        Wrong(
            "gateway is the broadcast address",
            {"address": "192.0.2.10/24", "gateway": "192.0.2.255"},
            ("gateway", "broadcast address of 192.0.2.0/24"),
        ),
        Wrong("gateway without an address", {"gateway": "192.0.2.1"}, ("gateway", "there is no address")),
        Wrong(
            "servers elsewhere and no gateway",
            {"address": "192.0.2.10/24", "dns": "198.51.100.53"},
            ("gateway is missing", "198.51.100.53"),
        ),
        Wrong("name as DNS server", {"dns": "ns1.example.org"}, ("dns", "not an IPv4 address")),
        Wrong("machine as its own DNS server", {**STATIC, "dns": "192.0.2.10"}, ("dns", "this machine itself")),
        Wrong("time server by name, but no DNS", {**STATIC, "ntp": "ntp.example.org"}, ("dns is missing", "ntp")),
        Wrong(
            "network as advertised address", {"advertised_address": "203.0.113.0/24"}, ("advertised_address", "IPv4")
        ),
    ]


def _names() -> list[Wrong]:
    return [
        Wrong("host name with its domain", {"hostname": "vv1.example.org"}, ("hostname", "without a domain")),
        Wrong(
            "host name with an underscore", {"hostname": "voice_verify"}, ("hostname", "letters, digits and hyphens")
        ),
        Wrong("host name that everybody has", {"hostname": "localhost"}, ("hostname", "of its own")),
        Wrong("URL as domain", {"domain": "https://example.org"}, ("domain", "such as example.org")),
        Wrong("address as domain", {"domain": "192.0.2.10"}, ("domain", "this is an address")),
    ]


def _keys() -> list[Wrong]:
    private = "-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXktdjEAAAAA"
    return [
        Wrong("half an SSH key", {"ssh_key": HALF_A_KEY}, ("ssh_key", "cut off")),
        Wrong("private SSH key", {"ssh_key": private}, ("ssh_key", "make a new pair"), hidden="b3BlbnNzaC1"),
        Wrong("file name of an SSH key", {"ssh_key": "~/.ssh/id_ed25519.pub"}, ("ssh_key", "paste the line")),
        Wrong(
            "operator key in clear",
            {"operator_key_sha256": "vv_abcdefghijklmnopqrstuvwxyz"},
            ("operator_key_sha256", "64 hexadecimal digits", "make a new key"),
            hidden="vv_abcdef",
        ),
        Wrong("hash of an unset variable", {"operator_key_sha256": _NOTHING}, ("operator_key_sha256", "empty text")),
    ]


def _certificates(certificates: Certificates) -> list[Wrong]:
    def wrong(name: str, pem: str, *says: str, hidden: str = "") -> Wrong:
        return Wrong(name, {"certificate": pem}, ("certificate", *says), hidden=hidden)

    secret = certificates.key.splitlines()[1]
    return [
        wrong("certificate as a file name", "/etc/ssl/vv.pem", "neither PEM nor base64", "base64 -w0"),
        wrong("certificate cut off", certificates.chain[:300], "cut off"),
        wrong("chain in the wrong order", certificates.reversed_chain, "did not issue", "own first"),
        wrong("certificate and another one's key", certificates.with_foreign_key, "does not belong", hidden=secret),
        wrong("private key with a passphrase", certificates.with_locked_key, "passphrase"),
        wrong("private key alone", certificates.key, "no certificate in it", hidden=secret),
        wrong("signing request", certificates.request, "signing request", "authority"),
    ]


def _access() -> list[Wrong]:
    return [
        Wrong("yes for open", {"plain_ports": "yes"}, ("plain_ports", "open or closed")),
        Wrong("network with host bits", {"ssh_sources": "192.0.2.7/24"}, ("ssh_sources", "is 192.0.2.0/24")),
        Wrong("range of addresses", {"call_sources": "192.0.2.1-9"}, ("call_sources", "not an IPv4 network")),
        Wrong("name of a tier", {"tier": "Large"}, ("tier", "number")),
        Wrong("tier that there is not", {"tier": "7"}, ("tier", "1, 2, 3")),
    ]


def _by_source() -> list[Wrong]:
    return [
        Wrong("misspelt property", {"gatway": "192.0.2.1"}, ("gatway", "is it gateway?"), person=True),
        Wrong(
            "static address on AWS", {"address": "10.0.0.9/24"}, ("address", "AWS", "leave address empty"), cloud=True
        ),
        Wrong("gateway on AWS", {"gateway": "10.0.0.1"}, ("gateway", "AWS", "leave gateway empty"), cloud=True),
    ]

"""What each type of property may hold. All problems are found before anything is changed."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

from . import age, certificate

# RFC 1123, section 2.1.
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA256_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
# By type, of how many fields the key is (RFC 4253, section 6.6; RFC 5656; RFC 8709; OpenSSH's PROTOCOL.u2f).
_SSH_KEYS = {
    "ssh-ed25519": 2, "ssh-rsa": 3, "ecdsa-sha2-nistp256": 3, "ecdsa-sha2-nistp384": 3, "ecdsa-sha2-nistp521": 3,
    "sk-ssh-ed25519@openssh.com": 3, "sk-ecdsa-sha2-nistp256@openssh.com": 4,
}  # fmt: skip
# Somebody may have put the secret itself there; reports end on consoles and in journals.
_NEVER_SHOWN = ("sha256", "certificate", "ssh_key", "age_recipient")
_SHOWN_LENGTH = 60


class Property(TypedDict):
    """One entry of ovf.properties in appliance.yml, as far as it is needed here."""

    key: str
    type: str
    default: str


class Problem(Exception):
    """A value cannot be used; the text says why and what to write instead."""


def check(given: Mapping[str, str], properties: Sequence[Property]) -> tuple[dict[str, str], list[str]]:
    """The values in their one written form, and a line for every problem; a property with a problem has no value.

    A property that is not given, or empty, has its default. Keys that are not ours are left alone.
    """
    values: dict[str, str] = {}
    problems: list[str] = []
    for entry in properties:
        key = entry["key"]
        text = given.get(key, "").strip() or entry["default"]
        try:
            values[key] = TYPES[entry["type"]](text) if text else ""
        except Problem as problem:
            problems.append(f"{key}{'' if entry['type'] in _NEVER_SHOWN else f' = {_shown(text)}'}: {problem}")
    return values, problems


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 3]}...")


def _hostname(text: str) -> str:
    if not _LABEL.fullmatch(text.lower()):
        raise Problem("a host name has up to 63 letters, digits and hyphens, without a domain")
    if text.lower() == "localhost":
        raise Problem("every machine is localhost to itself; give it a name of its own")
    return text.lower()


def _domain(text: str) -> str:
    domain = text.lower().rstrip(".")
    if len(domain) > 253 or not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        raise Problem("a domain has labels of letters, digits and hyphens with dots between them, such as example.org")
    # RFC 3696, section 2: no top-level domain is all digits, so this is an address.
    if domain.rpartition(".")[2].isdigit():
        raise Problem("this is an address; a domain is a name, such as example.org")
    return domain


def _interface(text: str) -> str:
    if "/" not in text:
        raise Problem(f"the prefix length is missing; write it as {text}/24")
    try:
        interface = ipaddress.IPv4Interface(text)
    except ValueError:
        raise Problem("not an IPv4 address with prefix length, such as 192.0.2.10/24") from None
    network = interface.network
    if network.prefixlen < 31 and interface.ip in {network.network_address, network.broadcast_address}:
        raise Problem(f"this is the network or broadcast address of {network}")
    _usable(interface.ip)
    return str(interface)


def _address(text: str) -> str:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise Problem("not an IPv4 address, such as 192.0.2.1") from None
    _usable(address)
    return str(address)


def _usable(address: ipaddress.IPv4Address) -> None:
    if address.is_multicast or address.is_unspecified or address.is_loopback or address.is_reserved:
        raise Problem("this address cannot be a machine's in a network")


def _addresses(text: str) -> str:
    return " ".join(_address(item) for item in _items(text))


def _hosts(text: str) -> str:
    def host(item: str) -> str:
        return _address(item) if re.fullmatch(r"[\d.]+", item) else _domain(item)

    return " ".join(host(item) for item in _items(text))


def _networks(text: str) -> str:
    def network(item: str) -> str:
        try:
            return str(ipaddress.IPv4Network(item))
        except ValueError:
            raise Problem(f"{item} {_network_mistake(item)}") from None

    return " ".join(network(item) for item in _items(text))


def _network_mistake(item: str) -> str:
    try:
        return f"has bits beyond its prefix; the network is {ipaddress.IPv4Network(item, strict=False)}"
    except ValueError:
        return "is not an IPv4 network, such as 192.0.2.0/24, or a single address"


def _items(text: str) -> list[str]:
    return [item for item in re.split(r"[,\s]+", text) if item]


def _ssh_key(text: str) -> str:
    words = text.split()
    if "PRIVATE KEY" in text:
        raise Problem("this is a private key, which others can read here: make a new pair, and give its .pub file")
    if "\n" in text or len(words) < 2 or words[0] not in _SSH_KEYS:
        raise Problem("not one OpenSSH public key; paste the line of a file such as id_ed25519.pub")
    fields = _ssh_fields(words[1])
    if len(fields) != _SSH_KEYS[words[0]] or fields[0] != words[0].encode():
        raise Problem("the public key is cut off or damaged; paste the whole line")
    return " ".join(words)


def _ssh_fields(text: str) -> list[bytes]:
    """The fields of a public key, each with its length before it (RFC 4251, section 5); none when it is damaged."""
    try:
        blob = base64.b64decode(text, validate=True)
    except binascii.Error:
        return []
    fields = []
    while blob:
        length = int.from_bytes(blob[:4], "big")
        fields.append(blob[4 : 4 + length])
        if not length or len(fields[-1]) != length:
            return []
        blob = blob[4 + length :]
    return fields


def _sha256(text: str) -> str:
    if not _SHA256.fullmatch(text.lower()):
        raise Problem(
            'a SHA-256 has 64 hexadecimal digits; make it with: printf %s "$KEY" | sha256sum '
            "(if this is the key itself, make a new key: others can read it here)"
        )
    if text.lower() == _SHA256_OF_NOTHING:
        raise Problem('this is the SHA-256 of an empty text; was KEY set? printf %s "$KEY" | sha256sum')
    return text.lower()


def _age_recipient(text: str) -> str:
    if text.upper().startswith(age.BEGINS_PRIVATE):
        raise Problem(
            "this is the private key, which others can read here: make a new pair (age-keygen), and give its public key"
        )
    if not age.is_recipient(text.lower()):
        raise Problem("not a public key of age, or mistyped; give the one that begins with age1: age-keygen -y KEYFILE")
    return text.lower()


def _plain_ports(text: str) -> str:
    if text.lower() not in {"open", "closed"}:
        raise Problem("write open or closed")
    return text.lower()


def _tier(text: str) -> str:
    if not text.isascii() or not text.isdigit():
        raise Problem("write the number of a tier, or nothing: then cores and memory decide")
    return str(int(text))


def _certificate(text: str) -> str:
    try:
        return certificate.normalise(text)
    except certificate.CertificateUnusable as error:
        raise Problem(str(error)) from None


TYPES: dict[str, Callable[[str], str]] = {
    "hostname": _hostname,
    "domain": _domain,
    "interface": _interface,
    "address": _address,
    "addresses": _addresses,
    "hosts": _hosts,
    "ssh_key": _ssh_key,
    "sha256": _sha256,
    "certificate": _certificate,
    "plain_ports": _plain_ports,
    "networks": _networks,
    "age_recipient": _age_recipient,
    "tier": _tier,
}

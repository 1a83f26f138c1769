"""What each type of property may hold. All problems are found before anything is changed."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

# RFC 1123, section 2.1.
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SSH_KEYS = (
    "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
)  # fmt: skip


class Property(TypedDict):
    """One entry of ovf.properties in appliance.yml, as far as it is needed here."""

    key: str
    type: str
    default: str


class Problem(Exception):
    """A value cannot be used; the text says why and what to write instead."""


def check(given: Mapping[str, str], properties: Sequence[Property]) -> tuple[dict[str, str], list[str]]:
    """The values in their one written form, and a line for every problem.

    A property that is not given, or empty, has its default. Keys that are not ours are left alone: hypervisors add
    their own.
    """
    values: dict[str, str] = {}
    problems: list[str] = []
    for entry in properties:
        key = entry["key"]
        text = given.get(key, "").strip() or entry["default"]
        try:
            values[key] = TYPES[entry["type"]](text) if text else ""
        except Problem as problem:
            shown = text if len(text) <= 60 else f"{text[:57]}..."
            problems.append(f"{key} = {shown!r}: {problem}")
    if not problems:
        problems = list(_contradictions(values))
    return values, problems


def _contradictions(values: Mapping[str, str]) -> list[str]:
    """What no single value shows."""
    address, gateway = values.get("address", ""), values.get("gateway", "")
    if not gateway:
        return []
    if not address:
        return [f"gateway = {gateway!r}: there is no address; give one, or leave both empty for DHCP"]
    interface = ipaddress.IPv4Interface(address)
    if ipaddress.IPv4Address(gateway) not in interface.network:
        return [f"gateway = {gateway!r}: it is outside the network {interface.network} of the address"]
    if gateway == str(interface.ip):
        return [f"gateway = {gateway!r}: it is the address of this machine itself"]
    return []


def _hostname(text: str) -> str:
    if not _LABEL.fullmatch(text.lower()):
        raise Problem("a host name has up to 63 letters, digits and hyphens, without a domain")
    return text.lower()


def _domain(text: str) -> str:
    domain = text.lower().rstrip(".")
    if len(domain) > 253 or not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        raise Problem("a domain has labels of letters, digits and hyphens with dots between them, such as example.org")
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
    if address.is_multicast or address.is_unspecified or address.is_loopback:
        raise Problem("this address cannot be a machine's in a network")


def _addresses(text: str) -> str:
    return " ".join(_address(item) for item in _items(text))


def _hosts(text: str) -> str:
    def host(item: str) -> str:
        return _address(item) if re.fullmatch(r"[\d.]+", item) else _domain(item)

    return " ".join(host(item) for item in _items(text))


def _items(text: str) -> list[str]:
    return [item for item in re.split(r"[,\s]+", text) if item]


def _ssh_key(text: str) -> str:
    words = text.split()
    if "\n" in text or len(words) < 2 or words[0] not in _SSH_KEYS:
        raise Problem("not one OpenSSH public key; paste the line of a file such as id_ed25519.pub")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except binascii.Error:
        raise Problem("the public key is cut off or damaged; paste the whole line") from None
    # RFC 4253, section 6.6: the blob begins with the name of its type, length first.
    length = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + length] != words[0].encode() or len(blob) <= 4 + length:
        raise Problem("the public key is cut off or damaged; paste the whole line")
    return " ".join(words)


def _sha256(text: str) -> str:
    if not _SHA256.fullmatch(text.lower()):
        raise Problem('a SHA-256 has 64 hexadecimal digits; make it with: printf %s "$KEY" | sha256sum')
    return text.lower()


TYPES: dict[str, Callable[[str], str]] = {
    "hostname": _hostname,
    "domain": _domain,
    "interface": _interface,
    "address": _address,
    "addresses": _addresses,
    "hosts": _hosts,
    "ssh_key": _ssh_key,
    "sha256": _sha256,
}

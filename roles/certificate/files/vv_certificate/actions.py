"""What is done to the store: install a certificate, take the one of the property, keep the signing request."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from . import check, openssl, pem
from .pem import Bundle
from .refused import Refused
from .store import CERTIFICATE, KEY, PROPERTY, REQUEST, Store, write


@dataclass(frozen=True)
class Settings:
    """What the image was built with."""

    folder: str
    property_file: str
    setup_file: str
    state_file: str
    web_hosts: Sequence[str]
    warn_days: int
    reload_units: Sequence[str]


def names(domain: str, web_hosts: Sequence[str]) -> list[str]:
    """The names by which clients look for this machine, the most important first; none without a domain."""
    return [*(f"{host}.{domain}" for host in web_hosts), domain] if domain else []


def install(stored: Store, given: Bundle, property_digest: str, now: datetime) -> list[openssl.Facts]:
    """Put a certificate with its chain in force, and its private key when it came with one.

    `property_digest` notes that the property of the machine had its say. Returns what the chain says about itself.
    Raises Refused, and changes nothing, for one that cannot be served.
    """
    if not given.certificates:
        raise Refused("there is no certificate", hint="give PEM, beginning with -----BEGIN CERTIFICATE-----")
    chain = [openssl.describe(certificate) for certificate in given.certificates]
    if not given.key and not stored.read(KEY):
        raise Refused("there is no private key for it", hint="install with --key, or run vv-certificate request first")
    with stored.change() as staged:
        write(staged, CERTIFICATE, "".join(given.certificates))
        if given.key:
            write(staged, KEY, given.key)
            # It was made for the key before.
            (staged / REQUEST).unlink(missing_ok=True)
        write(staged, PROPERTY, property_digest)
        check.servable(staged / CERTIFICATE, staged / KEY)
        check.installable(chain, now)
    return chain


def digest(property_file: Path) -> str:
    """Identifies what the certificate property says now; empty without one."""
    return hashlib.sha256(property_file.read_bytes()).hexdigest() if property_file.exists() else ""


def take_property(stored: Store, property_file: Path) -> str:
    """Install what the property says, unless it was taken before: a certificate installed since stays in force.

    Returns why it was refused, or an empty text.
    """
    current = digest(property_file)
    if not current or current == stored.read(PROPERTY):
        return ""
    try:
        install(stored, pem.read(property_file.read_bytes(), "the property certificate"), current, datetime.now(UTC))
    except Refused as error:
        return f"the property certificate was not taken: {error}; {error.hint}"
    return ""


def keep_request(stored: Store, wanted: Sequence[str]) -> str:
    """The signing request for the names `wanted`; makes it, and first a private key, when there is none.

    Raises Refused without names.
    """
    if not wanted:
        raise Refused("this machine has no domain, so a request has no names", hint="set the property domain")
    request = stored.read(REQUEST)
    if not request or set(openssl.requested_names(request)) != set(wanted):
        key = stored.read(KEY) or openssl.make_key()
        request = openssl.make_request(key, wanted)
        with stored.change() as staged:
            write(staged, KEY, key)
            write(staged, REQUEST, request)
    return request

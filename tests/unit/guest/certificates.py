"""Certificates as administrators give them as a property, right and wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from .authority import NOW, Authority, new_key, pem

NAME = "voiceverify.example.org"


@dataclass(frozen=True)
class Certificates:
    """Each is PEM."""

    chain: str
    reversed_chain: str
    expired: str
    not_yet_valid: str
    with_key: str
    with_foreign_key: str
    with_locked_key: str
    key: str
    request: str


def make() -> Certificates:
    """New ones, all of one key but for the foreign one."""
    authority, key = Authority(), new_key()
    own, root = authority.issue(key, [NAME]), pem(authority.certificate)
    locked = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    ).decode()
    request = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, hashes.SHA256())
    return Certificates(
        chain=own + root,
        reversed_chain=root + own,
        expired=authority.issue(key, [NAME], begins=NOW - timedelta(days=90), days=-1),
        not_yet_valid=authority.issue(key, [NAME], begins=NOW + timedelta(days=2)),
        with_key=own + pem(key),
        with_foreign_key=own + pem(new_key()),
        with_locked_key=own + locked,
        key=pem(key),
        request=request.public_bytes(serialization.Encoding.PEM).decode(),
    )

"""Licences for services under test: real ones, of a vendor that only these tests know."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from voice_verify.licence import Licence, SignedLicence, sign

VENDOR = Ed25519PrivateKey.generate()
ISSUER = VENDOR.public_key().public_bytes_raw().hex()


def licence(
    *,
    calls: int = 10_000,
    features: Sequence[str] = ("websocket",),
    days: int = 365,
    vendor: Ed25519PrivateKey = VENDOR,
) -> SignedLicence:
    """A licence that expires in so many days; it was issued two years ago."""
    today = datetime.now(UTC).date()
    terms = Licence(
        id=str(uuid4()),
        customer="Example Bank",
        calls=calls,
        features=list(features),
        issued=today - timedelta(days=730),
        expires=today + timedelta(days=days),
    )
    return sign(terms, vendor)


AMPLE = licence()

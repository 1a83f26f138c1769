from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from voice_verify.licence import Licence

IssueTerms = Callable[..., Licence]


@pytest.fixture(scope="session")
def vendor() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture(scope="session")
def issuer(vendor: Ed25519PrivateKey) -> str:
    return vendor.public_key().public_bytes_raw().hex()


@pytest.fixture(scope="session")
def terms() -> IssueTerms:
    """Makes what a licence says; issued on 2026-01-31, for a year unless told otherwise."""

    def make(number: int = 1, **changed: object) -> Licence:
        values: dict[str, object] = {
            "id": f"00000000-0000-4000-8000-{number:012}",
            "customer": "Crédit Exemple",
            "calls": 100,
            "features": ["websocket", "sip"],
            "issued": date(2026, 1, 31),
            "expires": date(2027, 1, 31),
        }
        return Licence.model_validate(values | changed)

    return make

"""Licences: who may run how many calls, by which ways, until when; signed by the vendor.

A licence is the JSON document `{"licence": …, "issuer": …, "signature": …}`. The signature is Ed25519 (RFC 8032) over
CONTEXT and the canonical form of the inner document: members sorted, no white space, UTF-8, as RFC 8785 has it for
objects of strings, whole numbers and lists. So a licence may be indented, but nothing that it says can be changed.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import date
from typing import Annotated, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from voice_verify.errors import LicenceInvalid

# No signature that was made for another purpose, or for a later form of licences, is one of these.
CONTEXT = b"voice-verify licence 1\n"
AS_ISSUED = "use the file as it was issued"

PublicKey = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{64}$"),
    Field(
        description="Ed25519 public key, in hex",
        examples=["0245d876442723118e56686cab32c4fdf5ce5b42f24f3123e9dba689b093f010"],
    ),
]
Signature = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{128}$"),
    Field(
        description="Ed25519 signature of the canonical form of `licence`, in hex",
        examples=[
            "6227cc8649512495d96dc6f39925415d843d18987625a388281766662e4ad96d"
            "d8861ee8ccbe3f33271794e4ff757065d21d0fa4c27c07c1613a663438109804"
        ],
    ),
]


class Licence(BaseModel):
    """What is allowed. It holds from the moment that it is issued to the end of the day `expires`, UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Not a UUID to pydantic, which takes several spellings of one.
    id: Annotated[
        str,
        StringConstraints(pattern=r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$"),
        Field(examples=["0b9d2f0c-6a1e-4d8f-9c1b-2f6f0a7c5d11"]),
    ]
    customer: Annotated[
        str,
        StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$"),
        Field(examples=["Example Bank"]),
    ]
    calls: Annotated[int, Field(strict=True, ge=1, le=1_000_000, description="Calls at once", examples=[100])]
    features: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]],
        Field(min_length=1, max_length=32, description="Ways on which calls may come in", examples=[["websocket"]]),
    ]
    issued: Annotated[date, Field(examples=["2026-01-31"])]
    expires: Annotated[date, Field(description="The last day on which it holds", examples=["2027-01-31"])]

    @model_validator(mode="after")
    def ends_after_it_begins(self) -> Self:
        if self.expires < self.issued:
            raise ValueError("expires before it is issued")
        return self

    @property
    def message(self) -> bytes:
        """What is signed."""
        return CONTEXT + _canonical(self)


class SignedLicence(BaseModel):
    """A licence as it is handed out; that it can be read says nothing about its signature."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    licence: Licence
    issuer: PublicKey
    signature: Signature

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Raises LicenceInvalid that names every wrong member."""
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, item['loc'])) or 'document'}: {item['msg']}" for item in error.errors()]
            raise LicenceInvalid(f"This is no licence ({'; '.join(problems)})", hint=AS_ISSUED) from error

    def verified(self, issuers: Collection[str]) -> Licence:
        """The licence, if one of `issuers` (public keys, in hex) signed it; raises LicenceInvalid."""
        if self.issuer not in issuers:
            raise LicenceInvalid(
                f"The licence was issued by {self.issuer[:16]}…, which this installation does not trust",
                hint="ask the vendor for a licence for this product; docs/licence.md says how issuers are declared",
            )
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.issuer)).verify(
                bytes.fromhex(self.signature), self.licence.message
            )
        except (InvalidSignature, ValueError) as error:
            raise LicenceInvalid("The licence was changed after it was signed", hint=AS_ISSUED) from error
        return self.licence

    def text(self) -> str:
        """The document in its canonical form."""
        return _canonical(self).decode()


def sign(licence: Licence, key: Ed25519PrivateKey) -> SignedLicence:
    """The licence as it is handed out by the owner of `key`."""
    return SignedLicence(
        licence=licence,
        issuer=key.public_key().public_bytes_raw().hex(),
        signature=key.sign(licence.message).hex(),
    )


def _canonical(document: BaseModel) -> bytes:
    values = document.model_dump(mode="json")
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

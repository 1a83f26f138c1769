"""Licences as files: issued, read, checked against those whom the build trusts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from voice_verify.errors import LicenceInvalid
from voice_verify.licence import Licence, SignedLicence, sign
from vvctl import appliance
from vvctl.licence.errors import FileExists, LicencePast, LicenceRefused, TermsRefused


def today() -> date:
    """Licences count days in UTC."""
    return datetime.now(UTC).date()


def issue(
    key: Ed25519PrivateKey,
    declared: appliance.Licence,
    *,
    customer: str,
    calls: int,
    features: Sequence[str],
    expires: date,
) -> SignedLicence:
    """A licence from today on; `features` is empty for all that there are.

    Raises TermsRefused for terms that no licence can have, or that would be of no use.
    """
    unknown = sorted(set(features) - set(declared.features))
    if unknown:
        known = ", ".join(declared.features)
        raise TermsRefused(f"there is no feature {', '.join(unknown)}", hint=f"there are: {known}")
    if expires < today():
        raise TermsRefused(f"{expires} is past: the licence would never hold", hint="give a day that is still to come")
    try:
        licence = Licence(
            id=str(uuid4()),
            customer=customer,
            calls=calls,
            features=[feature for feature in declared.features if feature in features or not features],
            issued=today(),
            expires=expires,
        )
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise TermsRefused(f"no licence can say that ({problems})") from error
    return sign(licence, key)


def write(path: Path, signed: SignedLicence) -> None:
    """Raises FileExists."""
    write_new(path, signed.text().encode(), mode=0o644)


def read(path: Path) -> SignedLicence:
    """What the file says, whoever signed it; raises LicenceRefused."""
    try:
        return SignedLicence.read(path.read_bytes())
    except OSError as error:
        raise LicenceRefused(f"{path} cannot be read: {error.strerror}") from error
    except LicenceInvalid as error:
        raise LicenceRefused(f"{path}: {error.message}", hint=error.hint) from error


def check(path: Path, declared: appliance.Licence) -> SignedLicence:
    """The licence, if an appliance of this checkout would take it today; raises LicenceRefused and LicencePast."""
    signed = read(path)
    try:
        licence = signed.verified(declared.issuers)
    except LicenceInvalid as error:
        hint = error.hint
        if signed.issuer not in declared.issuers:
            hint = f"if the key is yours, add it to licence.issuers in appliance.yml: {signed.issuer}"
        raise LicenceRefused(f"{path}: {error.message}", hint=hint) from error
    if licence.expires < today():
        raise LicencePast(f"{path} expired on {licence.expires}", hint="vvctl licence issue makes a new one")
    return signed


def write_new(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that must not be there yet, readable as `mode` says from its first moment on.

    Raises FileExists.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise FileExists(f"{path} is there already", hint="name another file, or move that one away") from error
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
        file.write(content)

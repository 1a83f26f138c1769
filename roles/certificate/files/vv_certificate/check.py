"""Whether a certificate can be served, and what is wrong with it."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from .openssl import Facts
from .refused import Refused

# OpenSSL's reasons for a certificate of another key; the last for one of another kind.
_MISMATCHES = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
# And for one that is too weak, in words.
_WEAK = {
    "EE_KEY_TOO_SMALL": "its key is too short to be safe",
    "CA_KEY_TOO_SMALL": "the key of an authority in its chain is too short to be safe",
    "CA_MD_TOO_WEAK": "it is signed with a hash that is no longer safe",
}


def servable(certificate: Path, key: Path) -> None:
    """Load the pair as a server would.

    Raises Refused when the certificate does not belong to the key, or is too weak.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except ssl.SSLError as error:
        if error.reason in _MISMATCHES:
            raise Refused(
                "the certificate belongs to another private key",
                hint="have the request signed that `vv-certificate request` prints, or install its key too with --key",
            ) from None
        reason = _WEAK.get(error.reason or "", f"TLS cannot use it ({error.reason or error})")
        raise Refused(
            f"the certificate is refused: {reason}",
            hint="ask the authority for one with SHA-256 and a key of at least RSA 2048 or ECDSA P-256",
        ) from None


def installable(chain: Sequence[Facts], now: datetime) -> None:
    """Whether the first of `chain` is a certificate that a server may use now.

    Raises Refused when it is not.
    """
    facts = chain[0]
    if not facts.for_servers:
        raise Refused(
            f"the first certificate, {facts.subject}, is not one for servers",
            hint="put this machine's own certificate first, and then those of the authorities",
        )
    if now > facts.not_after:
        raise Refused(f"the certificate expired on {_day(facts.not_after)}", hint="ask the authority for a new one")
    if now < facts.not_before:
        raise Refused(
            f"the certificate is not valid before {facts.not_before:%Y-%m-%d %H:%M} UTC, and now it is"
            f" {now:%Y-%m-%d %H:%M}",
            hint="correct the clock of this machine, or wait",
        )


def broken_chain(chain: Sequence[Facts]) -> str:
    """What is wrong with the order of `chain`, which clients may not be able to follow; empty when nothing is."""
    for issued, authority in pairwise(chain):
        if issued.issuer != authority.subject:
            return f"after {issued.subject} comes {authority.subject}, but it was issued by {issued.issuer}"
    return ""


def covers(facts: Facts, name: str) -> bool:
    """Whether clients accept the certificate for `name` (RFC 6125, section 6.4: a wildcard stands for one label)."""
    return name in facts.names or f"*.{name.partition('.')[2]}" in facts.names


def problem(facts: Facts, wanted: Sequence[str], now: datetime, warn_days: int) -> str:
    """What a person should do something about; empty when all is well. `wanted` are the names of this machine."""
    left = (facts.not_after - now).days
    if now > facts.not_after:
        return f"the certificate expired on {_day(facts.not_after)}: install a new one"
    if wanted and not covers(facts, wanted[0]):
        return f"the certificate is for {', '.join(facts.names) or 'no name'}, not for {wanted[0]}"
    if left < warn_days:
        return f"the certificate expires in {left} days, on {_day(facts.not_after)}: install a new one"
    return ""


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"

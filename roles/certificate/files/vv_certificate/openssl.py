"""What the program openssl does for us: Python's standard library neither reads certificates nor makes keys."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from .refused import Refused

# RSA, because some authorities and PBXs still take nothing else; 3072 bits, as BSI TR-02102-1 wants since 2024.
KEY_BITS = 3072
# For its purposes openssl looks only at the extensions that it is asked to print.
_PRINTED = (
    "-subject", "-issuer", "-nameopt", "RFC2253", "-startdate", "-enddate", "-dateopt", "iso_8601", "-fingerprint",
    "-sha256", "-ext", "subjectAltName,basicConstraints,keyUsage,extendedKeyUsage", "-purpose",
)  # fmt: skip
_SUBJECT, _ISSUER, _BEGIN, _END = "subject=", "issuer=", "notBefore=", "notAfter="
_NAMES, _FINGERPRINT = "X509v3 Subject Alternative Name:", "Fingerprint="


@dataclass(frozen=True)
class Facts:
    """What a certificate says about itself."""

    subject: str
    issuer: str
    # DNS names, in lower case, and IP addresses.
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint: str
    for_servers: bool


def describe(certificate: str) -> Facts:
    """Read one certificate in PEM.

    Raises Refused when it is none.
    """
    text = _run(
        ["x509", "-noout", *_PRINTED],
        certificate,
        failing="the certificate cannot be read",
    )
    lines = text.splitlines()
    return Facts(
        subject=_after(lines, _SUBJECT),
        issuer=_after(lines, _ISSUER),
        names=_names(lines),
        not_before=datetime.fromisoformat(_after(lines, _BEGIN)),
        not_after=datetime.fromisoformat(_after(lines, _END)),
        fingerprint=_after(lines, _FINGERPRINT),
        for_servers="SSL server : Yes" in lines,
    )


def _after(lines: Sequence[str], mark: str) -> str:
    """What follows the first `mark` in the lines."""
    return next(line.partition(mark)[2] for line in lines if mark in line)


def _names(lines: Sequence[str]) -> tuple[str, ...]:
    if _NAMES not in (stripped := [line.strip() for line in lines]):
        return ()
    entries = stripped[stripped.index(_NAMES) + 1].split(", ")
    known = (entry.partition(":") for entry in entries)
    return tuple(value.lower() for kind, _, value in known if kind in ("DNS", "IP Address"))


def requested_names(request: str) -> tuple[str, ...]:
    """The names in a signing request.

    Raises Refused when it is none.
    """
    return _names(_run(["req", "-noout", "-text"], request, failing="the request cannot be read").splitlines())


def make_key() -> str:
    """A new private key in PEM."""
    return _run(
        ["genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{KEY_BITS}"],
        "",
        failing="no private key was made",
    )


def make_request(key: str, names: Sequence[str]) -> str:
    """A signing request (PKCS #10) in PEM for `names`, the first of which is also the common name."""
    alternatives = ",".join(f"DNS:{name}" for name in names)
    return _run(
        ["req", "-new", "-key", "/dev/stdin", "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={alternatives}"],
        key,
        failing="no signing request was made",
    )


def _run(arguments: Sequence[str], given: str, *, failing: str) -> str:
    done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason was given"])[0]
        raise Refused(f"{failing}: {reason}", hint="give the file as the authority sent it")
    return done.stdout

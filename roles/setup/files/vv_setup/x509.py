"""Whether a certificate can serve this machine, as far as that can be said without its private key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from . import certificate
from .programs import output


@dataclass(frozen=True)
class _Facts:
    subject: str
    subject_hash: str
    issuer_hash: str
    public_key: str


def problems(pem: str) -> list[str]:
    """What is wrong with `pem`, as certificate.normalise() made it: order of the chain, private key.

    Whether it names the machine, belongs to its private key and is in its time is seen when it is put in force (role
    certificate): an address must not be refused for a certificate that has meanwhile expired.
    """
    certificates, key = certificate.split(pem)
    facts = []
    for number, text in enumerate(certificates, 1):
        found = _facts(text)
        if not found:
            return [f"certificate {number} in it cannot be read; give the whole file"]
        facts.append(found)
    return [*_order(facts), *_key(facts[0], key)]


def _order(facts: Sequence[_Facts]) -> Iterator[str]:
    for number, (one, issuer) in enumerate(pairwise(facts), 1):
        if one.issuer_hash != issuer.subject_hash:
            yield (
                f"certificate {number + 1} ({issuer.subject}) did not issue certificate {number} ({one.subject}); "
                "put the machine's own first, then its issuer, then that one's"
            )
            return


def _key(leaf: _Facts, key: str) -> Iterator[str]:
    if not key:
        return
    public = output(["openssl", "pkey", "-pubout", "-passin", "pass:"], key)
    if not public:
        yield "the private key in it cannot be read; give the whole file"
    elif public.strip() != leaf.public_key:
        yield f"the private key in it does not belong to its first certificate ({leaf.subject})"


def _facts(pem: str) -> _Facts | None:
    """One run of openssl-x509(1), which answers in the order in which it is asked; None when it cannot read `pem`."""
    options = "-subject -nameopt RFC2253 -subject_hash -issuer_hash -pubkey"
    answer = output(["openssl", "x509", "-noout", *options.split()], pem)
    if not answer:
        return None
    subject, subject_hash, issuer_hash, public_key = answer.strip().split("\n", 3)
    return _Facts(
        subject=subject.removeprefix("subject=") or "without a name",
        subject_hash=subject_hash,
        issuer_hash=issuer_hash,
        public_key=public_key,
    )

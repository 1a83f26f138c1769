"""API keys: made once, shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from voice_verify.errors import InvalidRequest
from voice_verify.store import KeyStore, StoredKey


class Role(StrEnum):
    """What a key may do; a key may have several."""

    integrator = "integrator"  # streams, enrolment, verification, speakers
    operator = "operator"  # maintenance
    billing = "billing"  # what is invoiced
    viewer = "viewer"  # reads


@dataclass(frozen=True)
class Caller:
    """Who sent a request."""

    key: int
    name: str
    roles: frozenset[Role]

    def may(self, roles: Iterable[Role]) -> bool:
        """Whether the caller has at least one of `roles`."""
        return not self.roles.isdisjoint(roles)


def digest(secret: str) -> str:
    """SHA-256 in hex; enough for keys of 256 random bits, which nobody can guess from a hash."""
    # What a client sends as its key may be anything, also no text at all.
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


class KeyService:
    def __init__(self, store: KeyStore) -> None:
        self._store = store

    def create(self, name: str, roles: Sequence[Role]) -> tuple[str, StoredKey]:
        """Make a key; the first of the pair is the key itself and is nowhere else."""
        secret = f"vv_{secrets.token_urlsafe(32)}"
        key, _ = self._store.add(name, roles, digest(secret))
        return secret, key

    def accept(self, name: str, roles: Sequence[Role], sha256: str) -> tuple[StoredKey, bool]:
        """Take in a key known by its hash only, and tell whether it is new.

        The same hash again changes nothing. Raises InvalidRequest when `sha256` is no SHA-256.
        """
        if not re.fullmatch(r"[0-9a-f]{64}", sha256.lower()):
            raise InvalidRequest("this is no SHA-256", hint="give 64 hexadecimal digits: printf %s KEY | sha256sum")
        return self._store.add(name, roles, sha256.lower())

    def all(self) -> Sequence[StoredKey]:
        return self._store.all()

    def authenticate(self, secret: str) -> Caller | None:
        """The caller that `secret` belongs to.

        Found by hash, so that how long it takes tells nothing about the keys there are.
        """
        presented = digest(secret)
        key = self._store.find(presented)
        if key is None or not hmac.compare_digest(key.sha256, presented):
            return None
        return Caller(key.id, key.name, frozenset(Role(role) for role in key.roles))

"""API keys: made once, shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from voice_verify.errors import InvalidRequest
from voice_verify.store import KeyStore, StoredKey

# How long another process may go on to accept a key that was revoked; `refresh` runs four times as often, so that
# callers who all ask at once are not all looked up at once.
REMEMBERED_S = 2.0
# More keys than any installation has: callers with made-up keys are never remembered.
MOST_REMEMBERED = 1000


class Role(StrEnum):
    """What a key may do; a key may have several."""

    integrator = "integrator"  # streams, enrolment, verification, speakers
    operator = "operator"  # maintenance, backup, profiles, PBX instances, keys
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
    """Valid keys are remembered, and looked at again twice a second; `by` is the API key that asks, for the audit."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        # By digest: the caller, and when it was asked for.
        self._remembered: dict[str, tuple[Caller, float]] = {}
        # Counts revocations, so that what was asked for before one is not remembered after it.
        self._revocations = 0

    def create(self, name: str, roles: Sequence[Role], *, by: int | None = None) -> tuple[str, StoredKey]:
        """Make a key; the first of the pair is the key itself and is nowhere else."""
        secret = f"vv_{secrets.token_urlsafe(32)}"
        key, _ = self._store.add(name, roles, digest(secret), by=by)
        return secret, key

    def accept(self, name: str, roles: Sequence[Role], sha256: str) -> tuple[StoredKey, bool]:
        """Take in a key known by its hash only, and tell whether it is new.

        The same hash again changes nothing. Raises InvalidRequest when `sha256` is no SHA-256.
        """
        if not re.fullmatch(r"[0-9a-f]{64}", sha256.lower()):
            raise InvalidRequest("this is no SHA-256", hint="give 64 hexadecimal digits: printf %s KEY | sha256sum")
        return self._store.add(name, roles, sha256.lower(), by=None)

    def all(self) -> Sequence[StoredKey]:
        """Every key, oldest first, also those that are revoked."""
        return self._store.all()

    def revoke(self, key: int, *, by: int | None = None) -> None:
        """Make a key invalid: in this process at once, in others within two seconds.

        Raises KeyNotFound and LastOperatorKey.
        """
        self._store.revoke(key, by=by)
        with self._lock:
            self._revocations += 1
            self._remembered.clear()

    def recall(self, secret: str) -> Caller | None:
        """The caller that `secret` belonged to a moment ago; never waits."""
        caller, asked = self._remembered.get(digest(secret), (None, 0.0))
        return caller if time.monotonic() - asked < REMEMBERED_S else None

    def authenticate(self, secret: str) -> Caller | None:
        """The caller that `secret` belongs to; raises DatabaseUnavailable.

        Found by hash, so that how long it takes tells nothing about the keys there are.
        """
        if (known := self.recall(secret)) is not None:
            return known
        asked, revocations = time.monotonic(), self._revocations
        presented = digest(secret)
        key = self._store.find(presented)
        if key is None or not hmac.compare_digest(key.sha256, presented):
            return None
        caller = Caller(key.id, key.name, frozenset(Role(role) for role in key.roles))
        with self._lock:
            if revocations == self._revocations:
                if len(self._remembered) >= MOST_REMEMBERED:
                    self._remembered.clear()
                self._remembered[presented] = (caller, asked)
        return caller

    def refresh(self) -> None:
        """Look with one query which of the remembered keys are still valid; raises DatabaseUnavailable."""
        asked = time.monotonic()
        with self._lock:
            remembered, revocations = dict(self._remembered), self._revocations
        if not remembered:
            return
        valid = self._store.valid(list(remembered))
        with self._lock:
            if revocations != self._revocations:
                return
            for presented, (caller, _) in remembered.items():
                if presented in valid:
                    self._remembered[presented] = (caller, asked)
                else:
                    self._remembered.pop(presented, None)

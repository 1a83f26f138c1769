"""The secrets with which media protocols sign their connections, and the check of what they signed."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum

from voice_verify.errors import InvalidRequest, MediaSecretNotFound, Unauthenticated
from voice_verify.media import signatures
from voice_verify.media.signatures import SignatureError
from voice_verify.store.media_secrets import MediaSecretStore, StoredMediaSecret

# As long as a signature is good, it is good once; far more of them than an appliance has calls.
MOST_NONCES = 10_000


class Signing(StrEnum):
    """The protocols that sign: by the token of an account, by the client secret of a key."""

    twilio = "twilio"
    audiohook = "audiohook"


class MediaSecretService:
    """`key_id` is the API key that asks, for the audit."""

    def __init__(self, store: MediaSecretStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        # By key and nonce: when the signature can be forgotten, because it is too old by then.
        self._seen: dict[tuple[str, str], float] = {}

    def all(self) -> Sequence[StoredMediaSecret]:
        """By protocol and name, without the secrets."""
        return self._store.all()

    def put(self, protocol: Signing, name: str, secret: str, *, key_id: int | None) -> StoredMediaSecret:
        """Raises InvalidRequest when it cannot be a secret of that protocol."""
        if protocol is Signing.audiohook:
            _key(secret)
        return self._store.put(protocol, name, secret, key_id=key_id)

    def remove(self, protocol: Signing, name: str, *, key_id: int | None) -> None:
        """Raises MediaSecretNotFound."""
        if not self._store.remove(protocol, name, key_id=key_id):
            raise MediaSecretNotFound("There is no such secret", hint="GET /api/v2/media/secrets lists those there are")

    def twilio_account(self, urls: Sequence[str], signature: str) -> str:
        """The account that signed the connection, to whichever of `urls` it is; raises Unauthenticated."""
        found = None
        for account, token in self._store.of(Signing.twilio).items():
            for url in urls:
                # All are tried: how long it takes tells nothing.
                if signatures.is_twilio(url, token, signature):
                    found = account
        if found is None:
            raise Unauthenticated(
                "X-Twilio-Signature is not of this URL and a known account",
                hint="store the auth token of the account; VV_PUBLIC_WS_URL must be what Twilio is given",
            )
        return found

    def audiohook_key(self, headers: Mapping[str, str], target: str) -> str:
        """The API key whose client secret signed the request for `target`; raises Unauthenticated."""
        try:
            signed = signatures.read(headers, target)
            secret = self._store.of(Signing.audiohook).get(signed.key_id)
            now = time.time()
            signed.verify(None if secret is None else _key(secret), now)
            self._use(signed.key_id, signed.nonce, now)
        except SignatureError as error:
            raise Unauthenticated(
                f"The request is not signed as it must be: {error}", hint="store the client secret of the API key"
            ) from error
        return signed.key_id

    def _use(self, key: str, nonce: str, now: float) -> None:
        """Take note of a good signature; raises SignatureError when it was used before."""
        with self._lock:
            if len(self._seen) >= MOST_NONCES:
                self._seen = {seen: until for seen, until in self._seen.items() if until > now}
            if self._seen.get((key, nonce), 0.0) > now:
                raise SignatureError("the nonce was used before")
            self._seen[key, nonce] = now + 2 * (signatures.AGE_S + signatures.SKEW_S)


def _key(secret: str) -> bytes:
    """A client secret as Genesys is given it; raises InvalidRequest."""
    try:
        key = base64.b64decode(secret, validate=True)
    except ValueError as error:
        raise InvalidRequest(
            "The client secret is not base64", hint="give it as it stands in the integration's credentials"
        ) from error
    if not key:
        raise InvalidRequest("The client secret is empty", hint="give at least 32 random bytes in base64")
    return key

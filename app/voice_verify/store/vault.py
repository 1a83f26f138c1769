"""What is encrypted at rest: AES-256-GCM (NIST SP 800-38D) with one data key, each ciphertext bound to its place."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from voice_verify.errors import Undecipherable

KEY_BYTES = 32
# 96 random bits: NIST SP 800-38D allows 2^32 encryptions with one key, far beyond what one appliance enrols.
NONCE_BYTES = 12
KEY_ID_DIGITS = 16


class Vault:
    """Encrypts, decrypts and makes pseudonymous digests with the data key, 32 bytes.

    `key_id` names the key without telling anything about it: the first 64 bits of its SHA-256.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self.key_id = hashlib.sha256(key).hexdigest()[:KEY_ID_DIGITS]
        # A key of its own for each purpose: RFC 5869.
        self._digest_key = HKDF(SHA256(), KEY_BYTES, salt=None, info=b"voice-verify audit subject").derive(key)

    def seal(self, clear: bytes, *place: str) -> bytes:
        """`clear` encrypted: nonce, ciphertext, tag; `place` says what it belongs to and is needed to open it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, clear, _bound(place))

    def open(self, sealed: bytes, *place: str) -> bytes:
        """What was sealed for this very place.

        Raises Undecipherable when it was damaged, moved from another place, or sealed with another key.
        """
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(place))
        except (InvalidTag, ValueError) as error:
            raise Undecipherable(
                f"A stored {place[0]} is damaged, or was moved from where it was stored",
                hint="restore a backup, or delete what it belongs to and make it anew",
            ) from error

    def digest(self, text: str) -> str:
        """HMAC-SHA256 in hex: stands for `text`, and nobody without the data key can find out for which."""
        return hmac.new(self._digest_key, text.encode(), hashlib.sha256).hexdigest()


def _bound(place: tuple[str, ...]) -> bytes:
    # JSON, because joined texts could mean two places.
    return json.dumps(place).encode()

"""How peers prove who they are when they connect: Twilio's signature of the URL, Genesys' of headers.

Twilio: https://www.twilio.com/docs/usage/security#validating-requests. Genesys: HTTP message signatures as in
draft-ietf-httpbis-message-signatures-11 with hmac-sha256; the one form in which AudioHook writes them is read here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

AGE_S = 10
SKEW_S = 3
"""How old a signature may be, and how far the clocks may be apart: as in Genesys' reference implementation."""

LATEST = 10**15 - 1
"""Beyond any moment."""

COMPONENTS = (
    "@request-target",
    "@authority",
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    "x-api-key",
)
NONCE_LENGTH = 22
"""Letters of base64 that hold 128 random bits."""

_STRING = r'"[^"\\]*"'
_INPUT = re.compile(rf"([a-z*][\w.*-]*)=(\(({_STRING}(?: {_STRING})*)\)((?:;[a-z]+=(?:{_STRING}|\d{{1,15}}))+))")
_PARAMETER = re.compile(rf";([a-z]+)=({_STRING}|\d+)")
_SIGNATURE = re.compile(r"([a-z*][\w.*-]*)=:([A-Za-z0-9+/=]*):")


class SignatureError(Exception):
    """A signature that proves nothing; says what is wrong with it."""


def twilio(url: str, token: str) -> str:
    """What Twilio signs a connection to `url` with: HMAC-SHA1 with the account's token, in base64."""
    return base64.b64encode(hmac.new(token.encode(), url.encode(), hashlib.sha1).digest()).decode()


def is_twilio(url: str, token: str, signature: str) -> bool:
    """Takes the same time wherever the two differ."""
    return hmac.compare_digest(twilio(url, token).encode(), signature.encode(errors="replace"))


@dataclass(frozen=True)
class MessageSignature:
    """A signature of AudioHook that was read and not yet verified."""

    key_id: str
    nonce: str
    created: int
    expires: int
    base: bytes
    signature: bytes

    def verify(self, secret: bytes | None, now: float) -> None:
        """Raises SignatureError; takes the same time with a key that nobody knows, which is None."""
        computed = hmac.new(secret or secrets.token_bytes(32), self.base, hashlib.sha256).digest()
        if not hmac.compare_digest(computed, self.signature) or secret is None:
            raise SignatureError("the signature is not of this key and request")
        if self.created > now + SKEW_S:
            raise SignatureError("the signature was made in the future")
        if min(self.created + AGE_S, self.expires) < now - SKEW_S:
            raise SignatureError("the signature is too old")


def read(headers: Mapping[str, str], target: str) -> MessageSignature:
    """The signature in `headers`, of a request for `target` (path and query); raises SignatureError.

    The names of `headers` are in small letters.
    """
    described = _INPUT.fullmatch(headers.get("signature-input", "").strip())
    carried = _SIGNATURE.fullmatch(headers.get("signature", "").strip())
    if described is None or carried is None or described[1] != carried[1]:
        raise SignatureError("the headers Signature-Input and Signature cannot be read")
    parameters = {name: value.strip('"') for name, value in _PARAMETER.findall(described[4])}
    names = [name.strip('"') for name in described[3].split(" ")]
    if len(set(names)) < len(names) or not set(COMPONENTS) <= set(names):
        raise SignatureError("the signature does not cover what it must")
    if parameters.get("alg", "hmac-sha256") != "hmac-sha256":
        raise SignatureError("the algorithm is not hmac-sha256")
    if len(parameters.get("nonce", "")) < NONCE_LENGTH:
        raise SignatureError("the nonce is missing or too short")
    created = parameters.get("created", "")
    expires = parameters.get("expires", str(LATEST))
    if not created.isdigit() or not expires.isdigit():
        raise SignatureError("the signature does not say when it was made")
    if parameters.get("keyid") != headers.get("x-api-key"):
        raise SignatureError("the signature is of another key than X-API-KEY")
    try:
        signature = base64.b64decode(carried[2], validate=True)
    except binascii.Error as error:
        raise SignatureError("the signature is not base64") from error
    lines = [f'"{name}": {_component(name, headers, target)}' for name in names]
    base = "\n".join([*lines, f'"@signature-params": {described[2]}'])
    return MessageSignature(
        parameters["keyid"], parameters["nonce"], int(created), int(expires), base.encode(), signature
    )


def _component(name: str, headers: Mapping[str, str], target: str) -> str:
    if name == "@request-target":
        return target
    value = headers.get("host" if name == "@authority" else name)
    if value is None:
        raise SignatureError("the signature covers what was not sent")
    return value.strip()

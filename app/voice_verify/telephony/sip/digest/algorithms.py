"""The arithmetic of digest (RFC 7616 section 3.4.1) and the form of its header fields."""

from __future__ import annotations

import hashlib
import re

from voice_verify.telephony.sip.errors import BadSyntax
from voice_verify.telephony.sip.fields import quote, split, unquote

ALGORITHMS = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}
_PARAMETER = re.compile(r'([A-Za-z0-9\-_*]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s",]+)', re.DOTALL)


def _hash(algorithm: str, text: str) -> str:
    return ALGORITHMS[algorithm](text.encode("utf-8", "surrogateescape")).hexdigest()


def response(
    algorithm: str,
    *,
    username: str,
    realm: str,
    password: str,
    method: str,
    uri: str,
    nonce: str,
    counter: str = "",
    client_nonce: str = "",
) -> str:
    """The proof in lower-case hex; with a counter as `qop=auth` wants it, else as RFC 2069 did."""
    secret = _hash(algorithm, f"{username}:{realm}:{password}")
    request = _hash(algorithm, f"{method}:{uri}")
    middle = f"{nonce}:{counter}:{client_nonce}:auth" if counter else nonce
    return _hash(algorithm, f"{secret}:{middle}:{request}")


def parse(value: str) -> dict[str, str]:
    """The parameters of a challenge or of credentials, names in lower case; raises BadSyntax for other schemes too."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        raise BadSyntax("not digest")
    found: dict[str, str] = {}
    for item in split(rest):
        match = _PARAMETER.fullmatch(item)
        if not match or match[1].lower() in found:
            raise BadSyntax("a parameter of digest is malformed, or stands twice")
        found[match[1].lower()] = unquote(match[2])
    return found


def write(plain: dict[str, str], quoted: dict[str, str]) -> str:
    """A header value of parameters with and without quotes."""
    items = [f"{name}={quote(value)}" for name, value in quoted.items()]
    return "Digest " + ", ".join([*items, *(f"{name}={value}" for name, value in plain.items())])

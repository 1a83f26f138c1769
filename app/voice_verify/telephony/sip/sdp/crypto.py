"""Keys of SRTP in a description (RFC 4568)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from voice_verify.telephony.sip.errors import BadSdp

# One key: an offer with several of them, which a peer would change between, is not understood.
_CRYPTO = re.compile(
    r"(?P<tag>[0-9]{1,9})\s+(?P<suite>[A-Za-z0-9_]+)\s+inline:(?P<key>[A-Za-z0-9+/]+={0,2})"
    r"(?:\|(?P<lifetime>(?:2\^)?[0-9]+))?(?:\|(?P<mki>[0-9]+:[0-9]+))?(?P<parameters>(?:\s+\S+)*)\s*"
)


@dataclass(frozen=True)
class Crypto:
    """One `a=crypto` line; `key` is the master key with the salt behind it."""

    tag: int
    suite: str
    key: bytes
    lifetime: str | None = None
    mki: str | None = None
    session_parameters: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: str) -> Crypto:
        """Raises BadSdp."""
        match = _CRYPTO.fullmatch(value)
        if not match:
            raise BadSdp("a crypto attribute is malformed")
        try:
            key = base64.b64decode(match["key"], validate=True)
        except binascii.Error:
            raise BadSdp("a key of SRTP is no base64") from None
        parameters = tuple(match["parameters"].split())
        return cls(int(match["tag"]), match["suite"], key, match["lifetime"], match["mki"], parameters)

    def __str__(self) -> str:
        key = "|".join(filter(None, (base64.b64encode(self.key).decode(), self.lifetime, self.mki)))
        return " ".join((str(self.tag), self.suite, f"inline:{key}", *self.session_parameters))

    def __repr__(self) -> str:
        # Keys do not belong into logs.
        return f"Crypto({self.tag}, {self.suite!r})"

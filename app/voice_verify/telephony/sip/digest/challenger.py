"""The server's side: who may call."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from voice_verify.telephony.sip.counters import Count, ignore
from voice_verify.telephony.sip.digest.algorithms import parse, response, write
from voice_verify.telephony.sip.errors import BadSyntax
from voice_verify.telephony.sip.message import Request

# All peers know it. Many do not log in at all where SHA-256 is offered beside it, though they should pass over what
# they do not know (RFC 8760 section 2.4).
_ALGORITHM = "MD5"
# Only whoever knows a password adds to the nonces that were used.
_USED_NONCES = 10_000
_NONCE = re.compile(r"([0-9a-f]{8,16})\.([0-9a-f]{16})\.([0-9a-f]{32})")
_COUNTER = re.compile(r"[0-9a-fA-F]{8}")


class Fault(StrEnum):
    """Why a request was challenged."""

    missing = "missing"
    malformed = "malformed"
    wrong = "wrong"
    stale = "stale"
    replayed = "replayed"


@dataclass(frozen=True)
class Accepted:
    """The request is from an account."""

    username: str


@dataclass(frozen=True)
class Challenged:
    """The request has to come again with a proof: answer with `status` and `headers`."""

    status: int
    headers: list[tuple[str, str]]
    reason: Fault


Verdict = Accepted | Challenged


class Challenger:
    """Asks for a proof and checks it. No challenge is kept: a nonce proves by itself that we made it, and when."""

    def __init__(
        self,
        realm: str,
        accounts: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.time,
        nonce_s: float = 300.0,
        count: Count = ignore,
    ) -> None:
        """`accounts` has passwords by username."""
        self._realm = realm
        self._accounts = accounts
        self._clock = clock
        self._nonce_s = nonce_s
        self._count = count
        self._secret = secrets.token_bytes(32)
        # The highest counter of each nonce that was accepted, the oldest nonce first.
        self._used: dict[str, int] = {}

    def check(self, request: Request) -> Verdict:
        """Whether the request proves an account."""
        username, fault = self._check(request)
        if fault is None:
            return Accepted(username)
        self._count("sip_challenges", fault)
        return Challenged(401, [self._challenge(fault)], fault)

    def _check(self, request: Request) -> tuple[str, Fault | None]:
        given = self._given(request)
        if isinstance(given, Fault):
            return "", given
        username, nonce, counter = given["username"], given["nonce"], given["nc"]
        expected = response(
            _ALGORITHM,
            username=username,
            realm=self._realm,
            # A stranger costs the same time as a wrong password.
            password=self._accounts.get(username, ""),
            method=request.method,
            uri=given["uri"],
            nonce=nonce,
            counter=counter,
            client_nonce=given["cnonce"],
        )
        right = hmac.compare_digest(expected.encode(), given["response"].lower().encode("utf-8", "surrogateescape"))
        if not right or username not in self._accounts:
            return "", Fault.wrong
        # Only now, so that nobody learns of a nonce without a password whether it is still good.
        if not self._fresh(nonce):
            return "", Fault.stale
        if int(counter, 16) <= self._used.get(nonce, 0):
            return "", Fault.replayed
        self._use(nonce, int(counter, 16))
        return username, None

    def _given(self, request: Request) -> dict[str, str] | Fault:
        """The credentials for our realm; other realms are for proxies on the way."""
        fault = Fault.missing
        for value in request.headers.all("Authorization"):
            try:
                given = parse(value)
            except BadSyntax:
                fault = Fault.malformed
                continue
            if given.get("realm") != self._realm:
                continue
            complete = {"username", "nonce", "uri", "response", "cnonce", "nc", "qop"} <= given.keys()
            algorithm = given.get("algorithm", _ALGORITHM).upper()
            if not complete or algorithm != _ALGORITHM or given["qop"].lower() != "auth":
                return Fault.malformed
            return given if _COUNTER.fullmatch(given["nc"]) else Fault.malformed
        return fault

    def _challenge(self, fault: Fault) -> tuple[str, str]:
        stale = {"stale": "true"} if fault in {Fault.stale, Fault.replayed} else {}
        quoted = {"realm": self._realm, "nonce": self._nonce(), "qop": "auth"}
        return "WWW-Authenticate", write({"algorithm": _ALGORITHM, **stale}, quoted)

    def _nonce(self) -> str:
        text = f"{int(self._clock()):08x}.{secrets.token_hex(8)}"
        return f"{text}.{self._seal(text)}"

    def _seal(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()[:32]

    def _fresh(self, nonce: str) -> bool:
        match = _NONCE.fullmatch(nonce)
        if not match or not hmac.compare_digest(self._seal(f"{match[1]}.{match[2]}"), match[3]):
            return False
        return 0 <= int(self._clock()) - int(match[1], 16) <= self._nonce_s

    def _use(self, nonce: str, counter: int) -> None:
        self._used[nonce] = counter
        while len(self._used) > _USED_NONCES or not self._fresh(next(iter(self._used))):
            del self._used[next(iter(self._used))]

"""The client's side: how we prove our account at a PBX."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from voice_verify.telephony.sip.digest.algorithms import ALGORITHMS, parse, response, write
from voice_verify.telephony.sip.errors import BadSyntax, NoUsableChallenge
from voice_verify.telephony.sip.message import Request, Response

# The header with the challenge, and that with its answer.
_HEADERS = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}


@dataclass
class _Challenge:
    header: str
    algorithm: str
    # As it was written, and whether it was at all: old servers do not know the parameter.
    named: str | None
    realm: str
    nonce: str
    opaque: str | None
    with_counter: bool
    counter: int = 0


class Login:
    """Username and password, and the challenges that they answer; the counter of each nonce grows."""

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self._password = password
        self._challenges: dict[str, _Challenge] = {}
        # Whether the last request answered a challenge that had just been made.
        self._answered = False

    def answer(self, response: Response, request: Request) -> None:
        """Put the proof that `response` asks for into the request, whose CSeq its caller has raised.

        Raises NoUsableChallenge.
        """
        challenge = _choose(response)
        known = self._challenges.get(challenge.header)
        if known is not None and known.nonce == challenge.nonce:
            challenge.counter = known.counter
        self._challenges[challenge.header] = challenge
        self.prepare(request)
        self._answered = True

    def prepare(self, request: Request) -> None:
        """Put proofs for the challenges that are known into a request; without one it stays as it is."""
        self._answered = False
        for challenge in self._challenges.values():
            challenge.counter += 1
            request.headers.set(challenge.header, self._proof(challenge, request))

    def rejected(self, response: Response) -> bool:
        """Whether this refuses what `answer` had put into the request: username or password are wrong."""
        if not self._answered or response.status not in _HEADERS:
            return False
        try:
            challenge = _choose(response)
        except NoUsableChallenge:
            return True
        return challenge.header in self._challenges and not _stale(response)

    def _proof(self, challenge: _Challenge, request: Request) -> str:
        counter = f"{challenge.counter:08x}" if challenge.with_counter else ""
        client_nonce = secrets.token_hex(16)
        proof = response(
            challenge.algorithm,
            username=self._username,
            realm=challenge.realm,
            password=self._password,
            method=request.method,
            uri=request.uri,
            nonce=challenge.nonce,
            counter=counter,
            client_nonce=client_nonce,
        )
        quoted = {"username": self._username, "realm": challenge.realm, "nonce": challenge.nonce, "uri": request.uri}
        quoted["response"] = proof
        plain = {}
        if challenge.named is not None:
            plain["algorithm"] = challenge.named
        if challenge.opaque is not None:
            quoted["opaque"] = challenge.opaque
        if challenge.with_counter:
            quoted["cnonce"] = client_nonce
            plain |= {"qop": "auth", "nc": counter}
        return write(plain, quoted)


def _challenges(response: Response) -> list[dict[str, str]]:
    found = []
    for value in response.headers.all(_HEADERS[response.status][0]):
        try:
            found.append(parse(value))
        except BadSyntax:
            continue
    return found


def _stale(response: Response) -> bool:
    return any(given.get("stale", "").lower() == "true" for given in _challenges(response))


def _choose(response: Response) -> _Challenge:
    """The first challenge that we can answer (RFC 8760 section 2.4)."""
    if response.status not in _HEADERS:
        raise NoUsableChallenge(f"{response.status} is no challenge")
    for given in _challenges(response):
        named = given.get("algorithm")
        algorithm = (named or "MD5").upper()
        qop = [option.strip().lower() for option in given.get("qop", "").split(",") if option.strip()]
        if algorithm in ALGORITHMS and {"realm", "nonce"} <= given.keys() and (not qop or "auth" in qop):
            return _Challenge(
                header=_HEADERS[response.status][1],
                algorithm=algorithm,
                named=named,
                realm=given["realm"],
                nonce=given["nonce"],
                opaque=given.get("opaque"),
                with_counter=bool(qop),
            )
    raise NoUsableChallenge("no challenge of digest with MD5 or SHA-256 and auth")

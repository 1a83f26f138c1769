"""One registration at one PBX: what is sent next, when, and how it stands. No socket, no clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from voice_verify._generated import SIP_PORT, SIPS_PORT
from voice_verify.telephony.agent import LastError, PbxInstance, PbxState, RegistrationState
from voice_verify.telephony.registration import answers, faults
from voice_verify.telephony.registration.faults import ErrorCode, Fault
from voice_verify.telephony.sip import Headers, NoUsableChallenge, Request, Response, SipUri
from voice_verify.telephony.sip.digest import Login

# Asked for; half of it is how long a PBX that forgot us over UDP may stay without us.
EXPIRES_S = 300
# A PBX may ask for more by 423; a day is the longest that makes sense.
MAX_EXPIRES_S = 86_400
# Between those parts of the time granted the refresh is sent: spread, and early enough for one that fails.
_REFRESH_FROM, _REFRESH_TO = 0.5, 0.75
# The pause after the first failure, and the longest: it doubles in between, less up to a quarter of jitter.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 120.0
# Wrong passwords in quick succession get an address blocked: fail2ban counts five in ten minutes.
OPERATOR_PAUSE_S = 300.0
# A Retry-After beyond that is a mistake of the PBX, or malice.
_MAX_RETRY_AFTER_S = 3600.0
# A registration that lasted so long makes what went wrong before forgotten.
_STEADY_S = 10.0
# The jitter of that next one: many of us may have lost the same PBX.
_AT_ONCE_S = 1.0
# Both a proxy and the registrar may ask for credentials, and each nonce may be stale once.
_MAX_CHALLENGES = 4

_DEFAULT_PORT = {"udp": SIP_PORT, "tcp": SIP_PORT, "tls": SIPS_PORT}


@dataclass(frozen=True)
class Wait:
    """Begin the next attempt after that many seconds."""

    seconds: float


@dataclass
class _Exchange:
    """One REGISTER with all that the PBX asks for before it decides."""

    expires: int
    login: Login | None
    request: Request
    challenges: int = 0
    lengthened: bool = False


@dataclass
class Registration:
    """Its owner sends what `begin` and `answered` return, and tells what comes of it.

    `now`: wall clock with time zone. `uniform`: a number between two, for jitter.
    """

    instance: PbxInstance
    now: Callable[[], datetime]
    uniform: Callable[[float, float], float]
    state: PbxState = field(init=False)

    def __post_init__(self) -> None:
        instance = self.instance
        # The PBX knows us by it: RFC 3261, section 10.2.
        self._call_id = uuid4().hex
        self._tag = uuid4().hex[:16]
        self._cseq = 0
        self._failures = 0
        self._expires = EXPIRES_S
        self._exchange: _Exchange | None = None
        # The PBX, and our address of record there, which has no port whatever port the PBX listens on.
        port = None if instance.port == _DEFAULT_PORT[instance.transport] else instance.port
        self._uri = SipUri(host=instance.host, port=port)
        self._record = SipUri(host=instance.host, user=instance.username)
        # When it came into its state.
        self._since = self.now()
        self.state = PbxState(instance.uuid, RegistrationState.registering, self._since, None, None)

    @property
    def line(self) -> str:
        """Says in our Contact, and so in the Request-URI of the PBX's calls, which instance they come from."""
        return self.instance.uuid.hex

    def begin(self, contact_host: str, contact_port: int) -> Request:
        """Register or refresh, with a Contact at that address."""
        return self._begin(self._expires, contact_host, contact_port)

    def begin_removal(self, contact_host: str, contact_port: int) -> Request:
        """Take the registration back; answers go to `answered` all the same."""
        return self._begin(0, contact_host, contact_port)

    def probe(self) -> Request:
        """Asks whether the PBX is there: RFC 3261, section 11."""
        headers = Headers(
            [
                ("From", f"<{self._record}>;tag={self._tag}"),
                ("To", f"<{self._uri}>"),
                ("Call-ID", uuid4().hex),
                ("CSeq", "1 OPTIONS"),
                ("Accept", "application/sdp"),
            ]
        )
        return Request(method="OPTIONS", uri=str(self._uri), headers=headers)

    def answered(self, response: Response) -> Request | Wait:
        """The final answer to the last request: another request at once, or a pause."""
        try:
            return self._read(response)
        except Fault as fault:
            return self.failed(fault)

    def failed(self, fault: Fault) -> Wait:
        """The attempt came to nothing."""
        self._exchange = None
        self._failures = 1 if self._steady else self._failures + 1
        self._enter(RegistrationState.failed, error=self._error(fault))
        if fault.code.needs_operator:
            pause = OPERATOR_PAUSE_S
        else:
            # Beyond 2^10 it is the longest one anyway.
            pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 10))
        pause = self.uniform(0.75 * pause, pause)
        return Wait(max(pause, min(fault.retry_after_s or 0.0, _MAX_RETRY_AFTER_S)))

    def lost(self, fault: Fault) -> Wait:
        """The connection on which we are registered is gone: the PBX cannot reach us over it."""
        if not self._steady:
            return self.failed(fault)
        self._failures = 0
        self._enter(RegistrationState.registering, error=self._error(fault))
        return Wait(self.uniform(0.0, _AT_ONCE_S))

    def _begin(self, expires: int, contact_host: str, contact_port: int) -> Request:
        request = self._register(expires, contact_host, contact_port)
        self._exchange = _Exchange(expires, self._login(), request)
        return _copy(request)

    @property
    def _steady(self) -> bool:
        """Whether it is registered, and was not just now."""
        registered = self.state.state is RegistrationState.registered
        return registered and self.now() - self._since >= timedelta(seconds=_STEADY_S)

    def _login(self) -> Login | None:
        instance = self.instance
        return None if instance.password is None else Login(instance.username or "", instance.password)

    def _read(self, response: Response) -> Request | Wait:
        exchange = self._exchange
        if exchange is None:
            raise Fault(ErrorCode.bad_answer, "the PBX answered a question that nobody asked")
        status = response.status
        if status // 100 == 2:
            return self._succeeded(exchange, response)
        if status in (401, 407):
            return self._challenged(exchange, response)
        if status == 423 and not exchange.lengthened:
            return self._lengthened(exchange, response)
        retry_after = answers.seconds(response.headers.get("Retry-After"))
        raise faults.of_status(status, response.reason, retry_after_s=retry_after)

    def _succeeded(self, exchange: _Exchange, response: Response) -> Wait:
        self._exchange = None
        if exchange.expires == 0:
            self._enter(RegistrationState.not_registered)
            return Wait(0.0)
        granted = answers.granted(response, self.line, exchange.expires)
        if granted == 0:
            raise Fault(ErrorCode.bad_answer, "the PBX accepted the registration for no time at all")
        self._enter(RegistrationState.registered, until=self.now() + timedelta(seconds=granted))
        return Wait(self.uniform(_REFRESH_FROM * granted, _REFRESH_TO * granted))

    def _challenged(self, exchange: _Exchange, response: Response) -> Request:
        answer = faults.said(response.status, response.reason)
        if exchange.login is None:
            raise Fault(ErrorCode.wrong_password, f"the PBX wants a password and there is none ({answer})")
        if exchange.login.rejected(response):
            raise Fault(ErrorCode.wrong_password, f"the PBX refuses this username or password ({answer})")
        exchange.challenges += 1
        if exchange.challenges > _MAX_CHALLENGES:
            raise Fault(ErrorCode.bad_answer, f"the PBX asks for credentials again and again ({answer})")
        request = self._next(exchange)
        try:
            exchange.login.answer(response, request)
        except NoUsableChallenge:
            raise Fault(ErrorCode.bad_answer, "the PBX offers no digest that we know (MD5, SHA-256)") from None
        return _copy(request)

    def _lengthened(self, exchange: _Exchange, response: Response) -> Request:
        """RFC 3261, section 10.2.8."""
        wanted = answers.seconds(response.headers.get("Min-Expires"))
        if wanted is None or not exchange.expires < wanted <= MAX_EXPIRES_S:
            raise faults.of_status(response.status, response.reason)
        exchange.lengthened = True
        exchange.expires = self._expires = wanted
        # The credentials were for this nonce, once: asked again, they would look wrong.
        exchange.login = self._login()
        request = self._next(exchange)
        for name in ("Authorization", "Proxy-Authorization"):
            request.headers.remove(name)
        request.headers.set("Expires", str(wanted))
        return _copy(request)

    def _register(self, expires: int, contact_host: str, contact_port: int) -> Request:
        reach: dict[str, str | None] = (
            {} if self.instance.transport == "udp" else {"transport": self.instance.transport}
        )
        contact = SipUri(
            host=contact_host,
            user=self.instance.username,
            port=contact_port,
            parameters={**reach, "line": self.line},
        )
        headers = Headers(
            [
                ("From", f"<{self._record}>;tag={self._tag}"),
                ("To", f"<{self._record}>"),
                ("Call-ID", self._call_id),
                ("CSeq", self._next_cseq()),
                ("Contact", f"<{contact}>"),
                ("Expires", str(expires)),
            ]
        )
        return Request(method="REGISTER", uri=str(self._uri), headers=headers)

    def _next(self, exchange: _Exchange) -> Request:
        exchange.request.headers.set("CSeq", self._next_cseq())
        return exchange.request

    def _next_cseq(self) -> str:
        self._cseq += 1
        return f"{self._cseq} REGISTER"

    def _error(self, fault: Fault) -> LastError:
        return LastError(fault.code, fault.message, self.now())

    def _enter(
        self, state: RegistrationState, *, until: datetime | None = None, error: LastError | None = None
    ) -> None:
        if state is not self.state.state:
            self._since = self.now()
        self.state = PbxState(self.instance.uuid, state, self._since, until, error)


def _copy(request: Request) -> Request:
    """What the transaction layer may add to."""
    return Request(method=request.method, uri=request.uri, headers=request.headers.copy())

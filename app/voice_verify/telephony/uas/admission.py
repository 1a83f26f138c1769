"""Who may call: the networks allowed, passwords, and how often."""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import UUID

from voice_verify.telephony.agent import Counters, TelephonyConfig
from voice_verify.telephony.sip import Flow, Request
from voice_verify.telephony.sip.digest import Challenged, Challenger
from voice_verify.telephony.uas import refusals
from voice_verify.telephony.uas.pbxs import Pbxs
from voice_verify.telephony.uas.rate import RateLimit
from voice_verify.telephony.uas.refusals import Refusal
from voice_verify.telephony.uas.source import Source, Sources

log = logging.getLogger(__name__)

REALM = "voice-verify"
# All calls of the largest tier may come from one PBX, at once after its restart, each with a challenge.
_CALLS_A_SECOND, _CALLS_AT_ONCE = 50.0, 400
# Ten wrong passwords, then one in ten seconds.
_FAILURES_A_SECOND, _FAILURES_AT_ONCE = 0.1, 10


class Admission:
    """Looks at where a request comes from and, for calls, at its password."""

    def __init__(self, config: TelephonyConfig, pbxs: Pbxs, counters: Counters, clock: Callable[[], float]) -> None:
        self._sources = Sources(config.edge, config.peers)
        self._pbxs = pbxs
        self._counters = counters
        self._challenger = Challenger(REALM, config.accounts, count=self._count) if config.accounts else None
        self._calls = RateLimit(_CALLS_A_SECOND, _CALLS_AT_ONCE, clock)
        self._failures = RateLimit(_FAILURES_A_SECOND, _FAILURES_AT_ONCE, clock)

    def source(self, request: Request, flow: Flow) -> Source:
        """Where the request really comes from."""
        return self._sources.of(request, flow)

    def lets_in(self, source: Source) -> bool:
        """Whether anything from there is served: it is an allowed peer, or the host of a PBX instance."""
        return self._sources.may_call(source) or self._pbxs.known(source)

    def admit(self, request: Request, source: Source) -> UUID | None:
        """The PBX instance that a new call comes from, if any; raises Refusal."""
        if self._failures.exhausted(source.host):
            raise refusals.too_many_failures()
        if not self._calls.spend(source.host):
            raise refusals.too_many_calls()
        # A PBX knows the password with which we registered there, none of ours.
        if self._challenger is not None and not self._pbxs.known(source):
            self._authenticate(self._challenger, request, source)
        return self._pbxs.of(request.uri, source)

    def _count(self, name: str, label: str = "") -> None:
        self._counters.add(name, kind=label)

    def _authenticate(self, challenger: Challenger, request: Request, source: Source) -> None:
        verdict = challenger.check(request)
        if not isinstance(verdict, Challenged):
            return
        if verdict.reason in ("wrong", "malformed", "replayed"):
            self._failures.spend(source.host)
            self._counters.add("authentication_failures")
            log.warning("a call with a wrong password", extra={"fields": {"peer": source.host}})
        raise Refusal(verdict.status, "Unauthorized", "unauthorized", *verdict.headers)

"""Session timers (RFC 4028): how long a call may go on without a sign that both sides still know of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

# RFC 4028, section 5: nobody may be asked for less.
MIN_INTERVAL_S = 90
# What we propose to a caller who names nothing, and the most that we accept: section 4.2 recommends it.
INTERVAL_S = 1800
# Nobody demands more with Min-SE, or a call that nobody ends would stay for ever.
_MAX_INTERVAL_S = 86_400

_DELTA = re.compile(r"^\s*(\d{1,10})\s*(;.*)?$")
_REFRESHER = re.compile(r";\s*refresher\s*=\s*(uac|uas)\s*(;|$)", re.IGNORECASE)


class Refresher(StrEnum):
    """Who refreshes, by his role in the request that the answer belongs to."""

    uac = "uac"
    uas = "uas"


class TooBrief(Exception):
    """The interval is below our least one: 422, with Min-SE."""


class BadTimer(Exception):
    """Session-Expires or Min-SE cannot be read: 400."""


@dataclass(frozen=True)
class SessionTimer:
    """What was agreed. `ours` says that we refresh."""

    interval_s: int
    ours: bool

    @property
    def acts_after_s(self) -> float:
        """Seconds from the last refresh to the next thing that we do: our refresh, or our BYE (section 10)."""
        if self.ours:
            return self.interval_s / 2
        return self.interval_s - self.grace_s

    @property
    def grace_s(self) -> float:
        """How long before the end of the interval whoever gives up says so."""
        return min(32.0, self.interval_s / 3)


@dataclass(frozen=True)
class Answered:
    """The timer after a request of the peer, and the headers of the 2xx that say so."""

    timer: SessionTimer
    headers: tuple[tuple[str, str], ...]


def read_expires(value: str) -> tuple[int, Refresher | None]:
    """Interval and refresher of a Session-Expires; raises BadTimer."""
    found = _DELTA.match(value)
    if found is None:
        raise BadTimer(value)
    refresher = _REFRESHER.search(value)
    return int(found[1]), Refresher(refresher[1].lower()) if refresher else None


def read_min(value: str | None) -> int:
    """The interval of a Min-SE, a day at most; raises BadTimer."""
    if value is None:
        return MIN_INTERVAL_S
    found = _DELTA.match(value)
    if found is None:
        raise BadTimer(value)
    return min(max(int(found[1]), MIN_INTERVAL_S), _MAX_INTERVAL_S)


def answer(expires: str | None, min_se: str | None, *, supported: bool) -> Answered:
    """What we answer to an INVITE or UPDATE with these headers (section 9, table 2).

    `supported` says whether the peer knows the extension. A peer that does not is refreshed by us, so that a call
    whose end got lost does not stay for ever. Raises TooBrief (never for a peer that could not understand it) and
    BadTimer.
    """
    asked, refresher = (None, None) if expires is None else read_expires(expires)
    least = read_min(min_se)
    if asked is not None and asked < MIN_INTERVAL_S:
        if supported:
            raise TooBrief
        asked = MIN_INTERVAL_S
    interval_s = max(least, INTERVAL_S) if asked is None else max(least, min(asked, INTERVAL_S))
    if not supported:
        refresher = Refresher.uas
    elif refresher is None:
        # The caller is the one who knows best whether the call is still there.
        refresher = Refresher.uac
    headers = [("Session-Expires", f"{interval_s};refresher={refresher}")]
    if refresher is Refresher.uac:
        headers.append(("Require", "timer"))
    return Answered(SessionTimer(interval_s, ours=refresher is Refresher.uas), tuple(headers))


def refreshed(timer: SessionTimer, expires: str | None) -> SessionTimer:
    """The timer after a 2xx to our own refresh, in which we are the client; raises BadTimer.

    Without Session-Expires the peer has no timer, and we go on asking.
    """
    if expires is None:
        return replace(timer, ours=True)
    interval_s, refresher = read_expires(expires)
    return SessionTimer(min(max(interval_s, MIN_INTERVAL_S), INTERVAL_S), ours=refresher is not Refresher.uas)

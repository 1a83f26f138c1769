"""What the telephony process offers its user agent, and what it asks of it.

Everything here belongs to one event loop: the process has no other, and nothing of it is safe to use from a thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol
from uuid import UUID

Source = Literal["sip", "siprec"]
Codec = Literal["alaw", "mulaw", "pcm_s16le"]
"""What a leg may send: G.711 at 8000 Hz, or signed 16 bit little endian at 8000 or 16000 Hz; one channel."""
Transport = Literal["udp", "tcp", "tls"]

MAX_BLOCK_BYTES = 1 << 16
"""Of `Leg.audio`; a block is 100 ms, 800 to 3200 bytes."""
MAX_TEXT = 256
"""Characters of each text in `CallInfo` that are kept; the rest is cut off."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_KIND = re.compile(r"[A-Za-z0-9_]{1,64}")
# Whatever a peer may have brought in: each is a series that Prometheus keeps.
_MOST, _OTHER = 500, "other"
# What the service itself shows of the process.
_TAKEN = frozenset({"up", "restarts", "cpu_seconds", "memory_bytes", "streams", "pbx_registration", "pbx_calls"})


class LegEnd(StrEnum):
    """Why the agent ends a stream; the report says so."""

    client_closed = "client_closed"
    """BYE, CANCEL, or the media line went away."""
    media_timeout = "media_timeout"
    """No RTP for too long."""
    session_expired = "session_expired"
    """Nobody refreshed the session: RFC 4028."""
    error = "error"


class RegistrationState(StrEnum):
    """Of one PBX instance; `not_registered`: it has no username, or we have not begun."""

    not_registered = "not_registered"
    registering = "registering"
    registered = "registered"
    failed = "failed"


@dataclass(frozen=True)
class PbxInstance:
    """How a PBX is reached, and as whom we register there; without `username` we do not."""

    uuid: UUID
    name: str
    host: str
    port: int
    transport: Transport
    username: str | None
    password: str | None = field(repr=False)


@dataclass(frozen=True)
class LastError:
    """Why a registration failed. `code`: stable, one of a closed list; `message`: for people, also what to do."""

    code: str
    message: str
    at: datetime


@dataclass(frozen=True)
class PbxState:
    """`since`: when this state began; `until`: how long the PBX keeps us. Moments have their time zone.

    `last_error` stays until a registration succeeds.
    """

    uuid: UUID
    state: RegistrationState
    since: datetime | None
    until: datetime | None
    last_error: LastError | None


@dataclass(frozen=True)
class TelephonyConfig:
    """Where to listen and whom to serve; paths are readable and addresses checked when it comes from the service.

    `host`: an address; `tls_port`: None without certificate and key. `ca_file`: who certifies a PBX, None for the
    system's authorities. `advertised`: the address for SDP and Contact, empty for the one that the peer was reached
    from; `public_port`, `public_tls_port`: what peers send SIP to, None without TLS. `edge`: the address whose
    `X-Edge-Source` is believed, empty for nobody. `peers`: networks that may call, empty for everybody. `accounts`:
    password by user, to challenge calls with; empty: no challenge. `rtp_host`: the address that media comes to, empty
    for every one; `rtp_first`, `rtp_last`: UDP ports.
    """

    host: str
    port: int
    tls_port: int | None
    tls_certificate: Path | None
    tls_key: Path | None
    ca_file: Path | None
    advertised: str
    public_port: int
    public_tls_port: int | None
    edge: str
    peers: tuple[str, ...]
    accounts: Mapping[str, str] = field(repr=False)
    rtp_host: str
    rtp_first: int
    rtp_last: int
    pbx: tuple[PbxInstance, ...]
    """Those there are at the start; later ones come by `Agent.configure`."""


@dataclass(frozen=True)
class CallInfo:
    """One audio leg of a call: a stream.

    `peer`: address of who sends the call, `192.0.2.7`. `call_id`: the same for all legs of a call. `participant`: name
    from the SIPREC metadata. `pbx`: the instance that the call came from, None when it is none of them. `uuid`: asked
    for by the caller, None to have one made. `codec`, `rate`: of the audio that comes first.
    """

    source: Source
    peer: str
    call_id: str
    caller: str
    callee: str
    participant: str | None
    pbx: UUID | None
    uuid: UUID | None
    codec: Codec
    rate: int


class Refused(Exception):
    """The service takes no stream now. `code`: stable, as in the API; `text`: one sentence for people.

    `status`, `reason`: status line of the SIP answer; `retry_after_s`: for its Retry-After, None for none.
    """

    def __init__(self, code: str, status: int, reason: str, text: str, retry_after_s: int | None) -> None:
        super().__init__(f"{status} {reason}: {text}")
        self.code = code
        self.status = status
        self.reason = reason
        self.text = text
        self.retry_after_s = retry_after_s


class AgentError(Exception):
    """The agent cannot start; `message` and `hint` are for people, /health/ready and the log show them."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Leg(Protocol):
    """An open stream. After `end`, and after `ended` was called, nothing that is sent has an effect or fails."""

    @property
    def uuid(self) -> UUID: ...

    def audio(self, block: bytes) -> None:
        """Hand over the next audio, in the codec told last; never waits."""

    def codec(self, codec: Codec, rate: int) -> None:
        """The audio that follows is in another codec."""

    def hold(self, held: bool) -> None:
        """While a call is held its silence does not end the stream; the agent watches the session itself."""

    def end(self, reason: LegEnd) -> None:
        """The call is over: the stream is closed and its report written."""


class Counters:
    """What happened so far, and how much there is; both go to the metrics twice a second.

    `add("rtp_packets_lost", 3)` counts `voice_verify_telephony_rtp_packets_lost_total`; with a kind,
    `add("refusals", kind="forbidden_peer")`, it has the label `kind`. Names and kinds are our words, never a peer's.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], float] = {}
        self._gauges: dict[str, Callable[[], float]] = {}

    def add(self, name: str, amount: float = 1, *, kind: str = "") -> None:
        """Count; a kind that is no word, or one too many, is counted as `other`. Raises ValueError for a bad name."""
        key = (name, kind)
        if key not in self._counts:
            _check(name)
            if kind and (not _KIND.fullmatch(kind) or len(self._counts) >= _MOST):
                key = (name, _OTHER)
            self._counts.setdefault(key, 0.0)
        self._counts[key] += amount

    def watch(self, name: str, read: Callable[[], float]) -> None:
        """Show `voice_verify_telephony_NAME`, read twice a second; raises ValueError for a bad name."""
        _check(name)
        self._gauges[name] = read

    def counts(self) -> Mapping[tuple[str, str], float]:
        """By name and kind, empty for none."""
        return dict(self._counts)

    def gauges(self) -> Mapping[str, float]:
        return {name: read() for name, read in self._gauges.items()}


class Service(Protocol):
    """The service, as the agent sees it."""

    @property
    def counters(self) -> Counters: ...

    async def open(self, call: CallInfo, ended: Callable[[str], None]) -> Leg:
        """A stream for one audio leg; raises Refused. When it is cancelled, no stream is left.

        `ended(reason)` is called once, from the event loop, when the service ends the stream: by DELETE, force_off, a
        limit, or because it is idle or silent. Then the call is to be ended, too.
        """
        ...

    def registered(self, states: Sequence[PbxState]) -> None:
        """How all PBX instances stand; to be called whenever that changes."""


class Agent(Protocol):
    """What the process runs: `voice_verify.telephony.uas.TelephonyAgent`."""

    async def start(self, config: TelephonyConfig, service: Service) -> None:
        """Listen and serve; returns when calls can come. Raises AgentError, or OSError for a port that is taken."""

    async def configure(self, pbx: Sequence[PbxInstance]) -> None:
        """These are the PBX instances now; calls of those that stay as they are go on untouched."""

    async def stop(self) -> None:
        """End all calls with BYE, give back registrations and ports; takes a few seconds at most."""


def _check(word: str) -> None:
    if not _NAME.fullmatch(word) or word in _TAKEN:
        raise ValueError(f"{word!r} is no name of a counter")

"""What a stream tells the client that listens to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from voice_verify.errors import VoiceVerifyError
from voice_verify.services.verification import Verification
from voice_verify.store import EnrolledSpeaker


class EndReason(StrEnum):
    """Why a stream ended."""

    client_closed = "client_closed"
    media_timeout = "media_timeout"
    session_expired = "session_expired"
    deleted = "deleted"
    idle_timeout = "idle_timeout"
    silence_timeout = "silence_timeout"
    error = "error"
    shutdown = "shutdown"
    maintenance = "maintenance"
    telephony_restarted = "telephony_restarted"


@dataclass(frozen=True)
class Speech:
    """How much was heard so far, in seconds."""

    net_speech_s: float
    audio_s: float


@dataclass(frozen=True)
class Enrolled:
    speaker: EnrolledSpeaker


@dataclass(frozen=True)
class Decided:
    verification: Verification


@dataclass(frozen=True)
class Failed:
    """Something asked for went wrong; the stream goes on unless `Ended` follows."""

    error: VoiceVerifyError


@dataclass(frozen=True)
class Ended:
    """The last event of a stream."""

    reason: EndReason
    net_speech_s: float
    audio_s: float


Event = Speech | Enrolled | Decided | Failed | Ended
# Called from any thread; must not block and must not raise.
Listener = Callable[[Event], None]

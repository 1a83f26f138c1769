"""One running stream: what was heard, who listens, and what was asked of it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from voice_verify.engine import Quality, Voice
from voice_verify.errors import (
    DatabaseUnavailable,
    EnrolmentNotFound,
    EnrolmentRefused,
    EnrolmentRunning,
    SpeakerOptedOut,
    StreamInUse,
    Undecipherable,
    VoiceVerifyError,
)
from voice_verify.services import process
from voice_verify.services.enrolment import EnrolmentService, Mode
from voice_verify.services.events import Decided, Ended, EndReason, Enrolled, Event, Failed, Listener, Speech
from voice_verify.services.frames import FrameDecoder
from voice_verify.services.journal import Journal
from voice_verify.services.register import StreamRegister
from voice_verify.services.verification import Verification, VerificationService
from voice_verify.store.streams import EndedStream

# A decision is pushed for that many speakers of one stream; asking for another lets go of the one asked for first.
FOLLOWED_SPEAKERS = 8


class EnrolmentState(StrEnum):
    collecting = "collecting"
    enrolled = "enrolled"
    refused = "refused"
    failed = "failed"


@dataclass(frozen=True)
class EnrolmentProgress:
    """`reasons`: why it was refused; `net_speech_s` of `required_s` seconds are there."""

    speaker: str
    state: EnrolmentState
    net_speech_s: float
    required_s: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Connection:
    """Where the audio of a stream comes from."""

    peer: str
    codec: str
    rate: int


@dataclass(frozen=True)
class StreamStatus:
    """A stream at one moment; `connection` is None while no client is connected."""

    uuid: UUID
    started: datetime
    connection: Connection | None
    net_speech_s: float
    audio_s: float
    enrolment: EnrolmentProgress | None
    verifying: tuple[str, ...]


@dataclass
class _Enrolment:
    speaker: str
    mode: Mode
    state: EnrolmentState = EnrolmentState.collecting
    reasons: tuple[str, ...] = ()


class Stream:
    """Safe to use from many threads. The engine's thread only calls `hear`, which never waits."""

    def __init__(
        self,
        uuid: UUID,
        source: str,
        enrolment: EnrolmentService,
        verification: VerificationService,
        register: StreamRegister,
    ) -> None:
        self.uuid = uuid
        self.source = source
        self.journal = Journal()
        self._register = register
        self.started = datetime.now(UTC)
        self._enroller = enrolment
        self._verifier = verification
        self._lock = threading.RLock()
        # Held for an instant only, unlike the other, under which the database may be asked.
        self._hearing = threading.Lock()
        self._voice = Voice(None, 0.0, 0.0, Quality(None, 0.0))
        self._active = time.monotonic()
        self._connection: Connection | None = None
        # The last connection, also after it was lost.
        self._origin: Connection | None = None
        self._listener: Listener | None = None
        self._told = Speech(0.0, 0.0)
        self._enrolment: _Enrolment | None = None
        # The last decision for each followed speaker, oldest request first.
        self._followed: OrderedDict[str, Verification] = OrderedDict()

    @property
    def idle_s(self) -> float:
        """Seconds since the last frame, or since the start."""
        return time.monotonic() - self._active

    def touch(self) -> None:
        self._active = time.monotonic()

    def attach(self, decoder: FrameDecoder, peer: str, listener: Listener) -> None:
        """Take in a client; raises StreamInUse when another is connected."""
        with self._lock:
            if self._listener is not None:
                raise StreamInUse(
                    "A client is already connected to this stream",
                    hint="open a stream for each call, or end this one",
                )
            self._connection = self._origin = Connection(peer, decoder.codec.value, decoder.rate)
            self._listener = listener
            self.touch()

    def detach(self, listener: Listener) -> None:
        """Let go of a client; does nothing when it is no longer the one that is connected."""
        with self._lock:
            if self._listener == listener:
                self._connection = self._listener = None
                self.touch()

    @property
    def voice(self) -> Voice:
        """What was heard so far."""
        return self._voice

    def hear(self, voice: Voice) -> None:
        """Keep what the engine heard until `evaluate` looks at it; older news than what is there is dropped."""
        with self._hearing:
            if voice.audio_s >= self._voice.audio_s:
                self._voice = voice

    def evaluate(self) -> None:
        """Tell the listener what the audio heard since the last time has changed."""
        with self._lock:
            voice = self._voice
            news = voice.net_speech_s > self._told.net_speech_s
            if news or voice.audio_s > self._told.audio_s:
                self._told = Speech(voice.net_speech_s, voice.audio_s)
                self._emit(self._told)
            if news:
                self._advance_enrolment(voice)
                self._renew_decisions(voice)

    def enrol(self, speaker: str, mode: Mode = "replace") -> EnrolmentProgress:
        """Start to enrol `speaker`, or finish at once when enough was heard; asking again tells the state.

        Raises EnrolmentRunning, EnrolmentRefused, SpeakerOptedOut and DatabaseUnavailable.
        """
        with self._lock:
            job = self._enrolment
            if job is None or job.state is not EnrolmentState.collecting:
                self._enrolment = job = _Enrolment(speaker, mode)
            elif job.speaker != speaker:
                raise EnrolmentRunning(
                    "This stream is enrolling another speaker", hint="wait until it is done, or use another stream"
                )
            error = self._advance_enrolment(self._voice)
            if error is not None:
                raise error
            return self.enrolment()

    def enrolment(self) -> EnrolmentProgress:
        """How the enrolment stands; raises EnrolmentNotFound when none was asked for."""
        with self._lock:
            if self._enrolment is None:
                raise EnrolmentNotFound("No enrolment was started on this stream", hint="POST to this path starts one")
            return self._progress(self._enrolment)

    def verify(self, speaker: str) -> Verification:
        """The decision on all that was heard so far; the listener gets it too, and again when it moves.

        Raises SpeakerNotEnrolled and DatabaseUnavailable.
        """
        verification = self._verifier.verify(speaker, self._voice)
        with self._lock:
            self._followed.pop(speaker, None)
            self._followed[speaker] = verification
            if len(self._followed) > FOLLOWED_SPEAKERS:
                self._followed.popitem(last=False)
            self._emit(Decided(verification))
        return verification

    def fail(self, error: VoiceVerifyError) -> None:
        """Tell the listener about an error of its own making."""
        with self._lock:
            self._emit(Failed(error))

    def end(self, reason: EndReason) -> None:
        """Draw the last conclusions from all that was heard, write the report, say so, and let the listener go."""
        with self._lock:
            voice = self._voice
            self.evaluate()
            if self._enrolment is not None and self._enrolment.state is EnrolmentState.collecting:
                self._store(self._enrolment, voice)
        # Before the last event, so that whoever waits for that finds the report.
        self._register.close(self._summary(reason, voice), self.journal.events())
        with self._lock:
            self._emit(Ended(reason, voice.net_speech_s, voice.audio_s))
            self._connection = self._listener = None

    def status(self) -> StreamStatus:
        with self._lock:
            return StreamStatus(
                uuid=self.uuid,
                started=self.started,
                connection=self._connection,
                net_speech_s=self._voice.net_speech_s,
                audio_s=self._voice.audio_s,
                enrolment=None if self._enrolment is None else self._progress(self._enrolment),
                verifying=tuple(self._followed),
            )

    def _summary(self, reason: EndReason, voice: Voice) -> EndedStream:
        origin = self._origin
        return EndedStream(
            uuid=str(self.uuid),
            owner=process.own(),
            source=self.source,
            peer=origin.peer if origin else None,
            codec=origin.codec if origin else None,
            started=self.started,
            ended=datetime.now(UTC),
            end_reason=reason,
            net_speech_s=voice.net_speech_s,
            audio_s=voice.audio_s,
        )

    def _advance_enrolment(self, voice: Voice) -> VoiceVerifyError | None:
        job = self._enrolment
        if job is None or job.state is not EnrolmentState.collecting or voice.net_speech_s < self._enroller.required_s:
            return None
        return self._store(job, voice)

    def _store(self, job: _Enrolment, voice: Voice) -> VoiceVerifyError | None:
        try:
            enrolled = self._enroller.enrol(job.speaker, [voice], job.mode)
        except EnrolmentRefused as error:
            job.state, job.reasons = EnrolmentState.refused, error.reasons
            self._emit(Failed(error))
            return error
        except SpeakerOptedOut as error:
            job.state, job.reasons = EnrolmentState.refused, (error.code,)
            self._emit(Failed(error))
            return error
        except (DatabaseUnavailable, Undecipherable) as error:
            job.state, job.reasons = EnrolmentState.failed, (error.code,)
            self._emit(Failed(error))
            return error
        job.state = EnrolmentState.enrolled
        self._emit(Enrolled(enrolled))
        return None

    def _renew_decisions(self, voice: Voice) -> None:
        for speaker, last in list(self._followed.items()):
            try:
                verification = self._verifier.compare(speaker, voice)
            except VoiceVerifyError as error:
                # Deleted meanwhile, or no database: whoever still wants to know asks again.
                del self._followed[speaker]
                self._emit(Failed(error))
                continue
            self._followed[speaker] = verification
            if verification.decision != last.decision:
                self._emit(Decided(verification))

    def _progress(self, job: _Enrolment) -> EnrolmentProgress:
        return EnrolmentProgress(
            job.speaker, job.state, self._voice.net_speech_s, self._enroller.required_s, job.reasons
        )

    def _emit(self, event: Event) -> None:
        if self._listener is not None:
            self._listener(event)

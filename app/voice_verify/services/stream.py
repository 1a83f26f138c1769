"""One running stream: what was heard, who listens, and what was asked of it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from voice_verify.engine import Quality, Voice
from voice_verify.errors import (
    DatabaseUnavailable,
    EnrolmentNotFound,
    EnrolmentRefused,
    EnrolmentRunning,
    SpeakerOptedOut,
    StreamInUse,
    StreamNotFound,
    Undecipherable,
    VoiceVerifyError,
)
from voice_verify.services import process
from voice_verify.services.decisions import Decisions
from voice_verify.services.enrolment import EnrolmentService, Mode
from voice_verify.services.events import Ended, EndReason, Enrolled, Event, Failed, Listener, Speech
from voice_verify.services.frames import FrameDecoder
from voice_verify.services.journal import EnrolmentOutcome, Journal
from voice_verify.services.register import StreamRegister
from voice_verify.services.usage import UsageService
from voice_verify.services.verification import NO_PSEUDONYM, Verification, VerificationService
from voice_verify.store.streams import Call, EndedStream

Source = Literal["websocket", "sip", "siprec"]
"""Where the audio of a stream comes from."""


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
    """Where the audio of a stream comes from; `protocol`: by which media protocol, None when it comes raw."""

    peer: str
    codec: str
    rate: int
    protocol: str | None = None


@dataclass(frozen=True)
class StreamStatus:
    """A stream at one moment; `connection` is None while no client is connected."""

    uuid: UUID
    source: Source
    call: Call
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
        source: Source,
        call: Call,
        *,
        enrolment: EnrolmentService,
        verification: VerificationService,
        register: StreamRegister,
        usage: UsageService,
    ) -> None:
        self.uuid = uuid
        self.source = source
        self.call = call
        self.started = datetime.now(UTC)
        self._enroller = enrolment
        self._verifier = verification
        self._register = register
        self._journal = Journal()
        self._decisions = Decisions(verification, usage, self._journal, self._emit)
        # Held while jobs go on, which may ask the database; whoever takes both takes this one first.
        self._working = threading.RLock()
        # Held for an instant only.
        self._lock = threading.Lock()
        self._voice = Voice(None, 0.0, 0.0, Quality(None, 0.0))
        self._active = time.monotonic()
        self._held = False
        self._connection: Connection | None = None
        # The last connection, also after it was lost.
        self._origin: Connection | None = None
        self._listener: Listener | None = None
        self._told = Speech(0.0, 0.0)
        # The speech that was looked at.
        self._evaluated_s = 0.0
        self._metered_ms = 0
        self._enrolment: _Enrolment | None = None
        self._ended = False

    @property
    def idle_s(self) -> float:
        """Seconds since the last frame, or since the start; 0 while the call is held."""
        return 0.0 if self._held else time.monotonic() - self._active

    def touch(self) -> None:
        self._active = time.monotonic()

    def attach(
        self,
        decoder: FrameDecoder,
        peer: str,
        listener: Listener,
        *,
        protocol: str | None = None,
        call: Call | None = None,
    ) -> None:
        """Take in a client, who may say what call it is.

        Raises StreamNotFound after the end, and StreamInUse when another is connected.
        """
        with self._lock:
            self._must_run()
            if self._listener is not None:
                raise StreamInUse(
                    "A client is already connected to this stream",
                    hint="open a stream for each call, or end this one",
                )
            self._connection = self._origin = Connection(peer, decoder.codec.value, decoder.rate, protocol)
            self._listener = listener
            self.call = call or self.call
            self.touch()

    def recode(self, decoder: FrameDecoder) -> None:
        """What follows from the connected client is in another codec."""
        with self._lock:
            if self._connection is not None:
                self._connection = self._origin = replace(
                    self._connection, codec=decoder.codec.value, rate=decoder.rate
                )

    def hold(self, held: bool) -> None:
        """While a call is held nothing comes, and the stream does not end because of that."""
        self._held = held
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
        with self._lock:
            if voice.audio_s >= self._voice.audio_s:
                self._voice = voice

    def meter(self) -> int:
        """Milliseconds of audio that came since the last time this was asked."""
        with self._lock:
            heard_ms = round(self._voice.audio_s * 1000)
            new_ms, self._metered_ms = heard_ms - self._metered_ms, heard_ms
        return new_ms

    def evaluate(self) -> None:
        """Tell the listener what new speech since the last time has changed."""
        with self._working:
            voice = self._voice
            if voice.net_speech_s > self._evaluated_s:
                self._evaluated_s = voice.net_speech_s
                self._advance_enrolment(voice)
                self._decisions.renew(voice)

    def progress(self) -> None:
        """Tell the listener how much was heard, when that is more than the last time."""
        with self._working:
            heard = Speech(self._voice.net_speech_s, self._voice.audio_s)
            if heard != self._told:
                self._told = heard
                self._emit(heard)

    def enrol(self, speaker: str, mode: Mode = "replace") -> EnrolmentProgress:
        """Start to enrol `speaker`, or finish at once when enough was heard; asking again tells the state.

        Raises StreamNotFound after the end, EnrolmentRunning, EnrolmentRefused, SpeakerOptedOut and
        DatabaseUnavailable.
        """
        with self._working:
            self._must_run()
            job = self._enrolment
            if job is None or job.state is not EnrolmentState.collecting:
                self._enrolment = job = _Enrolment(speaker, mode)
            elif (job.speaker, job.mode) != (speaker, mode):
                raise EnrolmentRunning(
                    "This stream is busy with another enrolment", hint="wait until it is done, or use another stream"
                )
            error = self._advance_enrolment(self._voice)
            if error is not None:
                raise error
            return self.enrolment()

    def enrolment(self) -> EnrolmentProgress:
        """How the enrolment stands; raises EnrolmentNotFound when none was asked for."""
        if self._enrolment is None:
            raise EnrolmentNotFound("No enrolment was started on this stream", hint="POST to this path starts one")
        return self._progress(self._enrolment)

    def verify(self, speaker: str) -> Verification:
        """The decision on all that was heard so far; the listener gets it too, and again when it moves.

        Raises StreamNotFound after the end, DatabaseUnavailable and Undecipherable.
        """
        self._must_run()
        return self._decisions.ask(speaker, self._voice)

    def verify_at_once(self, speaker: str) -> Verification | None:
        """The same without ever waiting; None when the database must be asked or told. Raises StreamNotFound."""
        self._must_run()
        return self._decisions.ask_at_once(speaker, self._voice)

    def fail(self, error: VoiceVerifyError) -> None:
        """Tell the listener about an error of its own making."""
        self._emit(Failed(error))

    def end(self, reason: EndReason) -> None:
        """Draw the last conclusions from all that was heard, write the report, say so, and let the listener go."""
        with self._working:
            voice = self._voice
            self.progress()
            self.evaluate()
            if self._enrolment is not None and self._enrolment.state is EnrolmentState.collecting:
                self._store(self._enrolment, voice)
            with self._lock:
                self._ended = True
            # Before the last event, so that whoever waits for that finds the report.
            self._register.close(self._summary(reason, voice), self._journal.events())
            self._emit(Ended(reason, voice.net_speech_s, voice.audio_s))
        with self._lock:
            self._connection = self._listener = None

    def status(self) -> StreamStatus:
        job = self._enrolment
        return StreamStatus(
            uuid=self.uuid,
            source=self.source,
            call=self.call,
            started=self.started,
            connection=self._connection,
            net_speech_s=self._voice.net_speech_s,
            audio_s=self._voice.audio_s,
            enrolment=None if job is None else self._progress(job),
            verifying=self._decisions.followed,
        )

    def _must_run(self) -> None:
        if self._ended:
            raise StreamNotFound("The stream has ended", hint="GET /api/v2/reports/{uuid} tells what happened on it")

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
            **vars(self.call),
        )

    def _advance_enrolment(self, voice: Voice) -> VoiceVerifyError | None:
        job = self._enrolment
        if job is None or job.state is not EnrolmentState.collecting or voice.net_speech_s < self._enroller.required_s:
            return None
        return self._store(job, voice)

    def _store(self, job: _Enrolment, voice: Voice) -> VoiceVerifyError | None:
        try:
            enrolled = self._enroller.enrol(job.speaker, [voice], job.mode)
        except (EnrolmentRefused, SpeakerOptedOut) as error:
            return self._not_enrolled(job, EnrolmentState.refused, error, voice)
        except (DatabaseUnavailable, Undecipherable) as error:
            return self._not_enrolled(job, EnrolmentState.failed, error, voice)
        job.state = EnrolmentState.enrolled
        self._note(job, enrolled.pseudonym, "ok", voice)
        self._emit(Enrolled(enrolled))
        return None

    def _not_enrolled(
        self, job: _Enrolment, state: EnrolmentState, error: VoiceVerifyError, voice: Voice
    ) -> VoiceVerifyError:
        job.reasons = error.reasons or (error.code,)
        job.state = state
        self._note(job, self._pseudonym(job.speaker), job.reasons[0], voice)
        self._emit(Failed(error))
        return error

    def _pseudonym(self, speaker: str) -> str:
        try:
            return self._verifier.pseudonym(speaker)
        except VoiceVerifyError:
            return NO_PSEUDONYM

    def _note(self, job: _Enrolment, pseudonym: str, reason: str, voice: Voice) -> None:
        self._journal.enrolled(EnrolmentOutcome(pseudonym, job.state.value, reason, voice.net_speech_s))

    def _progress(self, job: _Enrolment) -> EnrolmentProgress:
        return EnrolmentProgress(
            job.speaker, job.state, self._voice.net_speech_s, self._enroller.required_s, job.reasons
        )

    def _emit(self, event: Event) -> None:
        listener = self._listener
        if listener is not None:
            listener(event)

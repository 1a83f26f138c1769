"""All running streams: made, connected, fed, ended; each one a call."""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

from voice_verify.engine import EngineClient, EngineError, Voice
from voice_verify.errors import EngineRestarted, Overloaded, StreamNotFound, TooManyStreams, VoiceVerifyError
from voice_verify.services.enrolment import EnrolmentService
from voice_verify.services.events import EndReason
from voice_verify.services.faults import translated
from voice_verify.services.frames import FrameDecoder
from voice_verify.services.keys import digest
from voice_verify.services.licences import LicenceService
from voice_verify.services.metrics import Metrics
from voice_verify.services.register import StreamRegister
from voice_verify.services.stream import Source, Stream
from voice_verify.services.usage import UsageService
from voice_verify.services.verification import Verification, VerificationService
from voice_verify.store.streams import NO_CALL, Call

# As long as requests wait this long before anybody looks at them, no call is let in.
LATE_S = 1.0

log = logging.getLogger(__name__)


class StreamService:
    """Owns the streams; `idle_s` is how long one may stay without a frame, `silence_s` without speech."""

    def __init__(
        self,
        engine: EngineClient,
        enrolment: EnrolmentService,
        verification: VerificationService,
        *,
        licences: LicenceService,
        register: StreamRegister,
        usage: UsageService,
        metrics: Metrics,
        max_streams: int,
        idle_s: float,
        silence_s: float,
    ) -> None:
        self._engine = engine
        self._enrolment = enrolment
        self._verification = verification
        self._licences = licences
        self._register = register
        self._usage = usage
        self._max_streams = max_streams
        self._idle_s = idle_s
        self._silence_s = silence_s
        self._late_s = 0.0
        # The speech of each stream, and the audio when it grew last; only `tick` looks at it.
        self._spoken: dict[UUID, tuple[float, float]] = {}
        self._lock = threading.Lock()
        self._streams: dict[UUID, Stream] = {}
        self._tickets: dict[UUID, str] = {}
        # Enrolments and decisions touch the database, so they are drawn outside the engine's thread.
        self._evaluators = ThreadPoolExecutor(max_workers=2, thread_name_prefix="streams")
        self._due: set[UUID] = set()
        metrics.watch_streams(lambda: len(self._streams))
        metrics.watch_engine(engine)

    def create(self) -> tuple[Stream, str]:
        """Open a stream; the second of the pair is a ticket that lets one client connect, once.

        Raises TooManyStreams, LicenceExpired, LicenceExceeded, FeatureNotLicensed, Overloaded, EngineUnavailable,
        MaintenanceMode and DatabaseUnavailable.
        """
        stream = self.open("websocket")
        ticket = secrets.token_urlsafe(24)
        with self._lock:
            self._tickets[stream.uuid] = digest(ticket)
        return stream, ticket

    def open(self, source: Source, call: Call = NO_CALL, *, uuid: UUID | None = None) -> Stream:
        """Open a stream of that uuid, or a new one; raises what `create` does, and StreamInUse."""
        if self._late_s > LATE_S:
            raise Overloaded("The service is slow to answer the calls it has", hint="try again in a moment")
        stream = Stream(
            uuid or uuid4(),
            source,
            call,
            enrolment=self._enrolment,
            verification=self._verification,
            register=self._register,
            usage=self._usage,
        )
        self._register.open(str(stream.uuid), source, call)
        try:
            self._begin(stream)
        except Exception:
            self._register.forget(str(stream.uuid))
            raise
        log.info("stream opened", extra={"fields": {"stream": str(stream.uuid), "source": source}})
        return stream

    def answers_late(self, late_s: float) -> None:
        """How late the event loop is, told many times a second; a moment in which it was not forgets half of it."""
        self._late_s = max(late_s, self._late_s / 2)

    def get(self, uuid: UUID) -> Stream:
        """The stream, with all that the engine has heard by now; raises StreamNotFound and StreamFailed."""
        with self._lock:
            stream = self._streams.get(uuid)
        if stream is None:
            raise StreamNotFound("There is no such stream, or it has ended", hint="POST /api/v2/streams opens one")
        self._refresh(stream)
        return stream

    def verify(self, uuid: UUID, speaker: str) -> Verification:
        """The decision on all that was heard on a stream; one that has ended says so.

        Raises StreamNotFound when there never was one, StreamFailed, DatabaseUnavailable and Undecipherable.
        """
        try:
            return self.get(uuid).verify(speaker)
        except StreamNotFound:
            ended = self._register.ended(str(uuid))
            if ended is None:
                raise
            return self._verification.closed(speaker, net_speech_s=ended.net_speech_s, audio_s=ended.audio_s)

    def verify_at_once(self, uuid: UUID, speaker: str) -> Verification | None:
        """The same without ever waiting; None when the database must be asked or told. Raises StreamFailed."""
        with self._lock:
            stream = self._streams.get(uuid)
        if stream is None:
            return None
        try:
            self._refresh(stream)
            return stream.verify_at_once(speaker)
        except StreamNotFound:
            # It ends this very moment.
            return None

    def all(self) -> Sequence[Stream]:
        """The running streams, oldest first."""
        with self._lock:
            return list(self._streams.values())

    def redeem(self, uuid: UUID, ticket: str) -> bool:
        """Whether `ticket` lets its bearer connect to the stream; it does so once."""
        with self._lock:
            expected = self._tickets.get(uuid)
            if expected is None or not hmac.compare_digest(expected, digest(ticket)):
                return False
            del self._tickets[uuid]
            return True

    def push(self, stream: Stream, decoder: FrameDecoder, frame: bytes) -> None:
        """Hand a frame to the engine; never waits.

        Raises BadFrame, Overloaded, EngineUnavailable, StreamFailed, and StreamNotFound when the stream has ended.
        """
        stream.touch()
        try:
            self._engine.push(stream.uuid, decoder.encoding, decoder.decode(frame))
        except EngineError as error:
            raise translated(error) from error

    def end(self, uuid: UUID, reason: EndReason) -> None:
        """End a stream after what it has sent was heard; does nothing when it has ended already."""
        with self._lock:
            stream = self._streams.pop(uuid, None)
            self._tickets.pop(uuid, None)
        if stream is None:
            return
        try:
            stream.hear(self._engine.close_stream(uuid))
        except EngineError:
            log.exception("stream closed without its last audio", extra={"fields": {"stream": str(uuid)}})
        voice = stream.voice
        self._usage.settle(stream.meter())
        stream.end(reason)
        fields = {"stream": str(uuid), "reason": reason, "net_speech_s": voice.net_speech_s, "audio_s": voice.audio_s}
        log.info("stream ended", extra={"fields": fields})

    def tick(self) -> None:
        """Once a second: tell every client how much was heard, and end the streams that are idle or silent."""
        streams = self.all()
        self._spoken = {stream.uuid: self._spoken[stream.uuid] for stream in streams if stream.uuid in self._spoken}
        for stream in streams:
            if stream.idle_s > self._idle_s:
                self.end(stream.uuid, EndReason.idle_timeout)
                continue
            try:
                self._refresh(stream)
            except StreamNotFound:
                continue
            except VoiceVerifyError as error:
                stream.fail(error)
                self.end(stream.uuid, EndReason.error)
                continue
            if self._is_silent(stream):
                self.end(stream.uuid, EndReason.silence_timeout)
                continue
            self._usage.heard(stream.meter())
            stream.progress()
            self._evaluate(stream)

    def close(self) -> None:
        """End all streams, because the service stops."""
        for stream in self.all():
            self.end(stream.uuid, EndReason.shutdown)
        self._evaluators.shutdown()

    def _begin(self, stream: Stream) -> None:
        with self._lock:
            running = len(self._streams)
            self._licences.admit(stream.source, running)
            if running >= self._max_streams:
                raise TooManyStreams(
                    f"All {self._max_streams} streams are in use", hint="end one, or try again when a call has ended"
                )
            try:
                self._engine.open_stream(stream.uuid, self._heard, self._restarted)
            except EngineError as error:
                raise translated(error) from error
            self._streams[stream.uuid] = stream

    def _refresh(self, stream: Stream) -> None:
        try:
            stream.hear(self._engine.voice(stream.uuid))
        except EngineError as error:
            raise translated(error) from error

    def _is_silent(self, stream: Stream) -> bool:
        voice = stream.voice
        speech_s, then_s = self._spoken.get(stream.uuid, (0.0, 0.0))
        if voice.net_speech_s > speech_s:
            self._spoken[stream.uuid] = (voice.net_speech_s, voice.audio_s)
            return False
        return voice.audio_s - then_s > self._silence_s

    def _restarted(self, uuid: UUID, lost_s: float) -> None:
        error = EngineRestarted(
            f"The engine was restarted and did not hear {lost_s:.1f} s of audio",
            hint="the stream goes on with what was heard before",
        )
        with self._lock:
            stream = self._streams.get(uuid)
        if stream is not None:
            self._evaluators.submit(stream.fail, error)

    def _heard(self, uuid: UUID, voice: Voice) -> None:
        with self._lock:
            stream = self._streams.get(uuid)
            # One evaluation looks at all that was heard until it runs, so there is never a second one waiting.
            waiting = uuid in self._due
            self._due.add(uuid)
        if stream is None:
            self._due.discard(uuid)
            return
        stream.hear(voice)
        if not waiting:
            self._evaluators.submit(self._evaluate, stream)

    def _evaluate(self, stream: Stream) -> None:
        self._due.discard(stream.uuid)
        try:
            stream.evaluate()
        except Exception:
            log.exception("evaluation failed", extra={"fields": {"stream": str(stream.uuid)}})

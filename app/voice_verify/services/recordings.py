"""Uploaded recordings: decoded one at a time and heard by the engine, within bounds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from voice_verify.audio import AudioError, decode
from voice_verify.engine import EngineClient, EngineError, Voice, pool
from voice_verify.errors import (
    AudioEmpty,
    AudioTooLong,
    AudioUnreadable,
    EnrolmentRefused,
    FieldProblem,
    InvalidRequest,
    MaintenanceMode,
    Overloaded,
    SpeakerOptedOut,
    TooManyRecordings,
)
from voice_verify.services.enrolment import EnrolmentService, Mode
from voice_verify.services.faults import translated
from voice_verify.services.licences import LicenceService
from voice_verify.services.register import StreamRegister
from voice_verify.services.usage import UsageService
from voice_verify.services.verification import Verification, VerificationService
from voice_verify.services.voiceprints import Projection
from voice_verify.store import EnrolledSpeaker

# A caller rather waits a little than tries again; a queue longer than this is overload.
WAIT_FOR_TURN_S = 20
REFUSALS: dict[str, type[InvalidRequest]] = {kind.code: kind for kind in (AudioUnreadable, AudioEmpty, AudioTooLong)}


class RecordingService:
    """`at_once`: how many requests are heard at the same time; a long recording takes 60 MB and a core."""

    def __init__(
        self,
        engine: EngineClient,
        enrolment: EnrolmentService,
        verification: VerificationService,
        register: StreamRegister,
        usage: UsageService,
        *,
        licences: LicenceService,
        max_recordings: int,
        max_minutes: int,
        at_once: int,
    ) -> None:
        self._engine = engine
        self._enrolment = enrolment
        self._verification = verification
        self._licences = licences
        self._register = register
        self._usage = usage
        self._max_recordings = max_recordings
        self._max_minutes = max_minutes
        self._turn = threading.BoundedSemaphore(at_once)

    def enrol(self, speaker: str, recordings: Sequence[BinaryIO], mode: Mode = "replace") -> EnrolledSpeaker:
        """Make a voiceprint of the voice in all recordings together; it is on disk when this returns.

        Raises TooManyRecordings, AudioUnreadable, AudioEmpty, AudioTooLong, EnrolmentRefused, SpeakerOptedOut,
        LicenceExpired, Overloaded, MaintenanceMode and DatabaseUnavailable.
        """
        self._licences.require_current()
        with self._register.upload() as upload:
            voices = self._hear(recordings)
            upload.hear(pool(voices))
            try:
                enrolled = self._enrolment.enrol(speaker, voices, mode)
            except (EnrolmentRefused, SpeakerOptedOut) as error:
                upload.refused(self._verification.pseudonym(speaker), next(iter(error.reasons), error.code))
                raise
            upload.enrolled(enrolled.pseudonym)
            return enrolled

    def verify(self, speaker: str, recording: BinaryIO, *, by_operator: bool = False) -> Verification:
        """Compare the voice in a recording with the voiceprint of `speaker`, as long as the licence allows it.

        An operator may in maintenance mode, too; then nothing is written.
        Raises AudioUnreadable, AudioEmpty, AudioTooLong, Overloaded, MaintenanceMode and DatabaseUnavailable.
        """
        try:
            with self._register.upload() as upload:
                verification = self._compare(speaker, recording, upload.hear)
                if verification.judged:
                    self._usage.verified()
                upload.journal.verified(verification)
                return verification
        except MaintenanceMode:
            if not by_operator:
                raise
        return self._compare(speaker, recording, lambda _: None)

    def _compare(self, speaker: str, recording: BinaryIO, heard: Callable[[Voice], None]) -> Verification:
        # Asked first, so that an unknown speaker costs no analysis.
        verification = self._verification.refusal(speaker, licensed=not self._licences.has_expired)
        if verification is None:
            (voice,) = self._hear([recording])
            heard(voice)
            verification = self._verification.verify(speaker, voice, Projection())
        return verification

    def _hear(self, recordings: Sequence[BinaryIO]) -> list[Voice]:
        if len(recordings) > self._max_recordings:
            raise TooManyRecordings(
                f"{len(recordings)} recordings in one request; at most {self._max_recordings} are taken",
                hint="send fewer, or join them",
            )
        with self._one_turn():
            return [self._hear_one(recording, number) for number, recording in enumerate(recordings)]

    def _hear_one(self, recording: BinaryIO, number: int) -> Voice:
        try:
            samples = decode(recording, max_minutes=self._max_minutes)
        except AudioError as error:
            where = FieldProblem(f"body.recording.{number}", error.message)
            raise REFUSALS[error.code](error.message, hint=error.hint, errors=[where]) from error
        try:
            return self._engine.analyse(samples)
        except EngineError as error:
            raise translated(error) from error

    @contextmanager
    def _one_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=WAIT_FOR_TURN_S):
            raise Overloaded("Too many recordings are being analysed", hint="try again in a moment")
        try:
            yield
        finally:
            self._turn.release()

"""Every failure that a caller may see: a stable code, what was wrong, and what to do.

One hierarchy for the whole service. `voice_verify.api.problems` turns it into HTTP, `voice_verify.cli` into an exit
status; nothing else maps errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class FieldProblem:
    """One wrong value of a request: where it stands (`body.speaker`) and what is wrong with it."""

    field: str
    message: str


class VoiceVerifyError(Exception):
    """Base of every expected failure; anything else that escapes is a bug and answered as `internal_error`.

    Subclasses set `code` (stable, for programs) and `status` (HTTP).
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        retry_after_s: int | None = None,
        errors: Sequence[FieldProblem] = (),
        reasons: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retry_after_s = retry_after_s
        self.errors = tuple(errors)
        self.reasons = tuple(reasons)

    @property
    def detail(self) -> str:
        """Message and hint as one text for a person."""
        sentences = (text.strip().rstrip(".") for text in (self.message, self.hint) if text)
        return " ".join(f"{text[:1].upper()}{text[1:]}." for text in sentences)


class InternalError(VoiceVerifyError):
    """A bug; the log has the details under the incident number in the message."""


class StartError(VoiceVerifyError):
    """The service cannot start with this configuration, model or profile."""

    code = "cannot_start"


class MalformedBody(VoiceVerifyError):
    code = "malformed_body"
    status = 400


class Unauthenticated(VoiceVerifyError):
    code = "unauthenticated"
    status = 401


class Forbidden(VoiceVerifyError):
    code = "forbidden"
    status = 403


class NotFound(VoiceVerifyError):
    code = "not_found"
    status = 404


class StreamNotFound(NotFound):
    code = "stream_not_found"


class SpeakerNotEnrolled(NotFound):
    code = "speaker_not_enrolled"


class EnrolmentNotFound(NotFound):
    code = "enrolment_not_found"


class KeyNotFound(NotFound):
    code = "key_not_found"


class ProfileNotFound(NotFound):
    code = "profile_not_found"


class PbxNotFound(NotFound):
    code = "pbx_not_found"


class ReportNotFound(NotFound):
    code = "report_not_found"


class MediaSecretNotFound(NotFound):
    code = "media_secret_not_found"


class MethodNotAllowed(VoiceVerifyError):
    code = "method_not_allowed"
    status = 405


class StreamInUse(VoiceVerifyError):
    code = "stream_in_use"
    status = 409


class EnrolmentRunning(VoiceVerifyError):
    code = "enrolment_running"
    status = 409


class MaintenanceRequired(VoiceVerifyError):
    """Needs maintenance mode."""

    code = "maintenance_required"
    status = 409


class StreamsRunning(VoiceVerifyError):
    """Needs that no stream and no upload is running."""

    code = "streams_running"
    status = 409


class RestoreRunning(VoiceVerifyError):
    """A backup or a restore has the database for itself."""

    code = "restore_running"
    status = 409


class SpeakerOptedOut(VoiceVerifyError):
    """The speaker has opted out and is not enrolled until that is withdrawn."""

    code = "speaker_opted_out"
    status = 409


class LastOperatorKey(VoiceVerifyError):
    """Without an operator key nobody could manage this service."""

    code = "last_operator_key"
    status = 409


class ProfileExists(VoiceVerifyError):
    """There is a profile of this uuid, or of this name and version."""

    code = "profile_exists"
    status = 409


class ProfileActive(VoiceVerifyError):
    """The active profile cannot be removed."""

    code = "profile_active"
    status = 409


class ProfilePackaged(VoiceVerifyError):
    """A packaged profile cannot be removed."""

    code = "profile_packaged"
    status = 409


class ProfileModelMismatch(VoiceVerifyError):
    """The profile was made for another model and cannot decide here."""

    code = "profile_model_mismatch"
    status = 409


class PbxExists(VoiceVerifyError):
    """There is a PBX instance of this name."""

    code = "pbx_exists"
    status = 409


class LicenceExpired(VoiceVerifyError):
    """The licence has expired: nothing new begins, what runs goes on."""

    code = "licence_expired"
    status = 403


class FeatureNotLicensed(VoiceVerifyError):
    """The licence does not allow calls by this way."""

    code = "feature_not_licensed"
    status = 403


class UploadTooLarge(VoiceVerifyError):
    code = "upload_too_large"
    status = 413


class InvalidRequest(VoiceVerifyError):
    code = "invalid_request"
    status = 422


class LicenceInvalid(InvalidRequest):
    """The licence cannot be read, was changed, or is signed by nobody whom this installation trusts."""

    code = "licence_invalid"


class ThroughInvalid(InvalidRequest):
    """`through` is not from an inventory that this version knows."""

    code = "through_invalid"


class RecipientInvalid(InvalidRequest):
    """The public key that a backup is to be encrypted to is none."""

    code = "recipient_invalid"


class UnsupportedCodec(InvalidRequest):
    code = "unsupported_codec"


class UnsupportedRate(InvalidRequest):
    code = "unsupported_rate"


class UnsupportedChannel(InvalidRequest):
    code = "unsupported_channel"


class TooManyRecordings(InvalidRequest):
    code = "too_many_recordings"


class AudioUnreadable(InvalidRequest):
    code = "audio_unreadable"


class AudioEmpty(InvalidRequest):
    code = "audio_empty"


class AudioTooLong(InvalidRequest):
    code = "audio_too_long"


class EnrolmentRefused(InvalidRequest):
    """The speech is too little or too bad for a voiceprint; `reasons` says which."""

    code = "enrolment_refused"


class BackupForeign(InvalidRequest):
    """The file is no backup or snapshot of this service."""

    code = "backup_foreign"


class BackupTooNew(InvalidRequest):
    """A newer version made the file, and this one cannot read it."""

    code = "backup_too_new"


class BackupDamaged(InvalidRequest):
    """The file is torn or was changed; nothing was restored."""

    code = "backup_damaged"


class Undecipherable(VoiceVerifyError):
    """What is stored encrypted is damaged, was moved, or needs another data key."""

    code = "undecipherable"


class DiskFull(VoiceVerifyError):
    """The data disk has no room for this."""

    code = "disk_full"
    status = 507


class StreamFailed(VoiceVerifyError):
    """The engine could not process the audio of the stream."""

    code = "stream_failed"


class UnexpectedText(InvalidRequest):
    code = "unexpected_text"


class UnexpectedBinary(InvalidRequest):
    code = "unexpected_binary"


class BadMessage(InvalidRequest):
    """A message of a media protocol is not as the protocol has it, or came out of turn."""

    code = "bad_message"


class StartTimeout(InvalidRequest):
    """Who connected by a media protocol did not begin a call in time."""

    code = "start_timeout"


class BadFrame(InvalidRequest):
    code = "bad_frame"


class FrameTooLarge(InvalidRequest):
    code = "frame_too_large"


class Unavailable(VoiceVerifyError):
    """Not now: the caller may try again after `retry_after_s`."""

    code = "unavailable"
    status = 503

    def __init__(self, message: str, *, hint: str = "", retry_after_s: int = 5) -> None:
        super().__init__(message, hint=hint, retry_after_s=retry_after_s)


class TooManyStreams(Unavailable):
    code = "too_many_streams"


class LicenceExceeded(Unavailable):
    """As many calls are running as the licence allows."""

    code = "licence_exceeded"


class MaintenanceMode(Unavailable):
    """New streams and uploads are refused until maintenance is over."""

    code = "maintenance_mode"


class Overloaded(Unavailable):
    code = "overloaded"


class EngineUnavailable(Unavailable):
    """The engine is not running; it is being started again."""

    code = "engine_unavailable"


class EngineRestarted(Unavailable):
    """The engine died and was started again: a stream goes on without some audio, a request can be sent again."""

    code = "engine_restarted"


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"

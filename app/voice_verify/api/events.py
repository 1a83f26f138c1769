"""The events of a stream, as JSON text for its WebSocket."""

from __future__ import annotations

from typing import Annotated, Literal, assert_never
from uuid import UUID

from pydantic import Field

from voice_verify.api.documents.base import Document, Seconds
from voice_verify.api.documents.speakers import Speaker
from voice_verify.api.documents.verification import VerificationResult
from voice_verify.services.events import Decided, Ended, EndReason, Enrolled, Event, Failed, Speech


class StreamEvent(Document):
    event: str
    stream: UUID


class SpeechEvent(StreamEvent):
    """How much was heard; about once a second."""

    event: Literal["speech"] = "speech"
    net_speech_s: Seconds
    audio_s: Seconds


class EnrolledEvent(Speaker, StreamEvent):
    """The voiceprint is stored."""

    event: Literal["enrolled"] = "enrolled"


class DecisionEvent(VerificationResult, StreamEvent):
    """A verification that was asked for, and again each time more speech moves it."""

    event: Literal["decision"] = "decision"


class ErrorEvent(StreamEvent):
    """Something went wrong; the same codes as in a problem document."""

    event: Literal["error"] = "error"
    code: str
    detail: str
    reasons: Annotated[list[str], Field(description="Why audio was refused")]


class EndEvent(StreamEvent):
    """The last event."""

    event: Literal["end"] = "end"
    reason: EndReason
    net_speech_s: Seconds
    audio_s: Seconds


def to_json(stream: UUID, event: Event) -> str:
    """The text frame that tells a client about `event`."""
    return _document(stream, event).model_dump_json()


def _document(stream: UUID, event: Event) -> StreamEvent:
    match event:
        case Speech():
            return SpeechEvent(stream=stream, net_speech_s=event.net_speech_s, audio_s=event.audio_s)
        case Enrolled():
            return EnrolledEvent(stream=stream, **dict(Speaker.of(event.speaker)))
        case Decided():
            return DecisionEvent(stream=stream, **dict(VerificationResult.of(event.verification)))
        case Failed(error):
            return ErrorEvent(stream=stream, code=error.code, detail=error.detail, reasons=list(error.reasons))
        case Ended():
            return EndEvent(stream=stream, reason=event.reason, net_speech_s=event.net_speech_s, audio_s=event.audio_s)
        case _:
            assert_never(event)

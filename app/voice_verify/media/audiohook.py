"""Genesys AudioHook, version 2: https://developer.genesys.cloud/devapps/audiohook/.

Text frames are messages with a type and parameters, numbered on both sides; binary frames are µ-law of one or two
channels. The client opens and closes a session; a server that wants it ended sends `disconnect` and waits for `close`.
What a server may tell besides are transcripts and the like, so it is told nothing of what was heard.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from enum import Enum, auto
from typing import Any, ClassVar
from uuid import UUID

from voice_verify.errors import BadMessage, Forbidden, Unauthenticated, UnexpectedBinary, UnsupportedCodec
from voice_verify.media.actions import (
    Action,
    Adapter,
    Alive,
    End,
    Finished,
    Format,
    Handshake,
    Heard,
    Message,
    Name,
    Opened,
    Reply,
    Started,
    shortened,
)
from voice_verify.media.objects import Object, member, parse

VERSION = "2"
NO_CONVERSATION = UUID(int=0)
"""Of a connection that Genesys makes to see whether the server is well."""

MEDIA_FORMAT, RATE = "PCMU", 8000
_DURATION = re.compile(r"PT(?:\d*\.)?\d+S")


class State(Enum):
    connected = auto()
    opening = auto()
    active = auto()
    paused = auto()
    disconnected = auto()


class Audiohook(Adapter):
    """`external` is the customer, `internal` the agent."""

    name = Name.audiohook
    channels: ClassVar[tuple[str, ...]] = ("external", "internal")
    lingers = True

    def __init__(self, handshake: Handshake) -> None:
        self._organization = handshake.headers.get("audiohook-organization-id")
        self._session = handshake.headers.get("audiohook-session-id")
        self._wanted = self.channels
        if handshake.parameters.get("listen") == "customer":
            self._wanted = (handshake.parameters.get("customer", self.channels[0]),)
        self._state = State.connected
        self._media: Object = {}
        self._received = 0
        self._sent = 0

    def text(self, message: str) -> list[Action]:
        document = parse(message)
        self._check(document)
        parameters = member(document, "parameters", dict)
        kind = member(document, "type", str)
        match kind:
            case "open" if self._state is State.connected:
                return self._open(parameters)
            case "ping":
                return [Alive(), Reply(self._message("pong"))]
            case "close":
                return [Finished()]
            case "error":
                return []
        if self._state is State.disconnected:
            # Sent before the client heard of it.
            return []
        if self._state not in (State.active, State.paused):
            raise BadMessage("The first message is not open")
        return self._within(kind, parameters)

    def binary(self, message: bytes) -> list[Action]:
        if self._state is State.disconnected:
            return []
        if self._state is not State.active:
            raise UnexpectedBinary("Audio came while the session is not open, or paused")
        return [Heard(message)]

    def opened(self, streams: Sequence[Opened]) -> list[Message]:  # noqa: ARG002
        self._state = State.active
        return [self._message("opened", {"media": [self._media] if self._media else [], "startPaused": False})]

    def finished(self) -> list[Message]:
        self._state = State.disconnected
        return [self._message("closed")]

    def ended(self, end: End) -> list[Message]:
        self._state = State.disconnected
        if end.error is None:
            return [self._message("disconnect", {"reason": "completed", "info": end.reason.value})]
        reason = "unauthorized" if isinstance(end.error, Unauthenticated | Forbidden) else "error"
        return [self._message("disconnect", {"reason": reason, "info": end.error.code})]

    def _within(self, kind: str, parameters: Object) -> list[Action]:
        """A message of an open session."""
        match kind:
            case "paused":
                self._state = State.paused
                return [Alive(held=True)]
            case "resumed" | "discarded":
                for name in ("start", "discarded"):
                    _duration(member(parameters, name, str))
                if kind == "resumed":
                    self._state = State.active
                    return [Alive(held=False)]
                return [Alive()]
            case "update":
                return [Reply(self._message("updated"))]
            case _:
                raise BadMessage("There is no such type of message, or it came out of turn")

    def _check(self, document: Object) -> None:
        """What all messages have: the version, the session, numbers that follow each other, the position."""
        if document.get("version") != VERSION:
            raise BadMessage(f"A message is not of version {VERSION}")
        session = member(document, "id", str)
        if self._session is None:
            self._session = session
        if session != self._session:
            raise BadMessage("A message is of another session")
        if member(document, "seq", int) != self._received + 1:
            raise BadMessage("The numbers of messages do not follow each other")
        self._received += 1
        if not 0 <= member(document, "serverseq", int) <= self._sent:
            raise BadMessage("A message answers one that was not sent")
        _duration(member(document, "position", str))

    def _open(self, parameters: Object) -> list[Action]:
        organization = member(parameters, "organizationId", str)
        if self._organization is not None and organization != self._organization:
            raise Forbidden("The session is of another organization than the one that connected")
        conversation = _uuid(member(parameters, "conversationId", str))
        participant = member(parameters, "participant", dict)
        offers = [offer for offer in member(parameters, "media", list) if _is_understood(offer)]
        if conversation == NO_CONVERSATION:
            self._media = offers[0] if offers else {}
            return [Alive(), *map(Reply, self.opened([]))]
        if not offers:
            raise UnsupportedCodec("No media that is offered is supported", hint=f"{MEDIA_FORMAT} at {RATE} Hz is")
        self._media = max(offers, key=self._preference)
        self._state = State.opening
        return [
            Started(
                Format("mulaw", RATE, tuple(self._media["channels"]), interleaved=len(self._media["channels"]) > 1),
                call_id=str(conversation),
                caller=shortened(participant.get("ani")),
                callee=shortened(participant.get("dnis")),
                uuid=conversation,
            )
        ]

    def _preference(self, offer: Object) -> tuple[int, int]:
        """What is wanted comes first, and nothing besides."""
        missing = set(self._wanted) - set(offer["channels"])
        return -len(missing), -len(offer["channels"])

    def _message(self, kind: str, parameters: dict[str, Any] | None = None) -> str:
        self._sent += 1
        return json.dumps(
            {
                "version": VERSION,
                "type": kind,
                "id": self._session,
                "seq": self._sent,
                "clientseq": self._received,
                "parameters": parameters or {},
            }
        )


def _is_understood(offer: Any) -> bool:
    if not isinstance(offer, dict):
        return False
    kind = (offer.get("type"), offer.get("format"), offer.get("rate"))
    channels = offer.get("channels")
    return kind == ("audio", MEDIA_FORMAT, RATE) and channels in (
        ["external"],
        ["internal"],
        ["external", "internal"],
        ["internal", "external"],
    )


def _duration(text: str) -> None:
    if not _DURATION.fullmatch(text):
        raise BadMessage("A duration is not written as PT1.5S")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise BadMessage("An identifier is no uuid") from error

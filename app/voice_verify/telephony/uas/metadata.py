"""Recording metadata of SIPREC (RFC 7865): whose voice is on which media line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

CONTENT_TYPE = "application/rs-metadata+xml"
# Of RFC 7866's drafts and of some recorders that are still sold.
CONTENT_TYPES = (CONTENT_TYPE, "application/rs-metadata")

MAX_BYTES = 64 * 1024
_MAX_DEPTH = 32
_MAX_ITEMS = 256
# Of a name: more is no name, and it is shown and logged.
_MAX_TEXT = 128


class BadMetadata(Exception):
    """The document cannot be read: 400."""


@dataclass(frozen=True)
class Participant:
    """Who speaks; `aor` is his address of record, `name` may be empty."""

    id: str
    name: str = ""
    aor: str = ""


@dataclass(frozen=True)
class Metadata:
    """What is known of a recording session: `labels` by stream, `senders` (participant ids) by stream."""

    participants: Mapping[str, Participant] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    senders: Mapping[str, str] = field(default_factory=dict)

    def stream_id(self, label: str) -> str | None:
        """The id of the stream on the media line with that label."""
        return next((stream for stream, at in self.labels.items() if at == label), None)

    def speaker(self, label: str) -> Participant | None:
        """Who is heard on the media line with that label."""
        stream = self.stream_id(label)
        return self.participants.get(self.senders.get(stream, "")) if stream is not None else None

    def updated(self, news: Document) -> Metadata:
        """With what a later document says: all of it when that is complete (section 6.1), else what it names."""
        if news.complete:
            return news.metadata
        return Metadata(
            {**self.participants, **news.metadata.participants},
            {**self.labels, **news.metadata.labels},
            {**self.senders, **news.metadata.senders},
        )


@dataclass(frozen=True)
class Document:
    """One document; `complete` is its data mode."""

    metadata: Metadata
    complete: bool


def read(content: bytes) -> Document:
    """Raises BadMetadata for what is no such document, is too large, or has a document type."""
    if len(content) > MAX_BYTES:
        raise BadMetadata("the metadata is too large")
    reader = _Reader()
    # Without a document type there are no entities.
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = reader.begin
    parser.EndElementHandler = reader.finish
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(content, True)
    # The last two for encodings that there are not, or that are not supported.
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise BadMetadata(f"the metadata is no XML: {error}") from error
    return reader.document()


def _refuse(*_declared: object) -> None:
    raise BadMetadata("the metadata has a document type")


class _Reader:
    """Takes what is needed from the events of the parser; element names count without their namespace.

    An element is known by its id, which earlier drafts wrote `id` and not `stream_id`. In those drafts a participant
    holds what he sends; in the standard a `participantstreamassoc` says it.
    """

    def __init__(self) -> None:
        self._path: list[tuple[str, str]] = []
        self._content: list[str] = []
        self._items = 0
        self._complete = True
        self._participants: dict[str, Participant] = {}
        self._labels: dict[str, str] = {}
        self._senders: dict[str, str] = {}

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        local = _local(name)
        self._items += 1
        if len(self._path) >= _MAX_DEPTH or self._items > _MAX_ITEMS:
            raise BadMetadata("the metadata has too many elements")
        if not self._path and local != "recording":
            raise BadMetadata("the metadata is no recording")
        owner = "participant" if local == "participantstreamassoc" else local
        own_id = (attributes.get(f"{owner}_id") or attributes.get("id") or "").strip()
        if local == "participant":
            self._participants.setdefault(own_id, Participant(own_id))
        elif local == "nameID":
            self._know(aor=_line(attributes.get("aor", "")))
        self._path.append((local, own_id))
        self._content.clear()

    def text(self, content: str) -> None:
        self._content.append(content)

    def finish(self, _name: str) -> None:
        text = "".join(self._content).strip()
        self._content.clear()
        local, _ = self._path.pop()
        match local:
            case "datamode" | "dataMode":
                self._complete = text.lower() != "partial"
            case "name":
                self._know(name=_line(text))
            case "label":
                if stream := self._within("stream"):
                    self._labels[stream] = _line(text)
            case "send":
                if sender := self._within("participantstreamassoc") or self._within("participant"):
                    self._senders[text] = sender

    def document(self) -> Document:
        return Document(Metadata(self._participants, self._labels, self._senders), self._complete)

    def _within(self, local: str) -> str:
        """The id of the innermost element of that name that is open."""
        return next((own_id for name, own_id in reversed(self._path) if name == local), "")

    def _know(self, *, name: str = "", aor: str = "") -> None:
        """More about the participant that is open; the first name counts, others are in other languages."""
        known = self._participants.get(self._within("participant"))
        if known is not None:
            self._participants[known.id] = Participant(known.id, known.name or name, known.aor or aor)


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _line(text: str) -> str:
    """Text of a peer as one printable line."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:_MAX_TEXT]

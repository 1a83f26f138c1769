"""The format of a snapshot: one JSON document, plain or as gzip, written and read piece by piece.

    {"format": "voice-verify-snapshot", "version": 1, "created": …, "model": …,
     "voiceprints": [{…}, …], "count": 1, "sha256": …}

`sha256` is that of the voiceprints, each as compact JSON with the members in the order of SpeakerRecord and a line end:
so it also vouches for a document that was indented since.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from io import BufferedReader
from typing import IO, Annotated, Any, Final, Literal

import ijson
from pydantic import Field, ValidationError

from voice_verify.errors import BackupForeign
from voice_verify.services.backup_file import check_kind, damaged
from voice_verify.services.records import Moment, Record, SpeakerRecord

FORMAT: Final = "voice-verify-snapshot"
VERSION: Final = 1
LIST = "voiceprints"
ITEM = f"{LIST}.item"
# A voiceprint takes 1.4 KB; whoever sends more for one does not send voiceprints.
LONGEST_ITEM = 1024 * 1024


class Header(Record):
    """`model`: identity of the model that the service had."""

    format: Literal["voice-verify-snapshot"] = FORMAT
    version: Literal[1] = VERSION
    created: Moment
    model: str


class Trailer(Record):
    count: Annotated[int, Field(ge=0)]
    sha256: str


def write(file: IO[bytes], header: Header, voiceprints: Iterable[SpeakerRecord]) -> int:
    """Write a snapshot and tell how many voiceprints it has."""
    digest = hashlib.sha256()
    count = 0
    file.write(header.model_dump_json().encode().removesuffix(b"}") + f',"{LIST}":['.encode())
    for count, voiceprint in enumerate(voiceprints, start=1):
        line = voiceprint.model_dump_json().encode()
        digest.update(line + b"\n")
        file.write((b",\n" if count > 1 else b"\n") + line)
    trailer = Trailer(count=count, sha256=digest.hexdigest())
    file.write(b"\n]," + trailer.model_dump_json().encode().removeprefix(b"{") + b"\n")
    return count


def read(file: BufferedReader) -> Iterator[SpeakerRecord]:
    """The voiceprints of a snapshot. When they came to an end well the file was whole and unchanged.

    Raises BackupForeign, BackupTooNew, BackupDamaged and UploadTooLarge.
    """
    digest = hashlib.sha256()
    members: dict[str, object] = {}
    count = 0
    try:
        for item in _items(file, members):
            if not count:
                # Before anything else is believed; members may come in any order, these come first.
                check_kind(members, FORMAT, VERSION)
            count += 1
            record = SpeakerRecord.model_validate(item)
            digest.update(record.model_dump_json().encode() + b"\n")
            yield record
        check_kind(members, FORMAT, VERSION)
        trailer = Trailer.model_validate({name: members.pop(name, None) for name in Trailer.model_fields})
        Header.model_validate(members)
    except ValidationError as error:
        raise damaged(f"voiceprint {count} is not right" if count else "a member is missing or wrong") from error
    except (ijson.JSONError, UnicodeDecodeError) as error:
        # What was read so far may tell that it is another kind of file.
        check_kind(members, FORMAT, VERSION)
        raise damaged("its end is missing, or it is no JSON") from error
    if (trailer.count, trailer.sha256) != (count, digest.hexdigest()):
        raise damaged("it was changed after it was made")


def _items(file: BufferedReader, members: dict[str, object]) -> Iterator[dict[str, Any]]:
    """Each element of the list; the other members are put into `members` as they come."""
    source = _Patient(file)
    item: Any = None
    for prefix, event, value in ijson.parse(source, use_float=True):
        if item is not None:
            item.event(event, value)
            if prefix == ITEM and event == "end_map":
                yield item.value
                item = None
        elif prefix == ITEM and event == "start_map":
            item = ijson.ObjectBuilder()
            item.event(event, value)
        elif prefix == "":
            if event not in ("start_map", "map_key", "end_map"):
                raise BackupForeign("The file is no snapshot", hint=f"send one of the format {FORMAT}")
        elif prefix == LIST:
            if event not in ("start_array", "end_array"):
                raise damaged(f"{LIST} is no list")
        elif event in ("string", "number", "null"):
            members[prefix] = value
        else:
            raise damaged(f"{prefix[:64]} does not belong there")
        if item is None:
            source.progress()


class _Patient:
    """Reads on only while what was read makes sense: a text without end would fill the memory."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._since_progress = 0

    def progress(self) -> None:
        self._since_progress = 0

    def read(self, size: int) -> bytes:
        content = self._file.read(size)
        self._since_progress += len(content)
        if self._since_progress > LONGEST_ITEM:
            raise damaged("a part of it is longer than a voiceprint can be")
        return content

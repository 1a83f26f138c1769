"""Every kind of record, counted and summed up in a form that outlives migrations.

A form says which members a record has and how each is written; it never changes. A migration that adds columns leaves
its sums alone, and one that needs another form adds it under the next number: the service goes on computing the older
ones, so that what was counted before an upgrade can be compared with what is there after it.

A sum is the SHA-256 of all records of the kind in the order of their keys, by bytes, each as one line of JSON: members
sorted by name, no spaces, UTF-8, moments in UTC with microseconds.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Date, Integer, Select, String, collate, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from voice_verify.store import settings
from voice_verify.store.database import Database
from voice_verify.store.media_secrets import PLACE as MEDIA_SECRET
from voice_verify.store.models import (
    ApiKeyRow,
    AuditRow,
    LicenceRow,
    MediaSecretRow,
    PbxRow,
    ProfileRow,
    SettingRow,
    SpeakerRow,
    StreamEventRow,
    StreamRow,
    UsageRow,
    VoiceprintRow,
)
from voice_verify.store.pbx import PLACE as PBX_PASSWORD
from voice_verify.store.speakers import embedding_of
from voice_verify.store.vault import Vault

BATCH = 1000
# What an Integer column can hold.
LARGEST = 2**31

Bound = int | str
Bounds = Mapping[str, Bound | None]
"""How far each kind goes that only grows; None before the first record of it."""


@dataclass(frozen=True)
class Sum:
    count: int
    sha256: str


@dataclass(frozen=True)
class Kind:
    """`members`: what stands for a record, by the name in the form. `order`: its key.

    `grows`: the column that is never less in a record that comes later, for kinds from which nothing goes and in which
    nothing changes. `only`: which rows are records. `convert`: what is not written as it is stored.
    """

    members: Mapping[str, InstrumentedAttribute[Any]]
    order: Sequence[InstrumentedAttribute[Any]]
    grows: InstrumentedAttribute[Any] | None = None
    only: ColumnElement[bool] | None = None
    convert: Callable[[dict[str, Any], Vault], None] | None = None


def _decrypt_voiceprint(record: dict[str, Any], vault: Vault) -> None:
    row = VoiceprintRow(
        speaker_id=record["speaker"],
        embedding=record["embedding"],
        key_id=record.pop("key_id"),
        model=record["model"],
    )
    record["embedding"] = base64.b64encode(embedding_of(row, vault)).decode()


def _hide_password(record: dict[str, Any], vault: Vault) -> None:
    """Stands for the password so that it cannot be guessed from the sum, whoever sees that."""
    if record["password"] is not None:
        clear = vault.open(record["password"], PBX_PASSWORD, record["uuid"]).decode()
        record["password"] = vault.digest(json.dumps([PBX_PASSWORD, record["uuid"], clear]))


def _hide_secret(record: dict[str, Any], vault: Vault) -> None:
    """As a password."""
    place = [MEDIA_SECRET, record["protocol"], record["name"]]
    clear = vault.open(record["secret"], *place).decode()
    record["secret"] = vault.digest(json.dumps([*place, clear]))


def _named(row: Any, *names: str) -> dict[str, InstrumentedAttribute[Any]]:
    return {name: getattr(row, name) for name in names}


_FIRST: Mapping[str, Kind] = {
    "speakers": Kind(
        {
            "speaker": SpeakerRow.id,
            **_named(
                SpeakerRow,
                "pseudonym", "created", "updated", "consent_given", "consent_reference", "opted_out", "expires",
            ),
        },
        [SpeakerRow.id],
    ),
    "voiceprints": Kind(
        {
            "speaker": VoiceprintRow.speaker_id,
            **_named(
                VoiceprintRow, "embedding", "key_id", "net_speech_s", "snr_db", "clipped_share", "takes", "model"
            ),
        },
        [VoiceprintRow.speaker_id],
        convert=_decrypt_voiceprint,
    ),
    "profiles": Kind(
        _named(ProfileRow, "uuid", "name", "version", "document", "uploaded", "active"), [ProfileRow.uuid]
    ),
    "pbx_instances": Kind(
        _named(PbxRow, "uuid", "name", "host", "port", "transport", "username", "password", "created", "updated"),
        [PbxRow.uuid],
        convert=_hide_password,
    ),
    # By name: how the service runs at this moment is no record, and what a later version sets is none of this form.
    "settings": Kind(
        _named(SettingRow, "name", "value"),
        [SettingRow.name],
        only=SettingRow.name.in_((settings.PROFILE, settings.DATA_KEY)),
    ),
    "licences": Kind(_named(LicenceRow, "id", "document", "sequence"), [LicenceRow.id]),
    "api_keys": Kind(
        _named(ApiKeyRow, "id", "name", "roles", "sha256", "created", "revoked"), [ApiKeyRow.id], grows=ApiKeyRow.id
    ),
    "audit_records": Kind(
        _named(AuditRow, "id", "at", "key_id", "action", "subject", "detail"), [AuditRow.id], grows=AuditRow.id
    ),
    "usage": Kind(
        _named(UsageRow, "day", "enrolments", "verifications", "identifications", "stream_ms"),
        [UsageRow.day],
        grows=UsageRow.day,
    ),
    # A running one is no record yet.
    "streams": Kind(
        _named(
            StreamRow,
            "uuid", "source", "peer", "codec", "started", "ended", "end_reason", "net_speech_s", "audio_s",
        ),
        [StreamRow.started, StreamRow.uuid],
        grows=StreamRow.ended,
        only=StreamRow.ended.is_not(None),
    ),
    "stream_events": Kind(
        _named(
            StreamEventRow,
            "id", "stream", "kind", "pseudonym", "first", "last", "count", "outcome", "reason", "score",
            "log_likelihood_ratio", "net_speech_s", "profile",
        ),
        [StreamEventRow.id],
        grows=StreamEventRow.id,
    ),
}  # fmt: skip

# Of calls, more is known, and there are secrets of media protocols.
_SECOND: Mapping[str, Kind] = {
    **_FIRST,
    "streams": replace(
        _FIRST["streams"],
        members={
            **_FIRST["streams"].members,
            **_named(StreamRow, "call_id", "caller", "callee", "participant", "pbx"),
        },
    ),
    "media_secrets": Kind(
        _named(MediaSecretRow, "protocol", "name", "secret", "updated"),
        [MediaSecretRow.protocol, MediaSecretRow.name],
        convert=_hide_secret,
    ),
}

FORMS: Mapping[int, Mapping[str, Kind]] = {1: _FIRST, 2: _SECOND}
NEWEST = max(FORMS)


class InventoryStore:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def take(self, form: int, bounds: Bounds | None) -> tuple[dict[str, Sum], Bounds]:
        """Of each kind of that form, at one moment, up to `bounds` or all that there is; and how far that goes.

        Raises Undecipherable and DatabaseUnavailable.
        """
        kinds = FORMS[form]
        with self._database.reading() as session:
            if bounds is None:
                bounds = {name: _reached(session, kind) for name, kind in _growing(kinds)}
            return {name: self._sum(session, kind, bounds.get(name)) for name, kind in kinds.items()}, bounds

    def _sum(self, session: Session, kind: Kind, bound: Bound | None) -> Sum:
        digest, count = hashlib.sha256(), 0
        names = list(kind.members)
        if kind.grows is None or bound is not None:
            for row in session.execute(_query(session, kind, bound), execution_options={"yield_per": BATCH}):
                record = dict(zip(names, row, strict=True))
                if kind.convert is not None:
                    kind.convert(record, self._vault)
                digest.update(_written(record))
                count += 1
        return Sum(count, digest.hexdigest())


def parse_bounds(form: int, given: Any) -> Bounds | None:
    """Bounds as they were taken with that form; None when they are not."""
    growing = dict(_growing(FORMS[form]))
    if not isinstance(given, dict) or given.keys() != growing.keys():
        return None
    try:
        for name, kind in growing.items():
            if given[name] is not None:
                _value(kind, given[name])
    except ValueError:
        return None
    return given


def _growing(kinds: Mapping[str, Kind]) -> list[tuple[str, Kind]]:
    return [(name, kind) for name, kind in kinds.items() if kind.grows is not None]


def _reached(session: Session, kind: Kind) -> Bound | None:
    column: Any = kind.grows
    found = session.scalar(select(func.max(column, type_=column.type)))
    return found.isoformat() if isinstance(found, date) else found


def _value(kind: Kind, bound: Bound) -> Any:
    """The bound as its column has it; raises ValueError."""
    column: Any = kind.grows
    if isinstance(column.type, Integer):
        if type(bound) is not int or not 0 <= bound < LARGEST:
            raise ValueError
        return bound
    if isinstance(column.type, Date):
        return date.fromisoformat(str(bound))
    moment = datetime.fromisoformat(str(bound))
    if moment.tzinfo is None:
        raise ValueError
    return moment


def _query(session: Session, kind: Kind, bound: Bound | None) -> Select[*tuple[Any, ...]]:
    # By bytes: what else a database sorts text by may change with its version.
    by_bytes = "BINARY" if session.get_bind().dialect.name == "sqlite" else "C"
    order = [collate(column, by_bytes) if isinstance(column.type, String) else column for column in kind.order]
    query: Select[Any] = select(*kind.members.values()).order_by(*order)
    if kind.only is not None:
        query = query.where(kind.only)
    if kind.grows is not None and bound is not None:
        query = query.where(kind.grows <= _value(kind, bound))
    return query


def _written(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_moment)
    return text.encode() + b"\n"


def _moment(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(type(value))

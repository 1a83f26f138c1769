"""The tables. Every change here needs a migration; a test compares both."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no time zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    # Without names a constraint cannot be changed by a later migration.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, list[str]: JSON, dict[str, Any]: JSON}  # noqa: RUF012


class SpeakerRow(Base):
    """An enrolled customer, under the identifier that the integrator chose."""

    __tablename__ = "speakers"

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    # Stands for the speaker in reports and logs; deleting the speaker leaves nothing that ties both together.
    pseudonym: Mapped[str] = mapped_column(String(32), unique=True)
    created: Mapped[datetime]
    updated: Mapped[datetime]
    consent_given: Mapped[datetime | None]
    # Where the consent is on record, in the integrator's own words.
    consent_reference: Mapped[str | None] = mapped_column(String(256))
    opted_out: Mapped[datetime | None]
    expires: Mapped[datetime | None]
    voiceprint: Mapped[VoiceprintRow] = relationship(
        lazy="joined", innerjoin=True, cascade="all, delete-orphan", passive_deletes=True
    )


class VoiceprintRow(Base):
    """The voice of a speaker as one model hears it."""

    __tablename__ = "voiceprints"

    speaker_id: Mapped[str] = mapped_column(ForeignKey("speakers.id", ondelete="CASCADE"), primary_key=True)
    # AES-GCM of float32, little endian, L2-normalised: see voice_verify.store.vault.
    embedding: Mapped[bytes] = mapped_column(LargeBinary)
    # Which data key it was encrypted with.
    key_id: Mapped[str] = mapped_column(String(16))
    net_speech_s: Mapped[float]
    snr_db: Mapped[float | None]
    clipped_share: Mapped[float]
    # How many enrolments it was made of.
    takes: Mapped[int]
    model: Mapped[str] = mapped_column(String(64))


class ApiKeyRow(Base):
    """A key that may call the API; the key itself is known to its owner only."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    roles: Mapped[list[str]]
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created: Mapped[datetime]
    revoked: Mapped[datetime | None]


class AuditRow(Base):
    """Who did what that cannot be undone or that others must know of; never a speaker's name or voice."""

    __tablename__ = "audit_records"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    # The API key that did it; nothing for the service itself and the command line.
    key_id: Mapped[int | None]
    action: Mapped[str] = mapped_column(String(64))
    # A keyed digest of a speaker, or the identifier of another thing.
    subject: Mapped[str] = mapped_column(String(128))
    detail: Mapped[dict[str, Any]]

    __table_args__ = (Index("ix_audit_records_action", "action", "subject"),)


class ProfileRow(Base):
    """An uploaded Audio Source Profile; the packaged ones are files of the service."""

    __tablename__ = "profiles"

    uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    document: Mapped[str] = mapped_column(Text)
    uploaded: Mapped[datetime]
    active: Mapped[bool]

    # The database itself sees to it that at most one is active, whoever races.
    __table_args__ = (
        UniqueConstraint("name", "version", name="uq_profiles_name_version"),
        Index(
            "uq_profiles_active",
            "active",
            unique=True,
            sqlite_where=text("active"),
            postgresql_where=text("active"),
        ),
    )


class LicenceRow(Base):
    """A licence that was put in force over the API; `sequence` is the highest of the one that was put last."""

    __tablename__ = "licences"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    document: Mapped[str] = mapped_column(Text)
    sequence: Mapped[int]


class PbxRow(Base):
    """A PBX instance that the appliance registers with."""

    __tablename__ = "pbx_instances"

    uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    host: Mapped[str] = mapped_column(String(255))
    port: Mapped[int]
    transport: Mapped[str] = mapped_column(String(8))
    username: Mapped[str | None] = mapped_column(String(128))
    # AES-GCM, like an embedding.
    password: Mapped[bytes | None] = mapped_column(LargeBinary)
    created: Mapped[datetime]
    updated: Mapped[datetime]


class MediaSecretRow(Base):
    """What a media protocol signs its connections with."""

    __tablename__ = "media_secrets"

    protocol: Mapped[str] = mapped_column(String(16), primary_key=True)
    # Whose it is: the account or the key that a connection names.
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    # AES-GCM, like an embedding.
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    updated: Mapped[datetime]


class SettingRow(Base):
    """What was set while the service ran and must outlive a restart, by name."""

    __tablename__ = "settings"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[dict[str, Any]]
    updated: Mapped[datetime]


class UsageRow(Base):
    """Invoiceable actions of one day (UTC). Neither a restore nor retention ever takes from it."""

    __tablename__ = "usage"

    day: Mapped[date] = mapped_column(primary_key=True)
    enrolments: Mapped[int] = mapped_column(BigInteger)
    verifications: Mapped[int] = mapped_column(BigInteger)
    identifications: Mapped[int] = mapped_column(BigInteger)
    # Whole milliseconds of audio, so that sums stay exact.
    stream_ms: Mapped[int] = mapped_column(BigInteger)


class StreamRow(Base):
    """A stream, running or ended, for the reports."""

    __tablename__ = "streams"

    uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    # The process that runs it, so that what a crash left open can be closed.
    owner: Mapped[str] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(16))
    peer: Mapped[str | None] = mapped_column(String(255))
    codec: Mapped[str | None] = mapped_column(String(16))
    # As its PBX and its caller name it; `pbx` is the instance that it came from, which may be gone.
    call_id: Mapped[str | None] = mapped_column(String(256))
    caller: Mapped[str | None] = mapped_column(String(256))
    callee: Mapped[str | None] = mapped_column(String(256))
    participant: Mapped[str | None] = mapped_column(String(256))
    pbx: Mapped[str | None] = mapped_column(String(36))
    started: Mapped[datetime] = mapped_column(index=True)
    ended: Mapped[datetime | None]
    end_reason: Mapped[str | None] = mapped_column(String(32))
    net_speech_s: Mapped[float]
    audio_s: Mapped[float]

    # A hundred running ones are found at once among the millions that have ended.
    __table_args__ = (
        Index(
            "ix_streams_running",
            "owner",
            sqlite_where=text("ended IS NULL"),
            postgresql_where=text("ended IS NULL"),
        ),
    )


class StreamEventRow(Base):
    """Enrolments and verifications of a stream: equal answers in a row are one event with a count."""

    __tablename__ = "stream_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    stream: Mapped[str] = mapped_column(ForeignKey("streams.uuid", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    pseudonym: Mapped[str] = mapped_column(String(32), index=True)
    first: Mapped[datetime]
    last: Mapped[datetime]
    count: Mapped[int]
    # What was decided, or the state of the enrolment; the figures are those of the last answer.
    outcome: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(64))
    score: Mapped[float | None]
    log_likelihood_ratio: Mapped[float | None]
    net_speech_s: Mapped[float]
    profile: Mapped[str | None] = mapped_column(String(64))

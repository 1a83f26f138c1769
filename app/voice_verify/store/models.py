"""The tables. Every change here needs a migration; a test compares both."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, ForeignKey, LargeBinary, MetaData, String, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no time zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

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
    created: Mapped[datetime]
    updated: Mapped[datetime]
    voiceprint: Mapped[VoiceprintRow] = relationship(
        lazy="joined", innerjoin=True, cascade="all, delete-orphan", passive_deletes=True
    )


class VoiceprintRow(Base):
    """The voice of a speaker as one model hears it."""

    __tablename__ = "voiceprints"

    speaker_id: Mapped[str] = mapped_column(ForeignKey("speakers.id", ondelete="CASCADE"), primary_key=True)
    # float32, little endian, L2-normalised.
    embedding: Mapped[bytes] = mapped_column(LargeBinary)
    net_speech_s: Mapped[float]
    snr_db: Mapped[float | None]
    clipped_share: Mapped[float]
    model: Mapped[str] = mapped_column(String(64))


class ApiKeyRow(Base):
    """A key that may call the API; the key itself is known to its owner only."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    roles: Mapped[list[str]]
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created: Mapped[datetime]

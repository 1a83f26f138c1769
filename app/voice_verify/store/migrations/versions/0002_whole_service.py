"""Consent, encrypted voiceprints, audit, profiles, PBX instances, settings, usage and reports."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _extend_speakers()
    with op.batch_alter_table("voiceprints") as table:
        # No key: the embedding is still in clear. The service encrypts what it finds so.
        table.add_column(sa.Column("key_id", sa.String(16), nullable=False, server_default=""))
        table.add_column(sa.Column("takes", sa.Integer(), nullable=False, server_default="1"))
    with op.batch_alter_table("api_keys") as table:
        table.add_column(sa.Column("revoked", MOMENT, nullable=True))
    _create_administration()
    _create_reports()


def downgrade() -> None:
    connection = op.get_bind()
    voiceprints = sa.table("voiceprints", sa.column("key_id"))
    if connection.execute(sa.select(voiceprints).where(voiceprints.c.key_id != "").limit(1)).first():
        raise RuntimeError("0001 cannot read encrypted voiceprints: voice-verify migrate --to 0001 decrypts them")
    # 0001 knows no revocation: a revoked key would be valid again.
    keys = sa.table("api_keys", sa.column("revoked"))
    connection.execute(sa.delete(keys).where(keys.c.revoked.is_not(None)))
    for table in ("stream_events", "streams", "usage", "settings", "pbx_instances", "profiles", "audit_records"):
        op.drop_table(table)
    with op.batch_alter_table("api_keys") as batch:
        batch.drop_column("revoked")
    with op.batch_alter_table("voiceprints") as batch:
        batch.drop_column("takes")
        batch.drop_column("key_id")
    with op.batch_alter_table("speakers") as batch:
        batch.drop_constraint("uq_speakers_pseudonym", type_="unique")
        for column in ("expires", "opted_out", "consent_reference", "consent_given", "pseudonym"):
            batch.drop_column(column)


def _extend_speakers() -> None:
    with op.batch_alter_table("speakers") as table:
        table.add_column(sa.Column("pseudonym", sa.String(32), nullable=True))
        table.add_column(sa.Column("consent_given", MOMENT, nullable=True))
        table.add_column(sa.Column("consent_reference", sa.String(256), nullable=True))
        table.add_column(sa.Column("opted_out", MOMENT, nullable=True))
        table.add_column(sa.Column("expires", MOMENT, nullable=True))
    speakers = sa.table("speakers", sa.column("id"), sa.column("pseudonym"))
    connection = op.get_bind()
    for (speaker,) in connection.execute(sa.select(speakers.c.id)).all():
        connection.execute(sa.update(speakers).where(speakers.c.id == speaker).values(pseudonym=secrets.token_hex(16)))
    with op.batch_alter_table("speakers") as table:
        table.alter_column("pseudonym", existing_type=sa.String(32), nullable=False)
        table.create_unique_constraint("uq_speakers_pseudonym", ["pseudonym"])


def _create_administration() -> None:
    op.create_table(
        "audit_records",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=True),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_records"),
    )
    op.create_index("ix_audit_records_action", "audit_records", ["action", "subject"])
    op.create_table(
        "profiles",
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("uploaded", MOMENT, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("uuid", name="pk_profiles"),
        sa.UniqueConstraint("name", "version", name="uq_profiles_name_version"),
    )
    only_active = sa.text("active")
    op.create_index(
        "uq_profiles_active",
        "profiles",
        ["active"],
        unique=True,
        sqlite_where=only_active,
        postgresql_where=only_active,
    )
    op.create_table(
        "pbx_instances",
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("transport", sa.String(8), nullable=False),
        sa.Column("username", sa.String(128), nullable=True),
        sa.Column("password", sa.LargeBinary(), nullable=True),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("updated", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("uuid", name="pk_pbx_instances"),
        sa.UniqueConstraint("name", name="uq_pbx_instances_name"),
    )
    op.create_table(
        "settings",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("updated", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_settings"),
    )


def _create_reports() -> None:
    op.create_table(
        "usage",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("enrolments", sa.BigInteger(), nullable=False),
        sa.Column("verifications", sa.BigInteger(), nullable=False),
        sa.Column("identifications", sa.BigInteger(), nullable=False),
        sa.Column("stream_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_usage"),
    )
    op.create_table(
        "streams",
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("peer", sa.String(255), nullable=True),
        sa.Column("codec", sa.String(16), nullable=True),
        sa.Column("started", MOMENT, nullable=False),
        sa.Column("ended", MOMENT, nullable=True),
        sa.Column("end_reason", sa.String(32), nullable=True),
        sa.Column("net_speech_s", sa.Double(), nullable=False),
        sa.Column("audio_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("uuid", name="pk_streams"),
    )
    op.create_index("ix_streams_started", "streams", ["started"])
    running = sa.text("ended IS NULL")
    op.create_index("ix_streams_running", "streams", ["owner"], sqlite_where=running, postgresql_where=running)
    op.create_table(
        "stream_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("stream", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("pseudonym", sa.String(32), nullable=False),
        sa.Column("first", MOMENT, nullable=False),
        sa.Column("last", MOMENT, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("log_likelihood_ratio", sa.Double(), nullable=True),
        sa.Column("net_speech_s", sa.Double(), nullable=False),
        sa.Column("profile", sa.String(64), nullable=True),
        sa.ForeignKeyConstraint(
            ["stream"], ["streams.uuid"], name="fk_stream_events_stream_streams", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_stream_events"),
    )
    op.create_index("ix_stream_events_stream", "stream_events", ["stream"])
    op.create_index("ix_stream_events_pseudonym", "stream_events", ["pseudonym"])

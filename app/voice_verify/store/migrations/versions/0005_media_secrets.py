"""Secrets with which media protocols sign their connections."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "media_secrets",
        sa.Column("protocol", sa.String(16), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("protocol", "name", name="pk_media_secrets"),
    )


def downgrade() -> None:
    op.drop_table("media_secrets")

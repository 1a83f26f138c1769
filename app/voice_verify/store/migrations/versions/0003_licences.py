"""Licences that were put in force over the API."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "licences",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_licences"),
    )


def downgrade() -> None:
    op.drop_table("licences")
    # 0002 would put it into backups, where it does not belong.
    settings = sa.table("settings", sa.column("name"))
    op.get_bind().execute(sa.delete(settings).where(settings.c.name == "licence_time"))

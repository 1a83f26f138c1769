"""Whose call a stream was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

COLUMNS = {"call_id": 256, "caller": 256, "callee": 256, "participant": 256, "pbx": 36}


def upgrade() -> None:
    for name, length in COLUMNS.items():
        op.add_column("streams", sa.Column(name, sa.String(length), nullable=True))


def downgrade() -> None:
    # By themselves: making the table anew would take long where millions of streams have ended.
    for name in COLUMNS:
        op.drop_column("streams", name)
    # 0003 knows no such source.
    streams = sa.table("streams", sa.column("source"))
    op.get_bind().execute(sa.update(streams).where(streams.c.source == "siprec").values(source="sip"))

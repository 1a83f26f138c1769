"""The schema of the database, on each kind."""

from __future__ import annotations

from collections.abc import Callable

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from voice_verify.store import Database
from voice_verify.store.models import Base


def test_migrations_make_what_the_models_describe(database: Callable[[str], str]) -> None:
    migrated = Database(database("migrated"))
    assert not migrated.state().is_current
    assert migrated.migrate().is_current
    assert migrated.migrate().is_current
    with migrated.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    migrated.close()

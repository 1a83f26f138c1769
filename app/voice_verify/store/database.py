"""One database, SQLite or PostgreSQL: sessions, schema migrations, and what is said when it cannot be reached."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alembic.command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from voice_verify.cpu import CpuClock
from voice_verify.errors import DatabaseUnavailable, StartError

log = logging.getLogger(__name__)

# A lost server must not hold a request for longer than its caller waits.
CONNECT_TIMEOUT_S = 5
SQLITE_BUSY_TIMEOUT_MS = 5000
# A key of PostgreSQL's advisory locks: two services that start at once migrate one after the other.
MIGRATION_LOCK = 7_301_000
# An execution option: how a transaction begins on SQLite.
SQLITE_BEGIN = "voice_verify_begin"


@dataclass(frozen=True)
class SchemaState:
    """The migration that the database has, and the one that this version needs.

    `is_newer`: this version does not know the one that the database has.
    """

    current: str | None
    needed: str | None
    is_newer: bool = False

    @property
    def is_current(self) -> bool:
        return self.current == self.needed


class Database:
    """Connections to the database at `url`, for use by many threads.

    Nothing is connected before the first use, so the service starts without its database and says so.
    """

    def __init__(self, url: str) -> None:
        """Raises StartError when `url` names no usable database."""
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise StartError("VV_DATABASE_URL is not a database URL", hint="see voice_verify/settings.py") from error
        backend = parsed.get_backend_name()
        if backend not in ("sqlite", "postgresql"):
            raise StartError(
                f"VV_DATABASE_URL names {backend}; only SQLite and PostgreSQL are supported",
                hint="use sqlite:///FILE or postgresql+psycopg://…",
            )
        self._url = url
        self.clock = CpuClock()
        self._file = Path(parsed.database) if backend == "sqlite" and parsed.database else None
        self.engine = _sqlite(url) if backend == "sqlite" else _postgresql(url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        reading: dict[str, Any] = {SQLITE_BEGIN: "BEGIN"}
        if backend == "postgresql":
            reading |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._readers = sessionmaker(self.engine.execution_options(**reading), expire_on_commit=False)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction that may write: committed, durably, when the block ends well, and rolled back when it raises.

        Raises DatabaseUnavailable.
        """
        with self.clock.part("database"), self._translated(), self._sessions.begin() as session:
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that only reads and sees one moment of the database, however long it takes.

        Raises DatabaseUnavailable.
        """
        with self.clock.part("database"), self._translated(), self._readers.begin() as session:
            yield session

    def migrate(self, revision: str = "head") -> SchemaState:
        """Bring the schema to `revision`, up or down; does nothing when it is there already.

        Raises DatabaseUnavailable, and StartError when the database has a schema that this version does not know.
        """
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        config = _alembic()
        script = ScriptDirectory.from_config(config)
        with self._translated(), self._migrating() as connection:
            config.attributes["connection"] = connection
            current = _revision(connection)
            try:
                older = {step.revision for step in script.iterate_revisions(current, "base")} - {current}
                (alembic.command.downgrade if revision in older else alembic.command.upgrade)(config, revision)
            except (CommandError, RevisionError) as error:
                raise StartError(
                    f"the database cannot be brought from schema {current} to {revision}: {error}",
                    hint="use the version of Voice Verify that wrote it, or a newer one",
                ) from error
        return self.state()

    def scrub(self) -> None:
        """Leave nothing of what was deleted in the files of SQLite; PostgreSQL sees to it by itself (autovacuum)."""
        if self._file is not None:
            with self._translated(), closing(self.engine.raw_connection()) as connection:
                # Moves the log into the file and empties it. A reader may hinder it: then a later one does it.
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def state(self) -> SchemaState:
        """What the database has and what it needs.

        Raises DatabaseUnavailable.
        """
        with self.reading() as session:
            connection = session.connection()
            current = _revision(connection)
        script = ScriptDirectory.from_config(_alembic())
        known = {step.revision for step in script.walk_revisions()}
        return SchemaState(current, script.get_current_head(), is_newer=current is not None and current not in known)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _migrating(self) -> Iterator[Connection]:
        if self._file is None:
            with self.engine.begin() as connection:
                connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
                yield connection
            return
        # SQLite alters a table by making it anew, and dropping the old one would delete all rows that refer to it.
        engine = _sqlite(self._url, foreign_keys=False)
        try:
            with engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError, ProgrammingError, PoolTimeout) as error:
            # The driver's words may name hosts and users: they are for the log, not for the caller.
            log.warning("database failed", extra={"fields": {"error": str(error).split("\n", 1)[0]}})
            raise DatabaseUnavailable(
                "The database does not answer or is not migrated",
                hint="try again; if it lasts, look at /health/ready and run voice-verify migrate",
            ) from error


def _sqlite(url: str, *, foreign_keys: bool = True) -> Engine:
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        # Python would begin transactions by itself, and too late: neither reads nor changes of the schema were in them.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        # With WAL, NORMAL may lose the last commits on power loss: an acknowledged enrolment must not be among them.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
        # What is deleted is overwritten.
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # Who may write waits for the turn at once: later, after a read, SQLite refuses instead of waiting.
        connection.exec_driver_sql(connection.get_execution_options().get(SQLITE_BEGIN, "BEGIN IMMEDIATE"))

    return engine


def _postgresql(url: str) -> Engine:
    return create_engine(
        url,
        pool_size=10,
        max_overflow=10,
        pool_timeout=CONNECT_TIMEOUT_S,
        # PostgreSQL may restart under a running service.
        pool_pre_ping=True,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
    )


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", "voice_verify.store:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()

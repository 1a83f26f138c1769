"""The schema of the database, on each kind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from voice_verify.store import Database, KeyStore, SpeakerStore, encryption, open_vault
from voice_verify.store.licences import LicenceStore, StoredLicences
from voice_verify.store.models import Base

EMBEDDING = np.linspace(-1, 1, 192, dtype="<f4")
MOMENT = "2026-01-31 09:30:00+00:00"


def test_migrations_make_what_the_models_describe(database: Callable[[str], str]) -> None:
    migrated = Database(database("migrated"))
    assert not migrated.state().is_current
    assert migrated.migrate().is_current
    assert migrated.migrate().is_current
    with migrated.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    migrated.close()


def test_voiceprints_go_up_down_and_up_again(database: Callable[[str], str], tmp_path: Path) -> None:
    travels, key = Database(database("travels")), tmp_path / "data-key"
    assert travels.migrate("0001").current == "0001"
    speakers = [f"customer-{number}" for number in range(encryption.BATCH + 1)]
    with travels.session() as session:
        for table, values in (
            ("speakers", "(:speaker, :moment, :moment)"),
            ("voiceprints", "(:speaker, :embedding, 21.0, NULL, 0.0, :model)"),
        ):
            rows = [
                {"speaker": name, "moment": MOMENT, "embedding": EMBEDDING.tobytes(), "model": "0" * 64}
                for name in speakers
            ]
            session.execute(text(f"INSERT INTO {table} VALUES {values}"), rows)  # noqa: S608
        session.execute(
            text("INSERT INTO api_keys (id, name, roles, sha256, created) VALUES (1, 'one', '[]', :hash, :moment)"),
            {"hash": "a" * 64, "moment": MOMENT},
        )
    for encrypted in (len(speakers), len(speakers)):
        assert travels.migrate().is_current
        vault = open_vault(travels, key)
        assert encryption.encrypt(travels, vault) == encrypted
        assert encryption.encrypt(travels, vault) == 0
        found = SpeakerStore(travels, vault).page(after=None, limit=2 * len(speakers))
        assert sorted(speaker.id for speaker in found) == sorted(speakers)
        assert len({speaker.pseudonym for speaker in found}) == len(speakers)
        for speaker in found:
            np.testing.assert_array_equal(speaker.voiceprint.embedding, EMBEDDING)
        with pytest.raises(RuntimeError, match="encrypted"):
            travels.migrate("0001")
        assert travels.state().is_current
        assert encryption.decrypt(travels, vault) == len(speakers)
        assert travels.migrate("0001").current == "0001"
        with travels.reading() as session:
            stored = session.execute(text("SELECT embedding FROM voiceprints")).scalars().all()
            assert {bytes(content) for content in stored} == {EMBEDDING.tobytes()}
            assert session.execute(text("SELECT count(*) FROM api_keys")).scalar() == 1
    travels.close()


def test_licences_go_with_the_table_that_holds_them(database: Callable[[str], str]) -> None:
    travels = Database(database("licences"))
    travels.migrate()
    store = LicenceStore(travels)
    for _ in range(2):
        store.put("one", "{}", key_id=None)
        store.keep_time(datetime.fromisoformat(MOMENT))
        assert store.read() == StoredLicences(("{}",), datetime.fromisoformat(MOMENT))
        assert travels.migrate("0002").current == "0002"
        # The older version would put it into its backups, which this one refuses.
        with travels.reading() as session:
            assert session.execute(text("SELECT count(*) FROM settings")).scalar() == 0
        assert travels.migrate().is_current
        assert store.read() == StoredLicences((), None)
    travels.close()


def test_a_revoked_key_does_not_come_back_to_life_in_an_older_version(database: Callable[[str], str]) -> None:
    older = Database(database("revoked"))
    older.migrate()
    store = KeyStore(older)
    kept, revoked = (store.add(name, ["viewer"], name * 64, by=None)[0] for name in "ab")
    store.revoke(revoked.id, by=None)
    older.migrate("0001")
    older.migrate()
    assert [key.id for key in store.all()] == [kept.id]
    older.close()

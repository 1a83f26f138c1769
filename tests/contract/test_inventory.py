"""The inventory: what is there before an upgrade can be told from what is there after it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert, text

from voice_verify.services.reports import ReportService
from voice_verify.store import Database, Vault, Voiceprint, settings
from voice_verify.store.inventory import FORMS, NEWEST, InventoryStore, Sum
from voice_verify.store.media_secrets import PLACE as SECRET_PLACE
from voice_verify.store.models import (
    ApiKeyRow,
    AuditRow,
    Base,
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
from voice_verify.store.pbx import PLACE
from voice_verify.store.speakers import voiceprint_values

from .running import Service, problem
from .speech import ANNA, ENROLMENT, TEST, samples, wav

INVENTORY = "/api/v2/maintenance/inventory"
MOMENT = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
VAULT = Vault(bytes(range(32)))
MODEL = "0" * 64
PBX = "0b5c9a2e-0000-4000-8000-000000000001"

# Computed once from the forms as documentation has them. They hold for ever: an appliance that was counted by one
# version is compared by the next.
FIRST_FORM = {
    "api_keys": "b2e3ced97b4cd0162ab28234e3a291d761bcfd9e963c14d3c273c11c4da05421",
    "audit_records": "2f2762bf87fcdb5938d15eb8e17a5b4eb59c0fc020c3baba3513e391fa7af73b",
    "licences": "3ebccdabd0b480741500f47d6e2cfeb44eb5f25d287f1173b53333dd940709dc",
    "pbx_instances": "6f894c0d2eab805f4c468c2a2b4f8f584087eb223e5e7598bda9a986aa538d41",
    "profiles": "a1cce6ca229f2bb1433d6812a366a0fc13f46d13cd9ec74556e1f6fed7e11886",
    "settings": "b28e53cf31615bd8e3a1d559a8b6f83c07c2cd671f97fd1fb435d695a23e0f68",
    "speakers": "1f305c9687ac12b5d06acfc48edfaa517f3fc8b431c69522872617200a865b98",
    "stream_events": "e400e1f7027b067405f8474f68665e25063df22eb3820afba4ceef522cd1e98b",
    "streams": "731498ca7c1656c6fc43cd133b85af5bdec828d010a6e33a493c9f697efbb7e6",
    "usage": "afa095bb484cbc1637da480a2c44b278d8cbe0ae5c9c4b6eda4abf98efeb814c",
    "voiceprints": "9ab91774db78e237f04982d10058b0b978da9c7c1aaa2a3a0a336385a9d1e1fe",
}


@pytest.fixture
def filled(database: Callable[[str], str], request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database with one record of each kind, and two speakers whose order depends on who sorts them."""
    made = Database(database(f"inventory_{abs(hash(request.node.name))}"))
    made.migrate()
    with made.session() as session:
        for name in ("Zoé", "anna"):
            session.execute(
                insert(SpeakerRow).values(id=name, pseudonym=name.encode().hex(), created=MOMENT, updated=MOMENT)
            )
            embedding = np.zeros(192, np.float32)
            embedding[len(name)] = 1
            voiceprint = Voiceprint(embedding, 20.25, None, 0.001, MODEL)
            session.execute(insert(VoiceprintRow).values(voiceprint_values(name, voiceprint, VAULT)))
        session.add_all(
            [
                ApiKeyRow(id=1, name="crm", roles=["integrator", "viewer"], sha256="a" * 64, created=MOMENT),
                AuditRow(id=1, at=MOMENT, key_id=1, action="key_created", subject="1", detail={"name": "é", "a": [1]}),
                ProfileRow(uuid=PBX, name="own", version=1, document="{}", uploaded=MOMENT, active=True),
                LicenceRow(id=PBX, document="{}", sequence=1),
                MediaSecretRow(
                    protocol="twilio",
                    name="AC0",
                    secret=VAULT.seal(b"battery staple", SECRET_PLACE, "twilio", "AC0"),
                    updated=MOMENT,
                ),
                PbxRow(
                    uuid=PBX,
                    name="Lyon",
                    host="192.0.2.9",
                    port=5060,
                    transport="udp",
                    username="vv",
                    password=VAULT.seal(b"correct horse", PLACE, PBX),
                    created=MOMENT,
                    updated=MOMENT,
                ),
                SettingRow(name=settings.PROFILE, value={"uuid": PBX}, updated=MOMENT),
                SettingRow(name=settings.MAINTENANCE, value={"mode": True}, updated=MOMENT),
                UsageRow(day=date(2026, 1, 31), enrolments=2, verifications=3, identifications=0, stream_ms=60_000),
                StreamRow(
                    uuid=PBX,
                    owner="boot-1-2",
                    source="websocket",
                    started=MOMENT,
                    ended=MOMENT + timedelta(seconds=60),
                    end_reason="deleted",
                    net_speech_s=30.5,
                    audio_s=60.0,
                ),
                StreamRow(
                    uuid="running", owner="boot-1-2", source="websocket", started=MOMENT, net_speech_s=0, audio_s=0
                ),
            ]
        )
        session.flush()
        session.add(
            StreamEventRow(
                id=1,
                stream=PBX,
                kind="verification",
                pseudonym="616e6e61",
                first=MOMENT,
                last=MOMENT,
                count=4,
                outcome="verified",
                reason="ok",
                score=0.8125,
                log_likelihood_ratio=12.5,
                net_speech_s=30.5,
                profile="own",
            )
        )
    yield made
    made.close()


def take(database: Database) -> dict[str, Sum]:
    return InventoryStore(database, VAULT).take(NEWEST, None)[0]


def differing(one: dict[str, Sum], other: dict[str, Sum]) -> set[str]:
    assert one.keys() == other.keys()
    return {kind for kind in one if one[kind] != other[kind]}


def test_every_table_is_counted() -> None:
    counted = {column.class_.__tablename__ for kind in FORMS[NEWEST].values() for column in kind.members.values()}
    assert counted == set(Base.metadata.tables)


def test_the_first_form_never_changes(filled: Database) -> None:
    taken = InventoryStore(filled, VAULT).take(1, None)[0]
    assert {kind: total.sha256 for kind, total in taken.items()} == FIRST_FORM
    assert {kind: total.count for kind, total in taken.items() if total.count != 1} == {"speakers": 2, "voiceprints": 2}


def test_what_was_counted_before_calls_were_known_is_comparable_after(database: Callable[[str], str]) -> None:
    travels = Database(database("inventory_travels"))
    travels.migrate("0003")
    moments = {"uuid": PBX, "started": MOMENT.isoformat(" "), "ended": (MOMENT + timedelta(seconds=60)).isoformat(" ")}
    with travels.session() as session:
        session.execute(
            text(
                "INSERT INTO streams (uuid, owner, source, started, ended, end_reason, net_speech_s, audio_s) "
                "VALUES (:uuid, 'boot-1-2', 'websocket', :started, :ended, 'deleted', 30.5, 60.0)"
            ),
            moments,
        )
    before, bounds = InventoryStore(travels, VAULT).take(1, None)
    assert before["streams"] == Sum(1, FIRST_FORM["streams"])
    travels.migrate()
    with travels.session() as session:
        later = {"source": "siprec", "started": MOMENT, "ended": MOMENT + timedelta(days=1)}
        session.add(StreamRow(uuid="later", owner="", caller="sip:a@b", net_speech_s=0, audio_s=0, **later))
    assert InventoryStore(travels, VAULT).take(1, bounds)[0] == before
    travels.migrate("0003")
    assert InventoryStore(travels, VAULT).take(1, bounds)[0] == before
    with travels.reading() as session:
        assert session.execute(text("SELECT source FROM streams WHERE uuid = 'later'")).scalar() == "sip"
    travels.close()


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("UPDATE speakers SET opted_out = created WHERE id = 'anna'", "speakers"),
        ("UPDATE voiceprints SET takes = 2 WHERE speaker_id = 'anna'", "voiceprints"),
        ("DELETE FROM voiceprints WHERE speaker_id = 'anna'", "voiceprints"),
        ("UPDATE api_keys SET revoked = created", "api_keys"),
        ("UPDATE audit_records SET subject = '2'", "audit_records"),
        ("UPDATE profiles SET document = '[]'", "profiles"),
        ("UPDATE licences SET sequence = 2", "licences"),
        ("UPDATE pbx_instances SET port = 5061", "pbx_instances"),
        ("UPDATE pbx_instances SET password = NULL", "pbx_instances"),
        ("UPDATE media_secrets SET updated = '2026-02-01 00:00:00+00:00'", "media_secrets"),
        ("DELETE FROM settings WHERE name = 'profile'", "settings"),
        ('UPDATE "usage" SET stream_ms = 60001', "usage"),
        ("UPDATE streams SET audio_s = 61 WHERE ended IS NOT NULL", "streams"),
        ("UPDATE streams SET caller = 'sip:anna@example.com' WHERE ended IS NOT NULL", "streams"),
        ('UPDATE stream_events SET "count" = 5', "stream_events"),
    ],
)
def test_any_change_shows_in_its_kind(filled: Database, statement: str, kind: str) -> None:
    before = take(filled)
    with filled.session() as session:
        session.execute(text(statement))
    assert differing(before, take(filled)) == {kind}


def test_what_a_later_version_adds_does_not_show(filled: Database) -> None:
    before = take(filled)
    with filled.session() as session:
        for table in Base.metadata.tables:
            session.execute(text(f"ALTER TABLE \"{table}\" ADD COLUMN news VARCHAR(8) DEFAULT 'new'"))
        session.execute(text("CREATE TABLE others (id INTEGER)"))
        session.add(SettingRow(name="later", value={}, updated=MOMENT))
    assert differing(before, take(filled)) == set()


def test_what_is_encrypted_is_compared_in_clear(filled: Database) -> None:
    before = take(filled)
    with filled.session() as session:
        session.get_one(PbxRow, PBX).password = VAULT.seal(b"correct horse", PLACE, PBX)
    assert differing(before, take(filled)) == set()
    with filled.session() as session:
        session.get_one(PbxRow, PBX).password = VAULT.seal(b"correct horsf", PLACE, PBX)
    assert differing(before, take(filled)) == {"pbx_instances"}


def test_what_comes_later_is_left_out_up_to_an_earlier_inventory(filled: Database) -> None:
    store = InventoryStore(filled, VAULT)
    before, bounds = store.take(NEWEST, None)
    later = MOMENT + timedelta(days=1)
    with filled.session() as session:
        session.add_all(
            [
                AuditRow(id=2, at=later, key_id=1, action="backup_made", subject="database", detail={}),
                ApiKeyRow(id=2, name="new", roles=["viewer"], sha256="b" * 64, created=later),
                UsageRow(day=later.date(), enrolments=0, verifications=1, identifications=0, stream_ms=0),
                StreamRow(uuid="later", owner="", source="sip", started=MOMENT, ended=later, net_speech_s=0, audio_s=0),
            ]
        )
    assert differing(before, store.take(NEWEST, bounds)[0]) == set()
    assert differing(before, take(filled)) == {"audit_records", "api_keys", "usage", "streams"}
    with filled.session() as session:
        session.execute(text("DELETE FROM audit_records WHERE id = 1"))
    assert differing(before, store.take(NEWEST, bounds)[0]) == {"audit_records"}


def test_an_empty_database_grows_from_nothing(database: Callable[[str], str]) -> None:
    empty = Database(database("inventory_empty"))
    empty.migrate()
    store = InventoryStore(empty, VAULT)
    before, bounds = store.take(NEWEST, None)
    assert {total.count for total in before.values()} == {0}
    with empty.session() as session:
        session.add(AuditRow(at=MOMENT, key_id=None, action="backup_made", subject="database", detail={}))
    assert differing(before, store.take(NEWEST, bounds)[0]) == set()
    empty.close()


def test_old_reports_stay_while_maintenance_mode_is_on(filled: Database) -> None:
    before = take(filled)
    reports = ReportService(filled, days=1)
    reports.tick()
    assert differing(before, take(filled)) == set()
    with filled.session() as session:
        settings.remove(session, settings.MAINTENANCE)
    reports.tick()
    assert take(filled)["streams"].count == 0


@pytest.fixture
def service(administered: Service) -> Iterator[Service]:
    with administered.client("operator") as operator:
        yield administered
        operator.post("/api/v2/maintenance/unlock").raise_for_status()


def ask(service: Service, through: str = "") -> dict[str, Any]:
    with service.client("operator") as operator:
        found: dict[str, Any] = operator.get(INVENTORY, params={"through": through}).raise_for_status().json()
        return found


def test_is_the_same_after_a_restart_a_backup_and_a_canary(service: Service) -> None:
    assert service.enrol(ANNA, wav(samples(ANNA, ENROLMENT, 30))).status_code == 200
    with service.client("operator") as operator:
        operator.post("/api/v2/maintenance/lock").raise_for_status()
        before = ask(service)
        assert (before["format"], before["schema_revision"], before["ready"]) == (2, "0005", True)
        assert before["boot"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        operator.post("/api/v2/maintenance/backup").raise_for_status()
        canary = {"data": {"speaker": ANNA}, "files": {"recording": wav(samples(ANNA, TEST, 8))}}
        assert operator.post("/api/v2/verify", **canary).json()["decision"] == "verified"
        for role in ("integrator", "operator"):
            with service.client(role) as client:
                refused = (
                    client.post("/api/v2/enroll", **canary)
                    if role == "operator"
                    else client.post("/api/v2/verify", **canary)
                )
                problem(refused, *((403, "forbidden") if role == "operator" else (503, "maintenance_mode")))
        service.stop()
        service.start()
        assert ask(service, before["through"]) == before
        grown = differing_kinds(before, ask(service))
        assert grown == {"audit_records"}


def differing_kinds(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {kind for kind in one["records"] if one["records"][kind] != other["records"][kind]}


def test_an_operator_verifies_outside_of_maintenance_mode_like_others(service: Service) -> None:
    assert service.enrol(ANNA, wav(samples(ANNA, ENROLMENT, 30))).status_code == 200
    before = ask(service)
    with service.client("operator") as operator:
        answer = operator.post(
            "/api/v2/verify", data={"speaker": ANNA}, files={"recording": wav(samples(ANNA, TEST, 8))}
        )
    assert answer.json()["decision"] == "verified"
    assert {"usage", "streams", "stream_events"} <= differing_kinds(before, ask(service))


def test_refuses_a_place_that_no_inventory_went_through(service: Service) -> None:
    good = ask(service)["through"]
    document = json.loads(base64.urlsafe_b64decode(good + "=" * (-len(good) % 4)))

    def written(**changes: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps({**document, **changes}).encode()).decode().rstrip("=")

    bounds = document["bounds"]
    bad = [
        "x",
        "é",
        good[:-4],
        written(format=3),
        written(format="1"),
        written(bounds=None),
        written(bounds={}),
        *(
            written(bounds={**bounds, kind: value})
            for kind in bounds
            for value in (True, {}, "1", -1, 2**63, "2026-01-31T1")
        ),
        base64.urlsafe_b64encode(b"[" * 3000).decode(),
    ]
    with service.client("operator") as operator:
        for through in bad:
            problem(operator.get(INVENTORY, params={"through": through}), 422, "through_invalid")
        problem(operator.get(INVENTORY, params={"through": "a" * 5000}), 422, "invalid_request")
    assert '"incident"' not in service.log


def test_only_operators_take_one(service: Service) -> None:
    for role in ("integrator", "billing", "viewer"):
        with service.client(role) as client:
            problem(client.get(INVENTORY), 403, "forbidden")


def test_refuses_what_a_newer_version_wrote(database: Callable[[str], str], model_dir: Path, tmp_path: Path) -> None:
    service = Service(tmp_path, model_dir, database("inventory_newer"))
    service.prepare("operator")
    newer = Database(service.environment["VV_DATABASE_URL"])
    with newer.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    refused = service.command("migrate")
    assert refused.returncode == 1
    assert "9999" in refused.stderr
    assert "newer" in refused.stderr
    assert newer.state().current == "9999"
    newer.close()
    # It may also come while the service runs.
    service.start()
    try:
        with service.client("operator") as operator:
            ready = operator.get("/health/ready")
            assert ready.status_code == 503
            (check,) = (check for check in ready.json()["checks"] if check["name"] == "database")
            assert check["problem"] == "has schema 9999, and this version knows 0005: start the newer version again"
        found = ask(service)
        assert (found["ready"], found["schema_revision"], found["records"], found["through"]) == (False, "9999", {}, "")
    finally:
        service.stop()

"""The service's licences: which are taken, from where, and how long they last."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from voice_verify.errors import FeatureNotLicensed, LicenceExceeded, LicenceExpired, LicenceInvalid
from voice_verify.licence import sign
from voice_verify.services.licence_standing import LicenceOrigin, LicenceState
from voice_verify.services.licence_time import LicenceTime
from voice_verify.services.licences import LicenceService
from voice_verify.store import AuditStore, Database
from voice_verify.store.licences import LicenceStore

from .conftest import IssueTerms

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
Start = Callable[[], LicenceService]


class Machine:
    def __init__(self) -> None:
        self.clock, self.running_s = NOON, 0.0

    def run(self, time: timedelta) -> None:
        self.clock += time
        self.running_s += time.total_seconds()


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(f"sqlite:///{tmp_path}/vv.db")
    made.migrate()
    return made


@pytest.fixture
def packaged(tmp_path: Path) -> Path:
    return tmp_path / "licence.json"


@pytest.fixture
def start(database: Database, machine: Machine, packaged: Path, issuer: str) -> Start:
    """Another process on the same machine."""

    def make() -> LicenceService:
        service = LicenceService(
            database,
            issuers=[issuer],
            packaged=packaged,
            evaluation_calls=2,
            warn_days=30,
            time=LicenceTime(lambda: machine.clock, lambda: machine.running_s),
        )
        service.tick()
        return service

    return make


def test_an_evaluation_takes_two_calls_from_everywhere(start: Start) -> None:
    service = start()
    for source in ("websocket", "sip"):
        service.admit(source, 1)
    with pytest.raises(LicenceExceeded, match="2 calls of an evaluation"):
        service.admit("websocket", 2)
    service.require_current()


def test_a_licence_limits_calls_and_sources(start: Start, vendor: Ed25519PrivateKey, terms: IssueTerms) -> None:
    service = start()
    service.put(sign(terms(calls=3, features=["websocket"]), vendor), key_id=None)
    service.admit("websocket", 2)
    with pytest.raises(LicenceExceeded, match="3 calls of the licence"):
        service.admit("websocket", 3)
    with pytest.raises(FeatureNotLicensed, match="by sip"):
        service.admit("sip", 0)


def test_expires_with_the_day_and_warns_every_day_before(
    start: Start,
    machine: Machine,
    vendor: Ed25519PrivateKey,
    terms: IssueTerms,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = start()
    service.put(sign(terms(expires=date(2026, 7, 2)), vendor), key_id=None)
    assert service.standing.state is LicenceState.valid
    with caplog.at_level(logging.WARNING):
        for _ in range(4 * 31):
            machine.run(timedelta(hours=6))
            service.tick()
    assert [record.message for record in caplog.records] == ["licence needs attention"] * 31
    machine.clock = datetime(2026, 7, 2, 23, 59, 59, tzinfo=UTC)
    service.tick()
    service.admit("websocket", 0)
    machine.clock += timedelta(seconds=1)
    service.tick()
    for refused in (service.require_current, lambda: service.admit("websocket", 0)):
        with pytest.raises(LicenceExpired, match=r"Crédit Exemple expired on 2026-07-02"):
            refused()


def test_the_last_one_put_wins_everywhere_and_lasts(start: Start, vendor: Ed25519PrivateKey, terms: IssueTerms) -> None:
    one, other = start(), start()
    for number in (1, 2, 1):
        one.put(sign(terms(number, calls=number), vendor), key_id=None)
        other.tick()
        assert one.standing == other.standing == start().standing
        assert one.standing.calls == number
    assert one.standing.origin is LicenceOrigin.installed


def test_one_that_was_put_comes_before_the_packaged_one(
    start: Start, machine: Machine, packaged: Path, vendor: Ed25519PrivateKey, terms: IssueTerms
) -> None:
    packaged.write_text(sign(terms(1, expires=date(2028, 1, 31)), vendor).text())
    service = start()
    assert service.standing.origin is LicenceOrigin.packaged
    service.put(sign(terms(2), vendor), key_id=None)
    assert service.standing.licence == terms(2)
    machine.run(timedelta(days=365))
    service.tick()
    assert (service.standing.origin, service.standing.state) == (LicenceOrigin.packaged, LicenceState.valid)


def test_what_is_refused_changes_nothing(
    start: Start, database: Database, vendor: Ed25519PrivateKey, terms: IssueTerms
) -> None:
    service = start()
    service.put(sign(terms(1), vendor), key_id=7)
    with pytest.raises(LicenceExpired):
        service.put(sign(terms(2, expires=date(2026, 5, 31)), vendor), key_id=7)
    with pytest.raises(LicenceInvalid):
        service.put(sign(terms(3), Ed25519PrivateKey.generate()), key_id=7)
    assert service.standing.licence == start().standing.licence == terms(1)
    on_record = [(record.action, record.subject, record.key_id) for record in AuditStore(database).all()]
    assert on_record == [("licence_installed", terms(1).id, 7)]


@pytest.mark.parametrize("content", [b"", b"\xff", b"{}", b"forged"])
def test_a_packaged_one_that_is_refused_is_said(
    start: Start, packaged: Path, terms: IssueTerms, content: bytes
) -> None:
    if content == b"forged":
        content = sign(terms(), Ed25519PrivateKey.generate()).text().encode()
    packaged.write_bytes(content)
    standing = start().standing
    assert (standing.state, standing.calls) == (LicenceState.evaluation, 2)
    assert standing.problems[0].startswith("The packaged licence is refused: ")


def test_a_packaged_one_that_cannot_be_read_is_said(start: Start, packaged: Path) -> None:
    packaged.mkdir()
    assert start().standing.problems == ("The packaged licence cannot be read: Is a directory.",)


def test_setting_the_clock_back_gains_nothing_but_a_warning(
    start: Start, machine: Machine, vendor: Ed25519PrivateKey, terms: IssueTerms
) -> None:
    service = start()
    service.put(sign(terms(issued=date(2026, 6, 1), expires=date(2026, 7, 1)), vendor), key_id=None)
    for _ in range(31):
        machine.run(timedelta(days=1))
        service.tick()
    assert service.has_expired
    machine.clock = NOON - timedelta(days=300)
    service.tick()
    # Nor does a restart.
    for running in (service, start()):
        assert running.has_expired
        assert any("Set the clock right" in problem for problem in running.standing.problems)


def test_a_clock_that_was_ahead_does_no_lasting_harm(
    start: Start, machine: Machine, vendor: Ed25519PrivateKey, terms: IssueTerms
) -> None:
    service = start()
    service.put(sign(terms(), vendor), key_id=None)
    machine.clock += timedelta(days=36500)
    service.tick()
    assert service.has_expired
    machine.clock = NOON
    service.tick()
    assert start().standing == service.standing
    assert (service.standing.state, service.standing.problems) == (LicenceState.valid, ())


def test_keeps_the_time_once_an_hour(
    start: Start, database: Database, machine: Machine, vendor: Ed25519PrivateKey, terms: IssueTerms
) -> None:
    service, store = start(), LicenceStore(database)
    assert store.read().at_least is None
    service.put(sign(terms(), vendor), key_id=None)
    kept = set()
    for _ in range(10):
        machine.run(timedelta(minutes=20))
        service.tick()
        kept.add(store.read().at_least)
    assert len(kept) == 4
    store.keep_time(datetime(2020, 1, 1, tzinfo=UTC))
    assert store.read().at_least == max(moment for moment in kept if moment)

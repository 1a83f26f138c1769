"""Maintenance mode: nothing new begins, what runs goes on, and it holds wherever the database is used."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from voice_verify.errors import MaintenanceRequired, RestoreRunning, StreamsRunning
from voice_verify.services import process
from voice_verify.store import AuditStore, Database
from voice_verify.store.maintenance import MaintenanceStore

from .running import Service, problem, until
from .speech import ANNA, ENROLMENT, samples, wav


@pytest.fixture
def service(administered: Service) -> Iterator[Service]:
    """Out of maintenance mode and without streams before and after each test."""
    yield administered
    with administered.client("operator") as operator:
        for path in ("force_off", "unlock"):
            operator.post(f"/api/v2/maintenance/{path}").raise_for_status()


def test_refuses_new_streams_and_uploads_until_it_is_left(service: Service) -> None:
    recording = wav(samples(ANNA, ENROLMENT, 30))
    with service.client("operator") as operator, service.client() as client:
        entered = operator.post("/api/v2/maintenance/lock").json()
        assert (entered["mode"], entered["running_streams"]) == (True, 0)
        for refused in (client.post("/api/v2/streams"), service.enrol(ANNA, recording)):
            problem(refused, 503, "maintenance_mode")
            assert int(refused.headers["retry-after"]) > 0
        assert operator.post("/api/v2/maintenance/unlock/").json()["mode"] is False
        assert service.enrol(ANNA, recording).status_code == 200
        operator.post("/api/v2/lock").raise_for_status()
        problem(service.verify(ANNA, recording), 503, "maintenance_mode")


def test_running_streams_enrol_and_verify_until_they_end(service: Service) -> None:
    with service.client("operator") as operator, service.stream() as stream:
        assert operator.post("/api/v2/lock").json()["running_streams"] == 1
        stream.post("enroll", ANNA).raise_for_status()
        stream.send(samples(ANNA, ENROLMENT, 35))
        stream.wait("enrolled")
        assert stream.post("verify", ANNA).json()["decision"] == "verified"
        stream.end()
        assert operator.get("/api/v2/maintenance").json()["running_streams"] == 0


def test_takes_both_verbs_and_both_paths(service: Service) -> None:
    with service.client("operator") as operator:
        for method in ("GET", "POST"):
            for path in ("/api/v2/lock", "/api/v2/lock/", "/api/v2/maintenance/lock"):
                assert operator.request(method, path).json()["mode"] is True
                assert operator.request(method, "/api/v2/maintenance/unlock").json()["mode"] is False


def test_outlives_a_kill_and_closes_what_the_dead_process_left(service: Service) -> None:
    with service.client("operator") as operator, service.client() as client:
        client.post("/api/v2/streams").raise_for_status()
        entered = operator.post("/api/v2/lock").json()
        assert entered["running_streams"] == 1
        service.stop(signal.SIGKILL)
        service.start()
        now = operator.get("/api/v2/maintenance").json()
        assert now == {**entered, "running_streams": 0}
        problem(client.post("/api/v2/streams"), 503, "maintenance_mode")


def test_who_changed_it_is_on_record(service: Service) -> None:
    with service.client("operator") as operator:
        for path in ("lock", "lock", "force_off", "unlock"):
            operator.post(f"/api/v2/maintenance/{path}").raise_for_status()
    database = Database(service.environment["VV_DATABASE_URL"])
    records = [record for record in AuditStore(database).all() if record.subject == "service"][-3:]
    database.close()
    assert [record.action for record in records] == ["maintenance_entered", "streams_forced_off", "maintenance_left"]
    assert all(record.key_id is not None for record in records)


def test_only_operators_change_it(service: Service) -> None:
    for role in ("integrator", "billing", "viewer"):
        with service.client(role) as client:
            for path in ("lock", "unlock", "force_off"):
                problem(client.post(f"/api/v2/maintenance/{path}"), 403, "forbidden")
    with service.client("viewer") as viewer:
        assert viewer.get("/api/v2/maintenance").json()["mode"] is False


def test_force_off_ends_all_streams_of_all_processes(service: Service, sibling: Service) -> None:
    with service.stream() as one, sibling.stream() as two, service.client("operator") as operator:
        operator.post("/api/v2/lock").raise_for_status()
        assert operator.post("/api/v2/maintenance/force_off").json() == {"ended_streams": 2}
        assert (one.wait("end")["reason"], two.wait("end")["reason"]) == ("maintenance", "maintenance")
        assert operator.get("/api/v2/maintenance").json()["running_streams"] == 0


def test_no_stream_opens_in_any_process_once_the_lock_has_answered(service: Service, sibling: Service) -> None:
    for _ in range(3):
        with ThreadPoolExecutor(5) as pool, service.client("operator") as operator:
            opening = [pool.submit(_open_until_refused, one) for one in (service, sibling) * 2]
            until(lambda: operator.get("/api/v2/maintenance").json()["running_streams"] >= 4)
            at_lock = operator.post("/api/v2/lock").json()["running_streams"]
            opened = sum(future.result() for future in opening)
            # At the lock some may just have been refused by the engine, which has the last word.
            assert operator.get("/api/v2/maintenance").json()["running_streams"] == opened <= at_lock
            assert operator.post("/api/v2/maintenance/force_off").json()["ended_streams"] == opened
            operator.post("/api/v2/maintenance/unlock").raise_for_status()


def test_the_quiet_is_had_by_one_only_and_left_by_the_dead(database: Callable[[str], str]) -> None:
    migrated = Database(database("quiet"))
    migrated.migrate()
    living = {"one", "two"}
    store = MaintenanceStore(migrated, living.__contains__)
    with pytest.raises(MaintenanceRequired):
        store.begin_quiet("one")
    store.enter(None)
    store.begin_quiet("one")
    for refused in (lambda: store.begin_quiet("two"), lambda: store.leave(None)):
        with pytest.raises(RestoreRunning):
            refused()
    living.remove("one")
    store.begin_quiet("two")
    store.end_quiet("one")
    with pytest.raises(RestoreRunning):
        store.leave(None)
    store.end_quiet("two")
    assert not store.leave(None).mode
    migrated.close()


def test_the_quiet_waits_for_streams(service: Service) -> None:
    with service.client("operator") as operator, service.stream() as stream:
        operator.post("/api/v2/lock").raise_for_status()
        database = Database(service.environment["VV_DATABASE_URL"])
        store = MaintenanceStore(database, process.lives)
        with pytest.raises(StreamsRunning):
            store.begin_quiet(process.own())
        stream.end()
        store.begin_quiet(process.own())
        problem(operator.post("/api/v2/maintenance/unlock"), 409, "restore_running")
        store.end_quiet(process.own())
        assert operator.post("/api/v2/maintenance/unlock").json()["mode"] is False
        database.close()


def _open_until_refused(service: Service) -> int:
    """Open streams one after the other; how many there were until maintenance mode."""
    opened = 0
    with service.client() as client:
        while True:
            answer: httpx.Response = client.post("/api/v2/streams")
            if answer.status_code == 503:
                document: dict[str, Any] = problem(answer, 503, answer.json()["code"])
                if document["code"] == "maintenance_mode":
                    return opened
            else:
                assert answer.status_code == 201, answer.text
                opened += 1

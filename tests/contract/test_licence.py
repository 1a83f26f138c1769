"""The licence over the API: what it allows, what is refused, and that it lasts."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from voice_verify.licence import SignedLicence
from voice_verify.store import Database
from voice_verify.store.licences import LicenceStore

from . import licences
from .conftest import StartService
from .running import Service, problem, until
from .speech import ANNA, ENROLMENT, TEST, samples, wav

PATH = "/api/v2/licence"
TODAY = datetime.now(UTC).date()
JSON = {"Content-Type": "application/json"}
ROLES = ("integrator", "operator", "viewer", "billing")


@pytest.fixture
def evaluation(start_service: StartService) -> Service:
    service = start_service(licence=None)
    service.prepare(*ROLES)
    return service


def put(service: Service, content: SignedLicence | bytes) -> httpx.Response:
    with service.client("operator") as operator:
        body = content.text().encode() if isinstance(content, SignedLicence) else content
        return operator.put(PATH, content=body, headers=JSON)


def in_force(service: Service) -> dict[str, Any]:
    with service.client("viewer") as viewer:
        return dict(viewer.get(PATH).raise_for_status().json())


def open_streams(service: Service, number: int) -> httpx.Response:
    """The answer to the last of so many."""
    with service.client() as client:
        answers = [client.post("/api/v2/streams") for _ in range(number)]
    assert [answer.status_code for answer in answers[:-1]] == [201] * (number - 1)
    return answers[-1]


def let_pass(service: Service, days: int) -> None:
    """Make it so much later, as if the clock had been set back since; the service sees it within a second."""
    database = Database(service.environment["VV_DATABASE_URL"])
    LicenceStore(database).keep_time(datetime.now(UTC) + timedelta(days=days))
    database.close()


def test_without_one_there_are_two_calls(evaluation: Service) -> None:
    standing = in_force(evaluation)
    assert (standing["state"], standing["signature"], standing["calls"]) == ("evaluation", "none", 2)
    assert standing["features"] == ["websocket", "sip", "siprec"]
    refused = open_streams(evaluation, 3)
    assert "2 calls of an evaluation" in problem(refused, 503, "licence_exceeded")["detail"]
    assert int(refused.headers["retry-after"]) > 0
    with evaluation.client() as client:
        running = client.get("/api/v2/streams").json()["streams"]
        assert len(running) == 2
        client.delete(f"/api/v2/streams/{running[0]['uuid']}").raise_for_status()
        assert client.post("/api/v2/streams").status_code == 201


def test_one_that_is_put_holds_at_once_and_after_a_kill(evaluation: Service) -> None:
    licence = licences.licence(calls=3, days=400)
    standing = put(evaluation, licence).raise_for_status().json()
    assert (
        standing
        == in_force(evaluation)
        == {
            "state": "valid",
            "signature": "verified",
            "origin": "installed",
            "id": licence.licence.id,
            "customer": "Example Bank",
            "calls": 3,
            "calls_here": 3,
            "features": ["websocket"],
            "issued": str(licence.licence.issued),
            "expires": str(TODAY + timedelta(400)),
            "days_left": 400,
            "problems": [],
        }
    )
    problem(open_streams(evaluation, 4), 503, "licence_exceeded")
    evaluation.stop(signal.SIGKILL)
    evaluation.start()
    assert in_force(evaluation) == standing


def test_the_smaller_of_licence_and_machine_is_the_limit(start_service: StartService) -> None:
    service = start_service(max_streams=2)
    service.prepare(*ROLES)
    standing = in_force(service)
    assert (standing["calls"], standing["calls_here"], standing["origin"]) == (10_000, 2, "packaged")
    problem(open_streams(service, 3), 503, "too_many_streams")


def test_calls_come_in_by_licensed_ways_only(start_service: StartService) -> None:
    service = start_service(licence=licences.licence(features=["sip"]))
    problem(open_streams(service, 1), 403, "feature_not_licensed")


def test_a_licence_is_taken_by_all_processes(administered: Service, sibling: Service) -> None:
    licence = licences.licence(calls=77)
    put(administered, licence).raise_for_status()
    until(lambda: in_force(sibling)["id"] == licence.licence.id)


def test_what_is_no_licence_changes_nothing(evaluation: Service) -> None:
    good = licences.licence(calls=5).text()
    refused = [
        (good.replace('"calls":5', '"calls":6').encode(), 422, "licence_invalid"),
        (licences.licence(vendor=Ed25519PrivateKey.generate()).text().encode(), 422, "licence_invalid"),
        (licences.licence(days=-1).text().encode(), 403, "licence_expired"),
        (good.replace('"calls":5', '"calls":"5"').encode(), 422, "invalid_request"),
        (good.replace("Example", r"\ud800").encode(), 422, "invalid_request"),
        (good[:-1].encode(), 400, "malformed_body"),
        (b"", 422, "invalid_request"),
    ]
    for content, status, code in refused:
        problem(put(evaluation, content), status, code)
    assert in_force(evaluation)["state"] == "evaluation"
    indented = json.dumps(json.loads(good), indent=4).encode()
    assert put(evaluation, indented).raise_for_status().json()["calls"] == 5


def test_only_operators_put_one(service: Service) -> None:
    for role in ("integrator", "viewer", "billing"):
        with service.client(role) as client:
            content = licences.licence().text()
            problem(client.put(PATH, content=content, headers=JSON), 403, "forbidden")
    with service.client("billing") as client:
        problem(client.get(PATH), 403, "forbidden")


def test_probes_tell_about_it_without_a_key(start_service: StartService) -> None:
    service = start_service(licence=licences.licence(calls=9, days=12))
    expected = {
        "state": "expiring",
        "calls": 9,
        "expires": str(TODAY + timedelta(12)),
        "problems": [f"The licence expires on {TODAY + timedelta(12)}, in 12 days: then no new calls are taken."],
    }
    with service.client("") as client:
        for probe in ("live", "ready"):
            answer = client.get(f"/health/{probe}")
            assert (answer.status_code, answer.json()["licence"]) == (200, expected)
    assert service.log.count("licence needs attention") == 1


def test_when_it_expires_running_calls_go_on_and_nothing_is_locked_in(start_service: StartService) -> None:
    service = start_service()
    service.prepare(*ROLES)
    service.enrol(ANNA, wav(samples(ANNA, ENROLMENT, 30))).raise_for_status()
    with service.stream() as stream:
        let_pass(service, days=500)
        until(lambda: in_force(service)["state"] == "expired")
        detail = problem(open_streams(service, 1), 403, "licence_expired")["detail"]
        assert f"Example Bank expired on {TODAY + timedelta(365)}" in detail
        stream.send(samples(ANNA, TEST, 8))
        until(lambda: stream.post("verify", ANNA).json()["decision"] == "verified")
        stream.post("enroll", "another").raise_for_status()
        assert stream.end()["reason"] == "deleted"
    problem(service.enrol("new", wav(samples(ANNA, ENROLMENT, 30))), 403, "licence_expired")
    answer = service.verify(ANNA, wav(samples(ANNA, TEST, 8))).raise_for_status().json()
    assert (answer["decision"], answer["reason"]) == ("not_sure", "licence_expired")
    with service.client("operator") as operator:
        assert operator.get("/health/ready").json()["status"] == "ready"
        assert operator.get("/api/v2/snapshot/export").status_code == 200
        operator.post("/api/v2/maintenance/lock").raise_for_status()
        backup = operator.post("/api/v2/maintenance/backup").raise_for_status().content
        restored = operator.post("/api/v2/maintenance/loadbackup", content=backup)
        assert restored.status_code == 200, restored.text
        operator.post("/api/v2/maintenance/unlock").raise_for_status()
    with service.client() as client:
        assert client.delete(f"/api/v2/speakers/{ANNA}").status_code == 204
    assert in_force(service)["problems"][1].startswith("The clock of this machine says")
    assert put(service, licences.licence(days=900)).json()["state"] == "valid"
    assert open_streams(service, 1).status_code == 201


def test_a_restore_keeps_the_licence_that_is_in_force(start_service: StartService) -> None:
    service = start_service()
    service.prepare(*ROLES)
    with service.client("operator") as operator:
        operator.post("/api/v2/maintenance/lock").raise_for_status()
        backup = operator.post("/api/v2/maintenance/backup").raise_for_status().content
        standing = put(service, licences.licence(calls=33)).raise_for_status().json()
        operator.post("/api/v2/maintenance/loadbackup", content=backup).raise_for_status()
    service.stop()
    service.start()
    assert in_force(service) == standing

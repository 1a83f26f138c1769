"""API keys over the API; consent, opt-out and expiry; voiceprints that are added to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from .running import Service, problem
from .speech import ANNA, BRUNO, ENROLMENT, TEST, samples, wav


@pytest.fixture(scope="module")
def own(
    database: Callable[[str], str], model_dir: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("keys"), model_dir, database("keys"))  # type: ignore[arg-type]
    service.prepare("integrator", "operator")
    service.start()
    assert service.enrol(ANNA, wav(samples(ANNA, ENROLMENT, 30))).status_code == 200
    yield service
    service.stop()


def _change(service: Service, **changes: object) -> httpx.Response:
    with service.client() as client:
        return client.patch(f"/api/v2/speakers/{ANNA}", json=changes)


def _verify(service: Service) -> str:
    return str(service.verify(ANNA, wav(samples(ANNA, TEST, 8))).json()["reason"])


def _add(service: Service, speaker: str, *recordings: bytes) -> httpx.Response:
    with service.client() as client:
        files = [("recording", recording) for recording in recordings]
        return client.post("/api/v2/enroll", data={"speaker": speaker, "mode": "add"}, files=files)


def test_a_key_is_shown_once_and_dies_at_once(own: Service) -> None:
    with own.client("operator") as operator:
        made = operator.post("/api/v2/keys", json={"name": "crm", "roles": ["viewer"]})
        assert made.status_code == 201, made.text
        secret, key = made.json()["key"], made.json()["id"]
        assert secret not in operator.get("/api/v2/keys").text
        with own.client("", Authorization=f"Bearer {secret}") as crm:
            assert crm.get("/api/v2/speakers").status_code == 200
            problem(crm.get("/api/v2/keys"), 403, "forbidden")
            for _ in range(2):
                assert operator.delete(f"/api/v2/keys/{key}").status_code == 204
            problem(crm.get("/api/v2/speakers"), 401, "unauthenticated")
        (listed,) = [item for item in operator.get("/api/v2/keys").json()["keys"] if item["id"] == key]
        assert listed["revoked"] is not None
        problem(operator.delete("/api/v2/keys/999999"), 404, "key_not_found")
        problem(operator.post("/api/v2/keys", json={"name": "a\x00", "roles": ["viewer"]}), 422, "invalid_request")
        problem(operator.post("/api/v2/keys", json={"name": "a", "roles": []}), 422, "invalid_request")


def test_the_last_operator_key_stays(own: Service) -> None:
    with own.client("operator") as operator:
        keys = operator.get("/api/v2/keys").json()["keys"]
        (last,) = [item["id"] for item in keys if "operator" in item["roles"] and item["revoked"] is None]
        problem(operator.delete(f"/api/v2/keys/{last}"), 409, "last_operator_key")
        assert own.command("keys", "revoke", str(last)).returncode == 1
        assert operator.get("/api/v2/keys").status_code == 200


def test_consent_opt_out_and_expiry(own: Service) -> None:
    past, future = (datetime.now(UTC) + timedelta(days=days) for days in (-1, 1))
    consent = {"given_at": "2026-01-31T09:30:00+01:00", "reference": "form 7"}
    answer = _change(own, consent=consent, expires_at=future.isoformat()).json()
    assert answer["consent"] == {"given_at": "2026-01-31T08:30:00Z", "reference": "form 7"}
    assert (answer["state"], answer["opted_out"]) == ("enrolled", False)
    assert _verify(own) == "ok"
    assert _change(own, opted_out=True).json()["state"] == "opted_out"
    assert _verify(own) == "speaker_opted_out"
    problem(own.enrol(ANNA, wav(samples(ANNA, ENROLMENT, 30))), 409, "speaker_opted_out")
    assert _change(own, opted_out=False, expires_at=past.isoformat()).json()["state"] == "expired"
    assert _verify(own) == "speaker_expired"
    with own.client() as client:
        found = client.get("/api/v2/speakers", params={"state": "expired"}).json()["speakers"]
        assert [item["speaker"] for item in found] == [ANNA]
    again = own.enrol(ANNA, wav(samples(ANNA, ENROLMENT, 30))).json()
    assert (again["state"], again["expires_at"], again["consent"]["reference"]) == ("enrolled", None, "form 7")
    assert _change(own, consent=None).json()["consent"] is None
    for wrong in ({"expires_at": "2026-01-31"}, {"opted_out": None}, {"consent": {}}, {"news": 1}):
        problem(_change(own, **wrong), 422, "invalid_request")


def test_a_second_take_is_added_to_the_voiceprint(own: Service) -> None:
    first = own.enrol("takes", wav(samples(ANNA, ENROLMENT, 30))).json()
    added = _add(own, "takes", wav(samples(ANNA, TEST, 30)))
    assert added.status_code == 200, added.text
    assert (first["takes"], added.json()["takes"]) == (1, 2)
    assert added.json()["net_speech_s"] > first["net_speech_s"] + 15
    refused = _add(own, "takes", wav(samples(BRUNO, ENROLMENT, 30)))
    assert problem(refused, 422, "enrolment_refused")["reasons"] == ["different_speaker"]
    assert own.enrol("takes", wav(samples(BRUNO, ENROLMENT, 30))).json()["takes"] == 1


def test_two_voices_are_not_enrolled_as_one(own: Service) -> None:
    refused = own.enrol("two", *(wav(samples(voice, ENROLMENT, 20)) for voice in (ANNA, BRUNO)))
    assert problem(refused, 422, "enrolment_refused")["reasons"] == ["different_speaker"]


def test_a_refusal_tells_all_reasons(own: Service) -> None:
    loud = (samples(ANNA, ENROLMENT, 10).astype("int32") * 60).clip(-32768, 32767).astype("int16")
    reasons = problem(own.enrol("loud", wav(loud)), 422, "enrolment_refused")["reasons"]
    assert {"not_enough_speech", "clipped"} <= set(reasons)

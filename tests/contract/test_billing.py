"""What is invoiced is counted exactly."""

from __future__ import annotations

import csv
import io
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from voice_verify.store import Database
from voice_verify.store.models import UsageRow

from .running import Service, problem
from .speech import ANNA, BRUNO, ENROLMENT, TEST, samples, wav

PATH = "/api/v2/logging_aggregate"
NOTHING = {"enrolments": 0, "verifications": 0, "identifications": 0, "stream_ms": 0}


def test_counts_what_was_done_and_nothing_else(administered: Service) -> None:
    before = _totals(administered)
    assert administered.enrol(ANNA, wav(samples(ANNA, ENROLMENT, 30))).status_code == 200
    assert administered.enrol(BRUNO, wav(samples(BRUNO, ENROLMENT, 5))).status_code == 422
    for speaker in (ANNA, ANNA, "nobody"):
        administered.verify(speaker, wav(samples(ANNA, TEST, 5))).raise_for_status()
    with administered.stream() as stream:
        # Asked often, answered often, and pushed: one verification. Of somebody unknown: none.
        stream.post("verify", ANNA).raise_for_status()
        stream.post("verify", "nobody").raise_for_status()
        assert _since(before, administered)["verifications"] == 3
        stream.send(samples(ANNA, TEST, 8))
        for _ in range(5):
            stream.post("verify", ANNA).raise_for_status()
        assert stream.end()["audio_s"] == 8
    assert _since(before, administered) == {**NOTHING, "enrolments": 1, "verifications": 3, "stream_ms": 8000}


def test_what_was_answered_is_counted_even_when_the_process_is_killed(administered: Service) -> None:
    before = _totals(administered)
    assert administered.enrol(ANNA, wav(samples(ANNA, ENROLMENT, 30))).status_code == 200
    with administered.stream() as stream:
        stream.send(samples(ANNA, TEST, 4))
        stream.post("verify", ANNA).raise_for_status()
        assert stream.end()["audio_s"] == 4
        administered.stop(signal.SIGKILL)
    administered.start()
    assert _since(before, administered) == {**NOTHING, "enrolments": 1, "verifications": 1, "stream_ms": 4000}


def test_counts_exactly_when_many_act_at_once(administered: Service) -> None:
    assert administered.enrol(ANNA, wav(samples(ANNA, ENROLMENT, 30))).status_code == 200
    before = _totals(administered)
    with ThreadPoolExecutor(8) as pool:
        recording = wav(samples(ANNA, TEST, 2))
        uploads = [pool.submit(administered.verify, ANNA, recording) for _ in range(12)]
        with administered.stream() as stream:
            asked = [pool.submit(stream.post, "verify", ANNA) for _ in range(12)]
            assert {future.result().status_code for future in (*uploads, *asked)} == {200}
    assert _since(before, administered)["verifications"] == 13


def test_sums_by_day_and_month_from_a_day_until_before_another(administered: Service) -> None:
    _insert(administered, "2026-01-30", enrolments=1, stream_ms=1)
    _insert(administered, "2026-01-31", verifications=2, stream_ms=59_999)
    _insert(administered, "2026-02-01", verifications=5)
    by_day = _get(administered, {"from": "2026-01-31", "to": "2026-02-02"})
    assert [(item["period"], item["verifications"]) for item in by_day["periods"]] == [
        ("2026-01-31", 2),
        ("2026-02-01", 5),
    ]
    assert (by_day["from"], by_day["to"], by_day["totals"]["verifications"]) == ("2026-01-31", "2026-02-02", 7)
    by_month = _get(administered, {"from": "2026-01-01", "to": "2026-02-01", "granularity": "month"})
    january = {**NOTHING, "enrolments": 1, "verifications": 2, "stream_ms": 60_000, "stream_minutes": 1.0}
    assert by_month["periods"] == [{"period": "2026-01", **january}]
    assert by_month["totals"] == january
    # Without an end it goes on until now; without a beginning it starts with this month.
    today = datetime.now(UTC).date()
    assert _get(administered, {"from": "2026-01-01"})["to"] == str(today + timedelta(days=1))
    assert _get(administered, {})["from"] == str(today.replace(day=1))


def test_is_a_table_for_who_asks_for_csv(administered: Service) -> None:
    _insert(administered, "2025-01-31", enrolments=3, verifications=2, stream_ms=90_000)
    with administered.client("billing", Accept="text/csv, application/json;q=0.5") as client:
        answer = client.get(PATH, params={"from": "2025-01-01", "to": "2025-02-01"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["period"] for row in rows] == ["2025-01-31", "total"]
    assert (rows[1]["enrolments"], rows[1]["stream_ms"], rows[1]["stream_minutes"]) == ("3", "90000", "1.5")
    with administered.client("billing", Accept="*/*") as client:
        assert client.get(PATH).headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "wrong",
    [
        {"from": "2026-02-01", "to": "2026-02-01"},
        {"from": "2026-02-02", "to": "2026-02-01"},
        {"from": "yesterday"},
        {"from": "0001-01-01"},
        {"to": "9999-12-31"},
        {"granularity": "hour"},
    ],
    ids=str,
)
def test_refuses_ranges_that_are_none(administered: Service, wrong: dict[str, str]) -> None:
    with administered.client("billing") as client:
        refused = problem(client.get(PATH, params=wrong), 422, "invalid_request")
    assert refused["errors"]


def test_is_for_billing_and_operators(administered: Service) -> None:
    for role, status in {"billing": 200, "operator": 200, "integrator": 403, "viewer": 403}.items():
        with administered.client(role) as client:
            assert client.get(f"{PATH}/").status_code == status


def _get(service: Service, parameters: dict[str, str]) -> dict[str, Any]:
    with service.client("billing") as client:
        answer: dict[str, Any] = client.get(PATH, params=parameters).raise_for_status().json()
    return answer


def _totals(service: Service) -> dict[str, Any]:
    totals: dict[str, Any] = _get(service, {})["totals"]
    return totals


def _since(before: dict[str, Any], service: Service) -> dict[str, Any]:
    """What was counted meanwhile."""
    return {name: value - before[name] for name, value in _totals(service).items() if name in NOTHING}


def _insert(service: Service, day: str, **counts: int) -> None:
    zero = {"enrolments": 0, "verifications": 0, "identifications": 0, "stream_ms": 0}
    database = Database(service.environment["VV_DATABASE_URL"])
    with database.session() as session:
        session.add(UsageRow(day=date.fromisoformat(day), **{**zero, **counts}))
    database.close()

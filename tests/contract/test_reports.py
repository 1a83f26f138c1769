"""What happened on a stream can be read after it ended."""

from __future__ import annotations

import csv
import io
import signal
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from voice_verify.services.reports import ReportService
from voice_verify.store import Database
from voice_verify.store.models import StreamEventRow, StreamRow

from .running import Service, problem, until
from .speech import ANNA, BRUNO, ENROLMENT, TEST, samples, wav

PATH = "/api/v2/reports"


def test_tells_all_that_happened_on_a_stream(service: Service) -> None:
    with service.stream("&codec=alaw") as stream:
        stream.post("verify", "nobody").raise_for_status()
        for _ in range(3):
            stream.post("verify", ANNA).raise_for_status()
        problem(stream.client.get(f"{PATH}/{stream.uuid}"), 404, "report_not_found")
        stream.post("enroll", "too-short").raise_for_status()
        end = stream.end()
        report = stream.client.get(f"{PATH}/{stream.uuid}/").json()
    assert (report["source"], report["codec"], report["peer"]) == ("websocket", "alaw", "127.0.0.1")
    assert (report["end_reason"], report["net_speech_s"], report["audio_s"]) == ("deleted", 0, end["audio_s"])
    assert report["started"] < report["ended"]
    assert [_told(event) for event in report["events"]] == [
        ("verification", None, 1, "not_sure", "speaker_not_enrolled"),
        ("verification", ANNA, 3, "not_sure", "not_enough_speech"),
        ("enrolment", None, 1, "refused", "not_enough_speech"),
    ]
    repeated = report["events"][1]
    assert report["started"] < repeated["first"] < repeated["last"] < report["ended"]


def test_equal_decisions_in_a_row_are_one_event(service: Service) -> None:
    with service.stream() as stream:
        stream.post("verify", ANNA).raise_for_status()
        stream.send(samples(ANNA, TEST, 8))
        stream.end()
        events = stream.client.get(f"{PATH}/{stream.uuid}").json()["events"]
        pushed = stream.of("decision")
    assert sum(event["count"] for event in events) == len(pushed)
    assert [event["outcome"] for event in events] == _without_repetition([item["decision"] for item in pushed])
    last = events[-1]
    assert (last["outcome"], last["score"], last["net_speech_s"]) == (
        "verified",
        pushed[-1]["score"],
        pushed[-1]["net_speech_s"],
    )


def test_recordings_are_reported_too(service: Service) -> None:
    service.enrol("reported", wav(samples(ANNA, ENROLMENT, 30))).raise_for_status()
    service.verify("reported", wav(samples(ANNA, TEST, 5))).raise_for_status()
    assert service.enrol("reported", wav(samples(ANNA, ENROLMENT, 5))).status_code == 422
    with service.client("viewer") as viewer:
        reports = viewer.get(PATH, params={"speaker": "reported"}).json()["reports"]
    assert [(item["source"], item["end_reason"], *map(_told, item["events"])) for item in reports] == [
        ("recording", "refused", ("enrolment", "reported", 1, "refused", "not_enough_speech")),
        ("recording", "answered", ("verification", "reported", 1, "verified", "ok")),
        ("recording", "answered", ("enrolment", "reported", 1, "enrolled", "ok")),
    ]


def test_a_deleted_speaker_is_found_no_more(service: Service) -> None:
    service.enrol("forgotten", wav(samples(BRUNO, ENROLMENT, 30))).raise_for_status()
    with service.stream() as stream:
        stream.post("verify", "forgotten").raise_for_status()
        stream.end()
        listed = {"speaker": "forgotten"}
        assert stream.client.get(PATH, params=listed).json()["reports"][0]["uuid"] == stream.uuid
        stream.client.delete("/api/v2/speakers/forgotten").raise_for_status()
        assert stream.client.get(PATH, params=listed).json() == {"reports": [], "next": None}
        report = stream.client.get(f"{PATH}/{stream.uuid}")
        assert report.json()["events"][0]["speaker"] is None
        assert "forgotten" not in report.text
        service.enrol("forgotten", wav(samples(BRUNO, ENROLMENT, 30))).raise_for_status()
        assert stream.client.get(f"{PATH}/{stream.uuid}").json()["events"][0]["speaker"] is None


def test_pages_follow_each_other_newest_first(service: Service) -> None:
    begin = datetime(2001, 1, 1, tzinfo=UTC)
    # Some of one moment, so that the order needs more than that.
    uuids = [_insert(service, begin + timedelta(seconds=number // 2)) for number in range(5)]
    within = {"from": "2001-01-01T00:00:00Z", "to": "2001-01-02T01:00:00+01:00", "limit": "2"}
    with service.client("viewer") as viewer:
        seen: list[str] = []
        after: dict[str, str] = {}
        while True:
            page = viewer.get(PATH, params={**within, **after}).raise_for_status().json()
            seen += [item["uuid"] for item in page["reports"]]
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert sorted(seen) == sorted(uuids)
        assert seen[0] == uuids[4]
        only = {"from": "2001-01-01T00:00:01Z", "to": "2001-01-01T00:00:02Z"}
        assert {item["uuid"] for item in viewer.get(PATH, params=only).json()["reports"]} == set(uuids[2:4])


def test_is_a_table_for_who_asks_for_csv(service: Service) -> None:
    begin = datetime(2002, 1, 1, tzinfo=UTC)
    uuids = [_insert(service, begin + timedelta(seconds=number), events=number) for number in range(3)]
    within = {"from": "2002-01-01T00:00:00Z", "to": "2002-01-02T00:00:00Z", "limit": "2"}
    with service.client("viewer", Accept="text/csv") as viewer:
        first = viewer.get(PATH, params=within)
        second = viewer.get(first.links["next"]["url"])
        single = viewer.get(f"{PATH}/{uuids[1]}")
    assert first.headers["content-type"] == "text/csv; charset=utf-8"
    assert [row["uuid"] for row in csv.DictReader(io.StringIO(first.text))] == [uuids[2], uuids[2], uuids[1]]
    assert [(row["uuid"], row["kind"]) for row in csv.DictReader(io.StringIO(second.text))] == [(uuids[0], "")]
    assert "next" not in second.links
    (row,) = csv.DictReader(io.StringIO(single.text))
    assert (row["outcome"], row["event_net_speech_s"], row["codec"]) == ("verified", "3.0", "alaw")


def test_a_crash_leaves_the_report_of_the_stream(administered: Service) -> None:
    with administered.stream() as stream:
        stream.send(samples(ANNA, TEST, 2))
        administered.stop(signal.SIGKILL)
    administered.start()
    with administered.client() as client:
        report = client.get(f"{PATH}/{stream.uuid}").json()
    assert (report["end_reason"], report["events"]) == ("service_stopped", [])


def test_reports_are_removed_after_the_retention(service: Service) -> None:
    now = datetime.now(UTC)
    old, young = (_insert(service, now - timedelta(days=days), events=1) for days in (91, 89))
    running = _insert(service, now - timedelta(days=91), ended=False)
    database = Database(service.environment["VV_DATABASE_URL"])
    ReportService(database, days=90).tick()
    with database.session() as session:
        assert session.get(StreamRow, old) is None
        assert session.query(StreamEventRow).where(StreamEventRow.stream == old).count() == 0
        assert session.get(StreamRow, young) is not None
        session.delete(session.get_one(StreamRow, running))
    database.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"speaker": "no one"},
        {"from": "2001-01-01"},
        {"from": "2001-01-01T00:00:00"},
        {"from": "0001-01-01T00:00:00+14:00"},
        {"from": "2002-01-01T00:00:00Z", "to": "2001-01-01T00:00:00Z"},
        {"after": "nowhere"},
        {"after": "20011399T000000.000000_16afe953-5f78-41c8-b7c2-e89c0e152e03"},
        {"limit": "0"},
    ],
    ids=str,
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_names_what_is_wrong_with_a_question(service: Service, wrong: dict[str, str]) -> None:
    with service.client("viewer") as viewer:
        assert problem(viewer.get(PATH, params=wrong), 422, "invalid_request")["errors"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_billing_reads_no_reports(service: Service) -> None:
    with service.client("billing") as billing:
        problem(billing.get(PATH), 403, "forbidden")


def test_an_upload_that_the_service_did_not_finish_is_closed(administered: Service) -> None:
    uuid = _insert(administered, datetime.now(UTC), ended=False)
    with administered.client() as client:
        administered.stop(signal.SIGKILL)
        administered.start()
        until(lambda: client.get(f"{PATH}/{uuid}").status_code == 200)


def _told(event: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(event[name] for name in ("kind", "speaker", "count", "outcome", "reason"))


def _without_repetition(items: list[str]) -> list[str]:
    return [item for number, item in enumerate(items) if number == 0 or item != items[number - 1]]


def _insert(service: Service, started: datetime, *, events: int = 0, ended: bool = True) -> str:
    """A stream of a process that is gone, in the database directly; returns its uuid."""
    uuid = str(uuid4())
    database = Database(service.environment["VV_DATABASE_URL"])
    with database.session() as session:
        row = StreamRow(uuid=uuid, owner="00000000-1-0", source="websocket", codec="alaw", started=started)
        row.net_speech_s, row.audio_s = 3.0, 4.0
        if ended:
            row.ended, row.end_reason = started + timedelta(seconds=4), "client_closed"
        session.add(row)
        session.flush()
        for _ in range(events):
            event = StreamEventRow(stream=uuid, kind="verification", pseudonym="", first=started, last=started, count=1)
            event.outcome, event.reason, event.net_speech_s = "verified", "ok", 3.0
            session.add(event)
    database.close()
    return uuid

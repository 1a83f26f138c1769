"""Live streams over the WebSocket."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from .running import Service, Stream, problem, until
from .speech import ANNA, BRUNO, ENROLMENT, TEST, samples


def test_enrols_then_verifies_live(service: Service) -> None:
    with service.stream() as stream:
        begun = stream.post("enroll", "live")
        assert begun.status_code == 202, begun.text
        assert (begun.json()["state"], begun.json()["required_s"]) == ("collecting", 20)
        stream.send(samples(ANNA, ENROLMENT, 35))
        enrolled = stream.wait("enrolled")
        assert (enrolled["speaker"], enrolled["stream"]) == ("live", stream.uuid)
        assert stream.client.get(f"{stream.path}/enroll").json()["state"] == "enrolled"
        assert stream.end()["reason"] == "deleted"
    assert service.decide_live("live", samples(ANNA, TEST, 8)) == "verified"
    assert service.decide_live("live", samples(BRUNO, TEST, 8)) == "not_verified"


def test_the_decision_moves_with_the_speech(service: Service) -> None:
    with service.stream() as stream:
        first = stream.post("verify", ANNA)
        assert first.status_code == 200, first.text
        assert (first.json()["decision"], first.json()["reason"]) == ("not_sure", "not_enough_speech")
        # Slowly enough that the engine hears it second by second.
        stream.send(samples(ANNA, TEST, 8), speed=4)
        stream.end()
        decisions = stream.of("decision")
    assert decisions[0]["net_speech_s"] == 0
    assert [item["net_speech_s"] for item in decisions] == sorted(item["net_speech_s"] for item in decisions)
    assert decisions[-1]["decision"] == "verified"
    assert len(decisions) >= 4


def test_two_calls_at_once_do_not_mix(service: Service) -> None:
    with service.stream() as first, service.stream() as second, ThreadPoolExecutor() as pool:
        for stream in (first, second):
            stream.post("verify", ANNA)
        listed = {item["uuid"] for item in first.client.get("/api/v2/streams").json()["streams"]}
        assert {first.uuid, second.uuid} <= listed
        list(pool.map(Stream.send, (first, second), (samples(ANNA, TEST, 8), samples(BRUNO, TEST, 8))))
        for stream in (first, second):
            stream.end()
        assert first.of("decision")[-1]["decision"] == "verified"
        assert second.of("decision")[-1]["decision"] == "not_verified"


def test_enrols_from_speech_that_came_before(service: Service) -> None:
    with service.stream() as stream:
        stream.send(samples(ANNA, ENROLMENT, 30))
        _until_heard(stream, 20)
        assert stream.post("enroll", "before").json()["state"] == "enrolled"
        assert stream.wait("enrolled")["speaker"] == "before"


def test_a_speaker_deleted_during_the_call_is_no_longer_decided_about(service: Service) -> None:
    with service.stream() as stream:
        stream.send(samples(ANNA, ENROLMENT, 30))
        _until_heard(stream, 20)
        stream.post("enroll", "leaving")
        stream.post("verify", "leaving")
        stream.client.delete("/api/v2/speakers/leaving").raise_for_status()
        stream.send(samples(ANNA, TEST, 3))
        until(lambda: stream.of("decision")[-1]["reason"] == "speaker_not_enrolled")
        answer = stream.post("verify", "leaving").json()
        assert (answer["decision"], answer["score"], answer["reason"]) == ("not_sure", None, "speaker_not_enrolled")


def test_a_verification_on_an_ended_stream_says_that_it_is_closed(service: Service) -> None:
    with service.stream() as stream:
        stream.send(samples(ANNA, TEST, 4))
        ended = stream.end()
        answer = stream.post("verify", ANNA)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["decision"], answer.json()["reason"]) == ("not_sure", "stream_closed")
        assert answer.json()["net_speech_s"] == ended["net_speech_s"] > 0
        problem(
            stream.client.post(f"/api/v2/streams/{uuid4()}/verify", json={"speaker": ANNA}), 404, "stream_not_found"
        )


def _until_heard(stream: Stream, seconds: float) -> None:
    until(lambda: stream.client.get(stream.path).json()["net_speech_s"] >= seconds)

"""Calls by every media protocol, as its documents write them, with real speech: the customer is verified."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from ..conftest import StartService
from ..running import Service, until
from ..speech import ANNA, BRUNO, TEST, samples
from . import exchange, peer

# None of this depends on the kind of database.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

SECONDS = 8
VOICES = (samples(ANNA, TEST, SECONDS), samples(BRUNO, TEST, SECONDS))
WITH_CALLS = [name for name in exchange.names() if name != "audiohook-probe"]
WITH_TWO_SIDES = ["twilio-both-tracks", "audiohook", "jambonz", "freeswitch-audio-fork"]


@pytest.mark.parametrize("name", WITH_CALLS)
def test_the_customer_is_verified_and_nobody_else(service: Service, name: str) -> None:
    document = exchange.load(name)
    streams: dict[str, dict[str, Any]] = {}

    with service.client() as client:

        def look() -> None:
            streams.update(_heard(client, _sides(name)))
            assert {stream["call_id"] for stream in streams.values()} == {document["call_id"]}
            assert {stream["protocol"] for stream in streams.values()} == {document["path"].split("/")[2].split("?")[0]}
            assert _decision(client, streams["customer"], ANNA) == "verified"
            assert _decision(client, streams["customer"], BRUNO) != "verified"
            if "agent" in streams:
                assert _decision(client, streams["agent"], BRUNO) == "verified"
                assert _decision(client, streams["agent"], ANNA) != "verified"

        with peer.dial(service, document) as connection:
            peer.play(connection, document["steps"], VOICES, look)
        until(lambda: client.get("/api/v2/streams").json()["streams"] == [])
        for stream in streams.values():
            path = f"/api/v2/reports/{stream['uuid']}"
            until(lambda path=path: client.get(path).status_code == 200)
            report = client.get(path).json()
            assert (report["source"], report["end_reason"]) == ("websocket", "client_closed")


@pytest.mark.parametrize("name", WITH_TWO_SIDES)
def test_who_connects_says_which_channel_is_the_customer(service: Service, name: str) -> None:
    document = exchange.load(name)
    other = {"twilio": "outbound", "audiohook": "internal"}.get(name.partition("-")[0], "1")
    with service.client() as client:

        def look() -> None:
            (customer,) = _heard(client, {"customer"}).values()
            assert _decision(client, customer, BRUNO) == "verified"

        # The media that is agreed on is another one then.
        steps = [step for step in document["steps"] if "receive" not in step or "opened" not in str(step)]
        voices = VOICES if name != "audiohook" else VOICES[1:]
        if name == "audiohook":
            steps = [_one_channel(step) for step in steps]
        with peer.dial(service, document, query=f"customer={other}&listen=customer") as connection:
            if name == "audiohook":
                connection.send(exchange.text(steps.pop(0)["send"]))
                assert '"channels": ["internal"]' in connection.recv(timeout=20)
            peer.play(connection, steps, voices, look)
        until(lambda: client.get("/api/v2/streams").json()["streams"] == [])


def test_a_service_that_stops_is_no_error_of_its_calls(start_service: StartService, database: object) -> None:
    running = start_service()
    document = exchange.load("vonage")
    with peer.dial(running, document) as connection:
        peer.play(connection, document["steps"][:1], VOICES, lambda: None)
        with running.client() as client:
            until(lambda: len(client.get("/api/v2/streams").json()["streams"]) == 1)
            (stream,) = client.get("/api/v2/streams").json()["streams"]
        running.stop()
        assert peer.closed(connection)[0] == 1012
    running.start()
    with running.client() as client:
        report = client.get(f"/api/v2/reports/{stream['uuid']}").json()
        assert report["end_reason"] == "shutdown"


def test_genesys_may_see_whether_the_server_is_well(service: Service) -> None:
    document = exchange.load("audiohook-probe")
    with service.client() as client, peer.dial(service, document) as connection:
        peer.play(connection, document["steps"][:2], VOICES, lambda: None)
        assert client.get("/api/v2/streams").json()["streams"] == []
        peer.play(connection, document["steps"][2:], VOICES, lambda: None)


def test_a_stream_that_was_opened_before_gets_its_audio(service: Service) -> None:
    """By the ticket that came with it, once."""
    document = exchange.load("vonage")
    with service.client() as client:
        created = client.post("/api/v2/streams").json()
        ticket = created["url"].partition("ticket=")[2]
        query = f"uuid={created['uuid']}&ticket={ticket}"
        with peer.dial(service, document, query=query, Origin="http://vonage.example") as connection:
            peer.play(connection, document["steps"][:2], VOICES, lambda: None)
            (stream,) = _heard(client, {"customer"}).values()
            assert (stream["uuid"], stream["protocol"]) == (created["uuid"], "vonage")
            again = peer.refused(
                service, {**document, "path": f"{document['path']}?{query}"}, Origin="http://a.example"
            )
            assert again.status_code == 401
            # By its uuid with a key: somebody is connected.
            with peer.dial(service, document, query=f"uuid={created['uuid']}") as second:
                second.send(exchange.text(document["steps"][0]["send"]))
                assert peer.closed(second) == (1008, "stream_in_use")
            connection.close()
        until(lambda: client.get("/api/v2/streams").json()["streams"] == [])


def test_freeswitch_is_told_what_was_heard(service: Service) -> None:
    document = exchange.load("freeswitch-audio-stream")
    with service.client() as client, peer.dial(service, document) as connection:
        peer.speak(connection, list(exchange.frames(document["steps"][0]["audio"], VOICES)), 0.1)
        started = exchange.json.loads(connection.recv(timeout=20))
        assert started["event"] == "started"
        (stream,) = started["streams"]
        client.delete(f"/api/v2/streams/{stream['uuid']}").raise_for_status()
        events = []
        while not events or events[-1]["event"] != "end":
            events.append(exchange.json.loads(connection.recv(timeout=20)))
        assert events[-1]["reason"] == "deleted"
        assert {event["stream"] for event in events} == {stream["uuid"]}
        assert peer.closed(connection) == (1000, "deleted")


def _sides(name: str) -> set[str | None]:
    return {"customer", "agent"} if name in WITH_TWO_SIDES else {"customer"}


def _heard(client: httpx.Client, sides: set[Any]) -> dict[Any, dict[str, Any]]:
    """The streams that run, by whose they are, once all was heard."""
    deadline = time.monotonic() + 20
    while True:
        streams = {stream["participant"]: stream for stream in client.get("/api/v2/streams").json()["streams"]}
        if streams.keys() == sides and all(stream["audio_s"] >= SECONDS - 0.25 for stream in streams.values()):
            return streams
        assert time.monotonic() < deadline, streams
        time.sleep(0.1)


def _decision(client: httpx.Client, stream: dict[str, Any], speaker: str) -> str:
    answer = client.post(f"/api/v2/streams/{stream['uuid']}/verify", json={"speaker": speaker})
    return str(answer.raise_for_status().json()["decision"])


def _one_channel(step: dict[str, Any]) -> dict[str, Any]:
    return {"audio": {**step["audio"], "interleaved": False}} if "audio" in step else step

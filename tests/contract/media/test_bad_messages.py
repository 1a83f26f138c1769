"""What is no message of a protocol, or comes out of turn, ends the connection as the protocol has it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from ..conftest import StartService
from ..running import Service, until
from ..speech import ANNA, TEST, samples
from . import exchange, peer

# None of this depends on the kind of database.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

TWILIO, HOOK = exchange.load("twilio-one-track")["steps"], exchange.load("audiohook")["steps"]
CONNECTED, START = TWILIO[0]["send"], TWILIO[1]["send"]
MEDIA = json.loads(json.dumps(TWILIO[2]["audio"]["as"][0]).replace("$audio", "fn5+"))
OPEN, PING = HOOK[0]["send"], HOOK[2]["send"]
FIRST = {
    "vonage": exchange.load("vonage")["steps"][0]["send"],
    "asterisk": exchange.load("asterisk")["steps"][0]["send"],
    "jambonz": exchange.load("jambonz")["steps"][0]["send"],
}


@pytest.fixture
def unharmed(service: Service) -> Iterator[Service]:
    yield service
    with service.client() as client:
        until(lambda: client.get("/api/v2/streams").json()["streams"] == [])
        assert client.get("/health/ready").json()["status"] == "ready"
    assert '"incident"' not in service.log
    assert "Traceback" not in service.log


def changed(message: dict[str, Any], **members: Any) -> dict[str, Any]:
    """`message` with members, of inner objects by `outer__inner`, set anew or, by None, taken out."""
    copied = copy.deepcopy(message)
    for path, value in members.items():
        *outer, name = path.split("__")
        target = copied
        for step in outer:
            target = target[step]
        if value is None:
            del target[name]
        else:
            target[name] = value
    return copied


@pytest.mark.parametrize(
    ("name", "sent", "code", "reason"),
    [
        ("twilio-one-track", [b"\x7f" * 160], 1003, "unexpected_binary"),
        ("twilio-one-track", ["no json"], 1007, "bad_message"),
        ("twilio-one-track", ["[" * 60_000], 1007, "bad_message"),
        ("twilio-one-track", ["x" * 70_000], 1009, "frame_too_large"),
        ("twilio-one-track", [START], 1007, "bad_message"),
        ("twilio-one-track", [CONNECTED, MEDIA], 1007, "bad_message"),
        ("twilio-one-track", [CONNECTED, START, START], 1007, "bad_message"),
        ("twilio-one-track", [CONNECTED, START, changed(MEDIA, media__payload="%%")], 1007, "bad_message"),
        ("twilio-one-track", [CONNECTED, START, changed(MEDIA, media__track="outbound")], 1007, "bad_message"),
        ("twilio-one-track", [CONNECTED, START, changed(MEDIA, streamSid="MZ")], 1007, "bad_message"),
        ("twilio-one-track", [CONNECTED, changed(START, start__tracks=[])], 1007, "bad_message"),
        ("twilio-one-track", [CONNECTED, changed(START, start__tracks=None)], 1007, "bad_message"),
        (
            "twilio-one-track",
            [CONNECTED, changed(START, start__mediaFormat__sampleRate=44100)],
            1007,
            "unsupported_codec",
        ),
        ("twilio-one-track", [CONNECTED, changed(START, start__customParameters__uuid="me")], 1007, "invalid_request"),
        (
            "twilio-one-track",
            [CONNECTED, changed(START, start__customParameters__customer="x")],
            1007,
            "unsupported_channel",
        ),
        ("vonage", [b"\0" * 640], 1003, "unexpected_binary"),
        ("vonage", [{"event": "websocket:connected"}], 1007, "bad_message"),
        ("vonage", [changed(FIRST["vonage"], **{"content-type": "audio/opus"})], 1007, "unsupported_codec"),
        ("vonage", [FIRST["vonage"], b"\0" * 641], 1007, "bad_frame"),
        ("vonage", [FIRST["vonage"], b"\0" * 70_000], 1009, "frame_too_large"),
        ("asterisk", ["HELLO"], 1007, "bad_message"),
        ("asterisk", [""], 1007, "bad_message"),
        ("asterisk", [b"\0"], 1003, "unexpected_binary"),
        ("asterisk", [FIRST["asterisk"].replace("ulaw", "opus")], 1007, "unsupported_codec"),
        ("jambonz", [changed(FIRST["jambonz"], sampleRate="8000")], 1007, "bad_message"),
        ("jambonz", [changed(FIRST["jambonz"], sampleRate=True)], 1007, "bad_message"),
        ("jambonz", [changed(FIRST["jambonz"], sampleRate=11025)], 1007, "unsupported_rate"),
        ("jambonz", [changed(FIRST["jambonz"], mixType="quad")], 1007, "unsupported_channel"),
        ("jambonz", [FIRST["jambonz"], b"\0" * 2], 1007, "bad_frame"),
        ("freeswitch-audio-fork", [b"\0" * 3], 1007, "bad_frame"),
    ],
)
def test_ends_with_a_code_and_a_reason(unharmed: Service, name: str, sent: list[Any], code: int, reason: str) -> None:
    with peer.dial(unharmed, exchange.load(name)) as connection:
        _send(connection, sent)
        assert peer.closed(connection) == (code, reason)


@pytest.mark.parametrize(
    ("sent", "reason", "info"),
    [
        (["no json"], "error", "bad_message"),
        ([PING], "error", "bad_message"),
        ([changed(OPEN, seq=2)], "error", "bad_message"),
        ([changed(OPEN, version="1")], "error", "bad_message"),
        ([changed(OPEN, serverseq=1)], "error", "bad_message"),
        ([changed(OPEN, position="8 s")], "error", "bad_message"),
        ([changed(OPEN, id=OPEN["parameters"]["organizationId"])], "error", "bad_message"),
        ([changed(OPEN, parameters__organizationId=OPEN["id"])], "unauthorized", "forbidden"),
        ([changed(OPEN, parameters__media=[])], "error", "unsupported_codec"),
        ([changed(OPEN, parameters__conversationId="me")], "error", "bad_message"),
        ([OPEN, PING, changed(PING, type="sing", seq=3)], "error", "bad_message"),
        ([OPEN, changed(PING, type="paused"), b"\x7f" * 320], "error", "unexpected_binary"),
        ([OPEN, b"\x7f" * 321], "error", "bad_frame"),
    ],
)
def test_genesys_is_told_by_disconnect(unharmed: Service, sent: list[Any], reason: str, info: str) -> None:
    with peer.dial(unharmed, exchange.load("audiohook")) as connection:
        _send(connection, sent)
        while (message := json.loads(connection.recv(timeout=20)))["type"] != "disconnect":
            pass
        assert message["parameters"] == {"reason": reason, "info": info}
        connection.close()


def test_genesys_closes_a_session_that_the_service_ends(unharmed: Service) -> None:
    with peer.dial(unharmed, exchange.load("audiohook")) as connection, unharmed.client() as client:
        _send(connection, [OPEN])
        assert json.loads(connection.recv(timeout=20))["type"] == "opened"
        for stream in client.get("/api/v2/streams").json()["streams"]:
            client.delete(f"/api/v2/streams/{stream['uuid']}").raise_for_status()
        told = json.loads(connection.recv(timeout=20))
        assert (told["type"], told["parameters"]) == ("disconnect", {"reason": "completed", "info": "deleted"})
        # Under way when the client heard of it.
        _send(connection, [b"\x7f" * 320, changed(HOOK[-3]["send"], seq=2, serverseq=2)])
        closed = json.loads(connection.recv(timeout=20))
        assert (closed["type"], closed["seq"], closed["clientseq"]) == ("closed", 3, 2)
        assert peer.closed(connection)[0] == 1000


def test_refuses_a_query_that_asks_for_what_there_is_not(unharmed: Service) -> None:
    for path, code in (
        ("/stream/freeswitch?rate=fast", "unsupported_rate"),
        ("/stream/freeswitch?mix=quad", "unsupported_channel"),
        ("/stream/jambonz", "bad_message"),
    ):
        key = {"Authorization": f"Bearer {unharmed.keys['integrator']}"}
        refused = peer.refused(unharmed, {"path": path}, **key)
        assert (refused.status_code, refused.json()["code"]) == (422, code)


def test_calls_beyond_the_limit_are_refused_and_those_that_run_go_on(
    start_service: StartService, database: Any
) -> None:
    small = start_service(max_streams=2, stream_idle_s=60)
    document = exchange.load("twilio-both-tracks")
    with small.client() as client, peer.dial(small, document) as first:
        _send(first, [step["send"] for step in document["steps"][:2]])
        until(lambda: len(client.get("/api/v2/streams").json()["streams"]) == 2)
        with peer.dial(small, document) as second:
            _send(second, [step["send"] for step in document["steps"][:2]])
            assert peer.closed(second) == (1013, "too_many_streams")
        assert len(client.get("/api/v2/streams").json()["streams"]) == 2
        voices = (samples(ANNA, TEST, 2), samples(ANNA, TEST, 2))
        peer.speak(first, list(exchange.frames(document["steps"][2]["audio"], voices)), 0.02)
        until(lambda: all(s["audio_s"] > 1.5 for s in client.get("/api/v2/streams").json()["streams"]))
        # Nothing is left of one half of a call.
        small.command("keys", "list")
        client.delete(f"/api/v2/streams/{client.get('/api/v2/streams').json()['streams'][0]['uuid']}")
        with peer.dial(small, document) as third:
            _send(third, [step["send"] for step in document["steps"][:2]])
            assert peer.closed(third) == (1013, "too_many_streams")
        assert len(client.get("/api/v2/streams").json()["streams"]) == 1


def _send(connection: ClientConnection, messages: list[Any]) -> None:
    for message in messages:
        connection.send(message if isinstance(message, bytes) else exchange.text(message))

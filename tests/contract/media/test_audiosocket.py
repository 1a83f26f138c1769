"""AudioSocket over real TCP: who may connect, how a call goes, and what is not waited for."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from .. import speech
from ..conftest import StartService
from ..running import Service, until
from ..speech import ANNA, BRUNO, ENROLMENT, TEST, samples

# None of this depends on the kind of database.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

HANGUP = b"\x00\x00\x00"
REFUSED = b"\xff\x00\x01\x01" + HANGUP


@pytest.fixture(scope="module")
def listening(
    database: Callable[[str], str], model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service that takes AudioSocket from this machine, with a speaker enrolled."""
    running = Service(
        tmp_path_factory.mktemp("audiosocket"),
        model_dir,
        database("audiosocket"),
        audiosocket_peers="127.0.0.0/30",
        audiosocket_port=0,
        max_streams=3,
    )
    running.prepare("integrator")
    running.start()
    running.enrol(ANNA, speech.wav(samples(ANNA, ENROLMENT, 30))).raise_for_status()
    yield running
    running.stop()


def port(service: Service) -> int:
    line = next(line for line in service.log.splitlines() if "AudioSocket listens" in line)
    return int(line.partition('"port": ')[2].split("}")[0].split(",")[0])


def dial(service: Service, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port(service)), timeout=30, source_address=(source, 0))


def identity(call: UUID) -> bytes:
    return b"\x01\x00\x10" + call.bytes


def audio(payload: bytes, kind: int = 0x10) -> bytes:
    return struct.pack(">BH", kind, len(payload)) + payload


def everything(connection: socket.socket) -> bytes:
    """What the service says before it closes."""
    received = b""
    try:
        while piece := connection.recv(4096):
            received += piece
    except ConnectionResetError:
        pass
    return received


def streams(service: Service) -> list[dict[str, Any]]:
    with service.client() as client:
        return list(client.get("/api/v2/streams").json()["streams"])


def test_the_caller_is_verified_and_the_uuid_is_that_of_the_call(listening: Service) -> None:
    call, spoken = uuid4(), samples(ANNA, TEST, 8).tobytes()
    with dial(listening) as connection, listening.client() as client:
        connection.sendall(identity(call))
        for start in range(0, len(spoken), 320):
            connection.sendall(audio(spoken[start : start + 320]))
            time.sleep(0.002)
        until(lambda: bool(streams(listening)) and streams(listening)[0]["audio_s"] >= 7.9)
        (stream,) = streams(listening)
        assert (stream["uuid"], stream["protocol"], stream["call_id"]) == (str(call), "audiosocket", str(call))
        path = f"/api/v2/streams/{call}/verify"
        assert client.post(path, json={"speaker": ANNA}).json()["decision"] == "verified"
        connection.sendall(HANGUP)
        assert everything(connection) == b""
        until(lambda: client.get(f"/api/v2/reports/{call}").status_code == 200)
        assert client.get(f"/api/v2/reports/{call}").json()["end_reason"] == "client_closed"
        # A call has its uuid once.
        with dial(listening) as again:
            again.sendall(identity(call) + audio(bytes(320)))
            assert everything(again) == REFUSED


def test_another_voice_at_another_rate_is_not_verified(listening: Service) -> None:
    call = uuid4()
    spoken = samples(BRUNO, TEST, 8).repeat(2).tobytes()
    with dial(listening) as connection, listening.client() as client:
        connection.sendall(identity(call))
        for start in range(0, len(spoken), 640):
            connection.sendall(audio(spoken[start : start + 640], kind=0x12))
            time.sleep(0.002)
        until(lambda: bool(streams(listening)) and streams(listening)[0]["audio_s"] >= 7.7)
        assert (streams(listening)[0]["rate"], streams(listening)[0]["codec"]) == (16000, "pcm_s16le")
        answer = client.post(f"/api/v2/streams/{call}/verify", json={"speaker": ANNA}).json()
        assert answer["decision"] != "verified"
        # The service ends it.
        client.delete(f"/api/v2/streams/{call}").raise_for_status()
        assert everything(connection) == HANGUP


def test_who_is_no_peer_is_not_heard(listening: Service) -> None:
    with dial(listening, source="127.0.0.7") as connection:
        assert everything(connection) == b""
    assert 'vv_media_connections_total{outcome="forbidden",protocol="audiosocket"}' in _metrics(listening)


@pytest.mark.parametrize(
    "sent",
    [b"GET / HTTP/1.1\r\n\r\n", audio(bytes(320)), identity(UUID(int=1)) + audio(bytes(3)), b"\x01\xff\xff"],
    ids=["another protocol", "no uuid", "half a sample", "a long uuid"],
)
def test_what_is_no_call_is_refused(listening: Service, sent: bytes) -> None:
    with dial(listening) as connection:
        connection.sendall(sent)
        assert everything(connection) == REFUSED
    until(lambda: streams(listening) == [])


def test_a_lost_connection_ends_its_stream(listening: Service) -> None:
    call = uuid4()
    with dial(listening) as connection:
        connection.sendall(identity(call) + audio(bytes(320)))
        until(lambda: len(streams(listening)) == 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until(lambda: streams(listening) == [])


def test_who_begins_no_call_keeps_nobody_out(listening: Service) -> None:
    """As many as there is room for hold connections open: more are closed, and they themselves after a while."""
    held = [dial(listening) for _ in range(3 + 16)]
    held[0].sendall(b"\x01\x00")
    try:
        until(lambda: _refused(listening))
        for connection in held:
            assert everything(connection) in (REFUSED, b"")
    finally:
        for connection in held:
            connection.close()
    with dial(listening) as connection:
        connection.sendall(identity(uuid4()) + audio(bytes(320)))
        until(lambda: len(streams(listening)) == 1)


def test_a_flood_ends_its_own_call_only(listening: Service) -> None:
    steady = uuid4()
    with dial(listening) as calm, dial(listening) as flood:
        calm.sendall(identity(steady) + audio(bytes(320)))
        flood.settimeout(30)
        block = audio(bytes(65_534)) * 16
        try:
            flood.sendall(identity(uuid4()))
            for _ in range(400):
                flood.sendall(block)
        except OSError:
            # Closed by the service, which does not hear as fast as that.
            pass
        flood.close()
        calm.sendall(audio(bytes(320)))
        until(lambda: [stream["uuid"] for stream in streams(listening)] == [str(steady)])
        assert listening.memory_mb < 1500


def test_nothing_listens_without_peers(start_service: StartService, database: object) -> None:
    assert "AudioSocket" not in start_service().log


def _refused(service: Service) -> bool:
    """One more connection is closed at once."""
    with dial(service) as connection:
        connection.settimeout(1)
        try:
            return connection.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


def _metrics(service: Service) -> str:
    with service.client("") as client:
        return client.get("/metrics").text

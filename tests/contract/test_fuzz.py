"""Nothing that a client sends makes the service fail: mutated recordings, torn forms, frames of any kind.

CI repeats the same few hundred examples. VV_FUZZ_EXAMPLES=5000 looks at so many new ones of each kind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from .running import Service, until
from .speech import ANNA, TEST, samples, wav

# None of this depends on the kind of database.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

EXAMPLES = int(os.environ.get("VV_FUZZ_EXAMPLES", "0"))
GROWTH_MB = 100
"""What many bad requests may leave behind in memory, buffers of the allocator included."""

# A client that breaks the protocol may get no orderly close.
CLOSE_S = 1

SPEECH = samples(ANNA, TEST, 1)
RECORDINGS = [
    wav(SPEECH),
    wav(SPEECH, subtype="ALAW"),
    wav(np.stack([SPEECH] * 2, axis=1), rate=16000),
    wav(SPEECH, kind="FLAC"),
    wav(np.repeat(SPEECH, 6), rate=48000, kind="OGG", subtype="OPUS"),
]
# Where formats keep their lengths, counts and rates.
HEADER_BYTES = 80


def fuzzing(examples: int) -> settings:
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        # The service is the same one for all examples, as it is for all clients.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A recording with some bytes changed, cut off, added or repeated."""
    content = bytearray(draw(st.sampled_from(RECORDINGS)))
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, HEADER_BYTES) | st.integers(0, max(0, len(content) - 1)))
        other = draw(st.binary(max_size=8) | st.sampled_from([b"\x00" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f"]))
        match draw(st.sampled_from(["overwrite", "insert", "cut", "repeat"])):
            case "overwrite":
                content[position : position + len(other)] = other
            case "insert":
                content[position:position] = other
            case "cut":
                del content[position:]
            case "repeat":
                content += content[:position]
    return bytes(content)


@dataclass(frozen=True)
class Sending:
    """What a client does on its WebSocket: binary and text frames, bytes that are no frame; then it leaves somehow."""

    parameters: str
    messages: list[bytes | str | tuple[bytes]]
    leaving: str


def words() -> st.SearchStrategy[str]:
    return st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc", "Zs"]), max_size=12)


def sendings() -> st.SearchStrategy[Sending]:
    codec = st.sampled_from(["alaw", "mulaw", "pcm_s16le"]) | words()
    rate = st.sampled_from(["8000", "16000", "-1", "8000.0", "٨٠٠٠"]) | words()
    channel = st.sampled_from(["", "left", "right", "0", "1"]) | words()
    parameters = st.fixed_dictionaries({}, optional={"codec": codec, "rate": rate, "channel": channel, "": words()})
    frame = (
        st.binary(max_size=2000)
        | st.integers(0, 70_000).map(bytes)
        | st.just(bytes(300_000))
        | st.sampled_from([SPEECH.tobytes()[:1600], SPEECH.tobytes()[:1601]])
    )
    message = frame | st.text(max_size=50) | st.tuples(st.binary(min_size=1, max_size=40))
    return st.builds(
        Sending,
        parameters.map(urlencode),
        st.lists(message, max_size=8),
        st.sampled_from(["close", "vanish", "delete"]),
    )


@pytest.fixture
def unharmed(service: Service) -> Iterator[Service]:
    """A service that must be as well afterwards as it was before."""
    process, engine, before = service.pid, service.engine_pid, service.memory_mb
    yield service
    with service.client() as client:
        until(lambda: client.get("/api/v2/streams").json()["streams"] == [])
        assert client.get("/health/ready").json()["status"] == "ready"
    assert service.verify(ANNA, wav(samples(ANNA, TEST, 8))).json()["decision"] == "verified"
    assert (service.pid, service.engine_pid) == (process, engine)
    assert service.memory_mb - before < GROWTH_MB
    assert '"incident"' not in service.log


def test_a_broken_recording_is_refused_or_heard(unharmed: Service) -> None:
    with unharmed.client() as client:

        @fuzzing(400)
        @given(path=st.sampled_from(["verify", "enroll"]), recordings=st.lists(mutated(), min_size=1, max_size=2))
        def upload(path: str, recordings: list[bytes]) -> None:
            files = [("recording", ("a.wav", recording)) for recording in recordings]
            _answered(client.post(f"/api/v2/{path}", data={"speaker": ANNA}, files=files))

        upload()


def test_a_broken_form_is_refused(unharmed: Service) -> None:
    form = (
        b'--edge\r\nContent-Disposition: form-data; name="speaker"\r\n\r\nanna\r\n'
        b'--edge\r\nContent-Disposition: form-data; name="recording"; filename="a.wav"\r\n\r\n'
        + RECORDINGS[0][:2000]
        + b"\r\n--edge--\r\n"
    )
    with unharmed.client() as client:

        @fuzzing(300)
        @given(
            position=st.integers(0, 250),
            removed=st.integers(0, 20),
            other=st.binary(max_size=12),
            kind=st.sampled_from(["multipart/form-data; boundary=edge", "multipart/form-data", "application/json"])
            | words(),
        )
        def send(position: int, removed: int, other: bytes, kind: str) -> None:
            content = form[:position] + other + form[position + removed :]
            _answered(client.post("/api/v2/verify", content=content, headers={"Content-Type": kind}))

        send()


def test_no_frame_harms_more_than_its_own_stream(unharmed: Service) -> None:
    with unharmed.client() as client:

        @fuzzing(250)
        @given(sending=sendings())
        def send(sending: Sending) -> None:
            created = client.post("/api/v2/streams").raise_for_status().json()
            with suppress(ConnectionClosed, InvalidStatus, OSError):
                _send(f"{created['url']}&{sending.parameters}", sending)
            ended = client.delete(f"/api/v2/streams/{created['uuid']}")
            assert ended.status_code in (204, 404), ended.text
            assert client.get(f"/api/v2/streams/{created['uuid']}").status_code == 404

        send()


def _send(url: str, sending: Sending) -> None:
    with connect(url, compression=None, close_timeout=CLOSE_S) as websocket:
        for message in sending.messages:
            if isinstance(message, tuple):
                websocket.socket.sendall(message[0])
            else:
                websocket.send(message)
        if sending.leaving == "vanish":
            websocket.socket.close()


def _answered(answer: httpx.Response) -> None:
    """The service did what was asked, or said in its one shape that it could not."""
    if answer.status_code == 200:
        return
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]

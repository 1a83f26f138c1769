"""What every call asks twice a second has a short way of its own, which nobody should notice."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from .running import Service, Stream, problem, until
from .speech import ANNA, TEST, samples

SHORT, LONG = "application/json", "application/vnd.voice-verify+json"
"""The route reads both as JSON; the short way takes the first only."""


@pytest.fixture
def asked(service: Service) -> Iterator[Stream]:
    """A stream with a decision on all the speech that it will get."""
    with service.stream() as stream:
        stream.post("verify", ANNA)
        stream.send(samples(ANNA, TEST, 8))
        until(lambda: stream.post("verify", ANNA).json()["audio_window"]["end_s"] >= 8)
        yield stream


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f'{{"speaker": "{ANNA}"}}', id="a speaker"),
        pytest.param('{"speaker": "nobody"}', id="one who is not enrolled"),
        pytest.param('{"speaker": 5}', id="a number"),
        pytest.param('{"speaker": ""}', id="an empty name"),
        pytest.param('{"speaker": "\\ud800"}', id="no Unicode"),
        pytest.param(f'{{"speaker": "{ANNA}", "more": 1}}', id="a member too many"),
        pytest.param('{"speaker":', id="torn JSON"),
        pytest.param("[]", id="a list"),
        pytest.param("", id="nothing"),
        pytest.param(f'{{"speaker": "{ANNA}", "space": "{" " * 5000}"}}', id="a long one"),
    ],
)
def test_both_ways_say_the_same(asked: Stream, body: str) -> None:
    short, long = (_post(asked, asked.path, body, kind) for kind in (SHORT, LONG))
    assert short.status_code == long.status_code
    assert _without_moments(short) == _without_moments(long)
    assert short.headers["content-type"] == long.headers["content-type"]


def test_both_ways_know_the_same_streams(asked: Stream) -> None:
    body = f'{{"speaker": "{ANNA}"}}'
    for path in (f"/api/v2/streams/{uuid4()}", asked.path.upper().replace("/API/V2/STREAMS", "/api/v2/streams")):
        short, long = (_post(asked, path, body, kind) for kind in (SHORT, LONG))
        assert (short.status_code, _without_moments(short)) == (long.status_code, _without_moments(long))
    asked.end()
    for kind in (SHORT, LONG):
        assert _post(asked, asked.path, body, kind).json()["reason"] == "stream_closed"


def test_the_short_way_is_not_open_to_all(service: Service, asked: Stream) -> None:
    body = f'{{"speaker": "{ANNA}"}}'
    headers = {"content-type": SHORT}
    path = f"{service.url}{asked.path}/verify"
    problem(httpx.post(path, content=body, headers=headers), 401, "unauthenticated")
    with service.client("viewer") as viewer:
        problem(viewer.post(f"{asked.path}/verify", content=body, headers=headers), 403, "forbidden")


def test_a_body_in_pieces_is_read_whole(asked: Stream) -> None:
    pieces = iter([b'{"speaker": ', f'"{ANNA}"}}'.encode()])
    answer = asked.client.post(f"{asked.path}/verify", content=pieces, headers={"content-type": SHORT})
    assert answer.json()["decision"] == "verified"


def test_requests_of_both_ways_are_counted_as_one_operation(service: Service, asked: Stream) -> None:
    body = f'{{"speaker": "{ANNA}"}}'
    before = _counted(service)
    for kind in (SHORT, LONG):
        _post(asked, asked.path, body, kind)
    assert _counted(service) == before + 2


def _post(stream: Stream, path: str, body: str, kind: str) -> httpx.Response:
    return stream.client.post(f"{path}/verify", content=body, headers={"content-type": kind})


def _without_moments(answer: httpx.Response) -> object:
    document = answer.json()
    return {name: value for name, value in document.items() if name != "instance"}


def _counted(service: Service) -> float:
    name = 'vv_http_requests_total{operation="verify_on_stream",status="200"}'
    lines = httpx.get(f"{service.url}/metrics").text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

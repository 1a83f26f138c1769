"""How long streams live, and how many there may be."""

from __future__ import annotations

import os
import signal
import time

import numpy as np

from .conftest import StartService
from .running import problem, until
from .speech import ANNA, RATE, TEST, samples


def test_an_idle_stream_ends_and_says_so(start_service: StartService) -> None:
    service = start_service(stream_idle_s=1)
    with service.stream() as stream:
        unconnected = stream.client.post("/api/v2/streams").json()["uuid"]
        stream.send(samples(ANNA, TEST, 1))
        assert stream.wait("end")["reason"] == "idle_timeout"
        assert stream.close_code() == 1000
        until(lambda: stream.client.get(f"/api/v2/streams/{unconnected}").status_code == 404)


def test_a_silent_stream_ends_and_says_so(start_service: StartService) -> None:
    service = start_service(stream_silence_s=5)
    with service.stream() as silent, service.stream() as talking:
        talking.send(samples(ANNA, TEST, 8), speed=4)
        silent.send(np.zeros(8 * RATE, np.int16))
        end = silent.wait("end")
        assert end["reason"] == "silence_timeout"
        assert end["audio_s"] >= 5
        assert silent.close_code() == 1000
        assert talking.end()["reason"] == "deleted"


def test_refuses_more_streams_than_it_may_have(start_service: StartService) -> None:
    service = start_service(max_streams=2)
    with service.client() as client:
        first, _ = (client.post("/api/v2/streams").json() for _ in range(2))
        answer = client.post("/api/v2/streams")
        problem(answer, 503, "too_many_streams")
        assert int(answer.headers["retry-after"]) > 0
        client.delete(f"/api/v2/streams/{first['uuid']}").raise_for_status()
        assert client.post("/api/v2/streams").status_code == 201


def test_lets_no_call_in_while_it_answers_late(start_service: StartService) -> None:
    service = start_service()
    with service.client() as client:
        running = client.post("/api/v2/streams").json()["uuid"]
        os.kill(service.pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(service.pid, signal.SIGCONT)
        # It notices with the first breath, in which it may still answer what waited.
        time.sleep(0.03)
        answer = client.post("/api/v2/streams")
        problem(answer, 503, "overloaded")
        assert int(answer.headers["retry-after"]) > 0
        assert client.get(f"/api/v2/streams/{running}").status_code == 200
        until(lambda: client.post("/api/v2/streams").status_code == 201)

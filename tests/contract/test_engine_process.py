"""The engine's process dies, hangs and falls behind; calls go on and nobody waits for nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from .conftest import StartService
from .running import Service, Stream, problem, until
from .speech import ANNA, BRUNO, ENROLMENT, RATE, TEST, samples, wav

# Beyond the time after which a process that says nothing is replaced.
HANG_S = 10


@pytest.fixture
def enrolled(start_service: StartService) -> Service:
    service = start_service()
    service.enrol(ANNA, wav(samples(ANNA, ENROLMENT, 30))).raise_for_status()
    return service


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
def test_a_call_goes_on_after_the_engine(enrolled: Service, how: signal.Signals) -> None:
    audio = samples(ANNA, TEST, 12)
    with enrolled.stream() as stream, enrolled.stream() as other:
        for one, claimed in ((stream, ANNA), (other, ANNA)):
            one.post("verify", claimed).raise_for_status()
        stream.send(audio[: 3 * RATE])
        other.send(samples(BRUNO, TEST, 3))
        until(lambda: _heard(stream) >= 2)
        before = _heard(stream)
        dead = enrolled.engine_pid
        assert dead is not None
        os.kill(dead, how)
        stream.send(audio[3 * RATE : 5 * RATE], speed=5)
        until(lambda: enrolled.engine_pid not in (None, dead), HANG_S + 10)
        told = stream.wait("error")
        assert told["code"] == "engine_restarted"
        assert "s of audio" in told["detail"]
        assert other.wait("error")["code"] == "engine_restarted"
        assert _heard(stream) >= before
        stream.send(audio[5 * RATE :])
        other.send(samples(BRUNO, TEST, 8))
        end = stream.end()
        other.end()
        assert end["reason"] == "deleted"
        assert before < end["net_speech_s"]
        assert end["audio_s"] <= 12
        assert stream.of("decision")[-1]["decision"] == "verified"
        assert other.of("decision")[-1]["decision"] == "not_verified"
        assert _ready(enrolled) == 200


def test_a_stream_ends_with_what_was_heard_while_there_is_no_engine(enrolled: Service) -> None:
    with enrolled.stream() as stream:
        stream.send(samples(ANNA, TEST, 5))
        until(lambda: _heard(stream) >= 3)
        _kill_engine(enrolled)
        assert stream.end()["net_speech_s"] >= 3


def test_a_recording_under_analysis_is_refused_with_a_reason(enrolled: Service) -> None:
    # Takes seconds to analyse.
    long = wav(np.tile(samples(ANNA, ENROLMENT, 30), 40))
    with ThreadPoolExecutor() as pool:
        before_s = _engine_cpu_s(enrolled)
        answer = pool.submit(enrolled.verify, ANNA, long)
        until(lambda: _engine_cpu_s(enrolled) > before_s + 0.5)
        _kill_engine(enrolled)
        refused = answer.result()
    problem(refused, 503, "engine_restarted")
    assert int(refused.headers["retry-after"]) > 0
    until(lambda: _ready(enrolled) == 200)
    assert enrolled.verify(ANNA, wav(samples(ANNA, TEST, 8))).json()["decision"] == "verified"


def test_an_engine_that_dies_again_and_again_makes_the_service_unready(enrolled: Service) -> None:
    for _ in range(2):
        _await_another(enrolled, than=_kill_engine(enrolled))
    _kill_engine(enrolled)
    with enrolled.client("") as client:
        until(lambda: "3 times" in client.get("/health/ready").text)
        assert client.get("/health/ready").status_code == 503
        assert client.get("/health/live").status_code == 200
    with enrolled.client() as client:
        problem(client.post("/api/v2/streams"), 503, "engine_unavailable")
        problem(enrolled.verify(ANNA, wav(samples(ANNA, TEST, 8))), 503, "engine_unavailable")
        until(lambda: _ready(enrolled) == 200)
        assert client.post("/api/v2/streams").status_code == 201


def test_the_engine_does_not_outlive_the_service(start_service: StartService) -> None:
    service = start_service()
    engine = service.engine_pid
    assert engine is not None
    service.stop(signal.SIGKILL)
    until(lambda: not Path(f"/proc/{engine}").exists())


def test_an_engine_that_is_behind_takes_no_more_streams(start_service: StartService) -> None:
    service = start_service(max_streams=1000)
    speech = samples(ANNA, "*.wav", 28)
    with ExitStack() as calls, service.client() as client:
        running = [calls.enter_context(service.stream()) for _ in range(12)]
        with _starved(service):
            for stream in running:
                # A backlog that a healthy engine is done with in no time.
                stream.send(speech, seconds=4, speed=1e6)
            until(lambda: client.post("/api/v2/streams").status_code == 503)
            refused = client.post("/api/v2/streams")
            problem(refused, 503, "overloaded")
            assert int(refused.headers["retry-after"]) > 0
            assert _lag_s(service) > 1
            assert _ready(service) == 200
        until(lambda: client.post("/api/v2/streams").status_code == 201)
        # The streams that ran lost nothing.
        assert [stream.end()["audio_s"] for stream in running] == [28] * 12


def test_the_engine_is_measured(enrolled: Service) -> None:
    time.sleep(1.5)
    with enrolled.client("") as client:
        text = client.get("/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    for part in ("vad", "features", "embedding", "engine_other"):
        assert float(values[f'vv_cpu_seconds_total{{part="{part}"}}']) > 0
    assert float(values["vv_engine_memory_bytes"]) > 10e6
    assert float(values["vv_engine_restarts_total"]) == 0
    precisions = {name: float(value) for name, value in values.items() if name.startswith("vv_engine_precision")}
    assert sorted(precisions.values()) == [0, 1]


@contextmanager
def _starved(service: Service) -> Iterator[None]:
    """Leave the engine a small share of one processor."""
    engine = service.engine_pid
    assert engine is not None
    everywhere = os.sched_getaffinity(engine)
    here = {min(everywhere)}
    rivals = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        for rival in rivals:
            os.sched_setaffinity(rival.pid, here)
        _bind(engine, here)
        yield
    finally:
        for rival in rivals:
            rival.kill()
            rival.wait()
        _bind(engine, everywhere)


def _bind(process: int, processors: set[int]) -> None:
    for thread in Path(f"/proc/{process}/task").iterdir():
        os.sched_setaffinity(int(thread.name), processors)


def _kill_engine(service: Service) -> int:
    engine = service.engine_pid
    assert engine is not None
    os.kill(engine, signal.SIGKILL)
    until(lambda: service.engine_pid != engine)
    return engine


def _await_another(service: Service, *, than: int) -> None:
    until(lambda: service.engine_pid not in (None, than) and _ready(service) == 200)


def _heard(stream: Stream) -> float:
    return float(stream.client.get(stream.path).json()["net_speech_s"])


def _ready(service: Service) -> int:
    with service.client("") as client:
        return client.get("/health/ready").status_code


def _engine_cpu_s(service: Service) -> float:
    # proc_pid_stat(5): utime and stime, behind the name of the program, which may hold anything but ")".
    fields = Path(f"/proc/{service.engine_pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _lag_s(service: Service) -> float:
    with service.client("") as client:
        text = client.get("/metrics").text
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith("vv_engine_lag_seconds "))

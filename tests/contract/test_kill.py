"""No acknowledged enrolment is lost, whatever is killed at whatever moment: service, engine, database server.

CI makes 40 enrolments; VV_KILL_ENROLMENTS=1000 makes a thousand.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from . import postgresql
from .running import Service, until
from .speech import ANNA, BRUNO, ENROLMENT, TEST, samples, wav

ENROLMENTS = int(os.environ.get("VV_KILL_ENROLMENTS", "40"))
CLIENTS = 3
ENROLMENTS_PER_KILL = 6
"""Enrolments that are acknowledged between two kills, on average."""
LOOKED_AT_AGAIN = 10
"""Of the enrolled, so many are verified in the end."""
VICTIMS = ("service", "database", "engine")
RECOVERY_S = 90
VOICES = (ANNA, BRUNO)
RECORDINGS = {voice: wav(samples(voice, ENROLMENT, 27)) for voice in VOICES}
TESTS = {voice: wav(samples(voice, TEST, 8)) for voice in VOICES}


@pytest.fixture
def durable_server() -> Iterator[postgresql.Server]:
    with postgresql.server(durable=True) as server:
        yield server


@pytest.fixture
def killable(durable_server: postgresql.Server, model_dir: Path, tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path, model_dir, durable_server.create_database("kill"))
    service.prepare("integrator", "viewer")
    service.start()
    yield service
    service.stop()


class Clients:
    """They enrol one new speaker after the other and remember what was acknowledged."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self.asked = 0
        self.enough = threading.Event()
        self.acknowledged: dict[str, str] = {}
        self.refusals: list[str] = []

    def run(self) -> None:
        while not self.enough.is_set():
            with self._lock:
                self.asked += 1
                number = self.asked
            voice = VOICES[number % len(VOICES)]
            try:
                answer = self._service.enrol(f"speaker-{number}", RECORDINGS[voice])
            except httpx.TransportError:
                # Nobody knows whether it was stored: nothing was promised.
                time.sleep(0.2)
                continue
            self._note(f"speaker-{number}", voice, answer)

    def wait_for(self, more: int) -> None:
        """Until so many more were acknowledged, or all are."""
        wanted = len(self.acknowledged) + more
        until(lambda: self.enough.is_set() or len(self.acknowledged) >= wanted, RECOVERY_S)

    def _note(self, speaker: str, voice: str, answer: httpx.Response) -> None:
        with self._lock:
            if answer.status_code == 200:
                self.acknowledged[speaker] = voice
            elif answer.status_code != 503:
                self.refusals.append(answer.text)
            if len(self.acknowledged) >= ENROLMENTS or self.refusals:
                self.enough.set()
        if answer.status_code == 503:
            time.sleep(0.2)


def test_no_acknowledged_enrolment_is_lost(killable: Service, durable_server: postgresql.Server) -> None:
    chance = np.random.default_rng(1)
    clients = Clients(killable)
    kills: list[str] = []
    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(clients.run) for _ in range(CLIENTS)]
        try:
            while not clients.enough.is_set():
                clients.wait_for(int(chance.integers(1, 2 * ENROLMENTS_PER_KILL)))
                # Not always right after an answer.
                time.sleep(chance.uniform(0, 0.3))
                kills.append(VICTIMS[len(kills) % len(VICTIMS)])
                _kill(kills[-1], killable, durable_server)
        finally:
            clients.enough.set()
        for client in running:
            client.result()
    print(f"{len(clients.acknowledged)} of {clients.asked} enrolments acknowledged, {len(kills)} kills")
    assert clients.refusals == []
    assert len(clients.acknowledged) >= ENROLMENTS
    assert set(kills) == set(VICTIMS)
    with killable.client("viewer") as viewer:
        until(lambda: viewer.get("/health/ready").status_code == 200, RECOVERY_S)
        lost = [name for name in clients.acknowledged if viewer.get(f"/api/v2/speakers/{name}").status_code != 200]
    assert lost == []
    for speaker in chance.choice(sorted(clients.acknowledged), LOOKED_AT_AGAIN, replace=False):
        decisions = {voice: killable.verify(speaker, TESTS[voice]).json()["decision"] for voice in VOICES}
        assert {voice for voice in VOICES if decisions[voice] == "verified"} == {clients.acknowledged[speaker]}


def _kill(victim: str, service: Service, server: postgresql.Server) -> None:
    """End it without warning, and start again what nobody else would."""
    match victim:
        case "service":
            service.stop(signal.SIGKILL)
            service.start()
        case "engine":
            until(lambda: service.engine_pid is not None, RECOVERY_S)
            os.kill(service.engine_pid or 0, signal.SIGKILL)
        case "database":
            server.kill()
            server.start()

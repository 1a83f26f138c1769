"""Two processes on one database want the same thing at once, or one dies in the middle of it."""

from __future__ import annotations

import hashlib
import http.client
import json
import signal
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest

from voice_verify.engine import packaged_profile

from .conftest import StartService
from .running import Service, until
from .speech import ANNA, ENROLMENT, samples, wav

PROFILES = "/api/v2/maintenance/asp"
EXPORT, IMPORT = "/api/v2/snapshot/export", "/api/v2/snapshot/import"
RESTORE = "/api/v2/maintenance/loadbackup"
VOICEPRINTS = 1500
"""In each snapshot: enough for a restore to take a while."""
ROUNDS = 4


@pytest.fixture
def two(database: Callable[[str], str], start_service: StartService) -> tuple[Service, Service]:
    """Two services on one database."""
    url = database(f"race_{uuid4().hex}")
    first, second = start_service(url), start_service(url)
    first.prepare("integrator", "operator")
    second.keys = first.keys
    return first, second


def test_exactly_one_profile_is_active_whoever_races(two: tuple[Service, Service]) -> None:
    with two[0].client("operator") as operator:
        uploaded = [operator.post(PROFILES, json=_profile(f"racer-{number}")).json()["uuid"] for number in range(3)]

    def change(number: int) -> list[httpx.Response]:
        chance = np.random.default_rng(number)
        with two[number % 2].client("operator") as operator:
            answers = []
            for _ in range(15):
                path = f"{PROFILES}/{uploaded[int(chance.integers(3))]}/active"
                document = {"active": bool(chance.random() < 0.7)}
                answers.append(operator.post(path, json=document))
                if chance.random() < 0.3:
                    answers.append(operator.post("/api/v2/maintenance/load_asp/mobile-noisy"))
            return answers

    with ThreadPoolExecutor(4) as pool:
        answers = [answer for done in pool.map(change, range(4)) for answer in done]
    assert {answer.status_code for answer in answers} == {200}
    active = [_active_profiles(service) for service in two]
    until(lambda: _active_profiles(two[0]) == _active_profiles(two[1]))
    assert [len(names) for names in active] == [1, 1]


def test_one_of_two_restores_wins_and_nothing_is_mixed(two: tuple[Service, Service]) -> None:
    snapshots = _snapshots(two[0])
    for _ in range(ROUNDS):
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(_restore, two, snapshots.values()))
        statuses = [answer.status_code for answer in answers]
        assert 200 in statuses
        assert set(statuses) <= {200, 409}, [answer.text for answer in answers]
        won = [name for name, status in zip(snapshots, statuses, strict=True) if status == 200]
        names = _speakers(two[0])
        assert len(names) == VOICEPRINTS
        assert {name[0] for name in names} in [{name} for name in won]
        assert _speakers(two[1]) == names


def test_a_restore_that_is_killed_is_done_or_was_never_begun(two: tuple[Service, Service]) -> None:
    first, second = two
    snapshots = _snapshots(first)
    chance = np.random.default_rng(1)
    assert _restore(first, snapshots["a"]).status_code == 200
    for wanted in "ba":
        with ThreadPoolExecutor(1) as pool:
            restoring = pool.submit(_restore, first, snapshots[wanted])
            time.sleep(chance.uniform(0, 0.6))
            first.stop(signal.SIGKILL)
            acknowledged = restoring.exception() is None
        first.start()
        names = _speakers(second)
        assert len(names) == VOICEPRINTS
        assert len({name[0] for name in names}) == 1
        assert {name[0] for name in names} == {wanted} or not acknowledged
        # What the dead held is free, and nobody unlocked the service meanwhile.
        _restore(second, snapshots[wanted]).raise_for_status()
        assert _speakers(first) == _speakers(second)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_ten_gigabytes_change_nothing_and_fill_nothing(fresh: Service) -> None:
    fresh.prepare("integrator", "operator")
    fresh.enrol(ANNA, wav(samples(ANNA, ENROLMENT, 30))).raise_for_status()
    bomb = _ten_gigabytes()
    assert len(bomb) < 20 * 2**20
    with fresh.client("operator") as operator:
        operator.post("/api/v2/lock").raise_for_status()
        operator.post(RESTORE, content=b"")
        before = fresh.memory_mb
        for path in (RESTORE, IMPORT):
            refused = operator.post(path, content=bomb)
            assert 400 <= refused.status_code < 500, refused.text
            assert refused.json()["detail"]
            assert _declaring(fresh, path, 10**10) == (413, "upload_too_large")
        assert fresh.memory_mb - before < 50
        operator.post("/api/v2/maintenance/unlock").raise_for_status()
    assert _speakers(fresh) == [ANNA]


def _profile(name: str) -> dict[str, Any]:
    document = packaged_profile("mixed").model_dump(mode="json", exclude={"mean", "wccn"})
    return document | {"name": name, "uuid": str(uuid4()), "version": 1}


def _active_profiles(service: Service) -> list[str]:
    with service.client("operator") as operator:
        return [item["name"] for item in operator.get(PROFILES).json()["profiles"] if item["active"]]


def _snapshots(service: Service) -> dict[str, bytes]:
    """Two snapshots without a speaker in common, by the letter that all names in one begin with; leaves it locked."""
    service.enrol(ANNA, wav(samples(ANNA, ENROLMENT, 30))).raise_for_status()
    with service.client("operator") as operator:
        operator.post("/api/v2/lock").raise_for_status()
        document = operator.get(EXPORT).json()
    return {letter: _snapshot(document, letter) for letter in "ab"}


def _snapshot(document: dict[str, Any], letter: str) -> bytes:
    voiceprints = [
        {**document["voiceprints"][0], "speaker": f"{letter}-{number:04d}", "pseudonym": uuid4().hex}
        for number in range(VOICEPRINTS)
    ]
    lines = (json.dumps(voiceprint, separators=(",", ":")).encode() + b"\n" for voiceprint in voiceprints)
    total = hashlib.sha256(b"".join(lines)).hexdigest()
    return json.dumps({**document, "count": VOICEPRINTS, "voiceprints": voiceprints, "sha256": total}).encode()


def _restore(service: Service, snapshot: bytes) -> httpx.Response:
    with service.client("operator") as operator:
        return operator.post(IMPORT, content=snapshot)


def _speakers(service: Service) -> Sequence[str]:
    """All of them, page by page."""
    names: list[str] = []
    with service.client() as client:
        after: dict[str, Any] = {}
        while True:
            page = client.get("/api/v2/speakers", params={"limit": 1000, **after}).raise_for_status().json()
            names += [speaker["speaker"] for speaker in page["speakers"]]
            if not page["next"]:
                return names
            after = {"after": page["next"]}


def _ten_gigabytes() -> bytes:
    """Zeros, as gzip: a flushed block of deflate may be repeated."""
    header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = deflate.compress(bytes(10**8)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return header + block * 100 + deflate.flush()


def _declaring(service: Service, path: str, length: int) -> tuple[int, str]:
    """The answer to somebody who announces so many bytes, before sending one."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    connection.putrequest("POST", path)
    connection.putheader("Authorization", f"Bearer {service.keys['operator']}")
    connection.putheader("Content-Length", str(length))
    connection.endheaders()
    answer = connection.getresponse()
    code = str(json.load(answer)["code"])
    connection.close()
    return answer.status, code

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from . import postgresql, speech
from .running import Service

ROOT = Path(__file__).parents[2]
StartService = Callable[..., Service]


@pytest.fixture(scope="session")
def model_dir() -> Path:
    folder = ROOT / "build" / "model"
    if not (folder / "model.json").is_file():
        pytest.fail(f"no model in {folder}: make model builds it", pytrace=False)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side, each worker has a kind of database to itself, so that what tests share is started once.

    What needs none stays with the other tests of its module.
    """
    for item in items:
        callspec = getattr(item, "callspec", None)
        kind = callspec.params.get("database") if callspec else None
        item.add_marker(pytest.mark.xdist_group(kind or item.path.stem))


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    with postgresql.server() as running:
        yield running


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Makes the URL of a new database of the kind under test."""
    if request.param == "postgresql":
        server: postgresql.Server = request.getfixturevalue("postgresql_server")
        return server.create_database
    folder = tmp_path_factory.mktemp("sqlite")
    return lambda name: f"sqlite:///{folder}/{name}.db"


@pytest.fixture(scope="session")
def service(
    database: Callable[[str], str], model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A running service with two speakers enrolled, on each kind of database."""
    running = Service(tmp_path_factory.mktemp("service"), model_dir, database("shared"))
    running.prepare("integrator", "operator", "billing", "viewer")
    running.start()
    try:
        for voice in (speech.ANNA, speech.BRUNO):
            answer = running.enrol(voice, speech.wav(speech.samples(voice, speech.ENROLMENT, 30)))
            assert answer.status_code == 200, answer.text
        yield running
    finally:
        # Ended by the signal after an orderly shutdown.
        assert running.stop() == -signal.SIGTERM, running.log
        assert '"stopped"' in running.log


@pytest.fixture(scope="module")
def administered(
    database: Callable[[str], str], model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A running service of a module's own, for tests that change what holds for all, on each kind of database."""
    running = Service(tmp_path_factory.mktemp("administered"), model_dir, database(f"administered_{uuid4().hex}"))
    running.prepare("integrator", "operator", "billing", "viewer")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def sibling(administered: Service, model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Another process on the database of `administered`."""
    same = administered.environment
    folder = tmp_path_factory.mktemp("sibling")
    running = Service(folder, model_dir, same["VV_DATABASE_URL"], data_key_file=same["VV_DATA_KEY_FILE"])
    running.keys = administered.keys
    running.start()
    yield running
    running.stop()


@pytest.fixture
def fresh(database: Callable[[str], str], model_dir: Path, tmp_path: Path) -> Iterator[Service]:
    """A running service of a test's own with nobody enrolled, on each kind of database."""
    running = Service(tmp_path, model_dir, database(f"fresh_{uuid4().hex}"))
    running.prepare("integrator")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def start_service(model_dir: Path, tmp_path: Path) -> Iterator[StartService]:
    """Starts a service of a test's own, on SQLite unless told otherwise."""
    started: list[Service] = []

    def start(database_url: str = f"sqlite:///{tmp_path}/own.db", **settings: Any) -> Service:
        running = Service(tmp_path, model_dir, database_url, **settings)
        running.prepare("integrator")
        running.start()
        started.append(running)
        return running

    yield start
    for running in started:
        running.stop()

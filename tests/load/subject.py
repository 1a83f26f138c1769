"""The service under test: the real one with its database, on one core."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.contract import postgresql
from tests.contract.running import Service

from . import accounting, machine
from .accounting import Memory, Usage
from .http import Api

# Uploads that are analysed at once while the callers are enrolled.
ENROLLING = 4
# A service that is busy says when to come again; on a machine that others use, too, it may be busy for a while.
ENROL_S = 120
OVERLOADED = 503
# The benchmark finds the limit; the tier's must not come first.
MAX_STREAMS = 5000


class Subject:
    def __init__(self, service: Service, core: int, database_server: int | None) -> None:
        self._service = service
        self._core = core
        self._database_server = database_server
        self.api = Api("127.0.0.1", service.port, service.keys["integrator"])

    def start(self, environment: Mapping[str, str]) -> None:
        self._service.environment |= environment
        with machine.pinned(self._core):
            self._service.start()

    def stop(self) -> None:
        self._service.stop()

    def get(self, path: str) -> httpx.Response:
        """What a viewer reads."""
        with self._service.client("viewer") as client:
            return client.get(path)

    def usage(self) -> Usage:
        return accounting.usage(self._service.pid, self._database_server, f"{self._service.url}/metrics")

    def memory(self) -> Memory:
        """Of the service; PostgreSQL's does not depend on the calls."""
        return accounting.memory(self._service.pid)

    def enrol(self, speakers: Sequence[str], recordings: Sequence[bytes]) -> None:
        """Enrol each speaker with a recording, in turn."""
        uses = [recordings[index % len(recordings)] for index in range(len(speakers))]
        with ThreadPoolExecutor(ENROLLING) as pool:
            for answer in pool.map(self._enrol, speakers, uses):
                if answer.status_code != 200:
                    raise SystemExit(f"a caller could not be enrolled: {answer.text}")

    def _enrol(self, speaker: str, recording: bytes) -> httpx.Response:
        """As a client does: sent again when the service asks for that."""
        deadline = time.monotonic() + ENROL_S
        while True:
            answer = self._service.enrol(speaker, recording)
            if answer.status_code != OVERLOADED or time.monotonic() > deadline:
                return answer
            time.sleep(float(answer.headers.get("Retry-After", 1)))


@contextmanager
def running(model_dir: Path, database: str, core: int, **settings: Any) -> Iterator[Subject]:
    """The service and its database server ("postgresql" or "sqlite"), all on `core`; with `settings` of Service."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vv-bench-")))
        url, server = f"sqlite:///{folder}/bench.db", None
        if database == "postgresql":
            with machine.pinned(core):
                server = stack.enter_context(postgresql.server(durable=True))
            url = server.create_database("bench")
        service = Service(folder, model_dir, url, max_streams=MAX_STREAMS, engine_threads=1, **settings)
        service.prepare("integrator", "viewer")
        subject = Subject(service, core, server.pid if server else None)
        subject.start({})
        stack.callback(subject.stop)
        yield subject

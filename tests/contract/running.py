"""The real service as a process of its own, and what a client does with it."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from voice_verify.licence import SignedLicence
from voice_verify.services.keys import KeyService, Role
from voice_verify.store import Database, KeyStore

from . import licences

COMMAND = Path(sys.executable).with_name("voice-verify")
# A killed pytest takes its services along. They end with the thread that starts them, which is therefore the main one.
WITH_US = ("setpriv", "--pdeathsig", "KILL")
START_S = 60
EVENT_S = 20


class Service:
    """`voice-verify serve` on a free port of the loopback, with keys by role.

    It finds a packaged licence for more calls than any test makes; with `licence` None it is an evaluation.
    """

    def __init__(
        self,
        folder: Path,
        model_dir: Path,
        database_url: str,
        *,
        licence: SignedLicence | None = licences.AMPLE,
        command: Sequence[str | Path] = (COMMAND,),
        **settings: object,
    ) -> None:
        self._command = command
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "service.log"
        named = {f"VV_{name.upper()}": str(value) for name, value in settings.items()}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VV_")},
            "VV_DATABASE_URL": database_url,
            "VV_DATA_KEY_FILE": str(folder / "data-key"),
            "VV_STATE_DIR": str(folder),
            "VV_MODEL_DIR": str(model_dir),
            "VV_HOST": "127.0.0.1",
            "VV_PORT": str(self.port),
            "VV_LICENCE_ISSUERS": licences.ISSUER,
            "VV_LICENCE_FILE": str(folder / "licence.json"),
            **named,
        }
        if licence is not None:
            (folder / "licence.json").write_text(licence.text(), encoding="utf-8")
        self.keys: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments], env=self.environment, capture_output=True, text=True, timeout=START_S, check=False
        )

    def prepare(self, *roles: str) -> None:
        """Migrate the database and make a key for each role."""
        database = Database(self.environment["VV_DATABASE_URL"])
        database.migrate()
        keys = KeyService(KeyStore(database))
        self.keys = {role: keys.create(f"test {role}", [Role(role)])[0] for role in roles}
        database.close()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*WITH_US, *self._command, "serve"], env=self.environment, stderr=log, stdout=log
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, f"the service ended:\n{self.log}"
            with suppress(httpx.TransportError):
                httpx.get(f"{self.url}/health/live")
                return
            time.sleep(0.1)
        raise AssertionError(f"the service did not start:\n{self.log}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the process and return its exit status."""
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(timeout=START_S)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def peak_memory_mb(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    @property
    def engine_pid(self) -> int | None:
        """The engine's process; None while there is none."""
        return self.child("voice_verify.engine.host")

    def child(self, module: str) -> int | None:
        """The process of the service's own that runs `module`; None while there is none."""
        assert self._process is not None
        threads = Path(f"/proc/{self._process.pid}/task")
        children = [int(pid) for children in threads.glob("*/children") for pid in children.read_text().split()]
        return next((pid for pid in children if _runs(pid, module)), None)

    @property
    def memory_mb(self) -> float:
        """Resident now, the engine included."""
        processes = [self.pid, *filter(None, [self.engine_pid])]
        statuses = [Path(f"/proc/{pid}/status").read_text() for pid in processes]
        return sum(int(status.partition("VmRSS:")[2].split()[0]) for status in statuses) / 1024

    def client(self, role: str = "integrator", **headers: str) -> httpx.Client:
        """A client of the API; an empty `role` sends no key."""
        if role:
            headers["Authorization"] = f"Bearer {self.keys[role]}"
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def enrol(self, speaker: str, *recordings: bytes) -> httpx.Response:
        with self.client() as client:
            files = [("recording", recording) for recording in recordings]
            return client.post("/api/v2/enroll", data={"speaker": speaker}, files=files)

    def verify(self, speaker: str, recording: bytes) -> httpx.Response:
        with self.client() as client:
            return client.post("/api/v2/verify", data={"speaker": speaker}, files={"recording": recording})

    def decide_live(self, claimed: str, audio: NDArray[np.int16]) -> str:
        """The last decision about `claimed` in a call with that audio."""
        with self.stream() as stream:
            stream.post("verify", claimed).raise_for_status()
            stream.send(audio)
            stream.end()
            return str(stream.of("decision")[-1]["decision"])

    @contextmanager
    def stream(self, parameters: str = "") -> Iterator[Stream]:
        """A stream with a client connected to it."""
        with self.client() as client:
            created = client.post("/api/v2/streams").raise_for_status().json()
            with connect(f"{created['url']}{parameters}", compression=None) as connection:
                yield Stream(client, created, connection)


class Stream:
    """A connected stream; its events are gathered as they come."""

    def __init__(self, client: httpx.Client, created: dict[str, Any], connection: ClientConnection) -> None:
        self.uuid = created["uuid"]
        self.url = created["url"]
        self.path = f"/api/v2/streams/{self.uuid}"
        self.client = client
        self.connection = connection
        self.events: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def send(self, audio: NDArray[np.generic], *, seconds: float = 0.1, speed: float = 20) -> None:
        """Send samples in frames of so many seconds at 8 kHz, `speed` times as fast as they were spoken."""
        size = int(seconds * 8000)
        for start in range(0, len(audio), size):
            self.connection.send(audio[start : start + size].tobytes())
            time.sleep(seconds / speed)

    def post(self, what: str, speaker: str) -> httpx.Response:
        return self.client.post(f"{self.path}/{what}", json={"speaker": speaker})

    def end(self) -> dict[str, Any]:
        """End the stream and return its last event."""
        self.client.delete(self.path).raise_for_status()
        return self.wait("end")

    def wait(self, kind: str) -> dict[str, Any]:
        """The first event of that kind, waiting for it if need be."""
        with self._changed:
            found = self._changed.wait_for(lambda: self.of(kind), timeout=EVENT_S)
            assert found, f"no event {kind} among {self.events}"
            return found[0]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]

    def close_code(self) -> int | None:
        """The code with which the service closed the connection."""
        self._listener.join(timeout=EVENT_S)
        return self.connection.close_code

    def _listen(self) -> None:
        try:
            for message in self.connection:
                with self._changed:
                    self.events.append(json.loads(message))
                    self._changed.notify_all()
        except ConnectionClosed:
            return


def _runs(pid: int, module: str) -> bool:
    with suppress(OSError):
        return module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def until(happened: Callable[[], bool], seconds: float = EVENT_S) -> None:
    """Wait for something to be so."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of a refusal, which must look as the API promises."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert (document["status"], document["code"]) == (status, code)
    assert document["title"]
    assert document["detail"]
    assert "Traceback" not in answer.text
    return document


def free_port() -> int:
    """For TCP and UDP; below those that the kernel gives away, or a connection of another test would have it first."""
    while True:
        port = random.randrange(10_000, 20_000)  # noqa: S311
        with (
            suppress(OSError),
            socket.socket() as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            return port

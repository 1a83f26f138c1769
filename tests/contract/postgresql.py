"""A PostgreSQL server of our own: unprivileged, on a Unix socket only."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

# Exists on every Debian, and owns nothing.
UNPRIVILEGED = "nobody"
START_S = 60


class Server:
    """A server in `folder`, where user `vv` may do all."""

    def __init__(self, folder: Path, programs: Path, *, durable: bool) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._programs = programs
        self._options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}"]
        if not durable:
            self._options += ["-c", "fsync=off"]
        self._process: subprocess.Popen[bytes] | None = None
        _run([programs / "initdb", "-D", self._data, "-U", "vv", "-A", "trust", "--no-sync", "-E", "UTF8"])

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        command = [self._programs / "postgres", "-D", self._data, *self._options]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log, **_user())
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self.log
            with suppress(psycopg.OperationalError):
                psycopg.connect(host=str(self._folder), user="vv", dbname="postgres").close()
                return
            time.sleep(0.1)
        raise AssertionError(self.log)

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=START_S)

    def kill(self) -> None:
        """End all its processes without any warning, as the kernel or a power cut would."""
        assert self._process is not None
        # Each of its processes leads a group of its own.
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for pid in (self.pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(timeout=START_S)

    def create_database(self, name: str) -> str:
        """The URL of a new, empty database."""
        with psycopg.connect(host=str(self._folder), user="vv", dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://vv@/{name}?host={self._folder}"

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()


@contextmanager
def server(*, durable: bool = False) -> Iterator[Server]:
    """A running server. One that is not `durable` is faster, and loses what it holds when it is killed."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not programs:
        pytest.fail("PostgreSQL is not installed: apt-get install postgresql (make deps-test does)", pytrace=False)
    # Not below pytest's folder, which only root may enter, and short: a socket's path has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="vv-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, UNPRIVILEGED)
        running = Server(folder, programs[-1], durable=durable)
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder)


def _user() -> dict[str, str]:
    return {"user": UNPRIVILEGED, "group": "nogroup"} if os.geteuid() == 0 else {}


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **_user())
    assert done.returncode == 0, done.stderr

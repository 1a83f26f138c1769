"""A PostgreSQL server of our own: unprivileged, on a Unix socket only."""

from __future__ import annotations

import os
import shutil
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


@contextmanager
def server() -> Iterator[Path]:
    """The folder of the socket of a running server, where user `vv` may do all."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not programs:
        pytest.fail("PostgreSQL is not installed: apt-get install postgresql (make deps-test does)", pytrace=False)
    # Not below pytest's folder, which only root may enter, and short: a socket's path has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="vv-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, UNPRIVILEGED)
        data = folder / "data"
        _run([programs[-1] / "initdb", "-D", data, "-U", "vv", "-A", "trust", "--no-sync", "-E", "UTF8"])
        # What is tested is that the service commits, and kills the service: the server itself stays up.
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([programs[-1] / "postgres", "-D", data, *options], stderr=log, **_user())
        try:
            _wait(process, folder)
            yield folder
        finally:
            process.terminate()
            process.wait(timeout=START_S)
    finally:
        shutil.rmtree(folder)


def create_database(folder: Path, name: str) -> str:
    """The URL of a new, empty database of the server at `folder`."""
    with psycopg.connect(host=str(folder), user="vv", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql+psycopg://vv@/{name}?host={folder}"


def _user() -> dict[str, str]:
    return {"user": UNPRIVILEGED, "group": "nogroup"} if os.geteuid() == 0 else {}


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **_user())
    assert done.returncode == 0, done.stderr


def _wait(process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, (folder / "log").read_text()
        with suppress(psycopg.OperationalError):
            psycopg.connect(host=str(folder), user="vv", dbname="postgres").close()
            return
        time.sleep(0.1)
    raise AssertionError((folder / "log").read_text())

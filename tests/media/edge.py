"""The SIP edge of the appliance on this machine: its Kamailio with the configuration of role sip_edge, on loopback."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import jinja2
import yaml

from vvctl.appliance import find_root

from .kamailio import END_S, PROGRAM, START_S

ROLE = find_root(Path(__file__).parent) / "roles" / "sip_edge"


class Edge:
    """Context manager. Listens on `port` (UDP and TCP), speaks from `inner_port` to the worker on `worker_port`."""

    def __init__(
        self, folder: Path, *, port: int, inner_port: int, worker_port: int, address: str = "127.0.0.1"
    ) -> None:
        self.address, self.port, self.inner_port, self.worker_port = address, port, inner_port, worker_port
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        listens = (f"listen={protocol}:{self.address}:{self.port}\n" for protocol in ("udp", "tcp"))
        (self._folder / "machine.cfg").write_text("".join(listens), encoding="ascii")
        configuration = self._folder / "edge.cfg"
        configuration.write_text(self._configuration(), encoding="utf-8")
        command = [PROGRAM, "-f", str(configuration), "-DD", "-E", "-m", "32", "-M", "4", "-w", str(self._folder)]
        command += ["-Y", str(self._folder), "-P", str(self._folder / "edge.pid")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while not (self._folder / "control").exists():
            assert self._process.poll() is None, f"the edge ended:\n{self.log()}"
            assert time.monotonic() < deadline, f"the edge did not start:\n{self.log()}"
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=END_S)
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def _log(self) -> Path:
        return self._folder / "edge.log"

    def _configuration(self) -> str:
        values: dict[str, Any] = {}
        for name in ("defaults", "vars"):
            values |= yaml.safe_load((ROLE / name / "main.yml").read_text(encoding="utf-8"))
        values |= {
            "sip_edge_run_folder": str(self._folder),
            "sip_edge_public_port": self.port,
            "sip_edge_port": self.inner_port,
            "sip_edge_worker_port": self.worker_port,
        }
        template = (ROLE / "templates" / "kamailio.cfg.j2").read_text(encoding="utf-8")
        # As Ansible renders it.
        environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)  # noqa: S701
        return environment.from_string(template).render(values)

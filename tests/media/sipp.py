"""sipp as caller: one program that makes the calls of a scenario from a host of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .network import Host
from .scenario import Scenario

END_S = 60
SUCCESSFUL = 0


class Caller:
    """Calls that sipp makes; they begin at once."""

    def __init__(
        self,
        folder: Path,
        host: Host,
        scenario: Scenario,
        target: str,
        *,
        service: str = "voice",
        transport: str = "udp",
        calls: int = 1,
        rate: int | None = None,
        trace: bool = True,
        options: Sequence[str] = (),
    ) -> None:
        """`target` is address:port, `service` the user that is called, `options` are sipp's own.

        All `calls` start together, or `rate` in a second; `trace` keeps their messages.
        """
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "scenario.xml"
        file.write_text(scenario.xml())
        command = ["sipp", "-sf", str(file), target, "-i", host.address, "-mi", host.address, "-s", service]
        command += [
            "-t",
            {"udp": "u1", "tcp": "t1"}[transport],
            "-m",
            str(calls),
            "-l",
            str(calls),
            "-r",
            str(rate or calls),
        ]
        command += ["-trace_msg", "-message_file", str(self._messages)] if trace else []
        command += ["-trace_err", "-error_file", str(self._errors), "-nostdin", *options]
        with (folder / "screen").open("wb") as screen:
            self._process = host.popen(command, stdout=screen, stderr=screen, cwd=folder)

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def succeed(self, seconds: float = END_S) -> None:
        """Wait for the end of the calls, which must all have gone as the scenario says."""
        status = self._process.wait(timeout=seconds)
        assert status == SUCCESSFUL, f"sipp ended with {status}: {self.errors()}\n{self.messages()[-6000:]}"

    def kill(self) -> None:
        """Vanish without a BYE, as a caller's machine that lost its power."""
        self._process.kill()
        self._process.wait()

    def messages(self) -> str:
        return self._messages.read_text(errors="replace") if self._messages.exists() else ""

    def errors(self) -> str:
        return self._errors.read_text(errors="replace") if self._errors.exists() else ""

    @property
    def _messages(self) -> Path:
        return self._folder / "messages"

    @property
    def _errors(self) -> Path:
        return self._folder / "errors"

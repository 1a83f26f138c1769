"""Asterisk as a customer's PBX, with the configuration that our documentation prints."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.media.certificates import Authority
from tests.media.conftest import NAME
from tests.media.network import Host

from .rootfs import Root

ETC = Path(__file__).with_name("etc")
# On one loaded core; it loads 200 modules.
START_S = 60
END_S = 10


class Asterisk:
    """Runs on `host`, for which NAME is `service`; `added` is appended to files of its configuration."""

    def __init__(
        self,
        folder: Path,
        root: Root,
        host: Host,
        *,
        service: str,
        authority: Authority,
        added: Mapping[str, str],
    ) -> None:
        self.address = host.address
        self._folder = folder
        self._root = root
        self._host = host
        self._authority = authority.certificate
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("keys", "lib", "spool", "run", "log"):
            (folder / name).mkdir(parents=True)
        etc = folder / "etc"
        # A fresh installation of Debian's package, then a small PBX, then what is under test.
        shutil.copytree(root.asterisk_etc, etc)
        shutil.copytree(ETC, etc, dirs_exist_ok=True)
        for file, text in added.items():
            with (etc / file).open("a") as configuration:
                configuration.write(f"\n{text}")
        for name, issued in zip(("asterisk.crt", "asterisk.key"), authority.issue(host.address), strict=True):
            shutil.copy(issued, folder / "keys" / name)
        command = [
            "dnsmasq",
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-hosts",
            "--no-resolv",
            "--user=root",
        ]
        command += ["--pid-file=", "--listen-address=127.0.0.1", "--bind-interfaces", f"--address=/{NAME}/{service}"]
        self._names = host.popen(command)

    def start(self) -> None:
        with self._output.open("ab") as output:
            command = self._inside("asterisk", "-fvvv", "-C", "/srv/etc/asterisk.conf")
            self._process = self._host.popen(command, stdout=output, stderr=output)
        deadline = time.monotonic() + START_S
        while "Asterisk has fully booted" not in self.command("core waitfullybooted"):
            assert self._process.poll() is None, f"Asterisk ended:\n{self.log()}"
            assert time.monotonic() < deadline, f"Asterisk did not start:\n{self.log()}"
            time.sleep(0.2)

    def kill(self) -> None:
        """As an outage of the PBX: nobody is told."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=END_S)
            self.kill()
        self._names.terminate()
        self._names.wait()

    def command(self, command: str) -> str:
        """The answer to a command of its console; "" while it does not run."""
        asked = self._host.command(*self._inside("asterisk", "-C", "/srv/etc/asterisk.conf", "-rx", command))
        return subprocess.run(asked, capture_output=True, text=True, errors="replace", check=False).stdout

    def channels(self) -> list[str]:
        """The names of all that there are."""
        return [line.partition("!")[0] for line in self.command("core show channels concise").splitlines()]

    def variable(self, channel: str, name: str) -> str:
        """Of the channel whose name begins so."""
        (found,) = (name for name in self.channels() if name.startswith(channel))
        _, _, said = self.command(f"core show channel {found}").partition(f"\n{name}=")
        return said.partition("\n")[0]

    def log(self) -> str:
        logs = (self._output, self._folder / "log" / "full")
        return "".join(log.read_text(errors="replace") for log in logs if log.exists())

    def _inside(self, *command: str) -> Sequence[str]:
        return self._root.command(self._folder, self._authority, command)

    @property
    def _output(self) -> Path:
        return self._folder / "output"

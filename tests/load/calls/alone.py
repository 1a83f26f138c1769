"""The telephony process without the service: calls are let in, their audio is counted and thrown away.

`python -m tests.load.calls.alone ADDRESS ADVERTISED SIP_PORT RTP_FIRST RTP_LAST` answers calls until it is terminated.
On SIGUSR1 it prints, as JSON, the calls that run and that were hung up, the bytes of audio that it heard, and its
counters.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import uvloop

from tests.load import accounting, machine
from tests.load.accounting import Usage
from voice_verify.telephony.agent import CallInfo, Counters, LegEnd, PbxState, TelephonyConfig
from voice_verify.telephony.uas import TelephonyAgent

from .sides import Ended, until

READY = "ready"
# A-law.
BYTES_PER_S = 8000


class _Leg:
    def __init__(self, service: _Sink, call: CallInfo) -> None:
        self.uuid = call.uuid or uuid4()
        self._service = service

    def audio(self, block: bytes) -> None:
        self._service.heard += len(block)

    def codec(self, codec: str, rate: int) -> None:
        pass

    def hold(self, held: bool) -> None:
        pass

    def end(self, reason: LegEnd) -> None:
        self._service.calls -= 1
        self._service.hung_up += reason is LegEnd.client_closed


class _Sink:
    """The service's side: takes every call."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.calls = self.hung_up = self.heard = 0

    async def open(self, call: CallInfo, _ended: Callable[[str], None]) -> _Leg:
        self.calls += 1
        return _Leg(self, call)

    def registered(self, states: Sequence[PbxState]) -> None:
        pass


class Alone:
    """The running process, as the benchmark sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def usage(self) -> Usage:
        return Usage(0.0, 0.0, accounting.cpu_s(self._process.pid), 0.0, {})

    def calls(self) -> int:
        return int(self._ask()["calls"])

    def ended(self, _uuids: Sequence[str]) -> Ended:
        until(lambda: not self.calls(), "the telephony process does not end the calls")
        said = self._ask()
        return Ended(int(said["hung_up"]), float(said["heard"]) / BYTES_PER_S)

    def counts(self) -> dict[str, float]:
        return dict(self._ask()["counts"])

    def _ask(self) -> dict[str, Any]:
        self._process.send_signal(signal.SIGUSR1)
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def running(address: str, advertised: str, ports: tuple[int, int, int], core: int) -> Iterator[Alone]:
    """The process on `core`, at `address`; `ports` are SIP and the first and last of RTP."""
    command = [sys.executable, "-m", __name__, address, advertised, *map(str, ports)]
    with machine.pinned(core):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != f"{READY}\n":
            raise SystemExit("error: the telephony process did not start")
        yield Alone(process)
    finally:
        process.terminate()
        process.wait()


async def _main(address: str, advertised: str, port: int, rtp_first: int, rtp_last: int) -> None:
    config = TelephonyConfig(
        host=address,
        port=port,
        tls_port=None,
        tls_certificate=None,
        tls_key=None,
        ca_file=None,
        advertised=advertised,
        public_port=port,
        public_tls_port=None,
        edge="",
        peers=(),
        accounts={},
        rtp_host=address,
        rtp_first=rtp_first,
        rtp_last=rtp_last,
        pbx=(),
    )
    agent, sink, stopping = TelephonyAgent(), _Sink(), asyncio.Event()

    def say() -> None:
        counts = {
            f"{name}{{{kind}}}" if kind else name: value for (name, kind), value in sink.counters.counts().items()
        }
        state = {"calls": sink.calls, "hung_up": sink.hung_up, "heard": sink.heard, "counts": counts}
        print(json.dumps(state), flush=True)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, say)
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    await agent.start(config, sink)
    print(READY, flush=True)
    await stopping.wait()
    await agent.stop()


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])))

"""Calls of sipp with real speech: one sipp a voice, all on one core."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from uuid import UUID, uuid5

import numpy as np

from tests.load import accounting, machine
from tests.load.conversation import Conversation
from tests.media import pcap
from tests.media.network import Host
from tests.media.scenario import Scenario
from tests.media.sipp import Caller

NAMES = UUID("3a3f2f0e-6c57-4c55-9d0a-5f3b1f2c7d10")
# Of all sipps together: the answers are not what is measured.
CALLS_A_SECOND = 25
# After its last packet a call waits for what is still on the way.
TRAIL_S = 1.0
# sipp gives each call four ports from here on.
FIRST_PORT, PORTS_A_CALL = 10_000, 4
FIRST_SIP = 5062
# After their time.
END_S = 30
# Characters of sipp's words that are kept.
PROBLEM = 400


def uuid(number: int) -> str:
    """Of the stream that a call becomes."""
    return str(uuid5(NAMES, str(number)))


class Traffic:
    """`calls` calls that begin within `ramp_s` of `start` and send `audio_s` of speech each."""

    def __init__(
        self,
        folder: Path,
        host: Host,
        target: str,
        talks: Sequence[Conversation],
        *,
        calls: int,
        seconds: float,
        core: int,
    ) -> None:
        """Every call has begun after `ramp_s` and sends for `seconds` more; all sipps run on `core`."""
        self._host, self._target, self._core = host, target, core
        self.ramp_s = calls / CALLS_A_SECOND + 1
        packets = int((self.ramp_s + seconds) / pcap.PACKET_S)
        self.audio_s = packets * pcap.PACKET_S
        self._prepared = [
            self._prepare(folder / talk.voice, voice, talk, calls, len(talks))
            for voice, talk in enumerate(talks[:calls])
        ]
        self._callers: list[Caller] = []

    def _prepare(self, folder: Path, voice: int, talk: Conversation, calls: int, voices: int) -> Callable[[], Caller]:
        """Write what the sipp of one voice needs for every `voices`th of all `calls`; returns what starts it."""
        folder.mkdir(parents=True)
        numbers = range(voice, calls, voices)
        samples = np.resize(talk.samples, round(self.audio_s / pcap.PACKET_S) * pcap.PACKET)
        capture = pcap.write(folder / "speech.pcap", samples)
        uuids = folder / "uuids"
        uuids.write_text("SEQUENTIAL\n" + "".join(f"{uuid(number)};\n" for number in numbers))
        scenario = Scenario(uuid="[field0]").invite().receive(200).ack().play(capture)
        scenario.pause(self.audio_s + TRAIL_S).bye()
        first = FIRST_PORT + voice * PORTS_A_CALL * (calls // voices + 2)
        options = ["-inf", str(uuids), "-mp", str(first), "-p", str(FIRST_SIP + voice), "-rp", str(1000 * voices)]
        return partial(
            Caller,
            folder,
            self._host,
            scenario,
            self._target,
            calls=len(numbers),
            rate=CALLS_A_SECOND,
            options=options,
            trace=False,
        )

    def start(self) -> None:
        """The calls begin."""
        with machine.pinned(self._core):
            self._callers = [start() for start in self._prepared]

    def cpu_s(self) -> float:
        return sum(accounting.cpu_s(caller.pid) for caller in self._callers)

    def finish(self) -> list[str]:
        """Wait until all have hung up; returns what sipp says about calls that did not go as they should."""
        problems = []
        for caller in self._callers:
            try:
                caller.succeed(self.ramp_s + TRAIL_S + END_S)
            except (AssertionError, subprocess.TimeoutExpired) as problem:
                problems.append(str(problem)[:PROBLEM])
        return problems

    def kill(self) -> None:
        for caller in self._callers:
            if caller.running():
                caller.kill()

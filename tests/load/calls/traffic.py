"""Calls of sipp with real speech: one sipp a voice, all on one core."""

from __future__ import annotations

from collections.abc import Sequence
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


def uuid(number: int) -> str:
    """Of the stream that a call becomes."""
    return str(uuid5(NAMES, str(number)))


class Traffic:
    """`calls` calls that begin within `ramp_s` and send `audio_s` of speech each."""

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
        """Every call has begun after `ramp_s` and sends for `seconds` more."""
        self.ramp_s = calls / CALLS_A_SECOND + 1
        packets = int((self.ramp_s + seconds) / pcap.PACKET_S)
        self.audio_s = packets * pcap.PACKET_S
        self._callers = []
        with machine.pinned(core):
            for voice, talk in enumerate(talks[:calls]):
                own = folder / talk.voice
                own.mkdir(parents=True)
                samples = np.resize(talk.samples, packets * pcap.PACKET)
                capture = pcap.write(own / "speech.pcap", samples)
                numbers = range(voice, calls, len(talks))
                (own / "uuids").write_text("SEQUENTIAL\n" + "".join(f"{uuid(number)};\n" for number in numbers))
                scenario = Scenario(uuid="[field0]").invite().receive(200).ack().play(capture)
                scenario.pause(self.audio_s + TRAIL_S).bye()
                first = FIRST_PORT + voice * PORTS_A_CALL * len(numbers) + voice * PORTS_A_CALL
                options = ["-inf", str(own / "uuids"), "-mp", str(first), "-p", str(5062 + voice)]
                options += ["-rp", str(1000 * len(talks))]
                self._callers.append(
                    Caller(
                        own,
                        host,
                        scenario,
                        target,
                        calls=len(numbers),
                        rate=CALLS_A_SECOND,
                        options=options,
                        trace=False,
                    )
                )

    def cpu_s(self) -> float:
        return sum(accounting.cpu_s(caller.pid) for caller in self._callers)

    def finish(self) -> None:
        """Wait until all have hung up; raises AssertionError when a call did not go as it should."""
        for caller in self._callers:
            caller.succeed(self.audio_s + 60)

    def kill(self) -> None:
        for caller in self._callers:
            if caller.running():
                caller.kill()

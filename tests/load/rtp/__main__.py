"""`make bench-rtp`: what receiving RTP costs, and whether all of it is received.

Real speech as 20 ms A-law from another process, on the other core, over loopback. What is measured is the receiver as
the telephony process uses it, on uvloop; what it hands over is compared with what was said, byte by byte.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
import uvloop
from rich.console import Console
from rich.table import Table

from tests.load import machine
from tests.load.conversation import PROMPTS, VOICES
from tests.load.rtp.sender import PACKET_BYTES, PACKET_S, PCMA, Account, Plan, said
from voice_verify.telephony.rtp import MediaFormat, PortPool, RtpReceiver, RtpStats, find_codec

REPORT = Path("build/reports/bench-rtp.json")
# An address and ports that nobody else uses: a service may be running on this machine, with calls.
ADDRESS = "127.0.0.9"
FIRST_PORT, LAST_PORT = 22_000, 22_350
RECEIVER_CORE, SENDER_CORE = 0, 1
SILENCE = b"\xd5" * PACKET_BYTES
AUDIO_S = 180
TURN_S = 0.1


@dataclass(frozen=True)
class Row:
    name: str
    calls: int
    loss: float = 0.0
    jitter_s: float = 0.0


ROWS = (
    Row("50 calls", 50),
    Row("150 calls", 150),
    Row("150 calls, 2 % loss, 40 ms jitter", 150, loss=0.02, jitter_s=0.04),
)


@dataclass(frozen=True)
class Result:
    """`cpu_s`: of the receiving process for a second of one call. `wrong`: calls that did not hear what was said.

    `sender_lag_s` and `stall_s`: how late either process woke up at worst; other load on its core.
    """

    row: Row
    cpu_s: float
    dropped: int
    wrong: int
    sender_lag_s: float
    stall_s: float
    stats: RtpStats


def speech() -> bytes:
    """A-law of real prompts."""
    parts = []
    for voice in VOICES:
        for path in sorted((PROMPTS / voice).rglob("*.wav")):
            samples, rate = soundfile.read(path, dtype="int16")
            if rate == 8000 and samples.ndim == 1:
                parts.append(samples)
    if not parts:
        raise SystemExit(f"error: no speech under {PROMPTS}\nhint: scripts/install test")
    file = io.BytesIO()
    soundfile.write(file, np.concatenate(parts)[: 8000 * AUDIO_S], 8000, format="RAW", subtype="ALAW")
    audio = file.getvalue()
    return audio[: len(audio) // PACKET_BYTES * PACKET_BYTES]


def hears_what_was_said(audio: bytes, call: int, heard: bytes, packets: int, dropped: set[int]) -> bool:
    """Every packet that the line did not lose, in its place, and silence between them."""
    kept = [number for number in range(packets) if number not in dropped]
    parts = (SILENCE if number in dropped else said(audio, call, number) for number in range(kept[0], kept[-1] + 1))
    return heard == b"".join(parts)


class Stalls:
    """How late this process wakes up."""

    def __init__(self) -> None:
        self.slowest_s = 0.0

    async def watch(self) -> None:
        while True:
            due = time.monotonic() + TURN_S
            await asyncio.sleep(TURN_S)
            self.slowest_s = max(self.slowest_s, time.monotonic() - due)


async def measure(row: Row, seconds: float, audio: bytes, file: Path) -> Result:
    codec = find_codec("PCMA", 8000)
    assert codec
    pool, receiver = PortPool(ADDRESS, FIRST_PORT, LAST_PORT), RtpReceiver()
    heard = [bytearray() for _ in range(row.calls)]
    ports = []
    for audible in heard:
        pair = pool.take()
        ports.append(pair.port)
        receiver.open(pair, MediaFormat({PCMA: codec}, None), on_block=audible.extend, on_format=print)
    plan = Plan(ADDRESS, ports, round(seconds / PACKET_S), str(file), row.loss, row.jitter_s)
    with machine.pinned(SENDER_CORE):
        sender = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.load.rtp.sender"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
    stalls = Stalls()
    watch = asyncio.create_task(stalls.watch())
    started = time.process_time()
    printed, _ = await sender.communicate(json.dumps(asdict(plan)).encode())
    if sender.returncode:
        raise SystemExit("error: the sender failed")
    receiver.close()
    cpu = time.process_time() - started
    watch.cancel()
    account = Account(**json.loads(printed))
    wrong = sum(
        not hears_what_was_said(audio, call, bytes(heard[call]), plan.packets, set(account.dropped[call]))
        for call in range(row.calls)
    )
    return Result(
        row,
        cpu / (row.calls * seconds),
        sum(map(len, account.dropped)),
        wrong,
        account.slowest_s,
        stalls.slowest_s,
        receiver.totals(),
    )


def show(results: list[Result], console: Console) -> None:
    columns = ("CPU s a call-second", "Packets", "Dropped", "Lost", "Late", "Overflowed", "Calls not exact", "Stalls s")
    table = Table("", *columns)
    for result in results:
        stats = result.stats
        counts = (stats.packets, result.dropped, stats.lost, stats.late, stats.overflowed, result.wrong)
        table.add_row(
            result.row.name,
            f"{result.cpu_s:.5f}",
            *map(str, counts),
            f"{result.stall_s:.2f}, {result.sender_lag_s:.2f}",
        )
    console.print(table)
    console.print(
        "Stalls: how late the receiver and the sender woke up at worst. A sender that stalls makes packets late."
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load.rtp", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="length of each row")
    seconds = parser.parse_args().seconds
    audio, results = speech(), []
    with tempfile.NamedTemporaryFile(prefix="bench-rtp-") as file, machine.pinned(RECEIVER_CORE):
        Path(file.name).write_bytes(audio)
        for row in ROWS:
            results.append(uvloop.run(measure(row, seconds, audio, Path(file.name))))
    show(results, Console(width=140))
    report = {"machine": machine.description(), "seconds": seconds, "rows": [asdict(result) for result in results]}
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    print(f"also in {REPORT}")
    if any(result.wrong for result in results):
        raise SystemExit("error: audio was handed over that was not said, or was not handed over")


if __name__ == "__main__":
    main()

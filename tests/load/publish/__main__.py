"""`make bench-publish`: how fast a disk goes into a snapshot, next to a plain S3 upload of the same bytes.

Both go to the same double on this machine, in turn, several times; the double checks every block's SHA-256 and writes
it to a file, and keeps the S3 object by moto. What is measured is therefore this program and the double, not AWS.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import boto3
from boto3.s3.transfer import TransferConfig
from rich.console import Console
from rich.table import Table

from vvctl import appliance as appliances
from vvctl.journal import Journal
from vvctl.publish.aws.cloud import WORKERS, Cloud
from vvctl.publish.aws.ledger import Ledger
from vvctl.publish.aws.plan import Plan
from vvctl.publish.aws.readback import differing_blocks
from vvctl.publish.aws.release import BLOCK_SIZE, Survey, read
from vvctl.publish.aws.retry import Patience
from vvctl.publish.aws.snapshots import SnapshotWriter
from vvctl.publish.display import Display

REPORT = Path("build/reports/bench-publish.json")
REGION = "eu-central-1"
ROUNDS = 3
SNAPSHOT, PLAIN, BACK = "EBS direct upload", "S3 upload_fileobj", "EBS direct read back"


@dataclass(frozen=True)
class Measured:
    """One transfer; processor time of this process with its children, and of the double."""

    seconds: float
    client_cpu_s: float
    double_cpu_s: float


class Blocks:
    """The blocks of a disk as one file to read from, for upload_fileobj."""

    def __init__(self, survey: Survey) -> None:
        self._blocks = iter(survey.disk.blocks())
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        parts = [self._rest]
        length = len(self._rest)
        while size < 0 or length < size:
            _, block = next(self._blocks, (0, b""))
            if not block:
                break
            parts.append(block)
            length += len(block)
        content = b"".join(parts)
        end = length if size < 0 else size
        self._rest = content[end:]
        return content[:end]


@contextmanager
def double(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The double as a process of its own, that boto3 here speaks to."""
    command = [sys.executable, "-m", "tests.doubles.aws", "0", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip() if process.stdout else ""
            os.environ |= {
                "AWS_ENDPOINT_URL": url,
                "AWS_ACCESS_KEY_ID": "bench",
                "AWS_SECRET_ACCESS_KEY": "bench",
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_EC2_METADATA_DISABLED": "true",
            }
            yield process
        finally:
            process.kill()


def cpu_s(process: int) -> float:
    """Processor time of another process, in seconds (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(work: Callable[[], None], server: int) -> Measured:
    times, there, begun = os.times(), cpu_s(server), time.monotonic()
    work()
    seconds, after = time.monotonic() - begun, os.times()
    return Measured(seconds, sum(after[:4]) - sum(times[:4]), cpu_s(server) - there)


def transfers(survey: Survey, folder: Path, display: Display) -> Iterator[tuple[str, Callable[[], None]]]:
    """What is measured in one round, in order."""
    cloud = Cloud(REGION, Patience(poll=0.05))
    # Connections and code are warm in both before the clock starts.
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket="bench", CreateBucketConfiguration={"LocationConstraint": REGION})
    ledger = Ledger(Journal(folder / "journal"))
    plan = Plan("bench publish", REGION)
    ledger.begin(plan, read(survey.disk.path.parent, appliances.load(appliances.find_root() / "appliance.yml")))
    writer = SnapshotWriter(cloud, plan, ledger, {}, display)
    config = TransferConfig(max_concurrency=WORKERS)

    yield SNAPSHOT, lambda: writer.ensure(survey) and None
    yield PLAIN, lambda: s3.upload_fileobj(Blocks(survey), "bench", "disk", Config=config)
    snapshot = writer.ensure(survey)

    def read_back() -> None:
        assert differing_blocks(cloud, REGION, snapshot, survey, display) == []

    yield BACK, read_back
    s3.delete_object(Bucket="bench", Key="disk")
    s3.delete_bucket(Bucket="bench")
    cloud.ec2(REGION).delete_snapshot(SnapshotId=snapshot)
    ledger.forget()


def main() -> None:
    console = Console(width=120, highlight=False)
    display = Display(Console(stderr=True))
    root = appliances.find_root()
    disk = read(root / "dist", appliances.load(root / "appliance.yml")).disks["system"]
    begun = time.monotonic()
    survey = disk.survey()
    surveyed = time.monotonic() - begun
    found: dict[str, list[Measured]] = {SNAPSHOT: [], PLAIN: [], BACK: []}
    (root / "build").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-publish-", dir=root / "build"))
    try:
        with double(folder) as process:
            for _ in range(ROUNDS):
                for name, work in transfers(survey, folder, display):
                    found[name].append(measure(work, process.pid))
    finally:
        shutil.rmtree(folder)
    show(console, survey, surveyed, found)
    report = {
        "disk": disk.path.name,
        "bytes": survey.sent_bytes,
        "survey_seconds": surveyed,
        "rounds": {name: [asdict(entry) for entry in entries] for name, entries in found.items()},
    }
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    console.print(f"To repeat it: make bench-publish; also in {REPORT}")


def show(console: Console, survey: Survey, surveyed: float, found: dict[str, list[Measured]]) -> None:
    megabytes = survey.sent_bytes / 1e6
    console.print(
        f"{survey.disk.path.name}: {survey.size / 1e6:.0f} MB, of which {len(survey.checksums)} blocks of "
        f"{BLOCK_SIZE >> 10} KiB are not zero: {megabytes:.0f} MB. Read and hashed in {surveyed:.1f} s.\n"
        f"The same blocks by every way, {WORKERS} requests at once, {ROUNDS} rounds in turn; medians on "
        f"{len(os.sched_getaffinity(0))} cores shared with the double, Linux {platform.release()}, "
        f"Python {platform.python_version()}."
    )
    table = Table("", "MB/s", "Seconds", "Slowest", "CPU s here", "CPU s of the double")
    for name, entries in found.items():
        seconds = statistics.median(entry.seconds for entry in entries)
        table.add_row(
            name,
            f"{megabytes / seconds:.0f}",
            f"{seconds:.1f}",
            f"{max(entry.seconds for entry in entries):.1f}",
            f"{statistics.median(entry.client_cpu_s for entry in entries):.1f}",
            f"{statistics.median(entry.double_cpu_s for entry in entries):.1f}",
        )
    console.print(table)


if __name__ == "__main__":
    main()

"""Write disks into EBS snapshots with the EBS direct API: no bucket, no role for an import service, no zeros sent.

docs.aws.amazon.com/ebs/latest/userguide/ebs-accessing-snapshot.html
"""

from __future__ import annotations

import base64
from typing import Any

from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.errors import AwsError
from vvctl.publish.aws.ledger import Ledger
from vvctl.publish.aws.plan import Plan, tag_list
from vvctl.publish.aws.release import BLOCK_SIZE, Survey
from vvctl.publish.aws.workers import spread
from vvctl.publish.display import Display, Meter

# AWS gives a snapshot up when no block has come for so long: a day to run an interrupted upload again.
_TIMEOUT_MINUTES = 24 * 60
# A second snapshot that expires under our hands was not forgotten, it is something else.
_RESTARTS = 2
# How often to look whether a refused completion was accepted earlier, without its answer reaching us.
_LOOKS = 9
_NO_SUCH = "ResourceNotFoundException"
_MAY_HAVE_EXPIRED = {_NO_SUCH, "ValidationException"}
_MAY_BE_COMPLETE = {_NO_SUCH, "ValidationException", "ConflictException"}


class Expired(AwsError):
    """AWS gave the snapshot up while it was written."""

    code = "aws_snapshot_expired"


class SnapshotWriter:
    """Writes the snapshots of one publication; the ledger remembers what AWS has acknowledged."""

    def __init__(self, cloud: Cloud, plan: Plan, ledger: Ledger, tags: dict[str, str], display: Display) -> None:
        self._cloud = cloud
        self._ebs = cloud.ebs(plan.region)
        self._ec2 = cloud.ec2(plan.region)
        self._plan = plan
        self._ledger = ledger
        self._tags = tags
        self._display = display
        # Blocks that were sent, by disk, since this process began.
        self.sent: dict[str, int] = {}

    def ensure(self, survey: Survey) -> str:
        """The complete snapshot of a disk, however much of it an earlier run has written; raises AwsError."""
        disk = survey.disk.name
        for _ in range(1 + _RESTARTS):
            snapshot = self._ledger.snapshot(disk)
            fresh = snapshot is None
            if snapshot is None:
                snapshot = self._start(survey)
                self._ledger.started(disk, snapshot)
            elif (state := self.state(snapshot)) == "completed":
                return snapshot
            elif state != "pending":
                self._give_up(disk, snapshot, state)
                continue
            try:
                self._send(survey, snapshot, fresh=fresh)
                self._complete(survey, snapshot)
            except Expired:
                self._give_up(disk, snapshot, self.state(snapshot))
                continue
            return snapshot
        raise Expired(f"AWS gave up {1 + _RESTARTS} snapshots of the {disk} disk", hint="see the AWS Health Dashboard")

    def state(self, snapshot: str) -> str | None:
        """`pending`, `completed`, `error`, or None when there is no such snapshot."""
        try:
            found = self._cloud.attempt(
                lambda: self._ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"],
                "ec2",
                # One that was only just begun may not be known everywhere.
                lambda refusal: refusal.aws_code == "InvalidSnapshot.NotFound",
            )
        except AwsError as error:
            if error.aws_code == "InvalidSnapshot.NotFound":
                return None
            raise
        return found[0]["State"]

    def _start(self, survey: Survey) -> str:
        disk = survey.disk.name
        request: dict[str, Any] = {
            "VolumeSize": survey.volume_gib,
            "Description": f"{self._plan.name}, {disk} disk",
            "Tags": tag_list(self._tags),
            "ClientToken": self._ledger.token("start", disk, self._ledger.attempt(disk)),
            "Timeout": _TIMEOUT_MINUTES,
        }
        if self._plan.encrypted:
            request["Encrypted"] = True
        if self._plan.kms_key:
            request["KmsKeyArn"] = self._plan.kms_key
        answer = self._cloud.call(self._ebs.start_snapshot, **request)
        if answer["BlockSize"] != BLOCK_SIZE:
            raise AwsError(f"this AWS writes blocks of {answer['BlockSize']} bytes; vvctl knows {BLOCK_SIZE} only")
        return answer["SnapshotId"]

    def _give_up(self, disk: str, snapshot: str, state: str | None) -> None:
        self._display.say(f"{snapshot} of the {disk} disk expired; its upload begins anew")
        self._ledger.expired(disk, snapshot)
        if state == "error":
            # Ours, and nothing can ever be made of it.
            self._cloud.call(self._ec2.delete_snapshot, SnapshotId=snapshot)

    def _send(self, survey: Survey, snapshot: str, *, fresh: bool) -> None:
        disk = survey.disk.name
        arrived = self._ledger.arrived(snapshot) & survey.checksums.keys()
        # AWS may not know its own new snapshot for up to a minute (seen by awslabs/coldsnap).
        unknown = {_NO_SUCH} if fresh else set()

        def put(index: int, block: bytes, meter: Meter) -> None:
            self._cloud.attempt(
                lambda: self._ebs.put_snapshot_block(
                    SnapshotId=snapshot,
                    BlockIndex=index,
                    BlockData=block,
                    DataLength=BLOCK_SIZE,
                    Checksum=base64.b64encode(survey.checksums[index]).decode(),
                    ChecksumAlgorithm="SHA256",
                ),
                "ebs",
                lambda refusal: refusal.aws_code in unknown,
            )
            unknown.clear()
            self._ledger.block(snapshot, index)
            meter(BLOCK_SIZE)

        if len(arrived) == len(survey.checksums):
            return
        title = f"{disk} disk to {snapshot}"
        with self._display.transfer(title, survey.sent_bytes, len(arrived) * BLOCK_SIZE) as meter:
            blocks = ((index, block, meter) for index, block in survey.disk.blocks() if index not in arrived)
            try:
                spread(put, blocks, self._cloud.patience)
            except AwsError as error:
                self._raise_if_expired(snapshot, error)
                raise
            finally:
                self.sent[disk] = self.sent.get(disk, 0) + len(self._ledger.arrived(snapshot)) - len(arrived)

    def _complete(self, survey: Survey, snapshot: str) -> None:
        try:
            self._cloud.call(
                self._ebs.complete_snapshot,
                SnapshotId=snapshot,
                ChangedBlocksCount=len(survey.checksums),
                Checksum=base64.b64encode(survey.aggregate).decode(),
                ChecksumAlgorithm="SHA256",
                ChecksumAggregationMethod="LINEAR",
            )
        except AwsError as error:
            self._raise_if_expired(snapshot, error)
            if error.aws_code not in _MAY_BE_COMPLETE or not self._was_completed(snapshot):
                raise
        with self._display.waiting(f"AWS completes {snapshot}"):
            self._cloud.until(lambda: self._completed(snapshot), snapshot)

    def _was_completed(self, snapshot: str) -> bool:
        for looks in range(_LOOKS):
            if self.state(snapshot) == "completed":
                return True
            self._cloud.patience.look_again(looks)
        return False

    def _completed(self, snapshot: str) -> bool | None:
        state = self.state(snapshot)
        if state not in {"pending", "completed"}:
            raise Expired(f"{snapshot} could not be completed: it is {state or 'gone'}")
        return state == "completed" or None

    def _raise_if_expired(self, snapshot: str, error: AwsError) -> None:
        if error.aws_code in _MAY_HAVE_EXPIRED and self.state(snapshot) in {"error", None}:
            raise Expired(error.message, aws_code=error.aws_code, reason=error.reason) from error

"""Read a snapshot back with the EBS direct API and compare it with the disk that it was made of."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from typing import Any

from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.errors import AwsError
from vvctl.publish.aws.release import BLOCK_SIZE, Survey
from vvctl.publish.aws.workers import spread
from vvctl.publish.display import Display, Meter

_ZEROS = hashlib.sha256(bytes(BLOCK_SIZE)).digest()
# A page of tokens; the most that AWS gives.
_PAGE = 10000


def differing_blocks(cloud: Cloud, region: str, snapshot: str, survey: Survey, display: Display) -> list[int]:
    """Indices of the blocks of `snapshot` whose bytes are not the disk's, in order; raises AwsError."""
    ebs = cloud.ebs(region)
    tokens = dict(_tokens(cloud, region, snapshot))
    # What is not listed reads as zeros, and such blocks of the disk have no checksum.
    differing = sorted(survey.checksums.keys() - tokens.keys())
    lock = threading.Lock()

    def fetch(index: int) -> bytes:
        answer = ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=index, BlockToken=tokens[index])
        block = answer["BlockData"].read()
        digest = hashlib.sha256(block).digest()
        if len(block) != BLOCK_SIZE or base64.b64decode(answer["Checksum"]) != digest:
            raise AwsError(f"{snapshot}, block {index}: AWS sent other bytes than its own checksum says")
        return digest

    def compare(index: int, meter: Meter) -> None:
        digest = cloud.attempt(lambda: fetch(index), "ebs")
        if digest != survey.checksums.get(index, _ZEROS):
            with lock:
                differing.append(index)
        meter(BLOCK_SIZE)

    title = f"{survey.disk.name} disk from {snapshot}"
    with display.transfer(title, len(tokens) * BLOCK_SIZE) as meter:
        spread(compare, ((index, meter) for index in sorted(tokens)), cloud.patience)
    return sorted(differing)


def _tokens(cloud: Cloud, region: str, snapshot: str) -> Iterator[tuple[int, str]]:
    request: dict[str, Any] = {"SnapshotId": snapshot, "MaxResults": _PAGE}
    while True:
        page = cloud.call(cloud.ebs(region).list_snapshot_blocks, **request)
        for block in page["Blocks"]:
            yield block["BlockIndex"], block["BlockToken"]
        if not page.get("NextToken"):
            return
        request["NextToken"] = page["NextToken"]

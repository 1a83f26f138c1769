"""The EBS direct API (docs.aws.amazon.com/ebs/latest/APIReference): every documented check, blocks in files."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from typing import Any

from .refusal import Refusal
from .rules import key_for, list_of_tags, once, tags_of
from .state import ACCOUNT, BLOCK_SIZE, BLOCKS_PER_GIB, Account, Snapshot
from .wire import Call

_PENDING_QUOTA = 100


def _invalid(reason: str, message: str) -> Refusal:
    return Refusal("ValidationException", message, reason=reason)


class Ebs:
    """One method an operation, named as AWS names it."""

    def __init__(self, account: Account) -> None:
        self._account = account
        # Looks until a completed snapshot says so.
        self.completing_looks = 1

    def StartSnapshot(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        token = params.pop("ClientToken", None)
        region = self._account.region(call.region)
        snapshot = once(region, token, params, lambda: self._start(call.region, params), "ConflictException")
        return {
            "SnapshotId": snapshot.id,
            "OwnerId": ACCOUNT,
            "Status": snapshot.state,
            "StartTime": snapshot.started,
            "VolumeSize": snapshot.size_gib,
            "BlockSize": BLOCK_SIZE,
            "Description": snapshot.description,
            "Tags": list_of_tags(snapshot.tags),
            **({"KmsKeyArn": snapshot.key} if snapshot.key else {}),
        }

    def PutSnapshotBlock(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        # The body is not part of the signature, so its checksum must be.
        if not {"x-amz-checksum", "x-amz-checksum-algorithm"} <= call.signed_headers:
            raise _invalid("INVALID_PARAMETER_VALUE", "The checksum headers must be signed")
        block = params.get("BlockData", b"")
        if params.get("DataLength") != BLOCK_SIZE or len(block) != BLOCK_SIZE:
            raise _invalid("INVALID_PARAMETER_VALUE", f"DataLength must be {BLOCK_SIZE}, and so many bytes sent")
        if params.get("ChecksumAlgorithm") != "SHA256":
            raise _invalid("INVALID_PARAMETER_VALUE", "ChecksumAlgorithm must be SHA256")
        if base64.b64decode(params["Checksum"]) != hashlib.sha256(block).digest():
            raise _invalid("INVALID_PARAMETER_VALUE", "Checksum does not match the data")
        with self._account.lock:
            snapshot = self._writable(call, params)
            if not 0 <= params["BlockIndex"] < snapshot.size_gib * BLOCKS_PER_GIB:
                raise _invalid("INVALID_BLOCK", "BlockIndex is outside of the volume")
            snapshot.last_write = time.monotonic()
        snapshot.write(params["BlockIndex"], block)
        return {"Checksum": params["Checksum"], "ChecksumAlgorithm": "SHA256"}

    def CompleteSnapshot(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        with self._account.lock:
            snapshot = self._writable(call, params)
            if params["ChangedBlocksCount"] != len(snapshot.digests):
                raise _invalid("INVALID_PARAMETER_VALUE", f"ChangedBlocksCount must be {len(snapshot.digests)}")
            if "Checksum" in params:
                if params.get("ChecksumAlgorithm") != "SHA256" or params.get("ChecksumAggregationMethod") != "LINEAR":
                    raise _invalid("INVALID_PARAMETER_VALUE", "Checksum needs SHA256 and LINEAR")
                if base64.b64decode(params["Checksum"]) != snapshot.aggregate:
                    raise _invalid("INVALID_PARAMETER_VALUE", "Checksum does not match the blocks")
            snapshot.completing = self.completing_looks
        return {"Status": "pending"}

    def ListSnapshotBlocks(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        snapshot = self._readable(call, params)
        size = params.get("MaxResults", 10000)
        if not 100 <= size <= 10000:
            raise _invalid("INVALID_PARAMETER_VALUE", "MaxResults must be 100 to 10000")
        start = params.get("StartingBlockIndex", 0)
        if token := params.get("NextToken"):
            if not re.fullmatch(r"[0-9]+", token):
                raise _invalid("INVALID_PAGE_TOKEN", "NextToken is not valid")
            start = int(token)
        indices = sorted(index for index in snapshot.digests if index >= start)
        page = [{"BlockIndex": index, "BlockToken": snapshot.tokens[index]} for index in indices[:size]]
        rest = {"NextToken": str(indices[size])} if len(indices) > size else {}
        return {"Blocks": page, "VolumeSize": snapshot.size_gib, "BlockSize": BLOCK_SIZE, **rest}

    def GetSnapshotBlock(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        snapshot, index = self._readable(call, params), params["BlockIndex"]
        if snapshot.tokens.get(index) != params.get("BlockToken"):
            raise _invalid("INVALID_BLOCK_TOKEN", "BlockToken is not of this block")
        checksum = base64.b64encode(snapshot.digests[index]).decode()
        return {
            "DataLength": BLOCK_SIZE,
            "BlockData": snapshot.read(index),
            "Checksum": checksum,
            "ChecksumAlgorithm": "SHA256",
        }

    def _start(self, region_name: str, params: dict[str, Any]) -> Snapshot:
        region = self._account.region(region_name)
        if not 1 <= params.get("VolumeSize", 0) <= 65536:
            raise _invalid("INVALID_VOLUME_SIZE", "VolumeSize must be 1 to 65536")
        timeout = params.get("Timeout", 60)
        if not 10 <= timeout <= 4320:
            raise _invalid("INVALID_PARAMETER_VALUE", "Timeout must be 10 to 4320")
        if "ParentSnapshotId" in params:
            raise _invalid("INVALID_PARAMETER_VALUE", "This double knows no parents")
        if sum(snapshot.state == "pending" for snapshot in region.snapshots.values()) >= _PENDING_QUOTA:
            raise Refusal("ServiceQuotaExceededException", "Too many pending snapshots", status=402)
        try:
            tags = tags_of(params.get("Tags"))
            key = key_for(region, encrypted=params.get("Encrypted", False), key=params.get("KmsKeyArn"))
        except Refusal as refusal:
            raise _invalid(refusal.reason, refusal.message) from refusal
        return self._account.new_snapshot(
            region_name,
            params["VolumeSize"],
            description=params.get("Description", ""),
            tags=tags,
            key=key,
            timeout_s=timeout * 60.0,
        )

    def _find(self, call: Call, params: dict[str, Any]) -> Snapshot:
        snapshots = self._account.region(call.region).snapshots
        if params["SnapshotId"] not in snapshots:
            raise Refusal(
                "ResourceNotFoundException",
                f"The snapshot '{params['SnapshotId']}' does not exist.",
                status=404,
                reason="SNAPSHOT_NOT_FOUND",
            )
        return snapshots[params["SnapshotId"]]

    def _writable(self, call: Call, params: dict[str, Any]) -> Snapshot:
        snapshot = self._find(call, params)
        if snapshot.completing is None:
            snapshot.look()
        if snapshot.state == "error":
            raise _invalid("WRITE_REQUEST_TIMEOUT", "The snapshot timed out")
        if snapshot.state != "pending" or snapshot.completing is not None:
            raise _invalid("INVALID_SNAPSHOT_ID", "The snapshot is not pending")
        return snapshot

    def _readable(self, call: Call, params: dict[str, Any]) -> Snapshot:
        snapshot = self._find(call, params)
        if snapshot.state != "completed":
            raise _invalid("INVALID_SNAPSHOT_ID", "The snapshot is not completed")
        return snapshot

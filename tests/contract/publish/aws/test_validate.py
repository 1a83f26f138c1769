"""Validation reads everything back, and notices whatever is not as asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.doubles.aws.faults import Fault
from tests.doubles.aws.state import Image, Region, Snapshot

from .conftest import FRIEND, OTHER_REGION, REGION, Engineer


def test_what_was_published_is_as_asked_for(engineer: Engineer) -> None:
    keys = {region: engineer.key(region) for region in (REGION, OTHER_REGION)}
    options: dict[str, Any] = {
        "kms_key": keys[REGION],
        "copies": {OTHER_REGION: keys[OTHER_REGION]},
        "accounts": (FRIEND,),
        "tags": {"team": "voice"},
    }
    engineer.publish(**options)
    assert engineer.differences(**options) == []


def test_nothing_published(engineer: Engineer) -> None:
    (difference,) = engineer.differences()
    assert difference.what == "image"


def first(region: Region) -> tuple[Image, Snapshot]:
    (image,) = region.images.values()
    return image, region.snapshots[image.devices["/dev/xvda"]["SnapshotId"]]


def other_byte(_: Image, snapshot: Snapshot) -> None:
    block = bytearray(snapshot.read(3))
    block[77] ^= 1
    snapshot.write(3, bytes(block))


def block_too_many(_: Image, snapshot: Snapshot) -> None:
    snapshot.write(9, b"x" * (512 << 10))


def block_missing(_: Image, snapshot: Snapshot) -> None:
    del snapshot.digests[4]


def stranger(image: Image, _: Snapshot) -> None:
    image.shared_with.add("111111111111")


def stranger_reads(_: Image, snapshot: Snapshot) -> None:
    snapshot.shared_with.add("111111111111")


def other_boot_mode(image: Image, _: Snapshot) -> None:
    image.attributes["BootMode"] = "uefi"


def metadata_without_token(image: Image, _: Snapshot) -> None:
    del image.attributes["ImdsSupport"]


def data_deleted_with_the_machine(image: Image, _: Snapshot) -> None:
    image.devices["/dev/sdf"]["DeleteOnTermination"] = True


def slower_volume(image: Image, _: Snapshot) -> None:
    image.devices["/dev/xvda"]["VolumeType"] = "gp2"


def third_disk(image: Image, _: Snapshot) -> None:
    image.devices["/dev/sdg"] = dict(image.devices["/dev/sdf"])


def tag_of_another_build(image: Image, _: Snapshot) -> None:
    image.tags["voice-verify:build"] = "0"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (other_byte, "different in 1 blocks: 3"),
        (block_too_many, "different in 1 blocks: 9"),
        (block_missing, "different in 1 blocks: 4"),
        (stranger, "who may launch it"),
        (stranger_reads, "who may use it"),
        (other_boot_mode, "BootMode"),
        (metadata_without_token, "ImdsSupport"),
        (data_deleted_with_the_machine, "/dev/sdf DeleteOnTermination"),
        (slower_volume, "/dev/xvda VolumeType"),
        (third_disk, "devices"),
        (tag_of_another_build, "tag voice-verify:build"),
    ],
)
def test_a_change_is_named(engineer: Engineer, change: Callable[[Image, Snapshot], None], what: str) -> None:
    engineer.publish()
    change(*first(engineer.aws.account.region(REGION)))
    (difference,) = engineer.differences()
    assert what in str(difference)


def test_encryption_and_permissions_that_were_asked_for_are_missed(engineer: Engineer) -> None:
    engineer.publish()
    missed = {difference.what.split(") ")[-1] for difference in engineer.differences(encrypt=True, accounts=(FRIEND,))}
    assert {"Encrypted", "who may use it"} <= missed


def test_a_block_of_zeros_that_was_written_is_no_difference(engineer: Engineer) -> None:
    engineer.publish()
    _, snapshot = first(engineer.aws.account.region(REGION))
    snapshot.write(7, bytes(512 << 10))
    assert engineer.differences() == []


def test_reading_outlives_faults(engineer: Engineer) -> None:
    engineer.publish()
    engineer.aws.calls.clear()
    engineer.differences()
    for number in range(1, len(engineer.aws.calls) + 1):
        engineer.aws.faults.arm(Fault(("drop_before", "drop_after", "throttle")[number % 3], nth=number))  # type: ignore[arg-type]
        assert engineer.differences() == []

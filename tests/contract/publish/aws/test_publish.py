"""Publishing writes exactly the disks, makes the image that was asked for, and does nothing twice."""

from __future__ import annotations

from .conftest import FRIEND, OTHER_REGION, REGION, Engineer


def test_the_snapshots_hold_the_disks_and_no_zeros(engineer: Engineer) -> None:
    publication = engineer.publish()
    engineer.assert_published(REGION)
    assert {upload.disk: (upload.blocks, upload.sent) for upload in publication.uploads} == {
        "system": (4, 4),
        "data": (2, 2),
    }
    assert engineer.aws.counts["PutSnapshotBlock"] == 6


def test_the_image_is_as_tested_and_keeps_its_data(engineer: Engineer) -> None:
    engineer.publish(tags={"team": "voice"})
    (image,) = engineer.aws.account.region(REGION).images.values()
    assert image.attributes == {
        "Description": f"Voice Verify {engineer.appliance.product.version} ({engineer.release.build})",
        "RootDeviceName": engineer.appliance.aws.root_device,
        "BootMode": "legacy-bios",
        "ImdsSupport": "v2.0",
        "Architecture": "x86_64",
        "VirtualizationType": "hvm",
        "EnaSupport": True,
    }
    assert [ebs["VolumeType"] for ebs in image.devices.values()] == ["gp3", "gp3"]
    assert image.tags["team"] == "voice"
    assert image.tags["voice-verify:build"] == engineer.release.build
    snapshots = engineer.aws.account.region(REGION).snapshots.values()
    assert all(snapshot.tags == image.tags for snapshot in snapshots)


def test_a_survey_says_what_will_be_sent(engineer: Engineer) -> None:
    publisher = engineer.publisher()
    publisher.check()
    assert {name: (s.volume_gib, s.sent_bytes) for name, s in publisher.survey().items()} == {
        "system": (1, 4 << 19),
        "data": (3, 2 << 19),
    }
    assert not engineer.aws.counts["StartSnapshot"]


def test_a_second_run_makes_nothing(engineer: Engineer) -> None:
    first = engineer.publish()
    engineer.aws.calls.clear()
    second = engineer.publish()
    assert second.images == first.images
    assert not second.uploads
    assert not engineer.aws.counts.keys() & {"StartSnapshot", "PutSnapshotBlock"}


def test_another_machine_goes_on_with_what_is_published(engineer: Engineer) -> None:
    first = engineer.publish()
    engineer.journals = engineer.journals.with_name("another-machine")
    second = engineer.publish(copies={OTHER_REGION: None})
    assert second.images[0] == first.images[0]
    engineer.assert_published(REGION, OTHER_REGION)


def test_copies_and_permissions(engineer: Engineer) -> None:
    engineer.publish(copies={OTHER_REGION: None}, accounts=(FRIEND,))
    engineer.assert_published(REGION, OTHER_REGION)
    for region in (REGION, OTHER_REGION):
        place = engineer.aws.account.region(region)
        for thing in [*place.images.values(), *place.snapshots.values()]:
            assert thing.shared_with == {FRIEND}
            assert thing.tags["voice-verify:image"] == engineer.release.image_name


def test_encryption_with_keys_of_ones_own(engineer: Engineer) -> None:
    keys = {region: engineer.key(region) for region in (REGION, OTHER_REGION)}
    engineer.publish(kms_key=keys[REGION], copies={OTHER_REGION: keys[OTHER_REGION]}, accounts=(FRIEND,))
    engineer.assert_published(REGION, OTHER_REGION)
    for region, key in keys.items():
        assert {snapshot.key for snapshot in engineer.aws.account.region(region).snapshots.values()} == {key}


def test_encryption_with_the_default_key(engineer: Engineer) -> None:
    engineer.publish(encrypt=True)
    assert {snapshot.key for snapshot in engineer.aws.account.region(REGION).snapshots.values()} == {"alias/aws/ebs"}

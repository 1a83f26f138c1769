"""What cannot be published is refused before a byte is sent, and errors say what to do."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.doubles.aws.faults import Fault
from vvctl.appliance import Appliance
from vvctl.errors import IntegrityError, VvctlError
from vvctl.publish.aws import policy
from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.errors import AwsError, MissingPermission, NoCredentials, QuotaReached, Unreachable
from vvctl.publish.aws.images import NameTaken
from vvctl.publish.aws.ledger import OtherPublication
from vvctl.publish.aws.plan import WrongPlan
from vvctl.publish.aws.preflight import NotShareable
from vvctl.publish.aws.release import NothingToPublish, read
from vvctl.publish.aws.retry import Patience

from . import small
from .conftest import FRIEND, OTHER_REGION, REGION, Engineer


def assert_nothing_was_made(engineer: Engineer) -> None:
    assert not engineer.aws.counts["StartSnapshot"]
    assert not any(region.snapshots or region.images for region in engineer.aws.account.regions)


@pytest.mark.parametrize(
    "options",
    [
        {"name": "no"},
        {"name": "a+b+c"},
        {"accounts": ("12345",)},
        {"copies": {REGION: None}},
        {"kms_key": "alias/mine"},
        {"kms_key": f"arn:aws:kms:{OTHER_REGION}:{FRIEND}:key/1"},
        {"copies": {OTHER_REGION: f"arn:aws:kms:{OTHER_REGION}:{FRIEND}:key/1"}},
        {"tags": {"aws:mine": "x"}},
        {"tags": {"voice-verify:build": "x"}},
    ],
)
def test_an_impossible_plan(engineer: Engineer, options: dict[str, Any]) -> None:
    with pytest.raises(WrongPlan):
        engineer.publish(**options)
    assert_nothing_was_made(engineer)


@pytest.mark.parametrize("how", ["asked for", "by default", "in the other region"])
def test_sharing_what_the_default_key_encrypts(engineer: Engineer, how: str) -> None:
    options: dict[str, Any] = {"accounts": (FRIEND,)}
    if how == "asked for":
        options["encrypt"] = True
    elif how == "by default":
        engineer.aws.account.region(REGION).encrypts_by_default = True
    else:
        options |= {"kms_key": engineer.key(), "copies": {OTHER_REGION: None}}
    with pytest.raises(NotShareable, match=OTHER_REGION if "other" in how else REGION):
        engineer.publish(**options)
    assert_nothing_was_made(engineer)


def test_sharing_under_a_default_key_of_ones_own(engineer: Engineer) -> None:
    place = engineer.aws.account.region(REGION)
    place.encrypts_by_default, place.default_key = True, engineer.key()
    engineer.publish(accounts=(FRIEND,))
    engineer.assert_published(REGION)


def test_a_key_that_cannot_encrypt(engineer: Engineer) -> None:
    key = engineer.key()
    boto3.client("kms", region_name=REGION).disable_key(KeyId=key.rpartition("/")[2])
    with pytest.raises(AwsError, match="Disabled"):
        engineer.publish(kms_key=key)
    assert_nothing_was_made(engineer)


def test_a_region_that_does_not_exist(engineer: Engineer) -> None:
    with pytest.raises(AwsError, match="eu-nowhere-1"):
        engineer.publish(copies={"eu-nowhere-1": None})
    assert_nothing_was_made(engineer)


def test_a_name_that_another_image_has(engineer: Engineer) -> None:
    engineer.publish()
    other = replace(engineer.release.disks["data"], sha256="0" * 64)
    engineer.release = replace(engineer.release, disks=engineer.release.disks | {"data": other})
    with pytest.raises(NameTaken):
        engineer.publish()


def test_a_journal_of_other_options(engineer: Engineer) -> None:
    engineer.aws.faults.arm(Fault("refuse", nth=3, operation="PutSnapshotBlock"))
    with pytest.raises(AwsError):
        engineer.publish()
    with pytest.raises(OtherPublication, match="encrypted"):
        engineer.publish(encrypt=True)


def test_a_disk_that_is_not_what_was_built(appliance: Appliance, tmp_path: Path) -> None:
    small.write(tmp_path / "dist", appliance)
    disk = next((tmp_path / "dist").glob("*-system.raw.zst"))
    content = bytearray(disk.read_bytes())
    content[1000] ^= 1
    disk.write_bytes(content)
    with pytest.raises(IntegrityError, match="SHA256SUMS"):
        read(tmp_path / "dist", appliance)
    disk.unlink()
    with pytest.raises(NothingToPublish, match="system"):
        read(tmp_path / "dist", appliance)


OPTIONS: dict[str, Any] = {"copies": {OTHER_REGION: None}, "accounts": (FRIEND,)}
ALLOWED = {action for actions in policy.ACTIONS.values() for action in actions}


class TestRights:
    """The policy in the documentation is enough, and every action in it is needed."""

    def everything(self, engineer: Engineer) -> None:
        """Publish (with a key), lose the upload once, validate, unpublish."""
        from vvctl.publish.aws.plan import Labels  # noqa: PLC0415
        from vvctl.publish.aws.removal import inventory, remove  # noqa: PLC0415

        engineer.aws.faults.arm(
            Fault("refuse", nth=3, operation="PutSnapshotBlock", code="ServiceQuotaExceededException")
        )
        with suppress(QuotaReached):
            engineer.publish(**OPTIONS)
        engineer.aws.faults.arm()
        for snapshot in engineer.aws.account.region(REGION).snapshots.values():
            snapshot.timeout_s = -1.0
        engineer.publish(**OPTIONS)
        assert engineer.differences(**OPTIONS) == []
        labels = Labels(engineer.appliance.product.name)
        for made in inventory(engineer.cloud, [REGION, OTHER_REGION], labels, engineer.release.image_name, None):
            remove(engineer.cloud, made)

    def test_the_policy_is_enough_and_nothing_in_it_is_idle(self, engineer: Engineer) -> None:
        engineer.aws.allowed = set(ALLOWED)
        self.everything(engineer)
        used = {call.action for call in engineer.aws.calls} - {"sts:GetCallerIdentity"}
        # Tags are set with what they stand on. The default key is asked for when the account encrypts by default.
        assert used == ALLOWED - {"ec2:CreateTags", "ec2:GetEbsDefaultKmsKeyId"}

    @pytest.mark.parametrize("action", sorted(ALLOWED - {"ec2:GetEbsDefaultKmsKeyId"}))
    def test_a_missing_right_is_named(self, engineer: Engineer, action: str) -> None:
        engineer.aws.allowed = ALLOWED - {action}
        with pytest.raises(MissingPermission, match=f"AWS does not allow {re.escape(action)}") as raised:
            self.everything(engineer)
        assert action in raised.value.hint

    @pytest.mark.parametrize("action", ["ec2:RegisterImage", "ec2:CopyImage", "ec2:ModifyImageAttribute"])
    def test_a_missing_right_shows_before_anything_is_sent(self, engineer: Engineer, action: str) -> None:
        engineer.aws.allowed = ALLOWED - {action}
        with pytest.raises(MissingPermission):
            engineer.publish(**OPTIONS)
        assert_nothing_was_made(engineer)


class TestAnswers:
    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            ("ExpiredTokenException", NoCredentials),
            ("UnrecognizedClientException", NoCredentials),
            ("ServiceQuotaExceededException", QuotaReached),
            ("AccessDeniedException", MissingPermission),
        ],
    )
    def test_known_refusals(self, engineer: Engineer, code: str, kind: type[VvctlError]) -> None:
        engineer.aws.faults.arm(Fault("refuse", nth=1, operation="StartSnapshot", code=code))
        with pytest.raises(kind) as raised:
            engineer.publish()
        assert raised.value.hint

    @pytest.mark.usefixtures("aws")
    def test_no_credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(NoCredentials, match="credentials"):
            assert Cloud(REGION).account

    def test_an_unknown_profile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_PROFILE", "nobody")
        with pytest.raises(NoCredentials, match="nobody"):
            Cloud(REGION)

    @pytest.mark.usefixtures("aws")
    def test_no_region(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        with pytest.raises(AwsError, match="no region"):
            Cloud()

    @pytest.mark.usefixtures("aws")
    def test_nobody_answers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(Unreachable):
            assert Cloud(REGION, Patience(first=0.001, longest=0.001)).account

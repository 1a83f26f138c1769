"""All that stands in the way is found before anything is made, and says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import boto3
import pytest

from vvctl.upgrade.aws import policy

from .platform import NAME, REGION, AwsPlatform

ALLOWED = {action for actions in policy.ACTIONS.values() for action in actions}


def test_nothing_stands_in_the_way(aws: AwsPlatform, provider: Callable[..., Any]) -> None:
    assert list(provider().preflight()) == []
    assert aws.mutations() == []


def _attribute(**changes: Any) -> Callable[[AwsPlatform], None]:
    return lambda aws: aws.instance.attributes.update(changes)


def _image(**changes: Any) -> Callable[[AwsPlatform], None]:
    def change(aws: AwsPlatform) -> None:
        for image in aws.region.images.values():
            image.attributes.update(changes)

    return change


def _set(path: str, value: Any) -> Callable[[AwsPlatform], None]:
    holder, _, name = path.rpartition(".")
    return lambda aws: setattr(attrgetter(holder)(aws), name, value)


PUBLIC = {"Association": {"PublicIp": "198.51.100.7", "IpOwnerId": "amazon"}}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_attribute(InstanceLifecycle="spot"), "is a spot instance"),
        (_set("instance.tags", {"Name": NAME, "aws:autoscaling:groupName": "fleet"}), "Auto Scaling group fleet"),
        (_attribute(RootDeviceType="instance-store"), "no EBS root volume"),
        (_attribute(OutpostArn="arn:aws:outposts:x"), "on an Outpost"),
        (_attribute(NetworkInterfaces=[PUBLIC]), "public address 198.51.100.7 .* is lost"),
        (_set("instance.disable_api_stop", True), "protected from being stopped"),
        (_set("instance.shutdown_behaviour", "terminate"), "terminated when its system shuts down"),
        (_set("data.zone", "eu-central-1b"), "is in eu-central-1b, .* in eu-central-1a"),
        (_attribute(CurrentInstanceBootMode="uefi"), "starts with legacy-bios, the machine with uefi"),
        (_image(BootMode="uefi"), "starts with uefi, the machine with legacy-bios"),
        (_image(Architecture="arm64"), "is for arm64, the machine is x86_64"),
        (_image(EnaSupport=False), "ami-.* has no enhanced networking"),
        (_attribute(EnaSupport=False), "the machine has no enhanced networking"),
        (_image(TpmSupport="v2.0"), "needs a NitroTPM"),
        (_image(ProductCodes=[{"ProductCodeId": "abc", "ProductCodeType": "marketplace"}]), "product codes: abc"),
        (_set("root.size_gib", 8), "needs 10 GiB, the root volume .* has 8"),
        (_set("data.attachment.state", "busy"), "data volume is not attached as /dev/sdf"),
        (_set("region.quotas", {("ebs", "L-7A658B76"): 0.09}), "need 50 GiB more of gp3 volumes; 50 of 92 GiB"),
    ],
)
def test_what_is_found(
    aws: AwsPlatform, provider: Callable[..., Any], change: Callable[[AwsPlatform], None], says: str
) -> None:
    change(aws)
    (finding,) = provider().preflight()
    assert re.search(says, finding.problem), finding
    assert finding.hint
    assert aws.mutations() == []


def test_uefi_preferred_starts_with_either(aws: AwsPlatform, provider: Callable[..., Any]) -> None:
    _image(BootMode="uefi-preferred")(aws)
    assert list(provider().preflight()) == []


def test_an_unknown_quota_is_no_obstacle(aws: AwsPlatform, provider: Callable[..., Any]) -> None:
    aws.region.quotas.clear()
    assert list(provider().preflight()) == []


def test_a_disabled_key(aws: AwsPlatform, provider: Callable[..., Any]) -> None:
    made = provider()
    kms = boto3.client("kms", region_name=REGION)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    aws.data.key = aws.root.key = key
    assert list(made.preflight()) == []
    kms.disable_key(KeyId=key.rpartition("/")[2])
    (finding,) = made.preflight()
    assert finding.problem == f"the key {key} is Disabled"


def test_what_another_upgrade_left(aws: AwsPlatform, provider: Callable[..., Any]) -> None:
    provider("u0").stage_new()
    (finding,) = provider("u1").preflight()
    assert "the upgrade u0 left" in finding.problem
    assert all(name in finding.problem for name in ("vol-", "snap-"))
    assert list(provider("u0").preflight()) == []


class TestRights:
    """The policy in the documentation is enough, and every action in it is needed."""

    def test_the_policy_is_enough_and_nothing_in_it_is_idle(self, aws: AwsPlatform, operator: Any) -> None:
        aws.aws.allowed = set(ALLOWED)
        assert operator.run().status == 0
        assert operator.take_up("rollback", "--accept-data-loss").status == 0
        used = {call.action for call in aws.aws.calls} - {"sts:GetCallerIdentity"}
        assert used == ALLOWED

    @pytest.mark.parametrize("action", sorted(ALLOWED - set(policy.ACTIONS["Look"]) - set(policy.ACTIONS["Quota"])))
    def test_a_missing_right_is_named_and_nothing_is_made(
        self, aws: AwsPlatform, provider: Callable[..., Any], action: str
    ) -> None:
        made = provider()
        aws.aws.allowed = ALLOWED - {action}
        found = list(made.preflight())
        assert found
        assert all(f"AWS does not allow {action}" in finding.problem for finding in found)
        assert all(action in finding.hint for finding in found)
        assert aws.mutations() == []

    def test_no_lock_is_made_that_could_not_be_given_back(self, aws: AwsPlatform, operator: Any) -> None:
        aws.aws.allowed = ALLOWED - {"ec2:DeleteLaunchTemplate"}
        ended = operator.run()
        assert ended.status == 1
        assert "AWS does not allow ec2:DeleteLaunchTemplate" in ended.said
        assert aws.observe().lock is None

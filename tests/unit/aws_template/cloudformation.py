"""CloudFormation on moto, strict about what EC2 resources are told.

moto makes these resources but forgets most of their properties without a word. Here every property is either carried
out, through the EC2 interface as the real service does it, or refused.
"""

from __future__ import annotations

import base64
from typing import Any

import boto3
import pytest
from moto.core.common_models import CloudFormationModel
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_block_store import Volume
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance

Properties = dict[str, Any]


def make_strict(patch: pytest.MonkeyPatch) -> None:
    """Replace moto's leniency for the time of `patch`."""
    for model, make in ((Instance, _instance), (Volume, _volume), (NetworkInterface, _interface)):
        patch.setattr(model, "create_from_cloudformation_json", classmethod(make))


def _take(properties: Properties, *names: str) -> list[Any]:
    """The values of `names`; refuses properties that none of them is."""
    unknown = set(properties) - set(names)
    assert not unknown, f"this double does not carry out {sorted(unknown)}"
    return [properties.get(name) for name in names]


def _tags(kind: str, tags: list[dict[str, str]] | None) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": tags}] if tags else []


def _instance(_: type, _name: str, resource: Properties, account: str, region: str, **_more: Any) -> Any:
    image, kind, disks, volumes, cards, metadata, user_data, tags = _take(
        resource["Properties"],
        "ImageId", "InstanceType", "BlockDeviceMappings", "Volumes", "NetworkInterfaces",
        "MetadataOptions", "UserData", "Tags",
    )  # fmt: skip
    for card in cards:
        card["DeviceIndex"] = int(card["DeviceIndex"])
        if "GroupSet" in card:
            card["Groups"] = card.pop("GroupSet")
    ec2 = boto3.client("ec2", region)
    made = ec2.run_instances(
        ImageId=image,
        InstanceType=kind,
        MinCount=1,
        MaxCount=1,
        # moto 5.2 fails over a mapping that only takes a device out; it gives no disks of the image's own anyway.
        BlockDeviceMappings=[disk for disk in disks if "NoDevice" not in disk],
        NetworkInterfaces=cards,
        MetadataOptions=metadata,
        UserData=base64.b64decode(user_data, validate=True).decode(),
        TagSpecifications=_tags("instance", tags),
    )
    identity = made["Instances"][0]["InstanceId"]
    for volume in volumes:
        ec2.attach_volume(InstanceId=identity, **volume)
    return ec2_backends[account][region].get_instance(identity)


def _volume(_: type, _name: str, resource: Properties, account: str, region: str, **_more: Any) -> Any:
    zone, size, kind, encrypted, tags = _take(
        resource["Properties"], "AvailabilityZone", "Size", "VolumeType", "Encrypted", "Tags"
    )
    made = boto3.client("ec2", region).create_volume(
        AvailabilityZone=zone,
        Size=int(size),
        VolumeType=kind,
        Encrypted=encrypted,
        TagSpecifications=_tags("volume", tags),
    )
    return ec2_backends[account][region].get_volume(made["VolumeId"])


def _interface(_: type, _name: str, resource: Properties, account: str, region: str, **_more: Any) -> Any:
    description, subnet, groups, tags = _take(resource["Properties"], "Description", "SubnetId", "GroupSet", "Tags")
    made = boto3.client("ec2", region).create_network_interface(
        Description=description,
        SubnetId=subnet,
        Groups=groups,
        TagSpecifications=_tags("network-interface", tags),
    )
    return ec2_backends[account][region].get_network_interface(made["NetworkInterface"]["NetworkInterfaceId"])


class AddressAssociation(CloudFormationModel):
    """AWS::EC2::EIPAssociation, which moto has not; being defined is enough for moto to find it."""

    def __init__(self, identity: str) -> None:
        self.identity = identity

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::EC2::EIPAssociation"

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @property
    def physical_resource_id(self) -> str:
        return self.identity

    @classmethod
    def create_from_cloudformation_json(
        cls, _name: str, resource: Properties, _account: str, region: str, **_more: Any
    ) -> AddressAssociation:
        allocation, interface = _take(resource["Properties"], "AllocationId", "NetworkInterfaceId")
        made = boto3.client("ec2", region).associate_address(AllocationId=allocation, NetworkInterfaceId=interface)
        return cls(made["AssociationId"])

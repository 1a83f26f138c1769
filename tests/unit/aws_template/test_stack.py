"""The template launches: what is there afterwards, read back through EC2's interface."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from vvctl.appliance import Appliance
from vvctl.aws_template import render

from .cloudformation import make_strict

REGION, ZONE = "eu-central-1", "eu-central-1a"
SSH, WEB, CALLS, AUDIOSOCKET = "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "203.0.113.9/32"


class Stack:
    """The launched stack and what EC2 says about its parts."""

    def __init__(self, name: str, appliance: Appliance, **parameters: str) -> None:
        self.ec2 = boto3.client("ec2", REGION)
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.0.1.0/24", AvailabilityZone=ZONE)
        self.subnet = subnet["Subnet"]["SubnetId"]
        image = self.ec2.register_image(Name=f"image-{name}", RootDeviceName=appliance.aws.root_device)["ImageId"]
        given = {
            "ImageId": image, "VpcId": self.vpc, "SubnetId": self.subnet, "AvailabilityZone": ZONE,
            "SshSources": SSH, "WebSources": WEB, "CallSources": CALLS, **parameters,
        }  # fmt: skip
        formation = boto3.client("cloudformation", REGION)
        formation.create_stack(
            StackName=name,
            TemplateBody=render(appliance),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        )
        stack = formation.describe_stacks(StackName=name)["Stacks"][0]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        self.outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in stack["Outputs"]}
        parts = formation.list_stack_resources(StackName=name)["StackResourceSummaries"]
        self.ids = {part["LogicalResourceId"]: part["PhysicalResourceId"] for part in parts}

    @property
    def machine(self) -> dict[str, Any]:
        found = self.ec2.describe_instances(InstanceIds=[self.ids["Machine"]])
        return dict(found["Reservations"][0]["Instances"][0])

    @property
    def disks(self) -> dict[str, dict[str, Any]]:
        """Volumes by the device name that they are attached as."""
        return {
            entry["DeviceName"]: self.ec2.describe_volumes(VolumeIds=[entry["Ebs"]["VolumeId"]])["Volumes"][0]
            for entry in self.machine["BlockDeviceMappings"]
        }

    @property
    def interface(self) -> dict[str, Any]:
        found = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[self.ids["ServiceInterface"]])
        return dict(found["NetworkInterfaces"][0])

    @property
    def user_data(self) -> dict[str, str]:
        found = self.ec2.describe_instance_attribute(InstanceId=self.ids["Machine"], Attribute="userData")
        return dict(json.loads(base64.b64decode(found["UserData"]["Value"])))


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        make_strict(patch)
        yield


@pytest.fixture(scope="module")
def stack(aws: None, appliance: Appliance) -> Stack:
    return Stack("public", appliance, Tier="2", Domain="example.org", AudiosocketPeers=AUDIOSOCKET)


def test_machine_is_of_the_tiers_type_and_needs_a_token_for_its_metadata(stack: Stack, appliance: Appliance) -> None:
    assert stack.machine["InstanceType"] == appliance.tiers[1].aws_instance
    assert stack.machine["MetadataOptions"]["HttpTokens"] == "required"
    assert stack.machine["MetadataOptions"]["HttpPutResponseHopLimit"] == 1


def test_both_disks_are_encrypted_and_only_the_systems_ends_with_the_machine(
    stack: Stack, appliance: Appliance
) -> None:
    aws = appliance.aws
    assert set(stack.disks) == {aws.root_device, aws.data_device}
    system, data = stack.disks[aws.root_device], stack.disks[aws.data_device]
    assert (system["Size"], system["Encrypted"]) == (appliance.disks.system.size_gb, True)
    # Tier 2: 100 calls for ten hours a day, and what is delivered.
    assert (data["Size"], data["Encrypted"], data["VolumeType"]) == (670, True, aws.volume_type)
    kept = {disk["DeviceName"]: disk["Ebs"]["DeleteOnTermination"] for disk in stack.machine["BlockDeviceMappings"]}
    assert kept == {aws.root_device: True, aws.data_device: False}


def test_service_address_is_on_an_interface_that_outlives_the_machine(stack: Stack) -> None:
    interface = stack.interface
    assert interface["Attachment"]["InstanceId"] == stack.ids["Machine"]
    assert interface["Attachment"]["DeviceIndex"] == 1
    assert not interface["Attachment"]["DeleteOnTermination"]
    assert interface["Association"]["PublicIp"] == stack.ids["ElasticIp"] == stack.outputs["ServiceAddress"]
    assert {group["GroupId"] for group in interface["Groups"]} == {stack.ids["Firewall"]}


def test_service_address_moves_to_another_machine(stack: Stack) -> None:
    other = stack.ec2.run_instances(
        ImageId=stack.machine["ImageId"], MinCount=1, MaxCount=1, SubnetId=stack.subnet
    )["Instances"][0]["InstanceId"]  # fmt: skip
    before = stack.interface
    stack.ec2.detach_network_interface(AttachmentId=before["Attachment"]["AttachmentId"])
    stack.ec2.attach_network_interface(NetworkInterfaceId=before["NetworkInterfaceId"], InstanceId=other, DeviceIndex=1)
    after = stack.interface
    assert after["Attachment"]["InstanceId"] == other
    assert after["PrivateIpAddress"] == before["PrivateIpAddress"]
    assert after["Association"]["PublicIp"] == stack.ids["ElasticIp"]
    stack.ec2.detach_network_interface(AttachmentId=after["Attachment"]["AttachmentId"])
    stack.ec2.attach_network_interface(
        NetworkInterfaceId=before["NetworkInterfaceId"], InstanceId=stack.ids["Machine"], DeviceIndex=1
    )


def test_security_group_is_the_port_table(stack: Stack, appliance: Appliance) -> None:
    networks = {"ssh_sources": SSH, "web_sources": WEB, "call_sources": CALLS, "audiosocket_peers": AUDIOSOCKET}
    wanted = {
        (protocol, port.first, port.last or port.first, networks[port.sources])
        for port in appliance.ports
        for protocol in port.protocols
    }
    group = stack.ec2.describe_security_groups(GroupIds=[stack.ids["Firewall"]])["SecurityGroups"][0]
    found = {
        (rule["IpProtocol"], rule["FromPort"], rule["ToPort"], network["CidrIp"])
        for rule in group["IpPermissions"]
        for network in rule["IpRanges"]
    }
    assert found == wanted
    assert group["VpcId"] == stack.vpc


def test_user_data_are_the_properties(stack: Stack, appliance: Appliance) -> None:
    assert stack.user_data == {
        "hostname": "voiceverify",
        "domain": "example.org",
        "ssh_key": "",
        "operator_key_sha256": "",
        "audiosocket_peers": AUDIOSOCKET,
        "tier": "2",
        "advertised_address": stack.ids["ElasticIp"],
    }
    assert set(stack.user_data) <= {entry.key for entry in appliance.ovf.properties}


def test_private_machine_has_no_public_address_and_no_optional_port(aws: None, appliance: Appliance) -> None:
    stack = Stack("private", appliance, ElasticAddress="no", DataDiskGb="80")
    assert "ElasticIp" not in stack.ids
    assert "Association" not in stack.interface
    assert stack.outputs["ServiceAddress"] == stack.interface["PrivateIpAddress"]
    assert stack.user_data["advertised_address"] == ""
    assert stack.disks[appliance.aws.data_device]["Size"] == 80
    group = stack.ec2.describe_security_groups(GroupIds=[stack.ids["Firewall"]])["SecurityGroups"][0]
    assert appliance.port("audiosocket").first not in {rule["FromPort"] for rule in group["IpPermissions"]}

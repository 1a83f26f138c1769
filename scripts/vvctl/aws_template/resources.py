"""What the stack makes: security group, data disk, service interface, elastic IP and the machine."""

from __future__ import annotations

import json
from typing import Any

from vvctl.appliance import Appliance, Port
from vvctl.aws_template.parameters import ASKED, HOURS, Json, name, sources
from vvctl.sizing.plan import Need, plan

HAS_ADDRESS = "HasElasticAddress"
SIZED = "DataDiskGbGiven"


def ref(logical: str) -> Json:
    return {"Ref": logical}


def of_tier(value: str) -> Json:
    return {"Fn::FindInMap": ["Tiers", ref("Tier"), value]}


def mappings(appliance: Appliance) -> Json:
    """The Mappings section: what follows from the tier."""
    days = appliance.retention.logs_days
    return {
        "Tiers": {
            str(tier.id): {
                "InstanceType": tier.aws_instance,
                "DataDiskGb": plan(appliance, Need(tier.calls, HOURS, days)).data_disk_gb,
            }
            for tier in appliance.tiers
        }
    }


def given(key: str) -> str:
    """The condition that a parameter which may be empty is not."""
    return f"{name(key)}Given"


def optional_sources(appliance: Appliance) -> list[str]:
    """The properties that open a port only when they are given."""
    return [key for key in sources(appliance) if any(p.sources == key and p.open == "enabled" for p in appliance.ports)]


def conditions(appliance: Appliance) -> Json:
    """The Conditions section."""
    found: Json = {
        HAS_ADDRESS: {"Fn::Equals": [ref("ElasticAddress"), "yes"]},
        SIZED: {"Fn::Not": [{"Fn::Equals": [ref("DataDiskGb"), 0]}]},
    }
    for key in optional_sources(appliance):
        found[given(key)] = {"Fn::Not": [{"Fn::Equals": [ref(name(key)), ""]}]}
    return found


def rules() -> Json:
    """Checked before anything is made: a disk in another zone could not be attached."""

    def same(attribute: str, parameter: str, what: str) -> Json:
        of_the_subnet = {"Fn::ValueOfAll": ["AWS::EC2::Subnet::Id", attribute]}
        return {
            "Assert": {"Fn::EachMemberEquals": [of_the_subnet, ref(parameter)]},
            "AssertDescription": f"{parameter} must be the {what} of SubnetId",
        }

    zone = same("AvailabilityZone", "AvailabilityZone", "zone")
    return {"OneSubnet": {"Assertions": [zone, same("VpcId", "VpcId", "network")]}}


def resources(appliance: Appliance) -> Json:
    """The Resources section."""
    return {
        "Firewall": _security_group(appliance),
        **_optional_ports(appliance),
        "DataDisk": _data_disk(appliance),
        "ServiceInterface": {
            "Type": "AWS::EC2::NetworkInterface",
            "Properties": {
                "Description": "Service address; unlike a first interface it can outlive the machine",
                "SubnetId": ref("SubnetId"),
                "GroupSet": [ref("Firewall")],
                "Tags": _tags("service"),
            },
        },
        "ElasticIp": {
            "Type": "AWS::EC2::EIP",
            "Condition": HAS_ADDRESS,
            "Properties": {"Domain": "vpc", "Tags": _tags("service")},
        },
        "ElasticIpOnService": {
            "Type": "AWS::EC2::EIPAssociation",
            "Condition": HAS_ADDRESS,
            "Properties": {
                "AllocationId": {"Fn::GetAtt": ["ElasticIp", "AllocationId"]},
                "NetworkInterfaceId": ref("ServiceInterface"),
            },
        },
        "Machine": _machine(appliance),
    }


def _tags(part: str) -> list[Json]:
    return [{"Key": "Name", "Value": {"Fn::Sub": f"${{AWS::StackName}} {part}"}}]


def _security_group(appliance: Appliance) -> Json:
    # TLS ports from the start: until there is a certificate, nothing answers there.
    ingress = [rule for port in appliance.ports if port.open != "enabled" for rule in _ingress(port)]
    return {
        "Type": "AWS::EC2::SecurityGroup",
        "Properties": {
            "GroupDescription": f"Ports of {appliance.product.title}",
            "VpcId": ref("VpcId"),
            "SecurityGroupIngress": ingress,
            "Tags": _tags("firewall"),
        },
    }


def _ingress(port: Port) -> list[Json]:
    """One rule a protocol."""
    return [
        {
            "Description": port.purpose,
            "IpProtocol": protocol,
            "FromPort": port.first,
            "ToPort": port.last or port.first,
            "CidrIp": ref(name(port.sources)),
        }
        for protocol in port.protocols
    ]


def _optional_ports(appliance: Appliance) -> Json:
    """The ports that are let through only when it was said for whom."""
    return {
        f"{name(port.name)}Port{protocol['IpProtocol'].capitalize()}": {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Condition": given(port.sources),
            "Properties": {"GroupId": ref("Firewall"), **protocol},
        }
        for port in appliance.ports
        if port.open == "enabled"
        for protocol in _ingress(port)
    }


def _data_disk(appliance: Appliance) -> Json:
    """Made blank; first boot formats it. Whatever happens to the stack, the customer's data stays as a snapshot."""
    return {
        "Type": "AWS::EC2::Volume",
        "DeletionPolicy": "Snapshot",
        "UpdateReplacePolicy": "Snapshot",
        "Properties": {
            "AvailabilityZone": ref("AvailabilityZone"),
            "Size": {"Fn::If": [SIZED, ref("DataDiskGb"), of_tier("DataDiskGb")]},
            "VolumeType": appliance.aws.volume_type,
            "Encrypted": True,
            "Tags": _tags("data"),
        },
    }


def _machine(appliance: Appliance) -> Json:
    aws = appliance.aws
    return {
        "Type": "AWS::EC2::Instance",
        "Properties": {
            "ImageId": ref("ImageId"),
            "InstanceType": of_tier("InstanceType"),
            "BlockDeviceMappings": [
                {
                    "DeviceName": aws.root_device,
                    "Ebs": {
                        "VolumeSize": appliance.disks.system.size_gb,
                        "VolumeType": aws.volume_type,
                        "Encrypted": True,
                        "DeleteOnTermination": True,
                    },
                },
                # The stack has a data disk of its own, which outlives the machine; the image's stays out.
                {"DeviceName": aws.data_device, "NoDevice": {}},
            ],
            # Not a VolumeAttachment: that would come too late for the first boot, which waits a while for the disk, and
            # when the stack is deleted it would take the disk away from a running machine.
            "Volumes": [{"Device": aws.data_device, "VolumeId": ref("DataDisk")}],
            "NetworkInterfaces": [
                {
                    "DeviceIndex": "0",
                    "Description": "First interface of the machine; ends with it",
                    "SubnetId": ref("SubnetId"),
                    "GroupSet": [ref("Firewall")],
                    "DeleteOnTermination": True,
                },
                {"DeviceIndex": "1", "NetworkInterfaceId": ref("ServiceInterface")},
            ],
            # Programs that can be made to fetch an address cannot read the properties: they get no token.
            "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1},
            "UserData": {"Fn::Base64": _user_data(appliance)},
            "Tags": _tags("machine"),
        },
    }


def _user_data(appliance: Appliance) -> Json:
    """The properties as the JSON object that first boot reads; see docs/first-boot.md."""
    values: dict[str, Any] = {key: f"${{{name(key)}}}" for key in (*ASKED, *optional_sources(appliance))}
    # Two tiers may run on the same instance type: the cores alone do not tell which one was bought.
    values["tier"] = "${Tier}"
    values["advertised_address"] = "${AdvertisedAddress}"
    advertised = {"Fn::If": [HAS_ADDRESS, ref("ElasticIp"), ""]}
    return {"Fn::Sub": [json.dumps(values, indent=2), {"AdvertisedAddress": advertised}]}

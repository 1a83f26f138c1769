"""What whoever launches the stack is asked for, and which values are refused before anything is made."""

from __future__ import annotations

from typing import Any

from vvctl.appliance import Appliance, OvfProperty

Json = dict[str, Any]

# Properties that a person chooses. AWS gives addresses and the time; the stack itself knows the tier and the advertised
# address; a certificate is longer than a parameter may be (4,096 bytes) and is installed on the running machine.
ASKED = ("hostname", "domain", "ssh_key", "operator_key_sha256")
# A quotation mark or a backslash would break the JSON of the user data; the machine itself checks the rest.
_PATTERNS = {
    "hostname": r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
    "domain": r"^[A-Za-z0-9.-]{0,253}$",
    "ssh_key": r"^$|^(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}( [^\"\\]*)?$",
    "sha256": r"^$|^[0-9A-Fa-f]{64}$",
}
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_NETWORK = rf"{_OCTET}(\.{_OCTET}){{3}}/(3[0-2]|[12]?[0-9])"
# EBS: gp3 goes to 64 TiB, older regions to 16.
LARGEST_DISK_GB = 16384
# What a data disk is sized for unless its size is given: an office's day at the tier's number of calls.
HOURS = 10


def name(key: str) -> str:
    """The parameter of a property: `ssh_sources` is SshSources."""
    return "".join(word.capitalize() for word in key.split("_"))


def parameters(appliance: Appliance) -> Json:
    """The Parameters section."""
    properties = {entry.key: entry for entry in appliance.ovf.properties}
    found: Json = {
        "ImageId": {"Type": "AWS::EC2::Image::Id", "Description": "AMI that `vvctl publish aws` made in this region"},
        "Tier": {
            "Type": "String",
            "AllowedValues": [str(tier.id) for tier in appliance.tiers],
            "Default": str(appliance.tiers[0].id),
            "Description": "; ".join(f"{tier.id}: {tier.calls} calls at once" for tier in appliance.tiers),
        },
        "DataDiskGb": {
            "Type": "Number",
            "MinValue": 0,
            "MaxValue": LARGEST_DISK_GB,
            "Default": 0,
            "Description": f"Size of the data disk in GB (at least {appliance.disks.data.size_gb}; `vvctl size` tells"
            f" what your calls need); 0: enough for the tier's calls during {HOURS} hours a day",
        },
        "VpcId": {"Type": "AWS::EC2::VPC::Id", "Description": "Network of the machine"},
        "SubnetId": {"Type": "AWS::EC2::Subnet::Id", "Description": "Subnet of the machine, in that network"},
        "AvailabilityZone": {
            "Type": "AWS::EC2::AvailabilityZone::Name",
            "Description": "The zone of the subnet: the data disk is made there before the machine starts",
        },
        "ElasticAddress": {
            "Type": "String",
            "AllowedValues": ["yes", "no"],
            "Default": "yes",
            "Description": "Whether callers reach the machine by an elastic IP; no for a subnet without internet",
        },
    }
    for key in ASKED:
        found[name(key)] = _property(properties[key])
    for key in sources(appliance):
        found[name(key)] = _network(properties[key], optional=_only_when_enabled(appliance, key))
    return found


def sources(appliance: Appliance) -> list[str]:
    """The properties that say who may connect to a port, each once."""
    return list(dict.fromkeys(port.sources for port in appliance.ports))


def _only_when_enabled(appliance: Appliance, key: str) -> bool:
    return all(port.open == "enabled" for port in appliance.ports if port.sources == key)


def _property(entry: OvfProperty) -> Json:
    return {
        "Type": "String",
        "Default": entry.default,
        "AllowedPattern": _PATTERNS[entry.type],
        "ConstraintDescription": entry.description,
        "Description": entry.description,
    }


def _network(entry: OvfProperty, *, optional: bool) -> Json:
    meaning = "empty for nobody" if optional else "0.0.0.0/0 for everybody"
    return {
        "Type": "String",
        # Whom to let in is decided by whoever launches: only what stays closed has a default.
        **({"Default": ""} if optional else {}),
        "AllowedPattern": rf"^$|^{_NETWORK}$" if optional else rf"^{_NETWORK}$",
        "ConstraintDescription": "one IPv4 network, for example 192.0.2.0/24",
        "Description": f"{entry.label}: one IPv4 network; {meaning}",
    }


def groups(appliance: Appliance) -> Json:
    """How the console orders the parameters (AWS::CloudFormation::Interface)."""
    ordered = {
        "Machine": ["ImageId", "Tier", "DataDiskGb"],
        "Network": ["VpcId", "SubnetId", "AvailabilityZone", "ElasticAddress"],
        "Who may connect": [name(key) for key in sources(appliance)],
        "First boot": [name(key) for key in ASKED],
    }
    return {
        "ParameterGroups": [{"Label": {"default": label}, "Parameters": names} for label, names in ordered.items()],
    }

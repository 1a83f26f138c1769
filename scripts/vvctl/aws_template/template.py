"""The template as a whole."""

from __future__ import annotations

import yaml

from vvctl.appliance import Appliance
from vvctl.aws_template import resources
from vvctl.aws_template.parameters import Json, groups, parameters
from vvctl.aws_template.resources import HAS_ADDRESS, ref


def template(appliance: Appliance) -> Json:
    """The template (AWS CloudFormation, version 2010-09-09) as an object that YAML and JSON can hold."""
    product = appliance.product
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"{product.title} {product.version}: one machine, its data disk and its service address",
        "Metadata": {"AWS::CloudFormation::Interface": groups(appliance)},
        "Parameters": parameters(appliance),
        "Rules": resources.rules(),
        "Mappings": resources.mappings(appliance),
        "Conditions": resources.conditions(appliance),
        "Resources": resources.resources(appliance),
        "Outputs": _outputs(appliance),
    }


def render(appliance: Appliance) -> str:
    """The template as YAML."""
    head = f"# Made by `vvctl aws template` for {appliance.product.title} {appliance.product.version}.\n"
    return head + yaml.dump(template(appliance), Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


class _Plain(yaml.SafeDumper):
    """Writes texts of several lines as such, and everything out: CloudFormation knows no aliases."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text)


def _outputs(appliance: Appliance) -> Json:
    address = {
        "Fn::If": [HAS_ADDRESS, ref("ElasticIp"), {"Fn::GetAtt": ["ServiceInterface", "PrimaryPrivateIpAddress"]}]
    }
    api = appliance.port("api").first
    return {
        "ServiceAddress": {"Description": "Where callers and integrators reach the machine", "Value": address},
        "Api": {
            "Description": "The API and its documentation",
            "Value": {"Fn::Sub": [f"http://${{Address}}:{api}/swagger/", {"Address": address}]},
        },
        "MachineId": {"Description": "The machine, for vvctl upgrade run aws --machine", "Value": ref("Machine")},
        "DataDiskId": {"Description": "The data disk; an upgrade leaves it where it is", "Value": ref("DataDisk")},
        "ServiceInterfaceId": {"Description": "Interface of the service address", "Value": ref("ServiceInterface")},
    }

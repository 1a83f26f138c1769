"""The CloudFormation template that launches the published image, derived from appliance.yml."""

from vvctl.aws_template.template import render, template

__all__ = ["render", "template"]

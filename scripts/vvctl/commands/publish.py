"""`vvctl publish|validate|unpublish TARGET`: a built image where machines are launched from.

The targets' own commands are in publish_<target>.py; here they get their names.
"""

from __future__ import annotations

import typer

from vvctl.commands import publish_aws, publish_vmware

publish = typer.Typer(help="Put the image in dist/ where machines are launched from.", no_args_is_help=True)
validate = typer.Typer(help="Read what was published back and compare it with dist/.", no_args_is_help=True)
unpublish = typer.Typer(help="Remove what publish made, and nothing else.", no_args_is_help=True)

publish.command("aws")(publish_aws.publish)
publish.command("vmware")(publish_vmware.publish)
validate.command("aws")(publish_aws.validate)
validate.command("vmware")(publish_vmware.validate)
unpublish.command("aws")(publish_aws.unpublish)
unpublish.command("vmware")(publish_vmware.unpublish)

"""Where an appliance may run: each is a package beside this file.

Its `discover(...) -> facts` is called by its command with the command's own options; `make(facts, upgrade_id,
poll_s)` in its module `provider` makes its Provider. Facts are JSON without a secret, all that is needed to find the
machine and the image again; "machine" and "data_disk" in them are for a person: name and id.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from vvctl.upgrade.provider import Provider


def make(name: str, facts: dict[str, Any], upgrade_id: str, poll_s: float) -> Provider:
    """The provider `name` for what was discovered; `upgrade_id` is empty when an upgrade is only planned.

    Their libraries take a second to import, so it is done here.
    """
    provider: Provider = import_module(f"vvctl.upgrade.{name}.provider").make(facts, upgrade_id, poll_s)
    return provider

"""VMware's guestinfo: the OVF environment of vCenter, or a text in an advanced setting of the machine."""

from __future__ import annotations

import base64
import binascii

from .. import userdata
from ..environment import Environment, Unreadable, decode
from ..programs import output
from . import ovf

ENVIRONMENT = "guestinfo.ovfEnv"
# The names that Terraform and others already set for cloud-init; the only way on an ESXi without vCenter, which
# cannot change the OVF environment of a machine any more.
USER_DATA = "guestinfo.userdata"
ENCODING = "guestinfo.userdata.encoding"


def read() -> Environment | None:
    """The text where there is one, since somebody set it by hand; else the OVF environment; None without both."""
    text = _ask(USER_DATA)
    if text.strip():
        source = f"VMware {USER_DATA}"
        try:
            return Environment(source, userdata.parse(_decoded(text)), only_our_keys=True)
        except Unreadable as error:
            return Environment(source, problem=str(error))
    text = _ask(ENVIRONMENT)
    return ovf.environment("VMware guestinfo", text) if text.strip() else None


def _decoded(text: str) -> str:
    encoding = _ask(ENCODING).strip()
    if encoding in {"", "plain"}:
        return text
    if encoding not in {"base64", "b64"}:
        raise Unreadable(f"{ENCODING} is {encoding}; only base64 or nothing is understood")
    try:
        return decode(base64.b64decode("".join(text.split()), validate=True))
    except binascii.Error:
        raise Unreadable(f"it is not base64, as {ENCODING} says") from None


def _ask(name: str) -> str:
    return output(["vmware-rpctool", f"info-get {name}"])

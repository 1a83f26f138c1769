"""NoCloud: a disc or another file system labelled CIDATA with the files user-data and meta-data."""

from __future__ import annotations

from .. import userdata
from ..environment import Environment, Unreadable, decode
from . import media

# cloud-init takes both spellings; FAT keeps capitals only.
LABELS = ("CIDATA", "cidata")
USER_DATA, META_DATA = "user-data", "meta-data"


def read() -> Environment | None:
    """The first file system of that label with one of the files; None without one."""
    for label in LABELS:
        for device in media.devices(f"LABEL={label}"):
            files = media.read(device, "iso9660,vfat", [USER_DATA, META_DATA])
            if files:
                return _environment(f"NoCloud {device}", files)
    return None


def _environment(source: str, files: dict[str, bytes]) -> Environment:
    try:
        properties = userdata.parse(decode(files.get(USER_DATA, b"")))
    except Unreadable as error:
        return Environment(source, problem=f"{USER_DATA} cannot be read: {error}")
    name = _host_name(files.get(META_DATA, b"").decode("utf-8", errors="replace"))
    return Environment(source, properties, {"hostname": name} if name else {}, only_our_keys=True)


def _host_name(meta_data: str) -> str:
    """Its local-hostname; the other things in there are cloud-init's affair."""
    for line in meta_data.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() == "local-hostname":
            return value.strip().strip("'\"").partition(".")[0]
    return ""

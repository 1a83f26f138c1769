"""The OVF environment as a disc (DMTF DSP0243, transport "iso")."""

from __future__ import annotations

from ..environment import Environment, Unreadable, decode
from . import media, ovf

FILE_NAME = "ovf-env.xml"


def read() -> Environment | None:
    """The first disc that carries the document; None without one."""
    for device in media.devices("TYPE=iso9660"):
        content = media.read(device, "iso9660", [FILE_NAME]).get(FILE_NAME)
        if content is not None:
            source = f"disc {device}"
            try:
                return ovf.environment(source, decode(content))
            except Unreadable as error:
                return Environment(source, problem=f"{FILE_NAME} cannot be read: {error}")
    return None

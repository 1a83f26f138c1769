"""Which release an OVA holds, from its descriptor."""

from __future__ import annotations

import tarfile
from pathlib import Path

from lxml import etree

from vvctl.errors import IntegrityError
from vvctl.image.ovf import FORMAT_CLASS, OVF
from vvctl.upgrade.release import Release

_NAMES = {"ovf": OVF}
# That of the images which did not say it yet.
_FIRST_EPOCH = 1


def release(ova: Path) -> Release:
    """Version and epoch of the data format; raises IntegrityError when it is no OVA of the appliance."""
    try:
        with tarfile.open(ova, "r:") as archive:
            first = archive.next()
            content = archive.extractfile(first) if first is not None and first.name.endswith(".ovf") else None
            document = content.read() if content is not None else b""
        envelope = etree.fromstring(document, etree.XMLParser(resolve_entities=False, no_network=True))
    except (OSError, tarfile.TarError, etree.XMLSyntaxError) as error:
        raise IntegrityError(f"{ova} cannot be read: {error}", hint="name an OVA of the appliance") from error
    versions = {
        section.get(f"{{{OVF}}}class", ""): section.findtext("ovf:Version", default="", namespaces=_NAMES)
        for section in envelope.iterfind(".//ovf:ProductSection", _NAMES)
    }
    if not versions.get(""):
        raise IntegrityError(f"{ova} does not say which version it holds", hint="name an OVA of the appliance")
    return Release(versions[""], int(versions.get(FORMAT_CLASS, _FIRST_EPOCH)))

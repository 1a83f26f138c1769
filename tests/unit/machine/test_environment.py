"""The OVF environment document and the disc it is on."""

from __future__ import annotations

import io
from pathlib import Path

import pycdlib
from lxml import etree

from vvctl.machine.environment import NAMESPACE, environment_document, write_environment_disc

PROPERTIES = {"hostname": "voiceverify", "ssh_key": 'ssh-ed25519 AAAA "Anna & Bob" <a@example.com>', "domain": ""}


def test_document_carries_every_property_unchanged() -> None:
    root = etree.fromstring(environment_document(PROPERTIES))
    assert root.tag == f"{{{NAMESPACE}}}Environment"
    found = root.findall(f"{{{NAMESPACE}}}PropertySection/{{{NAMESPACE}}}Property")
    assert {item.get(f"{{{NAMESPACE}}}key"): item.get(f"{{{NAMESPACE}}}value") for item in found} == PROPERTIES


def test_disc_holds_the_document_under_the_name_of_the_standard(tmp_path: Path) -> None:
    path = write_environment_disc(tmp_path / "properties.iso", PROPERTIES)
    disc = pycdlib.PyCdlib()
    disc.open(str(path))
    content = io.BytesIO()
    disc.get_file_from_iso_fp(content, rr_path="/ovf-env.xml")
    disc.close()
    assert content.getvalue() == environment_document(PROPERTIES)

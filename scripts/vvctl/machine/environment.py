"""The OVF environment: how a hypervisor hands the administrator's settings to the guest."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pycdlib
from lxml import etree

# DSP8027, the schema of the OVF environment document of DSP0243 section 9.
NAMESPACE = "http://schemas.dmtf.org/ovf/environment/1"
# The name that DSP0243 gives the document on the disc of the "iso" transport.
FILE_NAME = "ovf-env.xml"


def environment_document(properties: Mapping[str, str]) -> bytes:
    """The environment document that carries `properties`, as UTF-8."""
    attribute = f"{{{NAMESPACE}}}"
    # The prefixes as hypervisors write them: elements without, attributes with oe.
    root = etree.fromstring(f'<Environment xmlns="{NAMESPACE}" xmlns:oe="{NAMESPACE}" oe:id=""/>')
    platform = etree.SubElement(root, f"{attribute}PlatformSection")
    for name, text in (("Kind", "QEMU"), ("Version", "1"), ("Vendor", "QEMU"), ("Locale", "en")):
        etree.SubElement(platform, attribute + name).text = text
    section = etree.SubElement(root, f"{attribute}PropertySection")
    for key, value in properties.items():
        item = etree.SubElement(section, f"{attribute}Property")
        item.set(f"{attribute}key", key)
        item.set(f"{attribute}value", value)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def write_environment_disc(path: Path, properties: Mapping[str, str]) -> Path:
    """An ISO 9660 image (with Joliet names) that holds the environment document of `properties`."""
    content = environment_document(properties)
    disc = pycdlib.PyCdlib()
    disc.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="OVF ENV")
    disc.add_fp(io.BytesIO(content), len(content), "/OVF_ENV.XML;1", rr_name=FILE_NAME, joliet_path=f"/{FILE_NAME}")
    disc.write(str(path))
    disc.close()
    return path

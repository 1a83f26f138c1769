"""Disks are taken out of an OVA only when it is what its manifest says."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vvctl.errors import IntegrityError
from vvctl.machine import unpack

MEBIBYTE = 1 << 20
OVF = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
  <References>
    <File ovf:id="file1" ovf:href="data.vmdk"/><File ovf:id="file2" ovf:href="system.vmdk"/>
  </References>
  <DiskSection>
    <Disk ovf:diskId="a" ovf:fileRef="file1"/><Disk ovf:diskId="b" ovf:fileRef="file2"/>
  </DiskSection>
  <VirtualSystem><VirtualHardwareSection>
    <Item><rasd:AddressOnParent>1</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/a</rasd:HostResource>
      <rasd:ResourceType>17</rasd:ResourceType></Item>
    <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/b</rasd:HostResource>
      <rasd:ResourceType>17</rasd:ResourceType></Item>
    <Item><rasd:AddressOnParent>7</rasd:AddressOnParent><rasd:ResourceType>10</rasd:ResourceType></Item>
  </VirtualHardwareSection></VirtualSystem>
</Envelope>
"""
Members = dict[str, bytes]


@pytest.fixture
def members(tmp_path: Path) -> Members:
    """A valid OVA's members: the data disk has 2 MiB and stands first, the system disk has 1 MiB."""
    files: Members = {"vv.ovf": OVF.encode()}
    for name, mebibytes in (("data", 2), ("system", 1)):
        raw, vmdk = tmp_path / f"{name}.raw", tmp_path / f"{name}.vmdk"
        raw.write_bytes(bytes(mebibytes * MEBIBYTE))
        subprocess.run(
            ["qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", str(raw), str(vmdk)], check=True
        )
        files[vmdk.name] = vmdk.read_bytes()
    return files | {"vv.mf": _manifest(files)}


def _manifest(files: Members) -> bytes:
    return "".join(
        f"SHA256({name})= {hashlib.sha256(content).hexdigest()}\n" for name, content in files.items()
    ).encode()


def _pack(path: Path, files: Members) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def _size(image: Path) -> int:
    done = subprocess.run(["qemu-img", "info", "--output=json", str(image)], capture_output=True, check=True)
    return int(json.loads(done.stdout)["virtual-size"])


def test_orders_disks_by_their_address_on_the_controller(members: Members, tmp_path: Path) -> None:
    disks = unpack(_pack(tmp_path / "vv.ova", members), tmp_path / "out")
    assert (_size(disks.system), _size(disks.data)) == (MEBIBYTE, 2 * MEBIBYTE)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["data.qcow2", "system.qcow2"]


def _altered(files: Members) -> Members:
    disk = bytearray(files["system.vmdk"])
    disk[-1] ^= 1
    return files | {"system.vmdk": bytes(disk)}


def _without(name: str) -> Callable[[Members], Members]:
    return lambda files: {key: content for key, content in files.items() if key != name}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_altered, "system.vmdk is not what the manifest declares"),
        (_without("data.vmdk"), "data.vmdk is not what the manifest declares"),
        (_without("vv.mf"), "no manifest"),
        (lambda files: files | {"extra": b"x"}, "does not list extra"),
        (lambda files: files | {"../escape": b"x"}, "not a plain file"),
    ],
    ids=["altered disk", "missing disk", "no manifest", "unlisted member", "path out of the archive"],
)
def test_refuses_a_spoilt_archive(
    members: Members, tmp_path: Path, spoil: Callable[[Members], Members], message: str
) -> None:
    with pytest.raises(IntegrityError, match=message):
        unpack(_pack(tmp_path / "vv.ova", spoil(members)), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_refuses_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "vv.ova").write_bytes(b"not a tar file" * 100)
    with pytest.raises(IntegrityError, match="cannot be read"):
        unpack(tmp_path / "vv.ova", tmp_path / "out")

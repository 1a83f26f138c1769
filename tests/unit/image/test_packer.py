"""Packer takes every source with realistic variables; really run, with Debian's Packer and its own builders."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
MACHINES = {
    "qemu": {"qemu_memory_mb": "4096"},
    "vsphere-clone": {
        "vcenter_server": "vcenter.example.org",
        "vcenter_username": "packer@vsphere.local",
        "vcenter_password": "not a password",
        "vcenter_datacenter": "Prague",
        "vcenter_cluster": "Build",
        "vcenter_datastore": "ssd-1",
        "vcenter_folder": "templates/voice",
        "vcenter_network": "build",
        "vcenter_template": "voice-verify-base",
    },
    "amazon-ebssurrogate": {
        "aws_region": "eu-central-1",
        "aws_subnet_id": "subnet-0123456789abcdef0",
        "aws_kms_key_id": "arn:aws:kms:eu-central-1:123456789012:key/12345678-1234-1234-1234-123456789012",
    },
}


@pytest.fixture(scope="module")
def checkout(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Packer reads of a checkout, with a base as `vvctl image base` leaves it."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("packer", "ansible", "appliance.yml"):
        source = root / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
    base = copy / "build/base"
    base.mkdir(parents=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", base / "id_ed25519"], check=True)
    for name in ("system.raw", "base-system.raw.zst", "inputs.tar"):
        (base / name).write_bytes(b"x")
    (base / "SHA256SUMS").write_text(f"{hashlib.sha256(b'x').hexdigest()}  system.raw\n")
    return copy


def validate(template: Path, variables: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    words = [word for name, value in variables.items() for word in ("-var", f"{name}={value}")]
    return subprocess.run(
        ["packer", "validate", *options, *words, template],
        capture_output=True,
        text=True,
        check=False,
        # Nobody's credentials and no network: what is checked is the template.
        env={**os.environ, "CHECKPOINT_DISABLE": "1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
    )


def machine(checkout: Path, kind: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    common = {"ansible_playbook": str(PLAYBOOK), "build_id": "0.1.0+0123456789ab"}
    return validate(checkout / "packer/machine", common | variables, f"-only={kind}.appliance")


def test_packer_accepts_the_container(checkout: Path) -> None:
    key = str(checkout / "build/base/id_ed25519")
    variables = {"ssh_port": "22", "ssh_key": key, "ansible_playbook": str(PLAYBOOK), "build_id": "test"}
    done = validate(checkout / "packer/native.pkr.hcl", variables)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", MACHINES)
def test_packer_accepts_the_machine(checkout: Path, kind: str) -> None:
    done = machine(checkout, kind, MACHINES[kind])
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("kind", "left_out", "complaint"),
    [
        ("vsphere-clone", "vcenter_server", "'vcenter_server' is required"),
        ("vsphere-clone", "vcenter_cluster", "'host' or 'cluster' is required"),
        ("vsphere-clone", "vcenter_template", "'template' is required"),
    ],
)
def test_packer_names_what_is_missing(checkout: Path, kind: str, left_out: str, complaint: str) -> None:
    variables = {name: value for name, value in MACHINES[kind].items() if name != left_out}
    done = machine(checkout, kind, variables)
    assert done.returncode == 1
    assert complaint in done.stdout + done.stderr


def test_every_source_is_built_by_the_same_roles(root: Path) -> None:
    for template in ("packer/native.pkr.hcl", "packer/machine/build.pkr.hcl"):
        assert "ansible/appliance.yml" in (root / template).read_text()
    sources = (root / "packer/machine/build.pkr.hcl").read_text()
    assert [kind for kind in MACHINES if f"source.{kind}.appliance" not in sources] == []


def test_plugins_stand_apart_from_what_packer_1_6_reads(root: Path) -> None:
    templates = [path for path in (root / "packer").rglob("*.pkr.hcl") if path.name != "plugins.pkr.hcl"]
    assert "required_plugins" in (root / "packer/plugins.pkr.hcl").read_text()
    assert [path for path in templates if "required_plugins" in path.read_text()] == []


def test_newer_packer_is_told_of_every_plugin(root: Path) -> None:
    plugins = (root / "packer/plugins.pkr.hcl").read_text()
    for name in ("ansible", "qemu", "vsphere", "amazon"):
        assert f'/{name}"' in plugins

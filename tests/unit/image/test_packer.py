from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_packer_accepts_the_template(root: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    playbook = Path(sys.executable).with_name("ansible-playbook")
    variables = {"ssh_port": "22", "ssh_key": key, "ansible_playbook": playbook, "build_id": "test"}
    done = subprocess.run(
        [
            "packer",
            "validate",
            *(word for name, value in variables.items() for word in ("-var", f"{name}={value}")),
            root / "packer/native.pkr.hcl",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_plugins_stand_apart_from_what_packer_1_6_reads(root: Path) -> None:
    assert "required_plugins" in (root / "packer/plugins.pkr.hcl").read_text()
    assert "required_plugins" not in (root / "packer/native.pkr.hcl").read_text()

"""The guest's programs are no distribution: they are imported from the roles that install them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vvctl.appliance import Appliance

from .certificates import Certificates, make

ROOT = Path(__file__).resolve().parents[3]
# Roles install whole folders; nothing compiled here may end in an image.
sys.pycache_prefix = str(ROOT / "build" / "pycache")
for role in ("backup", "certificate", "data_disk", "firewall", "hardening", "identity", "postgresql", "setup"):
    folder = str(ROOT / "roles" / role / "files")
    if folder not in sys.path:
        sys.path.insert(0, folder)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts stand-ins for a machine's programs first on the path: shell scripts given by name and text."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def install(name: str, script: str) -> None:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    return install


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return make()


@pytest.fixture
def settings(appliance: Appliance) -> dict[str, Any]:
    """What role setup leaves for vv-setup, as far as it needs it to apply properties."""
    return {
        "version": "1.0.0",
        "properties": [entry.model_dump() for entry in appliance.ovf.properties],
        "tiers": [tier.model_dump() for tier in appliance.tiers],
        "administrator": "admin",
        "authorized_keys_folder": "/etc/ssh/authorized_keys.d",
        "record_file": "/etc/voice-verify/setup.json",
        "inherited_record_file": "/etc/voice-verify/setup-inherited.json",
        "overrides_file": "/etc/voice-verify/set-here.json",
        "access_file": "/etc/voice-verify/access.json",
        "certificate_file": "/etc/voice-verify/certificate.pem",
        "recipient_file": "/etc/voice-verify/backup-recipient",
        "operator_key_sha256_file": "/etc/voice-verify/operator-key.sha256",
    }

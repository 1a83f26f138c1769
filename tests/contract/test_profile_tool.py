"""`vvctl profile` against the running service."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

from voice_verify.engine import packaged_profile

from .running import Service

VVCTL = Path(sys.executable).with_name("vvctl")


def vvctl(service: Service, role: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "VV_URL": service.url, "VV_API_KEY": service.keys[role], "COLUMNS": "200"}
    return subprocess.run(
        [VVCTL, "profile", *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_profile_is_uploaded_activated_and_listed(administered: Service, tmp_path: Path) -> None:
    uuid = uuid4()
    file = tmp_path / "acme.json"
    file.write_text(
        packaged_profile("mixed").model_copy(update={"uuid": uuid, "name": "acme"}).model_dump_json(), encoding="utf-8"
    )
    uploaded = vvctl(administered, "operator", "upload", file)
    assert uploaded.returncode == 0, uploaded.stderr
    assert str(uuid) in uploaded.stdout
    assert vvctl(administered, "operator", "activate", "acme").returncode == 0
    listed = vvctl(administered, "viewer", "list").stdout
    assert next(line for line in listed.splitlines() if line.lstrip().startswith("*")).split()[1] == "acme"
    back = vvctl(administered, "operator", "activate", str(packaged_profile("mixed").uuid))
    assert back.returncode == 0, back.stderr


def test_refusals_of_the_service_become_errors_with_hints(administered: Service, tmp_path: Path) -> None:
    unknown = vvctl(administered, "operator", "activate", "nobody")
    assert (unknown.returncode, unknown.stderr.startswith("error:")) == (1, True)
    forbidden = vvctl(administered, "viewer", "activate", "mixed")
    assert forbidden.returncode == 1
    assert "--role operator" in forbidden.stderr
    (tmp_path / "bad.json").write_text("{}")
    bad = vvctl(administered, "operator", "upload", tmp_path / "bad.json")
    assert "wrong value" in bad.stderr

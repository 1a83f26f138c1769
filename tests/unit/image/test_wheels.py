from __future__ import annotations

from pathlib import Path

import pytest

from vvctl.appliance import Appliance
from vvctl.errors import ConfigurationError
from vvctl.image.wheels import lock_for

HASH = "sha256:" + "0" * 64
LOCK = f"""\
# a comment
numpy==2.4 ; python_full_version < '3.12' \\
    --hash={HASH} \\
    --hash={HASH}
numpy==2.5 ; python_full_version >= '3.12' \\
    --hash={HASH}
tzdata==1 ; sys_platform == 'win32' \\
    --hash={HASH}
anyio==4 \\
    --hash={HASH}
"""


def test_keeps_what_holds_for_the_guests_python() -> None:
    kept = [line.split()[0] for line in lock_for(LOCK, "3.13").splitlines() if not line.startswith(" ")]
    assert kept == ["numpy==2.5", "anyio==4"]


def test_keeps_every_hash_and_no_marker() -> None:
    kept = lock_for(LOCK, "3.11")
    assert kept.count("--hash=") == 3
    assert ";" not in kept


def test_refuses_a_pin_without_a_hash() -> None:
    with pytest.raises(ConfigurationError, match="pins anyio==4 without a hash"):
        lock_for("anyio==4\n", "3.13")


def test_project_lock_names_every_distribution_once(root: Path, appliance: Appliance) -> None:
    kept = lock_for((root / "requirements/service.txt").read_text(), appliance.os.python)
    names = [line.partition("==")[0] for line in kept.splitlines() if not line.startswith(" ")]
    assert len(names) == len(set(names)) > 10

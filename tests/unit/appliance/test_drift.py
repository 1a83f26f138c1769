"""One truth: derived files match appliance.yml, and no distinctive value of it is written down a second time."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vvctl import generate
from vvctl.appliance import find_root, load
from vvctl.errors import ConfigurationError

ROOT = find_root(Path(__file__).parent)
APPLIANCE = load(ROOT / "appliance.yml")
SAMPLE_RATE = 8000
# Where a value must be taken from appliance.yml. Documentation is covered by its generated tables; what a test
# expects may be written out.
SOURCES = ("app", "scripts", "roles", "ansible", "packer", "Makefile", ".ci")


def distinctive_values() -> dict[str, str]:
    """Values that mean nothing else wherever they stand, by their key."""
    model = APPLIANCE.model
    values = {
        "product.version": APPLIANCE.product.version,
        "os.suite": APPLIANCE.os.suite,
        "os.kernel_package": APPLIANCE.os.kernel_package,
        "disks.system.label": APPLIANCE.disks.system.label,
        "disks.data.label": APPLIANCE.disks.data.label,
        "ovf.guest_os": APPLIANCE.ovf.guest_os,
        "model.embedding.wheel_sha256": model.embedding.wheel_sha256,
        "model.embedding.member_sha256": model.embedding.member_sha256,
        "model.vad.wheel_sha256": model.vad.wheel_sha256,
        "model.vad.member_sha256": model.vad.member_sha256,
    }
    values |= {f"accounts.{name}": str(number) for name, number in APPLIANCE.accounts.items()}
    values |= {
        f"ports.{port.name}": str(number)
        for port in APPLIANCE.ports
        for number in (port.first, port.last)
        # Short numbers stand for many things, 8000 for the sample rate of telephony too.
        if number and number > 1024 and number != SAMPLE_RATE
    }
    return values


def source_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *SOURCES],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    skip = {ROOT / module for module in generate.MODULES}
    return [
        path
        for line in listed.stdout.splitlines()
        if (path := ROOT / line).is_file()
        and path not in skip
        and path.suffix not in {".npz", ".md", ".xsd", ".json"}
        and "molecule" not in path.parts
    ]


@pytest.mark.parametrize("key", distinctive_values())
def test_is_written_down_once(key: str) -> None:
    value = distinctive_values()[key]
    pattern = re.compile(rf"(?<![\w.-]){re.escape(value)}(?![\w.-])")
    again = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in source_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not again, f"{key} ({value}) also stands in {', '.join(again)}"


def test_derived_files_match() -> None:
    assert generate.drifted(ROOT, APPLIANCE) == []


def test_a_changed_table_is_noticed_and_renewed(tmp_path: Path) -> None:
    for name in (*generate.MODULES, *generate.DOCUMENTS):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    network = tmp_path / "docs/network.md"
    network.write_text(network.read_text(encoding="utf-8").replace("20000-20350", "20000-20351"), encoding="utf-8")
    assert generate.drifted(tmp_path, APPLIANCE) == [network]
    assert "20000-20350" in generate.derived(tmp_path, APPLIANCE)[network]


def test_refuses_a_block_that_nothing_generates() -> None:
    with pytest.raises(ConfigurationError, match="no table is called nonsense"):
        generate.fill("<!-- generated:nonsense -->\n<!-- end generated -->\n", APPLIANCE)

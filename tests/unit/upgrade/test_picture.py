"""The document shows the states that there are."""

from __future__ import annotations

from pathlib import Path

from vvctl.upgrade.picture import block


def test_the_picture_in_the_document_is_that_of_the_steps(root: Path) -> None:
    assert block() in (root / "docs/upgrade.md").read_text(encoding="utf-8")

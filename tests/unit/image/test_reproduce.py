from __future__ import annotations

from pathlib import Path

import pytest

from vvctl.image.reproduce import differences


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("first", "second"):
        (tmp_path / name / "folder").mkdir(parents=True)
        (tmp_path / name / "folder/file").write_text("same")
        (tmp_path / name / "link").symlink_to("folder")
    return tmp_path / "first", tmp_path / "second"


def test_equal_trees_have_no_differences(trees: tuple[Path, Path]) -> None:
    assert list(differences(*trees)) == []


def test_names_what_differs_in_content_mode_kind_target_or_presence(trees: tuple[Path, Path]) -> None:
    first, second = trees
    (first / "folder/only").touch()
    (second / "folder/file").write_text("else")
    (second / "link").unlink()
    (second / "link").symlink_to("file")
    (first / "kind").mkdir()
    (second / "kind").touch()
    for tree, mode in zip(trees, (0o600, 0o644), strict=True):
        (tree / "mode").touch(mode)
        (tree / "mode").chmod(mode)
    assert list(differences(*trees)) == ["folder/file", "folder/only", "kind", "link", "mode"]

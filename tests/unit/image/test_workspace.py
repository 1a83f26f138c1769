from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from vvctl.errors import ConfigurationError, VvctlError
from vvctl.image.fingerprint import Stamp, fingerprint
from vvctl.image.workspace import Workspace, read_source, remove_tree, replace_tree


def test_refuses_a_second_build_in_the_same_checkout(tmp_path: Path) -> None:
    with Workspace(tmp_path).locked():
        with pytest.raises(VvctlError, match=f"process {os.getpid()}") as caught, Workspace(tmp_path).locked():
            pass
        assert caught.value.code == "build_in_progress"
    with Workspace(tmp_path).locked():
        pass


def test_source_outside_git_needs_a_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    with pytest.raises(ConfigurationError, match="no git commit"):
        read_source(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")
    assert read_source(tmp_path).epoch == 1750000000


def commit(checkout: Path, name: str, date: int) -> None:
    (checkout / name).write_text(str(date))
    subprocess.run(["git", "-C", checkout, "add", name], check=True)
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    environment = {**os.environ, "GIT_COMMITTER_DATE": f"{date} +0000"}
    subprocess.run(["git", *author, "-C", checkout, "commit", "-qm", name], env=environment, check=True)


def test_image_has_the_date_of_the_last_change_to_what_it_is_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    commit(tmp_path, "code", 1750000000)
    before = read_source(tmp_path, ["code"])
    commit(tmp_path, "documents", 1760000000)
    after = read_source(tmp_path, ["code"])
    assert before.epoch == after.epoch == 1750000000
    assert before.commit != after.commit
    assert read_source(tmp_path, ["not committed"]).epoch == 1760000000


def test_two_checkouts_have_containers_of_their_own(tmp_path: Path) -> None:
    assert Workspace(tmp_path / "a").container != Workspace(tmp_path / "b").container


def test_replacing_leaves_only_the_new_tree(tmp_path: Path) -> None:
    old, new = tmp_path / "dist", tmp_path / "dist.partial"
    for folder, name in ((old, "stale"), (new, "fresh")):
        folder.mkdir()
        (folder / name).touch()
    replace_tree(new, old)
    assert [path.name for path in tmp_path.iterdir()] == ["dist"]
    assert [path.name for path in old.iterdir()] == ["fresh"]


def test_removing_a_link_spares_what_it_points_at(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.mkdir()
    link.symlink_to(target)
    remove_tree(link)
    assert target.is_dir()
    assert not link.is_symlink()


def test_fingerprint_sees_content_names_and_modes(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    file = folder / "file"
    file.write_text("a")
    seen = {fingerprint(paths=[folder])}
    file.write_text("b")
    seen.add(fingerprint(paths=[folder]))
    file.chmod(0o755)
    seen.add(fingerprint(paths=[folder]))
    file.rename(folder / "renamed")
    seen.add(fingerprint(paths=[folder]))
    assert len(seen) == 4


def test_fingerprint_ignores_what_tools_leave(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    before = fingerprint(paths=[folder])
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").touch()
    assert fingerprint(paths=[folder]) == before


def test_stamp_matches_only_what_was_written(tmp_path: Path) -> None:
    stamp = Stamp(tmp_path / "stamps", "phase")
    assert not stamp.matches("a")
    stamp.write("a")
    assert stamp.matches("a")
    assert not stamp.matches("b")

"""Whatever fails, at whatever moment: afterwards there is the whole template, or nothing of this run."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from vvctl.errors import VvctlError
from vvctl.publish.vmware import lease, preflight, template
from vvctl.publish.vmware.archive import Archive
from vvctl.publish.vmware.errors import LeftBehind, LoginRefused, NameTaken, VsphereError

from .conftest import NAME, Engineer, Start
from .test_template import differences

# Each call of an import that changes something, and what it meets.
FAULTS = [
    (method, call, kind)
    for method, call in [
        ("CreateImportSpec", 2), ("ImportVApp", 1), ("UploadDisk", 1), ("UploadDisk", 2),
        ("HttpNfcLeaseComplete", 1), ("ReconfigVM_Task", 1), ("MarkAsTemplate", 1),
    ]
    for kind in ("fail", "unavailable", "drop-before", "drop-after")
    if (method, kind) != ("ImportVApp", "drop-after")
]  # fmt: skip


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many attempts as otherwise, sooner."""
    monkeypatch.setattr(template, "_REMOVAL_PAUSES_S", (0, 0.1, 0.2, 0.5, 0.5, 1, 1, 1))


@pytest.mark.parametrize(("method", "call", "kind"), FAULTS)
def test_leaves_nothing_half_made(engineer: Engineer, method: str, call: int, kind: str) -> None:
    engineer.vcenter.fail((method, call, kind))
    with pytest.raises(VvctlError) as caught:
        engineer.publish()
    assert not isinstance(caught.value, LeftBehind)
    assert engineer.vcenter.calls().count(method) >= call
    assert engineer.inventory() == []
    # And nothing is in the way of the next run.
    engineer.publish()
    assert differences(engineer) == []


def test_waits_for_vcenter_to_end_an_import_whose_answer_was_lost(archive: Archive, start: Start) -> None:
    """Nobody knows its lease, and until that has run out nobody may remove the machine."""
    engineer = Engineer(archive, start("-lease-timeout", "1s"))
    engineer.vcenter.fail(("ImportVApp", 1, "drop-after"))
    with pytest.raises(VsphereError, match="connection broke while importing"):
        engineer.publish()
    assert engineer.inventory() == []


@pytest.mark.parametrize("method", ["UploadDisk", "HttpNfcLeaseComplete", "ReconfigVM_Task"])
def test_takes_back_what_it_made_when_its_session_ends(engineer: Engineer, method: str) -> None:
    # An upload needs no session: there the next call finds out.
    engineer.vcenter.fail(("HttpNfcLeaseProgress" if method == "UploadDisk" else method, 1, "logout"))
    with pytest.raises(LoginRefused, match="session ended"):
        engineer.publish()
    assert engineer.inventory() == []


def test_removal_is_tried_again(engineer: Engineer) -> None:
    engineer.vcenter.fail(
        ("HttpNfcLeaseComplete", 1, "fail"),
        ("HttpNfcLeaseAbort", 1, "drop-before"),
        ("HttpNfcLeaseAbort", 2, "fail"),
        ("HttpNfcLeaseAbort", 3, "unavailable"),
    )
    with pytest.raises(VsphereError, match="on demand"):
        engineer.publish()
    assert engineer.inventory() == []


def test_leaves_alone_what_took_the_name_meanwhile(engineer: Engineer, monkeypatch: pytest.MonkeyPatch) -> None:
    engineer.publish()
    # As if the name had been free when this run looked.
    monkeypatch.setattr(preflight, "check", lambda *_arguments: None)
    with pytest.raises(NameTaken):
        engineer.publish()
    assert engineer.inventory() == [NAME]
    assert differences(engineer) == []


def test_says_what_it_had_to_leave_behind(engineer: Engineer) -> None:
    engineer.vcenter.fail(("MarkAsTemplate", 1, "fail"), *(("Destroy_Task", call, "fail") for call in range(1, 20)))
    with pytest.raises(LeftBehind, match=f"half-made {NAME} in DC0/vm could not be removed"):
        engineer.publish()
    assert engineer.inventory() == [NAME]


def test_removes_the_machine_that_an_aborted_import_leaves(archive: Archive, start: Start) -> None:
    engineer = Engineer(archive, start("-keep-on-abort"))
    engineer.vcenter.fail(("UploadDisk", 2, "fail"))
    with pytest.raises(VsphereError, match="refused"):
        engineer.publish()
    assert "Destroy_Task" in engineer.vcenter.calls()
    assert engineer.inventory() == []


def test_interrupt_takes_back_what_was_made(engineer: Engineer, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Archive.blocks

    def interrupted(archive: Archive, name: str) -> Iterator[bytes]:
        blocks = whole(archive, name)
        yield next(blocks)
        if name.endswith("-data.vmdk"):
            raise KeyboardInterrupt
        yield from blocks

    monkeypatch.setattr(Archive, "blocks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engineer.publish()
    assert engineer.inventory() == []


@pytest.mark.parametrize("kept_alive", [True, False])
def test_slow_upload_lives_by_its_signs_of_progress(
    archive: Archive, start: Start, monkeypatch: pytest.MonkeyPatch, kept_alive: bool
) -> None:
    """Longer than the lease lives by itself; without the signs it must fail, or this test would prove nothing."""
    engineer = Engineer(archive, start("-lease-timeout", "1s"))
    whole = Archive.blocks

    def slow(archive: Archive, name: str) -> Iterator[bytes]:
        for block in whole(archive, name):
            if name.endswith(".vmdk"):
                time.sleep(0.3)
            yield block

    monkeypatch.setattr(Archive, "blocks", slow)
    monkeypatch.setattr(lease, "KEEP_ALIVE_S", 0.2 if kept_alive else 60)
    if kept_alive:
        engineer.publish()
        assert differences(engineer) == []
    else:
        with pytest.raises(VsphereError):
            engineer.publish()
        assert engineer.inventory() == []

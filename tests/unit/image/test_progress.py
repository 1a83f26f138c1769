from __future__ import annotations

from pathlib import Path

import pytest

from vvctl.image.progress import Follower, LineSink, message_of

# What Packer 1.6.6 with ansible-core 2.19 wrote in a run whose third task failed.
CAPTURED = (Path(__file__).parent / "data/packer-failed-task.txt").read_text()


@pytest.fixture
def followed() -> tuple[Follower, list[str]]:
    seen: list[str] = []
    follower = Follower(seen.append)
    for line in CAPTURED.splitlines():
        follower.feed(line)
    return follower, seen


def test_names_every_task_as_it_begins(followed: tuple[Follower, list[str]]) -> None:
    assert followed[1] == ["Say, with a comma", "Fail without harm", "Fail in a loop"]


def test_reports_the_failed_task_with_the_programs_own_words(followed: tuple[Follower, list[str]]) -> None:
    failure = followed[0].failure
    assert failure is not None
    assert failure.task == "Fail in a loop"
    assert failure.message == "non-zero return code\nno such 3"


def test_forgets_a_failure_that_the_playbook_ignores() -> None:
    follower = Follower()
    for line in CAPTURED.partition("TASK [Fail in a loop]")[0].splitlines():
        follower.feed(line)
    assert follower.failure is None


def test_without_a_failed_task_the_last_error_counts() -> None:
    follower = Follower()
    follower.feed("1,,ui,message,    null.native: [ERROR]: the role 'x' was not found")
    assert follower.complaint == "the role 'x' was not found"


def test_unreachable_guest_is_a_failure() -> None:
    follower = Follower()
    follower.feed('1,,ui,message,    null.native: fatal: [vv]: UNREACHABLE! => {"msg": "no route"}')
    assert follower.complaint == "task “” failed: no route"


def test_log_text_has_no_escapes_and_no_colours() -> None:
    assert message_of("1,,ui,say,\x1b[1;32ma%!(PACKER_COMMA) b\x1b[0m\\nc") == "a, b\nc"
    assert message_of("1,,version,1.6.6") == ""
    assert message_of("1,null.native,error,broken") == "broken"
    assert message_of("no machine-readable line") == ""


def test_lines_are_complete_however_they_arrive() -> None:
    lines: list[str] = []
    sink = LineSink(lines.append)
    for chunk in (b"one\ntw", b"o\nth\xc3", b"\xa9\n"):
        sink.write(chunk)
    assert lines == ["one", "two", "th\u00e9"]


def test_line_ends_inside_a_result_do_not_hide_the_message() -> None:
    follower = Follower()
    result = '{"msg": "module failed"%!(PACKER_COMMA) "module_stderr": "Traceback:\\n  File x\\nKeyError: 1\\n"}'
    follower.feed(f"1,,ui,message,    null.native: failed: [vv] (item=/tmp) => {result}")
    assert follower.complaint == "task “” failed: module failed\nTraceback:\n  File x\nKeyError: 1"

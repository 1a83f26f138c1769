"""What an auditor's tool thinks of the booted machine."""

from __future__ import annotations

from pathlib import Path

from . import hardening_report
from . import lynis as tool
from .guest import Guest, Measured

# It is 75 to 77; before it was hardened the same system had 57. Most of what is missing to 100 is for programs that
# have no use here: a malware scanner, accounting, a password checker where no account has a password.
LOWEST_INDEX = 73


def test_index_of_lynis_stays_far_above_that_of_plain_debian(
    lynis: None, first: Guest, root: Path, measured: Measured
) -> None:
    found = tool.report(first)
    hardening_report.note(root, lynis=found)
    measured["lynis_index"] = found["index"]
    assert found["index"] >= LOWEST_INDEX

"""The reports that the boots write are understood and find their place; no machine is needed for that."""

from __future__ import annotations

from pathlib import Path

from . import hardening_report, lynis


def test_report_of_lynis_is_understood() -> None:
    text = (
        "lynis_version=3.1.4\nwarning[]=KRNL-5830|Reboot is needed||text:reboot|\n"
        "suggestion[]=BOOT-5122|Set a password|-|-|\nlynis_tests_done=235\nhardening_index=70\nfinish=true\n"
    )
    assert lynis.parse(text) == {
        "version": "3.1.4",
        "index": 70,
        "tests": 235,
        "warnings": ["KRNL-5830 Reboot is needed"],
        "suggestions": ["BOOT-5122 Set a password"],
    }


def test_document_has_a_place_for_what_is_measured(root: Path) -> None:
    found = {"version": "3.1.4", "index": 70, "tests": 235, "warnings": [], "suggestions": []}
    report = {"measured": "2026-01-02", "units": {"loose.service": 2.9, "tight.service": 0.5}, "lynis": found}
    filled = hardening_report.fill((root / hardening_report.DOCUMENT).read_text(encoding="utf-8"), report)
    assert "| `loose.service` | 2.9 |\n| `tight.service` | 0.5 |" in filled
    assert "index **70** of 100" in filled
    assert hardening_report.fill(filled, report) == filled

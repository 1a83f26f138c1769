"""build/reports/hardening.json, and the table in docs/hardening.md that is made from it.

`python -m tests.image.hardening_report` renews the table after `make test-image`.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vvctl.appliance import find_root
from vvctl.generate import table

DOCUMENT = "docs/hardening.md"
REPORT = "build/reports/hardening.json"
BLOCK = re.compile(r"(<!-- measured:hardening -->\n).*?(<!-- end measured -->)", re.DOTALL)


def note(root: Path, **findings: object) -> None:
    """Add to the report what was measured now: `units` (unit to exposure) or `lynis` (see lynis.parse)."""
    path = root / REPORT
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known |= findings
    known["measured"] = datetime.now(UTC).date().isoformat()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


def render(report: dict[str, Any]) -> str:
    """What stands in the document, in Markdown."""
    units = sorted(report["units"].items(), key=lambda item: (-item[1], item[0]))
    lynis = report["lynis"]
    return (
        f"Measured on {report['measured']} in the booted image.\n\n"
        f"{table(['Unit', 'Exposure'], [[f'`{unit}`', score] for unit, score in units])}\n"
        f"Lynis {lynis['version']}: hardening index **{lynis['index']}** of 100, {lynis['tests']} tests, "
        f"warnings: {len(lynis['warnings'])}, suggestions: {len(lynis['suggestions'])}.\n"
    )


def fill(text: str, report: dict[str, Any]) -> str:
    """`text` with the measured block renewed."""
    return BLOCK.sub(lambda match: f"{match[1]}{render(report)}{match[2]}", text)


def main() -> None:
    root = find_root(Path(__file__).parent)
    document = root / DOCUMENT
    report = json.loads((root / REPORT).read_text(encoding="utf-8"))
    document.write_text(fill(document.read_text(encoding="utf-8"), report), encoding="utf-8")
    print(f"{document}: measured on {report['measured']}")


if __name__ == "__main__":
    main()

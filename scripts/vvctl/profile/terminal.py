"""What fit and evaluate show in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from vvctl.profile.report import Section, number, share

_COLUMNS = ("Speech", "Same", "Other", "EER", "minDCF", "Cllr", "verified", "not sure", "FRR", "FAR", "not sure")


def show(sections: Sequence[Section], doubts: Sequence[str]) -> None:
    """A table by net speech for each section, then what is doubtful, one a line."""
    console = Console(highlight=False, soft_wrap=True)
    for section in sections:
        table = Table(title=section.heading, title_justify="left", box=None, padding=(0, 1))
        for column in _COLUMNS:
            table.add_column(column, justify="right")
        for row in section.rows:
            table.add_row(
                f"{row.seconds} s",
                str(row.targets),
                str(row.impostors),
                share(row.eer),
                number(row.min_dcf),
                number(row.cllr),
                share(row.verified),
                share(row.unsure_targets),
                share(row.false_reject),
                share(row.false_accept),
                share(row.unsure_impostors),
            )
        console.print(table)
    for doubt in doubts:
        console.print(f"[bold yellow]warning:[/] {doubt}")

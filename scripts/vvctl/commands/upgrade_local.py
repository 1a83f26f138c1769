"""`vvctl upgrade plan|run local`: a QEMU machine on this computer, made by `vvctl local create`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def find(
    *,
    machine: Annotated[Path, typer.Option(metavar="DIR", help="Directory of the machine.", file_okay=False)],
    ova: Annotated[Path, typer.Option(metavar="FILE", help="The image of the new version.", dir_okay=False)],
) -> dict[str, Any]:
    """A QEMU machine on this computer, made by `vvctl local create`."""
    from vvctl.upgrade.local.facts import discover  # noqa: PLC0415

    return discover(machine, ova)

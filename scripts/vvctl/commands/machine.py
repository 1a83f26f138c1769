"""`vvctl boot`: the built appliance on this machine."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from vvctl.appliance import find_root, load


def boot(
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over: delete the disks and keys of earlier boots.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before deleting.")] = False,
) -> None:
    """Boot the newest OVA of dist/ to try it, ports forwarded on 127.0.0.1, until Ctrl-C.

    Its disks stay in build/boot, so what was enrolled is there at the next boot.
    """
    from vvctl.machine import session  # noqa: PLC0415 (other commands need not wait for its libraries)

    root = find_root()

    def confirm(question: str) -> bool:
        print(question)
        return yes or typer.confirm("Go on?")

    session.boot(root, load(root / "appliance.yml"), Console(highlight=False), fresh=confirm if fresh else None)

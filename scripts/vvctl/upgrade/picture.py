"""The state machine as docs/upgrade.md shows it, drawn from the steps themselves."""

from __future__ import annotations

from vvctl.upgrade import steps

_WIDTH = 15
BEGIN, END = "<!-- states: begin, made by vvctl/upgrade/picture.py -->", "<!-- states: end -->"


def picture() -> str:
    """Forward and back, a line for each state, and where one way turns into the other."""
    forward = steps.forward(safety_before_move=False)
    lines = ["    run"]
    for step in forward:
        lines += ["     ▼", f"  {step.state:<{_WIDTH}} {step.says}"]
        if step.state is steps.State.HEALTH:
            lines.append("     │            anything fails up to here ──► the way back, by itself")
    lines += [
        "     │",
        "     ├─ finalize ──► FINALIZE, UNLOCK: no way back any more",
        "     └─ rollback --accept-data-loss",
    ]
    lines += ["", "    the way back"]
    for step in steps.back():
        lines += ["     ▼", f"  {step.state:<{_WIDTH}} {step.says}"]
    return "\n".join(lines)


def block() -> str:
    """What stands between the marks in the document."""
    return f"{BEGIN}\n```\n{picture()}\n```\n{END}"

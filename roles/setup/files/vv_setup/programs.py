"""Asking other programs."""

from __future__ import annotations

import os
import subprocess


def output(command: list[str], given: str = "") -> str:
    """Standard output of a program that reads `given`; empty when it is not installed or fails."""
    try:
        done = subprocess.run(
            command, input=given.encode(), capture_output=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"}
        )
    except OSError:
        return ""
    return "" if done.returncode else done.stdout.decode("utf-8", errors="replace")

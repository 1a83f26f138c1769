"""What cannot be done, in words for a person."""

from __future__ import annotations


class Refused(Exception):
    """Nothing was changed. The text says why, `hint` what to do instead."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint

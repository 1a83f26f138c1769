"""How the double says no."""

from __future__ import annotations


class Refusal(Exception):
    """An answer that is no: AWS's code and message; `reason` only in the EBS direct API."""

    def __init__(self, code: str, message: str, *, status: int = 400, reason: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.reason = code, message, status, reason

"""The screen and the serial line of the machine, which may be absent or have nobody at the other end."""

from __future__ import annotations

import os
import select
import time

SCREEN, LINE = "/dev/tty1", "/dev/ttyS0"
# The screen keeps only the newest state, also when it is scrolled back.
CLEAR, NEW_LINE = "\x1b[H\x1b[2J\x1b[3J", "\r\n"
LONGEST_LINE = 256


class Console:
    """Shows a text on both when it has changed; a person types on the screen."""

    def __init__(self, screen: str = SCREEN, line: str = LINE) -> None:
        self._screen_path, self._line_path = screen, line
        self._screen: int | None = None
        self._on_screen = self._on_line = ""

    def show(self, *, screen: str, line: str) -> None:
        """Write what differs from what is there."""
        if self._screen is None:
            self._screen, self._on_screen = _open(self._screen_path, os.O_RDWR), ""
        if self._screen is not None and self._on_screen != screen:
            self._on_screen = screen
            if not _write(self._screen, CLEAR + screen):
                self._hang_up()
        if self._on_line != line:
            self._on_line = line
            descriptor = _open(self._line_path, os.O_WRONLY)
            if descriptor is not None:
                _write(descriptor, NEW_LINE + line)
                os.close(descriptor)

    def wait(self, seconds: float) -> str | None:
        """The line that was typed on the screen; None when nothing was. What was typed is cleared away next time."""
        if self._screen is None:
            time.sleep(seconds)
            return None
        if not select.select([self._screen], [], [], seconds)[0]:
            return None
        self._on_screen = ""
        try:
            typed = os.read(self._screen, LONGEST_LINE)
        except OSError:
            typed = b""
        if not typed:
            self._hang_up()
            # Not at once again, and again.
            time.sleep(seconds)
        return typed.decode(errors="replace")

    def _hang_up(self) -> None:
        """The screen was taken away: open it anew next time."""
        if self._screen is not None:
            os.close(self._screen)
            self._screen = None


def _open(path: str, mode: int) -> int | None:
    try:
        # Not blocking: a serial line without a listener must not stop the screen.
        return os.open(path, mode | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return None


def _write(descriptor: int, text: str) -> bool:
    try:
        os.write(descriptor, text.encode())
    except OSError:
        return False
    return True

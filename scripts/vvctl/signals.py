"""Signals, for a while. On the main thread, the only one that they reach."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def handled(handler: Callable[[int, object], None], *numbers: signal.Signals) -> Iterator[None]:
    """These signals call `handler`, and afterwards what they called before."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def interruptible() -> Iterator[None]:
    """A polite kill and a closed terminal raise KeyboardInterrupt, as Ctrl-C does.

    What is ignored already stays so: nohup(1) is asked for so that a closed terminal ends nothing.
    """

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    heeded = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    with handled(interrupt, *heeded):
        yield


@contextmanager
def held_back() -> Iterator[None]:
    """What would end this program waits for the end of the block, and is raised there.

    Around the start of a program: an exception between its start and the first line that knows it would leave it
    running. On other threads nothing has to wait.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    arrived: list[int] = []
    try:
        heeded = [number for number in ending if signal.getsignal(number) is not signal.SIG_IGN]
        with handled(lambda number, _frame: arrived.append(number), *heeded):
            yield
    finally:
        for number in arrived:
            signal.raise_signal(number)

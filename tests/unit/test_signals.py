"""What ends a command that is under way, and what does not."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from vvctl.signals import held_back, interruptible


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_polite_kill_and_a_closed_terminal_interrupt(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before


def test_a_closed_terminal_ends_nothing_under_nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interruptible():
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_signal_that_is_held_back_comes_at_the_end_of_the_block() -> None:
    steps = []

    def work() -> None:
        with held_back():
            os.kill(os.getpid(), signal.SIGTERM)
            steps.append("started and known")
        steps.append("never")

    with pytest.raises(KeyboardInterrupt), interruptible():
        work()
    assert steps == ["started and known"]


def test_other_threads_hold_nothing_back() -> None:
    steps = []

    def work() -> None:
        with held_back():
            steps.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert steps == ["done"]

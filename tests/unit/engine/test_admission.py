"""When another stream is refused: early enough that those that run never notice."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from voice_verify.engine import Engine, EngineError, Overloaded
from voice_verify.engine import admission as rules
from voice_verify.engine import engine as engine_module
from voice_verify.engine.admission import Admission
from voice_verify.engine.busy import Busy
from voice_verify.engine.features import SAMPLE_RATE


def test_a_new_engine_takes_streams() -> None:
    assert Admission().refusal is None


def test_one_that_stays_busy_takes_no_more_streams_until_it_is_not() -> None:
    admission = Admission()
    admission.told_busy(0.97, 50)
    assert admission.refusal is None
    time.sleep(rules.BUSY_FOR_S + 0.05)
    admission.told_busy(0.97, 50)
    assert admission.refusal == "has no time left for another stream"
    admission.told_busy(0.5, 50)
    assert admission.refusal is None


def test_a_lump_of_audio_of_a_few_streams_refuses_nobody() -> None:
    admission = Admission()
    admission.told_busy(1.0, rules.BUSY_STREAMS - 1)
    time.sleep(rules.BUSY_FOR_S + 0.05)
    admission.told_busy(1.0, rules.BUSY_STREAMS - 1)
    assert admission.refusal is None


def test_one_that_stays_behind_takes_no_more_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "LAG_FOR_S", 0.1)
    admission = Admission()
    admission.told_lag(1.5)
    time.sleep(0.15)
    assert "behind" in (admission.refusal or "")
    admission.told_lag(0.2)
    assert admission.refusal is None


def test_busy_is_the_share_of_all_threads_also_of_work_that_goes_on() -> None:
    busy = Busy(2)
    go_on = threading.Event()

    def work() -> None:
        with busy.working():
            go_on.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    busy.share()
    time.sleep(0.2)
    assert busy.share() == pytest.approx(0.5, abs=0.1)
    go_on.set()
    thread.join()
    busy.share()
    time.sleep(0.1)
    assert busy.share() == 0


def test_when_too_much_waits_the_youngest_stream_is_given_up(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "MAX_WAITING_TOTAL_S", 20)
    # All is pushed before the thread that hears takes any.
    monkeypatch.setattr(engine_module, "_GATHER_S", 2.0)
    engine = Engine(model_dir)
    engine.start()
    old, middle, young = streams = [uuid4() for _ in range(3)]
    for stream in streams:
        engine.open_stream(stream)
    audio = np.zeros(9 * SAMPLE_RATE, np.float32)
    for stream in (young, old, middle):
        engine.push(stream, audio)
    with pytest.raises(Overloaded):
        engine.voice(young)
    with pytest.raises(EngineError):
        engine.close_stream(young)
    assert [engine.close_stream(stream).audio_s for stream in (old, middle)] == [9, 9]
    engine.stop()

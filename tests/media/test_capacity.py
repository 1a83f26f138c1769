"""When all streams are in use, one more call is refused and no other notices."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.contract import speech
from tests.contract.running import Service

from . import observe
from .conftest import MakeCall, StartTelephony
from .scenario import Scenario

CALLS, CALL_S = 3, 5


@pytest.fixture(scope="module")
def service(start: StartTelephony, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service for so many streams."""
    running = start(tmp_path_factory.mktemp("small"), max_streams=CALLS)
    yield running
    assert running.stop() == -signal.SIGTERM, running.log


def test_a_call_too_many_is_busy_and_running_calls_are_untouched(
    service: Service, call: MakeCall, voice: Callable[..., Path]
) -> None:
    said = voice(speech.ANNA, CALL_S)
    uuids = [str(uuid4()) for _ in range(CALLS)]
    calls = [
        call(Scenario(uuid=uuid).invite().receive(200).ack().play(said).pause(CALL_S + 0.2).bye()) for uuid in uuids
    ]
    for uuid in uuids:
        observe.wait_for(service, uuid)
    one_more = Scenario().invite().receive(486, header="Reason", value="too_many_streams").ack_refusal()
    for transport in ("udp", "tcp"):
        call(one_more, transport=transport).succeed()
    assert set(observe.streams(service)) == set(uuids)
    for each in calls:
        each.succeed()
    for uuid in uuids:
        assert observe.report(service, uuid)["audio_s"] == pytest.approx(CALL_S, abs=0.1)
    assert observe.metrics(service)["voice_verify_telephony_refusals_total{too_many_streams}"] == 2
    observe.until_none(service)
    call(Scenario().invite().receive(200).ack().bye()).succeed()

"""Asterisk sends the caller's voice by chan_websocket and AudioSocket: docs/integrations/asterisk.md."""

from __future__ import annotations

import time

import pytest

from tests.contract.running import Service, until
from tests.media import observe

from .calls import Calls
from .conftest import StartAsterisk
from .test_trunk import DIALPLAN, TRUNK

pytestmark = pytest.mark.asterisk

PAGE = "asterisk.md"
WEBSOCKET = (PAGE, "chan_websocket (20.16, 21.11, 22.6, 23.0 and later)")
AUDIOSOCKET = (PAGE, "AudioSocket")
ORIGINATED = "exten,voiceverify,verify"


@pytest.mark.parametrize(("extension", "rate"), [("audiosocket", 8000), ("audiosocket-wide", 16000)])
def test_the_caller_is_heard_by_audiosocket(
    service: Service, asterisk: StartAsterisk, calls: Calls, extension: str, rate: int
) -> None:
    pbx = asterisk(DIALPLAN, AUDIOSOCKET, words={ORIGINATED: f"exten,voiceverify,{extension}"})
    with calls.by_dialplan(pbx) as uuid:
        stream = observe.wait_for(service, uuid)
        assert (stream["protocol"], stream["codec"], stream["rate"]) == ("audiosocket", "pcm_s16le", rate)
        calls.decide(uuid)
    assert observe.report(service, uuid)["end_reason"] == "client_closed"


@pytest.mark.parametrize("control", ["plain-text", "json"])
def test_the_caller_is_heard_by_a_websocket(
    service: Service, asterisk: StartAsterisk, calls: Calls, control: str
) -> None:
    words = {ORIGINATED: "exten,voiceverify,websocket", "INTEGRATOR_KEY": service.keys["integrator"]}
    others = {"chan_websocket.conf": f"[global]\ncontrol_message_format = {control}\n"}
    pbx = asterisk(DIALPLAN, WEBSOCKET, words=words, others=others)
    with calls.by_dialplan(pbx) as uuid:
        stream = observe.wait_for(service, uuid)
        assert (stream["protocol"], stream["codec"], stream["rate"]) == ("asterisk", "mulaw", 8000)
        calls.decide(uuid)
    assert observe.report(service, uuid)["end_reason"] == "client_closed"


def test_without_a_valid_key_the_call_goes_on_unheard(service: Service, asterisk: StartAsterisk, calls: Calls) -> None:
    pbx = asterisk(DIALPLAN, WEBSOCKET, words={ORIGINATED: "exten,voiceverify,websocket"})
    with calls.by_dialplan(pbx):
        until(lambda: "websocket@voiceverify" in pbx.log() and len(pbx.channels()) == 2)
        assert not observe.streams(service)


@pytest.mark.parametrize("extension", ["verify", "audiosocket", "audiosocket-wide", "websocket"])
def test_a_stream_that_is_deleted_leaves_the_call_alone(
    service: Service, asterisk: StartAsterisk, calls: Calls, extension: str
) -> None:
    words = {ORIGINATED: f"exten,voiceverify,{extension}", "INTEGRATOR_KEY": service.keys["integrator"]}
    pbx = asterisk(TRUNK, WEBSOCKET, AUDIOSOCKET, DIALPLAN, words=words)
    with calls.by_dialplan(pbx) as uuid:
        observe.wait_for(service, uuid)
        with service.client() as client:
            client.delete(f"/api/v2/streams/{uuid}").raise_for_status()
        until(lambda: len(pbx.channels()) == 2)
        time.sleep(1)
        assert sorted(name.partition("-")[0] for name in pbx.channels()) == ["PJSIP/agent", "PJSIP/caller"]
    assert observe.report(service, uuid)["end_reason"] == "deleted"


def test_the_caller_is_heard_by_a_websocket_of_ari(service: Service, asterisk: StartAsterisk, calls: Calls) -> None:
    pbx = asterisk(WEBSOCKET, words={"INTEGRATOR_KEY": service.keys["integrator"]})
    with calls.by_ari(pbx, WEBSOCKET) as uuid:
        stream = observe.wait_for(service, uuid)
        assert (stream["protocol"], stream["codec"], stream["rate"]) == ("asterisk", "pcm_s16le", 16000)
        calls.decide(uuid)

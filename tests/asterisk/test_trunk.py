"""Asterisk sends the caller's voice over a PJSIP trunk: docs/integrations/asterisk-sip.md."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.contract.running import Service
from tests.media import observe

from .calls import Calls
from .conftest import StartAsterisk
from .documented import Section

pytestmark = pytest.mark.asterisk

PAGE = "asterisk-sip.md"
TRUNK, TLS = (PAGE, "Trunk"), (PAGE, "Trunk over TLS")
DIALPLAN, BY_ARI = (PAGE, "Send the caller's voice"), (PAGE, "Send the caller's voice by ARI")
TCP = {"com:5060": "com:5060\\;transport=tcp", "transport-udp": "transport-tcp"}


@pytest.mark.parametrize(("trunk", "words"), [(TRUNK, {}), (TRUNK, TCP), (TLS, {})], ids=["udp", "tcp", "tls-srtp"])
def test_the_caller_is_heard_by_the_dialplan(
    service: Service, asterisk: StartAsterisk, calls: Calls, trunk: Section, words: Mapping[str, str]
) -> None:
    pbx = asterisk(trunk, DIALPLAN, words=words)
    with calls.by_dialplan(pbx) as uuid:
        stream = observe.wait_for(service, uuid)
        assert (stream["source"], stream["caller"]) == ("sip", f"sip:caller@{pbx.address}")
        calls.decide(uuid)
    assert observe.report(service, uuid)["end_reason"] == "client_closed"


@pytest.mark.parametrize(
    ("codec", "allowed", "rate"),
    [("pcma", "alaw", 8000), ("g722/16000/1", "g722", 16000), ("opus/48000/2", "opus", 16000)],
    ids=["alaw", "g722", "opus"],
)
def test_the_caller_is_heard_by_ari(
    service: Service, asterisk: StartAsterisk, calls: Calls, *, codec: str, allowed: str, rate: int
) -> None:
    pbx = asterisk(TLS, words={"allow = alaw,ulaw": f"allow = {allowed}"})
    with calls.by_ari(pbx, BY_ARI, codec=codec) as uuid:
        assert observe.wait_for(service, uuid)["rate"] == rate
        legs = pbx.command("pjsip show channelstats")
        # The caller's, the agent's and ours.
        assert legs.count(f" {allowed} ") == 3, legs
        calls.decide(uuid)

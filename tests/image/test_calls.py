"""A telephone call to the booted appliance: SIP through its edge, real speech by RTP, a decision from the API."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import httpx
import pytest

from vvctl.appliance import Appliance

from . import voices
from .guest import Guest
from .phone import Phone

SPEECH_S = 6
ANSWER_LIMIT_S = 5
DECISION_LIMIT_S = 20
# Between two questions: one costs a second on an emulated machine.
ASK_EVERY_S = 2


def decide(api: httpx.Client, uuid: str, *, deadline: float) -> dict[str, Any]:
    """The last decision on a stream: the first that is verified, or the one at the deadline."""
    while True:
        answer = api.post(f"/api/v2/streams/{uuid}/verify", json={"speaker": voices.TARGET})
        assert answer.status_code == httpx.codes.OK, answer.text
        decision: dict[str, Any] = answer.json()
        if decision["decision"] == "verified" or time.monotonic() > deadline:
            return decision
        time.sleep(ASK_EVERY_S)


def test_caller_by_sip_is_verified(first: Guest, enrolled: list[dict[str, Any]], appliance: Appliance) -> None:
    uuid = str(uuid4())
    server = (first.address, appliance.port("sip").first)
    with first.api() as api, Phone(first.network.host, server, patience_s=first.slow(ANSWER_LIMIT_S)) as phone:
        phone.call(uuid)
        phone.speak(voices.samples(voices.TARGET, SPEECH_S))
        stream = api.get(f"/api/v2/streams/{uuid}").json()
        assert (stream["source"], stream["callee"]) == ("sip", f"sip:verify@{first.address}")
        assert stream["caller"] == f"sip:caller@{first.network.host}"
        decision = decide(api, uuid, deadline=time.monotonic() + first.slow(DECISION_LIMIT_S))
        phone.hang_up()
        assert decision["decision"] == "verified", decision
        first.until(
            "the end of the call",
            lambda: True if uuid not in api.get("/api/v2/streams").text else None,
            ANSWER_LIMIT_S,
        )


def test_nobody_registers_at_the_appliance(first: Guest, appliance: Appliance) -> None:
    server = (first.address, appliance.port("sip").first)
    with Phone(first.network.host, server, patience_s=first.slow(ANSWER_LIMIT_S)) as phone:
        assert phone.ask("REGISTER").startswith("SIP/2.0 405")


@pytest.mark.parametrize("counter", ["method", "flood", "malformed"])
def test_edge_counts_what_it_refuses(first: Guest, counter: str) -> None:
    told = first.root("kamcmd -s unix:/run/kamailio/control stats.get_statistics script:")
    assert f"script:{counter} = " in told

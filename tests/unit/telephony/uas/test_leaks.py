"""Whatever comes in whatever order: in the end every port, stream, dialog, transaction and timer is given back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voice_verify.telephony.agent import Refused
from voice_verify.telephony.sip import Transport

from .phone import Phone, sdp
from .test_recording import REQUIRE, both, document, line
from .virtual import run
from .world import World, world_of

BODIES = [
    sdp(),
    "",
    sdp(direction="inactive"),
    sdp(direction="sendonly"),
    sdp("m=audio 40000 RTP/AVP 0 9"),
    sdp("m=audio 40000 RTP/AVP 18"),
    sdp("m=audio 0 RTP/AVP 8"),
    sdp("m=video 4000 RTP/AVP 96", "m=audio 40000 RTP/AVP 8"),
    sdp(line("1"), line("2")),
    sdp(line("1"), line("2", 0), line("3")),
    "garbage",
]
HEADERS = [{}, {"Supported": "timer", "Session-Expires": "90"}, {"Allow": "UPDATE"}, REQUIRE, {"Require": "nothing"}]

STATUSES = [200, 200, 481, 491, 422, 500, 405]

Step = tuple[str, int, int]
# Twice what makes and changes calls.
WHAT = ["invite", "ack", "update", "wait"] * 2 + ["siprec", "reinvite", "cancel", "bye", "info", "repeat", "stray"]
WHAT += ["answer", "delete", "refuse", "delay", "drop", "wait_long"]
STEPS = st.lists(st.tuples(st.sampled_from(WHAT), st.integers(0, 2), st.integers(0, 10_000)), max_size=25)


class Play:
    """Three telephones, each does what a step says, as well as it can."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.phones = [
            Phone(world),
            Phone(world, transport=Transport.TCP),
            Phone(world, transport=Transport.TLS),
        ]
        self.said: list[bytes] = []

    async def step(self, what: str, who: int, variant: int) -> None:
        phone = self.phones[who]
        for response in phone.responses:
            if response.status < 300 and response.cseq.method == "INVITE" and response.to_tag:
                phone.their_tag = response.to_tag
        body, headers = BODIES[variant % len(BODIES)], HEADERS[variant % len(HEADERS)]
        match what:
            case "invite":
                phone.call_id, phone.their_tag = f"{phone.call_id}x", ""
                self.say(phone, phone.text("INVITE", body, headers))
            case "siprec":
                content, content_type = both(body, document(("1", "Anna"), ("2", "Bruno")))
                self.say(phone, phone.text("INVITE", content, REQUIRE, content_type=content_type))
            case "reinvite":
                self.say(phone, phone.text("INVITE", body, headers))
            case "update" | "info" | "bye":
                self.say(phone, phone.text(what.upper(), body if what == "update" else "", headers))
            case "ack":
                self.say(phone, phone.text("ACK", body, cseq=max(1, phone.cseq - variant % 2)))
            case "cancel" if phone.branches:
                cseq = max(phone.branches)
                self.say(phone, phone.text("CANCEL", cseq=cseq, branch=phone.branches[cseq]))
            case "repeat" if self.said:
                self.say(phone, self.said[variant % len(self.said)])
            case "stray":
                self.say(phone, phone.text("BYE", tag="nobody"))
            case _:
                await self.disturb(what, phone, variant)

    async def disturb(self, what: str, phone: Phone, variant: int) -> None:
        service = self.world.service
        match what:
            case "answer":
                for request in [*phone.requests("UPDATE"), *phone.requests("INVITE"), *phone.requests("BYE")]:
                    phone.answer(request, STATUSES[variant % len(STATUSES)])
            case "delete":
                for leg in service.open_legs[: variant % 3]:
                    leg.ended("deleted")
            case "refuse":
                refusal = Refused("too_many_streams", 486, "Busy Here", "full", None)
                service.refusal = refusal if variant % 2 else None
            case "delay":
                service.delay_s = (0, 0.5, 20)[variant % 3]
            case "drop" if phone.flow.reliable:
                phone.flow.closed = True
                self.world.sip.closed(phone.flow)
            case "wait":
                await self.world.pass_time(variant % 100 / 50)
            case "wait_long":
                await self.world.pass_time(variant % 40)

    def say(self, phone: Phone, data: bytes) -> None:
        self.said.append(data)
        phone.send(data)


def played(monkeypatch: pytest.MonkeyPatch, steps: list[Step], end: Callable[[World], bool]) -> None:
    loop, make = world_of(monkeypatch)

    async def whole() -> None:
        world = make()
        play = Play(world)
        for step in steps:
            await play.step(*step)
        if end(world):
            await world.close()
        # Nobody sends audio or refreshes any more, and nobody answers: all calls end by themselves, held ones when
        # their session expires.
        await world.pass_time(100)
        if world.server.calls:
            await world.pass_time(2000)
        await world.close()
        await world.pass_time(70)
        world.nothing_is_left()
        await world.sip.close()
        assert not loop.timers

    run(whole(), loop)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, stopped=st.booleans())
def test_everything_is_given_back(monkeypatch: pytest.MonkeyPatch, steps: list[Step], stopped: bool) -> None:
    with monkeypatch.context() as patches:
        played(patches, steps, lambda _: stopped)

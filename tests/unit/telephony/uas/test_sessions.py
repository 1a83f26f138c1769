"""Session timers of calls: refreshed by either side, ended when nobody does (RFC 4028)."""

from __future__ import annotations

import pytest

from voice_verify.telephony.agent import LegEnd
from voice_verify.telephony.uas.legs import AudioLeg

from .conftest import Play
from .phone import Phone, sdp
from .world import World

TIMER = {"Supported": "timer", "Session-Expires": "90;refresher=uac"}
# Without audio, so that nothing but the session ends the call.
HELD = sdp(direction="inactive")


def test_ends_a_session_that_the_peer_does_not_refresh(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        answer = await phone.call(HELD, TIMER)
        assert answer.headers.get("Session-Expires") == "90;refresher=uac"
        assert answer.headers.get("Require") == "timer"
        await world.pass_time(50)
        await phone.call(HELD, TIMER)
        await world.pass_time(55)
        assert not phone.requests("BYE")
        bye = await phone.asked("BYE")
        phone.answer(bye)
        assert bye.headers.get("Reason") == 'SIP;cause=408;text="session_expired"'
        assert world.service.legs[0].end_reason is LegEnd.session_expired

    play(scenario)


def test_refreshes_by_update(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await phone.call(HELD, {"Allow": "INVITE, UPDATE", "Session-Expires": "100"})
        for _ in range(3):
            update = await phone.asked("UPDATE")
            assert update.headers.get("Session-Expires") == "100;refresher=uac"
            assert not update.body
            phone.answer(update, Session_Expires="100;refresher=uac")
            phone.flow.sent.clear()
        assert not phone.requests("BYE")
        await phone.hang_up()

    play(scenario)


def test_refreshes_by_invite_where_update_is_not_taken(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        first = await phone.call(HELD, {"Session-Expires": "100"})
        invite = await phone.asked("INVITE")
        assert invite.body == first.body
        # Meanwhile ours is open, and the peer's has to wait.
        assert (await phone.ask("INVITE", HELD)).status == 491
        phone.ack()
        phone.answer(invite, 200, sdp(), Session_Expires="100;refresher=uac")
        await world.pass_time(1)
        (ack,) = phone.requests("ACK")
        assert ack.cseq.number == invite.cseq.number
        # What the peer says of its side counts: it is back from hold.
        assert world.service.legs[0].holds == [True, False]
        phone.answer(await phone.asked("BYE"))

    play(scenario)


@pytest.mark.parametrize("before", ["sendrecv", "sendonly"])
def test_a_refresh_leaves_hold_as_it_is(play: Play, monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    # There is no audio here, which would end the call.
    monkeypatch.setattr(AudioLeg, "silent_s", None)

    async def scenario(world: World) -> None:
        phone = Phone(world)
        await phone.call(sdp(), {"Session-Expires": "100"})
        await phone.call(sdp(direction=before), {"Session-Expires": "100"})
        held = list(world.service.legs[0].holds)
        invite = await phone.asked("INVITE")
        assert b"a=recvonly" in invite.body
        # To which this is the answer, whether of a voice or of music.
        phone.answer(invite, 200, sdp(direction="sendonly"))
        await world.pass_time(1)
        assert world.service.legs[0].holds == held == ([True] if before == "sendonly" else [])
        await phone.hang_up()

    play(scenario)


@pytest.mark.parametrize("status", [408, 481, None])
def test_ends_a_session_that_the_peer_has_forgotten(play: Play, status: int | None) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await phone.call(HELD, {"Allow": "UPDATE"})
        update = await phone.asked("UPDATE")
        if status is not None:
            phone.answer(update, status)
        bye = await phone.asked("BYE")
        phone.answer(bye)
        assert world.count("call_ends", "session_expired") == 1

    play(scenario)


def test_a_peer_that_fails_now_and_then_keeps_its_call(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await phone.call(HELD, {"Allow": "UPDATE", "Session-Expires": "1800"})
        for status in (500, 491):
            phone.answer(await phone.asked("UPDATE"), status)
            phone.flow.sent.clear()
        # From here on it says that it does not know UPDATE.
        phone.answer(await phone.asked("UPDATE"), 405)
        invite = await phone.asked("INVITE")
        phone.answer(invite, 422, Min_SE="3600")
        phone.flow.sent.clear()
        again = await phone.asked("INVITE")
        assert again.headers.get("Session-Expires") == "3600;refresher=uac"
        phone.answer(again, 200, HELD, Session_Expires="3600;refresher=uas")
        await world.pass_time(1)
        await phone.hang_up()

    play(scenario)


def test_a_peer_that_fails_for_ever_loses_its_call(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await phone.call(HELD, {"Allow": "UPDATE", "Session-Expires": "120"})
        while not phone.requests("BYE"):
            for update in phone.requests("UPDATE"):
                phone.answer(update, 500)
            phone.flow.sent = [message for message in phone.flow.sent if message in phone.requests("BYE")]
            await world.pass_time(1)
        phone.answer(phone.requests("BYE")[0])

    play(scenario)

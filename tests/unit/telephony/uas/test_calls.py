"""The life of a call: answered, changed, held, ended by either side (RFC 3261, 3264, 3311)."""

from __future__ import annotations

import socket
from uuid import UUID

import pytest

from voice_verify.telephony.agent import LegEnd
from voice_verify.telephony.sip import Endpoint, Transport
from voice_verify.telephony.sip.sdp import Direction, Session

from .conftest import Play
from .phone import Phone, sdp
from .world import HOST, World

WANTED = "6f1c1a52-3a3f-4f0a-9a58-0c4b1e8f7d21"


def test_answers_a_call_and_hears_it(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        answer = await phone.call(headers={"X-UUID": WANTED})
        description = Session.parse(answer.body)
        assert description.address == description.origin.address == "203.0.113.5"
        (audio,) = description.media
        assert audio.formats == ["8", "101"]
        assert audio.direction is Direction.recvonly
        assert answer.headers.get("Contact") == "<sip:203.0.113.5:5060>"
        assert answer.headers.get("X-Stream-UUID") == f"{WANTED};label=1"
        (leg,) = world.service.legs
        assert leg.info.uuid == UUID(WANTED)
        assert (leg.info.source, leg.info.peer, leg.info.codec) == ("sip", "192.0.2.7", "alaw")
        assert leg.info.caller == "sip:phone@192.0.2.7"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rtp:
            for number in range(20):
                header = bytes([0x80, 8]) + number.to_bytes(2, "big") + (number * 160).to_bytes(4, "big") + b"ssrc"
                rtp.sendto(header + b"\x55" * 160, (HOST, audio.port))
        await world.pass_time(1)
        assert b"".join(leg.blocks).count(b"\x55") == 20 * 160
        assert (await phone.hang_up()).status == 200
        assert leg.end_reason is LegEnd.client_closed
        assert world.count("call_ends", "bye") == 1

    play(scenario)


def test_who_calls_a_sips_uri_gets_one(play: Play) -> None:
    async def scenario(world: World) -> None:
        for transport, contact in (
            (Transport.TLS, "<sips:203.0.113.5:5061>"),
            (Transport.TCP, "<sip:203.0.113.5:5060;transport=tcp>"),
        ):
            phone = Phone(world, transport=transport)
            phone.target = "sips:anybody@203.0.113.5"
            assert (await phone.call()).headers.get("Contact") == contact
            await phone.hang_up()

    play(scenario)


def test_without_tls_of_its_own_it_is_reached_over_the_connection_that_registered(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world, transport=Transport.TLS)
        phone.flow.local = Endpoint(Transport.TLS, "127.0.0.1", 40123)
        answer = await phone.call()
        assert answer.headers.get("Contact") == "<sip:203.0.113.5:40123;transport=tls>"

    # As behind the edge, whose port for TLS knows nothing of that connection.
    play(scenario, tls_port=None)


def test_takes_one_codec_g711_first(play: Play) -> None:
    async def scenario(world: World) -> None:
        for formats, wanted in (("9 0 8", "0"), ("9 18", "9"), ("18 8", "8")):
            phone = Phone(world)
            answer = await phone.call(sdp(f"m=audio 40000 RTP/AVP {formats}"))
            assert Session.parse(answer.body).media[0].formats == [wanted]
            await phone.hang_up()
        assert [leg.info.codec for leg in world.service.legs] == ["mulaw", "pcm_s16le", "alaw"]

    play(scenario)


def test_refuses_every_line_that_is_not_the_call(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        video, audio = "m=video 40002 RTP/AVP 96\r\na=rtpmap:96 H264/90000", "m=audio 40000 RTP/AVP 8\r\na=rtcp-mux"
        answer = await phone.call(sdp(video, audio, audio))
        lines = Session.parse(answer.body).media
        assert [line.kind for line in lines] == ["video", "audio", "audio"]
        assert [line.port != 0 for line in lines] == [False, True, False]
        assert lines[1].rtcp_mux
        await phone.hang_up()

    play(scenario)


def test_offers_when_the_caller_leaves_it_to_us(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        offer = await phone.ask("INVITE")
        formats = Session.parse(offer.body).media[0].formats
        assert formats[:2] == ["8", "0"]
        phone.ack(sdp("m=audio 40000 RTP/AVP 0\r\na=sendonly"))
        await world.pass_time(1)
        (leg,) = world.service.open_legs
        assert leg.codecs == [("mulaw", 8000)]
        assert leg.holds == []
        await phone.hang_up()

    play(scenario)


def test_ends_a_call_whose_ack_brings_no_answer(play: Play) -> None:
    async def scenario(world: World) -> None:
        for answer in ("", sdp("m=audio 0 RTP/AVP 0"), sdp("m=audio 40000 RTP/AVP 18"), "v=0\r\nnonsense"):
            phone = Phone(world)
            await phone.ask("INVITE")
            phone.ack(answer)
            bye = await phone.asked("BYE")
            assert "SIP;cause=488" in (bye.headers.get("Reason") or "")
            phone.answer(bye)

    play(scenario)


def test_repeats_its_answer_until_the_ack_comes(play: Play) -> None:
    async def scenario(world: World) -> None:
        for transport in (Transport.UDP, Transport.TCP):
            phone = Phone(world, transport=transport)
            await phone.ask("INVITE", sdp())
            await world.pass_time(3)
            repeated = len(phone.responses)
            assert repeated >= 3
            phone.ack()
            await world.pass_time(10)
            assert len(phone.responses) == repeated
            await phone.hang_up()

    play(scenario)


def test_ends_a_call_that_is_never_acknowledged(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await phone.ask("INVITE", sdp(), {"Session-Expires": "1800"})
        await world.pass_time(15)
        assert not phone.requests("BYE")
        bye = await phone.asked("BYE")
        assert bye.to.tag == phone.tag
        assert bye.uri == f"sip:phone@192.0.2.7:{phone.port}"
        phone.answer(bye)

    play(scenario)


def test_a_repeated_invite_makes_no_second_call(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        invite = phone.text("INVITE", sdp())
        for _ in range(3):
            phone.send(invite)
        await phone.final("INVITE")
        phone.send(invite)
        phone.ack()
        assert len(world.service.legs) == 1
        await phone.hang_up()

    play(scenario)


def test_is_put_on_hold_in_every_spelling_and_resumed(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        first = await phone.call()
        port = Session.parse(first.body).media[0].port
        (leg,) = world.service.legs
        held = [
            (sdp(direction="sendonly"), Direction.recvonly),
            (sdp(direction="inactive"), Direction.inactive),
            (sdp(address="0.0.0.0"), Direction.recvonly),  # noqa: S104
        ]
        for offer, direction in held:
            answer = await phone.call(offer)
            (line,) = Session.parse(answer.body).media
            assert (line.direction, line.port) == (direction, port)
            assert leg.holds[-1] is True
            # Nobody expects audio now.
            await world.pass_time(60)
            assert not phone.requests("BYE")
            await phone.call()
            assert leg.holds[-1] is False
        versions = [Session.parse(one.body).origin.version for one in phone.responses if one.body]
        assert versions == sorted(versions)
        await phone.hang_up()

    play(scenario)


def test_a_peer_that_only_ever_sends_is_not_on_hold(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await phone.call(sdp(direction="sendonly"))
        assert world.service.legs[0].holds == []
        await phone.hang_up()

    play(scenario)


@pytest.mark.parametrize("address", ["media.example.com", "192.0.2.7"])
def test_a_peer_that_gives_a_name_or_no_port_for_rtcp_is_heard(play: Play, address: str) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await phone.call(sdp("m=audio 40000 RTP/AVP 8\r\na=rtcp:0", address=address))
        assert world.service.legs[0].holds == []
        await phone.hang_up()

    play(scenario)


def test_follows_a_new_codec_and_stays_where_it_is(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        before = Session.parse((await phone.call()).body)
        after = Session.parse((await phone.call(sdp("m=audio 40010 RTP/AVP 0", version=2))).body)
        assert after.media[0].formats == ["0"]
        assert after.media[0].port == before.media[0].port
        assert after.origin.version == before.origin.version + 1
        assert after.origin.session_id == before.origin.session_id
        await phone.hang_up()
        assert len(world.service.legs) == 1

    play(scenario)


def test_a_change_that_cannot_be_made_leaves_the_call_as_it_is(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await phone.call()
        assert (await phone.ask("INVITE", sdp("m=audio 40000 RTP/AVP 18"))).status == 488
        phone.ack()
        assert (await phone.ask("INVITE", sdp("m=image 40000 udptl t38"))).status == 488
        phone.ack()
        assert len(world.service.open_legs) == 1
        assert (await phone.hang_up()).status == 200

    play(scenario)


def test_is_changed_by_update(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await phone.call()
        refreshed = await phone.ask("UPDATE")
        assert (refreshed.status, refreshed.body) == (200, b"")
        held = await phone.ask("UPDATE", sdp(direction="inactive"))
        assert Session.parse(held.body).media[0].direction is Direction.inactive
        assert world.service.legs[0].holds == [True]
        await phone.hang_up()

    play(scenario)


def test_says_again_what_is_agreed_when_asked_for_an_offer(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        first = await phone.call()
        offer = await phone.ask("INVITE")
        assert offer.body == first.body
        # Until the answer comes, another offer has to wait.
        assert (await phone.ask("UPDATE", sdp())).status == 491
        phone.ack(sdp(), cseq=2)
        assert (await phone.ask("UPDATE", sdp())).status == 200
        await phone.hang_up()

    play(scenario)


def test_offers_to_listen_again_to_who_resumes_without_an_offer(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await phone.call()
        await phone.call(sdp(direction="inactive"))
        # As Cisco's call manager does.
        offer = await phone.ask("INVITE")
        assert Session.parse(offer.body).media[0].direction is Direction.recvonly
        phone.ack(sdp(direction="sendonly"))
        await world.pass_time(1)
        assert world.service.legs[0].holds == [True, False]
        await phone.hang_up()

    play(scenario)


def test_is_cancelled_before_it_is_answered(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.service.delay_s = 5
        phone = Phone(world)
        phone.send(phone.text("INVITE", sdp()))
        await world.pass_time(1)
        assert phone.responses[0].status == 100
        phone.send(phone.text("CANCEL", cseq=1, branch=phone.branches[1], tag=""))
        assert (await phone.final("CANCEL", 1)).status == 200
        assert (await phone.final("INVITE", 1)).status == 487
        phone.ack()
        await world.pass_time(10)
        assert not world.service.legs
        assert world.count("call_ends", "cancelled") == 1

    play(scenario)


def test_a_change_is_cancelled_and_the_call_goes_on(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await phone.call(recorded(1))
        world.service.delay_s = 5
        phone.send(phone.text("INVITE", recorded(2)))
        await world.pass_time(1)
        assert (await phone.ask("UPDATE", sdp())).status == 500
        phone.send(phone.text("CANCEL", cseq=2, branch=phone.branches[2]))
        assert (await phone.final("INVITE", 2)).status == 487
        phone.ack(cseq=2)
        await world.pass_time(10)
        assert len(world.service.open_legs) == 1
        await phone.hang_up()

    def recorded(lines: int) -> str:
        return sdp(*(f"m=audio {40000 + 2 * line} RTP/AVP 8\r\na=sendonly\r\na=label:{line}" for line in range(lines)))

    async def siprec(world: World) -> None:
        original = Phone.text

        def text(self: Phone, method: str, *arguments: object, **options: object) -> bytes:
            return original(self, method, *arguments, **options).replace(  # type: ignore[arg-type]
                b"Max-Forwards", b"Require: siprec\r\nMax-Forwards", 1
            )

        Phone.text = text  # type: ignore[method-assign, assignment]
        try:
            await scenario(world)
        finally:
            Phone.text = original  # type: ignore[method-assign]

    play(siprec)


def test_the_service_ends_the_stream(play: Play) -> None:
    async def scenario(world: World) -> None:
        for reason, cause in (("deleted", 200), ("silence_timeout", 408), ("maintenance", 503), ("surprise", 500)):
            phone = Phone(world)
            await phone.call()
            world.service.legs[-1].ended(reason)
            bye = await phone.asked("BYE")
            said = "error" if reason == "surprise" else reason
            assert bye.headers.get("Reason") == f'SIP;cause={cause};text="{said}"'
            phone.answer(bye)
            assert (await phone.hang_up()).status == 481

    play(scenario)


def test_no_bye_overtakes_the_ack(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await phone.ask("INVITE", sdp())
        world.service.legs[-1].ended("deleted")
        await world.pass_time(2)
        assert not phone.requests("BYE")
        assert world.receiver.streams == 0
        phone.ack()
        phone.answer(await phone.asked("BYE"))

    play(scenario)


def test_ends_a_call_without_audio(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await phone.call()
        await world.pass_time(18)
        assert not phone.requests("BYE")
        bye = await phone.asked("BYE")
        assert bye.headers.get("Reason") == 'SIP;cause=408;text="media_timeout"'
        phone.answer(bye)
        assert world.service.legs[0].end_reason is LegEnd.media_timeout

    play(scenario)


def test_a_stop_ends_every_call(play: Play) -> None:
    async def scenario(world: World) -> None:
        confirmed, answered, waiting = Phone(world), Phone(world), Phone(world)
        await confirmed.call()
        await answered.ask("INVITE", sdp())
        world.service.delay_s = 5
        waiting.send(waiting.text("INVITE", sdp()))
        await world.pass_time(1)
        await world.close()
        assert confirmed.requests("BYE")
        assert answered.requests("BYE")
        assert (await waiting.final("INVITE")).status == 503

    play(scenario)


def test_finds_its_way_to_a_peer_whose_connection_is_gone(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world, transport=Transport.TCP)
        await phone.call()
        phone.flow.closed = True
        other = Phone(world, transport=Transport.TCP, port=phone.port)
        world.service.legs[0].ended("deleted")
        assert (await other.asked("BYE")).call_id == phone.call_id

    play(scenario)


def test_never_sends_to_hosts_that_only_stand_in_a_contact(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone, victim = Phone(world), Phone(world, host="198.51.100.1", port=5060)
        await phone.call(headers={"Contact": "<sip:x@198.51.100.1:5060>"})
        world.service.legs[0].ended("deleted")
        bye = await phone.asked("BYE")
        assert bye.uri == "sip:x@198.51.100.1:5060"
        assert not victim.flow.sent

    play(scenario)

"""What is refused, with which status: RFC 3261 section 8.2 and 12.2.2, RFC 3311, 3891, 4028, and the service's own."""

from __future__ import annotations

import pytest

from voice_verify.telephony.agent import Refused
from voice_verify.telephony.sip import BadMessage, Transport

from .conftest import Play
from .phone import Phone, sdp
from .world import World

SECURE = "m=audio 40000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("OPTIONS", 200),
        ("BYE", 481),
        ("UPDATE", 481),
        ("INFO", 481),
        ("REFER", 405),
        ("SUBSCRIBE", 405),
        ("NOTIFY", 405),
        ("MESSAGE", 405),
        ("REGISTER", 405),
        ("PRACK", 405),
        ("SING", 501),
    ],
)
def test_answers_every_method_outside_a_call(play: Play, method: str, status: int) -> None:
    async def scenario(world: World) -> None:
        answer = await Phone(world).ask(method)
        assert answer.status == status
        if status != 481:
            assert "INVITE" in (answer.headers.get("Allow") or "")

    play(scenario)


def test_says_what_it_can(play: Play) -> None:
    async def scenario(world: World) -> None:
        answer = await Phone(world).ask("OPTIONS")
        assert answer.headers.items("Supported") == ["timer", "siprec"]
        assert "application/sdp" in answer.headers.items("Accept")
        assert "UPDATE" in answer.headers.items("Allow")

    play(scenario)


@pytest.mark.parametrize(("method", "status"), [("INFO", 200), ("OPTIONS", 200), ("REFER", 405), ("SING", 501)])
def test_answers_every_method_in_a_call(play: Play, method: str, status: int) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await phone.call()
        assert (await phone.ask(method, "Signal=5", content_type="application/dtmf-relay")).status == status
        assert (await phone.hang_up()).status == 200

    play(scenario)


def invited(
    play: Play, body: str, headers: dict[str, str], *, transport: Transport = Transport.UDP, **options: str
) -> dict[str, str]:
    """Status and headers of the refusal of one INVITE."""
    found: dict[str, str] = {}

    async def scenario(world: World) -> None:
        phone = Phone(world, transport=transport)
        answer = await phone.ask("INVITE", body, headers, **options)
        phone.ack()
        assert not world.service.open_legs
        found.update(dict(answer.headers), status=str(answer.status))

    play(scenario)
    return found


def test_refuses_extensions_that_it_does_not_know(play: Play) -> None:
    answer = invited(play, sdp(), {"Require": "timer, 100rel, gruu"})
    assert (answer["status"], answer["Unsupported"]) == ("420", "100rel, gruu")


def test_replaces_nothing(play: Play) -> None:
    assert invited(play, sdp(), {"Replaces": "a@b;to-tag=c;from-tag=d"})["status"] == "481"
    assert invited(play, sdp(), {"Require": "replaces"})["status"] == "420"


def test_refuses_a_session_that_is_too_brief(play: Play) -> None:
    answer = invited(play, sdp(), {"Session-Expires": "30", "Supported": "timer"})
    assert (answer["status"], answer["Min-SE"]) == ("422", "90")
    assert invited(play, sdp(), {"Session-Expires": "soon"})["status"] == "400"


@pytest.mark.parametrize(
    ("body", "status", "warning"),
    [
        (sdp("m=audio 40000 RTP/AVP 18"), "488", "305"),
        (sdp("m=video 40000 RTP/AVP 96"), "488", "304"),
        (sdp("m=audio 0 RTP/AVP 8"), "488", "304"),
        (sdp("m=audio 40000 UDP/TLS/RTP/SAVPF 8"), "488", "302"),
        (sdp(SECURE), "488", "302"),
        (sdp("m=audio 40000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000"), "488", "305"),
        (sdp("m=audio 40000 RTP/AVP 111\r\na=rtpmap:111 opus/16000/2"), "488", "305"),
        ("nonsense", "400", "399"),
        ("v=0\r\n", "400", "399"),
    ],
)
def test_refuses_what_it_cannot_hear(play: Play, body: str, status: str, warning: str) -> None:
    answer = invited(play, body, {})
    assert answer["status"] == status
    assert answer["Warning"].startswith(f"{warning} voice-verify ")


def test_takes_srtp_over_tls_only(play: Play) -> None:
    weak = SECURE.replace("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM")
    assert invited(play, sdp(weak), {}, transport=Transport.TLS)["status"] == "488"

    async def scenario(world: World) -> None:
        phone = Phone(world, transport=Transport.TLS)
        answer = await phone.call(sdp(f"{SECURE}\r\na=crypto:2 AEAD_AES_256_GCM inline:{'A' * 40}"))
        assert b"RTP/SAVP 8\r\n" in answer.body
        assert b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" in answer.body
        assert answer.headers.get("Contact") == "<sip:203.0.113.5:5061;transport=tls>"
        await phone.hang_up()

    play(scenario)


def test_refuses_bodies_that_are_nothing_to_it(play: Play) -> None:
    answer = invited(play, "hello", {}, content_type="text/plain")
    assert (answer["status"], "application/sdp" in answer["Accept"]) == ("415", True)
    assert invited(play, sdp(), {"Content-Encoding": "gzip"})["status"] == "415"
    assert invited(play, "no parts", {}, content_type="multipart/mixed;boundary=x")["status"] == "400"


def test_refuses_an_invite_that_cannot_make_a_call(play: Play) -> None:
    assert invited(play, sdp(), {"Contact": ""})["status"] == "400"


def test_says_the_refusals_of_the_service(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.service.refusal = Refused("too_many_streams", 486, "Busy Here", 'The "cap" is reached', 5)
        phone = Phone(world)
        answer = await phone.ask("INVITE", sdp())
        phone.ack()
        assert (answer.status, answer.reason) == (486, "Busy Here")
        assert answer.headers.get("Reason") == 'SIP;cause=486;text="too_many_streams"'
        assert answer.headers.get("Warning") == '399 voice-verify "The \\"cap\\" is reached"'
        assert answer.headers.get("Retry-After") == "5"
        assert world.count("refusals", "too_many_streams") == 1

    play(scenario)


def test_is_busy_when_no_port_is_left(play: Play) -> None:
    async def scenario(world: World) -> None:
        held = [world.ports.take() for _ in range(world.ports.free - 1)]
        first, second = Phone(world), Phone(world)
        await first.call()
        refused = await second.ask("INVITE", sdp())
        second.ack()
        assert (refused.status, refused.headers.get("Reason")) == (486, 'SIP;cause=486;text="no_ports"')
        assert len(world.server.calls) == 1
        await first.hang_up()
        for pair in held:
            pair.close()

    play(scenario)


def test_a_service_that_says_nothing_refuses_the_call(play: Play) -> None:
    async def scenario(world: World) -> None:
        world.service.delay_s = 100
        phone = Phone(world)
        assert (await phone.ask("INVITE", sdp())).status == 500
        phone.ack()
        await world.pass_time(100)
        assert not world.service.legs

    play(scenario)


def test_requests_have_to_be_in_order_and_in_their_dialog(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await phone.call()
        phone.send(phone.text("INFO", cseq=1))
        assert (await phone.final("INFO", 1)).status == 500
        assert (await phone.ask("INFO", tag="another")).status == 481
        stranger = Phone(world)
        stranger.call_id, stranger.their_tag = phone.call_id, phone.their_tag
        assert (await stranger.ask("BYE")).status == 481
        assert (await phone.hang_up()).status == 200
        assert (await phone.ask("INFO")).status == 481

    play(scenario)


def test_a_request_that_came_on_two_ways_makes_one_call(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        phone.send(phone.text("INVITE", sdp(), cseq=1))
        phone.send(phone.text("INVITE", sdp(), cseq=1))
        await world.pass_time(0.1)
        assert sorted(answer.status for answer in phone.responses if answer.status >= 200) == [200, 482]
        phone.their_tag = next(answer.to_tag or "" for answer in phone.responses if answer.status == 200)
        phone.cseq = 1
        phone.ack()
        await phone.hang_up()

    play(scenario)


def test_another_scheme_and_zero_forwards(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        phone.target = "urn:service:sos"
        assert (await phone.ask("INVITE", sdp())).status == 416
        phone.ack()
        phone.target = "sip:anybody@203.0.113.5"
        # We are the end of the way: nothing is forwarded any more.
        assert (await phone.ask("OPTIONS", headers={"Max-Forwards": "0"})).status == 200

    play(scenario)


@pytest.mark.parametrize("header", ["Require", "Supported", "Allow"])
def test_a_list_that_cannot_be_read_is_a_bad_request(play: Play, header: str) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        with pytest.raises(BadMessage, match=r"^400 .*quoted string does not end"):
            phone.send(phone.text("INVITE", sdp(), {header: '"open'}))

    play(scenario)

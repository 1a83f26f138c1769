"""Who may call, and who is believed to be whom."""

from __future__ import annotations

from uuid import UUID

import pytest

from voice_verify.telephony.sip import Request, Response
from voice_verify.telephony.sip.digest import Login
from voice_verify.telephony.sip.parser import parse
from voice_verify.telephony.uas.rate import RateLimit

from .conftest import Play
from .phone import Phone, sdp
from .world import World, instance

PBX = UUID("0b9d2f0c-6a1e-4d8f-9c1b-2f6f0a7c5d11")


async def status_of(phone: Phone, headers: dict[str, str] | None = None) -> int:
    answer = await phone.ask("INVITE", sdp(), headers)
    phone.ack()
    if answer.status == 200:
        await phone.hang_up()
    return answer.status


def test_only_peers_may_call(play: Play) -> None:
    async def scenario(world: World) -> None:
        assert await status_of(Phone(world, "192.0.2.7")) == 200
        stranger = Phone(world, "198.51.100.1")
        assert await status_of(stranger) == 403
        assert (await stranger.ask("OPTIONS")).status == 403
        assert world.count("refusals", "forbidden_peer") == 2
        # However many there are, they take no room from others.
        assert len(world.sip._servers) == 2

    play(scenario, peers=("192.0.2.0/24", "2001:db8::/32"))


def test_a_stranger_cannot_speak_in_a_call_of_others(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone, stranger = Phone(world, "192.0.2.7"), Phone(world, "198.51.100.1")
        await phone.ask("INVITE", sdp())
        stranger.call_id, stranger.tag, stranger.their_tag = phone.call_id, phone.tag, phone.their_tag
        stranger.ack(cseq=1)
        stranger.cseq = 1
        assert (await stranger.ask("BYE")).status == 403
        await world.pass_time(2)
        assert len(phone.responses) > 1
        phone.ack()
        await phone.hang_up()

    play(scenario, peers=("192.0.2.0/24",))


def test_believes_the_edge_and_nobody_else(play: Play) -> None:
    async def scenario(world: World) -> None:
        edge = Phone(world, "127.0.0.1")
        assert await status_of(edge, {"X-Edge-Source": "udp:192.0.2.7:5060"}) == 200
        assert world.service.legs[-1].info.peer == "192.0.2.7"
        assert await status_of(edge, {"X-Edge-Source": "udp:198.51.100.1:5060"}) == 403
        assert await status_of(Phone(world, "198.51.100.1"), {"X-Edge-Source": "udp:192.0.2.7:5060"}) == 403
        for forged in ("udp:nobody:5060", "192.0.2.7", "sctp:192.0.2.7:5060", ""):
            assert await status_of(Phone(world, "127.0.0.1"), {"X-Edge-Source": forged}) == 403

    play(scenario, peers=("192.0.2.0/24",), edge="127.0.0.1")


def test_tls_at_the_edge_counts_as_tls(play: Play) -> None:
    async def scenario(world: World) -> None:
        secure = "m=audio 40000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40
        phone = Phone(world, "127.0.0.1")
        await phone.call(sdp(secure), {"X-Edge-Source": "tls:[2001:db8::7]:40123"})
        assert world.service.legs[0].info.peer == "2001:db8::7"
        await phone.hang_up()

    play(scenario, edge="127.0.0.1")


def test_says_an_address_that_the_peer_can_reach(play: Play) -> None:
    async def scenario(world: World) -> None:
        # The edge is on the loopback; the peer's way ends at another address of this machine, here the same one.
        phone = Phone(world, "127.0.0.1")
        answer = await phone.call(headers={"X-Edge-Source": "tcp:127.0.0.2:5060"})
        assert b"c=IN IP4 127.0.0." in answer.body
        assert answer.headers.get("Contact") == "<sip:127.0.0.1:5060;transport=tcp>"
        await phone.hang_up()

    play(scenario, edge="127.0.0.1", advertised="")


async def authenticated(phone: Phone, login: Login) -> Response:
    """Call, and answer the challenge."""
    challenge = await phone.ask("INVITE", sdp())
    assert challenge.status == 401
    assert [header.split("algorithm=")[1].split(",")[0] for header in challenge.headers.all("WWW-Authenticate")]
    phone.ack()
    again = parse(phone.text("INVITE", sdp()))
    assert isinstance(again, Request)
    login.answer(challenge, again)
    phone.send(again.encode())
    answer = await phone.final("INVITE")
    phone.ack()
    return answer


def test_asks_for_a_password_when_there_are_accounts(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        assert (await authenticated(phone, Login("anna", "secret"))).status == 200
        # In a call the tags are proof enough, and nobody is challenged for being looked at.
        assert (await phone.ask("INVITE", sdp())).status == 200
        phone.ack()
        await phone.hang_up()
        assert (await Phone(world).ask("OPTIONS")).status == 200
        assert (await authenticated(Phone(world), Login("anna", "wrong"))).status == 401
        assert (await authenticated(Phone(world), Login("otto", "secret"))).status == 401
        assert world.count("authentication_failures") == world.count("sip_challenges", "wrong") == 2
        assert world.count("sip_challenges", "missing") == 3
        assert len(world.service.legs) == 1

    play(scenario, accounts={"anna": "secret"})


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("INVITE", {}, 401),
        ("INVITE", {"Require": "nonsense"}, 420),
        ("INVITE", {"To": "<sip:anybody@203.0.113.5>;tag=none"}, 481),
        ("SUBSCRIBE", {}, 405),
        ("OPTIONS", {}, 200),
    ],
)
def test_keeps_nothing_of_strangers_and_tells_them_once(
    play: Play, method: str, headers: dict[str, str], status: int
) -> None:
    async def scenario(world: World) -> None:
        # Of an address that may be forged: it would hear more than was said in its name.
        phone = Phone(world)
        assert (await phone.ask(method, headers=headers)).status == status
        assert not world.sip._servers
        await world.pass_time(40)
        assert len(phone.responses) == 1

    play(scenario, accounts={"anna": "secret"})


def test_who_guesses_passwords_is_not_asked_any_more(play: Play) -> None:
    async def scenario(world: World) -> None:
        for _ in range(10):
            assert (await authenticated(Phone(world), Login("anna", "guess"))).status == 401
        assert await status_of(Phone(world)) == 403
        # Others are.
        assert (await authenticated(Phone(world, "192.0.2.8"), Login("anna", "secret"))).status == 200
        await world.pass_time(60)
        assert (await authenticated(Phone(world), Login("anna", "secret"))).status == 200

    def ended(world: World) -> None:
        assert world.count("refusals", "too_many_failures") == 1

    play(scenario, accounts={"anna": "secret"})


def test_limits_the_new_calls_of_one_source(play: Play) -> None:
    async def scenario(world: World) -> None:
        statuses = [(await Phone(world).ask("INVITE", "nonsense")).status for _ in range(400)]
        assert set(statuses) == {400}
        refused = await Phone(world).ask("INVITE", sdp())
        assert (refused.status, refused.headers.get("Retry-After")) == (480, "5")
        assert await status_of(Phone(world, "192.0.2.8")) == 200
        await world.pass_time(5)
        assert await status_of(Phone(world)) == 200

    play(scenario)


def test_knows_which_pbx_calls(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world, "127.0.0.9")
        phone.target = "sip:other@203.0.113.5"
        assert await status_of(phone) == 200
        registered = Phone(world, "192.0.2.7")
        registered.target = f"sip:recorder@203.0.113.5;line={PBX.hex}"
        # It is known by what we registered, but at an address that nobody gave leave to.
        assert await status_of(registered) == 401
        same_user = Phone(world, "127.0.0.9")
        same_user.target = "sip:recorder@203.0.113.5"
        assert await status_of(same_user) == 200
        assert [leg.info.pbx for leg in world.service.legs] == [by_host.uuid, PBX]

    by_host = instance("127.0.0.9", "first")
    play(
        scenario,
        pbx=(by_host, instance("127.0.0.9", "recorder", PBX)),
        accounts={"anna": "secret"},
        peers=("192.0.2.0/24",),
    )


def test_knows_a_pbx_by_its_name(play: Play) -> None:
    async def scenario(world: World) -> None:
        assert await status_of(Phone(world, "127.0.0.1")) == 403
        await world.pbxs.refresh()
        assert await status_of(Phone(world, "127.0.0.1")) == 200

    # The first can be in a backup: it is no name at all, and spoils nothing for others.
    play(scenario, pbx=(instance("pbx..example"), instance("localhost")), peers=("192.0.2.0/24",))


@pytest.mark.parametrize("sources", [1, 20_000])
def test_a_rate_limit_forgets_who_was_quiet_longest(sources: int) -> None:
    now = 0.0
    limit = RateLimit(1.0, 2, lambda: now)
    assert [limit.spend("busy") for _ in range(3)] == [True, True, False]
    for number in range(sources):
        limit.spend(f"source {number}")
    assert limit.exhausted("busy") is (sources == 1)
    assert len(limit._left) <= 10_000
    now = 1.0
    assert limit.spend("source 0")

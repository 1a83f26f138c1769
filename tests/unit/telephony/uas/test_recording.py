"""SIPREC: a recording client calls, with metadata and a line for each participant (RFC 7866)."""

from __future__ import annotations

import base64
from uuid import UUID, uuid5

from voice_verify.telephony.agent import LegEnd, Refused
from voice_verify.telephony.sip import Headers
from voice_verify.telephony.sip.multipart import Part, build
from voice_verify.telephony.sip.sdp import Direction, Session

from .conftest import Play
from .phone import Phone, sdp
from .world import World

CALL = UUID("6f1c1a52-3a3f-4f0a-9a58-0c4b1e8f7d21")
REQUIRE = {"Require": "siprec"}


def line(label: str, port: int = 40000, direction: str = "sendonly") -> str:
    return f"m=audio {port} RTP/AVP 0 8\r\na=label:{label}\r\na={direction}"


def stream_id(number: int) -> str:
    return base64.b64encode(UUID(int=number).bytes).decode()


def document(*participants: tuple[str, str], mode: str = "complete") -> str:
    """Metadata that names who is heard on which label."""
    content = "".join(
        f"<participant participant_id='p{label}'><nameID aor='sip:{label}@x'><name>{name}</name></nameID></participant>"
        f"<stream stream_id='{(stream := stream_id(int(label)))}'><label>{label}</label></stream>"
        f"<participantstreamassoc participant_id='p{label}'><send>{stream}</send></participantstreamassoc>"
        for label, name in participants
    )
    return f"<recording xmlns='urn:ietf:params:xml:ns:recording:1'><datamode>{mode}</datamode>{content}</recording>"


def both(description: str, metadata: str) -> tuple[bytes, str]:
    parts = [
        Part(Headers([("Content-Type", "application/sdp")]), description.encode()),
        Part(
            Headers([("Content-Type", "application/rs-metadata+xml"), ("Content-Disposition", "recording-session")]),
            metadata.encode(),
        ),
    ]
    content_type, body = build(parts)
    return body, content_type


async def record(phone: Phone, description: str, metadata: str, **headers: str) -> Session:
    body, content_type = both(description, metadata)
    answer = await phone.ask("INVITE", body, REQUIRE | headers, content_type=content_type)
    assert answer.status == 200, answer
    phone.ack()
    assert "+sip.srs" in (answer.headers.get("Contact") or "")
    return Session.parse(answer.body)


def test_makes_a_stream_of_each_participant(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        people = document(("1", "Anna"), ("2", "Bruno"))
        answer = await record(phone, sdp(line("1"), line("2", 40002)), people, **{"X-UUID": str(CALL)})
        assert [media.direction for media in answer.media] == [Direction.recvonly] * 2
        assert len({media.port for media in answer.media}) == 2
        first, second = world.service.legs
        assert (first.info.source, first.info.participant, second.info.participant) == ("siprec", "Anna", "Bruno")
        assert (first.info.uuid, second.info.uuid) == (uuid5(CALL, "1"), uuid5(CALL, "2"))
        assert first.info.call_id == second.info.call_id
        await phone.hang_up()

    play(scenario)


def test_a_single_stream_has_the_uuid_of_the_call(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await record(phone, sdp(line("1")), document(("1", "Anna")), **{"X-Stream-UUID": str(CALL)})
        assert world.service.legs[0].uuid == CALL
        await phone.hang_up()

    play(scenario)


def test_without_a_header_the_metadata_names_the_streams(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await record(phone, sdp(line("1"), line("2", 40002)), document(("2", "Bruno")))
        assert [leg.info.uuid for leg in world.service.legs] == [None, UUID(int=2)]
        assert [leg.info.participant for leg in world.service.legs] == [None, "Bruno"]
        await phone.hang_up()

    play(scenario)


def test_participants_come_and_go(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await record(phone, sdp(line("1")), document(("1", "Anna")), **{"X-UUID": str(CALL)})
        later = sdp(line("1"), line("2", 40002), version=2)
        before = await record(phone, later, document(("2", "Bruno"), mode="partial"))
        first, second = world.service.legs
        assert (second.info.participant, second.info.uuid) == ("Bruno", uuid5(CALL, "2"))
        gone = await record(phone, sdp(line("1", 0), line("2", 40002), version=3), document(("2", "Bruno")))
        assert [media.port for media in gone.media] == [0, before.media[1].port]
        assert (first.end_reason, second.end_reason) == (LegEnd.client_closed, None)
        # Metadata alone is no offer.
        update = await phone.ask("UPDATE", document(), content_type="application/rs-metadata+xml")
        assert update.status == 200
        await phone.hang_up()

    play(scenario)


def test_a_participant_for_whom_there_is_no_room_changes_nothing(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await record(phone, sdp(line("1")), document(("1", "Anna")))
        world.service.refusal = Refused("too_many_streams", 486, "Busy Here", "full", None)
        body, content_type = both(sdp(line("1"), line("2", 40002)), document())
        assert (await phone.ask("INVITE", body, REQUIRE, content_type=content_type)).status == 486
        phone.ack()
        assert len(world.service.open_legs) == 1
        assert world.receiver.streams == 1
        await phone.hang_up()

    play(scenario)


def test_all_participants_or_none(play: Play) -> None:
    async def scenario(world: World) -> None:
        original = world.service.open

        async def one(*arguments: object) -> object:
            leg = await original(*arguments)  # type: ignore[arg-type]
            world.service.refusal = Refused("too_many_streams", 486, "Busy Here", "full", None)
            return leg

        world.service.open = one  # type: ignore[method-assign, assignment]
        phone = Phone(world)
        body, content_type = both(sdp(line("1"), line("2", 40002)), document())
        assert (await phone.ask("INVITE", body, REQUIRE, content_type=content_type)).status == 486
        phone.ack()
        assert not world.service.open_legs

    play(scenario)


def test_one_stream_that_is_ended_leaves_the_other(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await record(phone, sdp(line("1"), line("2", 40002)), document())
        first, second = world.service.legs
        first.ended("deleted")
        await world.pass_time(1)
        assert not phone.requests("BYE")
        second.ended("deleted")
        phone.answer(await phone.asked("BYE"))

    play(scenario)


def test_pausing_is_hold_and_sending_only_is_not(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await record(phone, sdp(line("1")), document())
        await record(phone, sdp(line("1", direction="inactive")), document())
        await record(phone, sdp(line("1")), document())
        assert world.service.legs[0].holds == [True, False]
        await phone.hang_up()

    play(scenario)


def test_refuses_recordings_that_it_cannot_understand(play: Play) -> None:
    async def scenario(world: World) -> None:
        bomb = "<!DOCTYPE r [<!ENTITY a 'x'>]><recording>&a;</recording>"
        body, content_type = both(sdp(line("1")), bomb)
        phone = Phone(world)
        assert (await phone.ask("INVITE", body, REQUIRE, content_type=content_type)).status == 400
        phone.ack()
        assert (await phone.ask("INVITE", "", REQUIRE)).status == 400
        phone.ack()
        assert not world.service.legs

    play(scenario)


def test_never_offers_a_line_again_that_the_peer_has_refused(play: Play) -> None:
    async def scenario(world: World) -> None:
        phone = Phone(world)
        await record(phone, sdp(line("1"), line("2", 40002)), document(("1", "Anna"), ("2", "Bruno")))
        await phone.ask("INVITE")
        phone.ack(sdp(line("1"), line("2", 0)))
        assert len(world.service.open_legs) == 1
        # Its port may be another call's by now.
        offer = Session.parse((await phone.ask("INVITE")).body)
        assert [media.port != 0 for media in offer.media] == [True, False]
        phone.ack(sdp(line("1"), line("2", 0)))
        await phone.hang_up()

    play(scenario)

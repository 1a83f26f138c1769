"""Who enrolled by one way is recognised on every other, and nobody else is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tests.contract import speech
from tests.contract.running import Service, until

from . import observe, pcap
from .conftest import EXTENSION, OTHER_PHONE, PHONE, SIP, SIPS, USERS, MakeCall, StartPhone
from .kamailio import Kamailio
from .network import Host, Network
from .scenario import Scenario
from .siprec import Participant, Recording

CUSTOMER, IMPOSTOR = speech.ANNA, speech.BRUNO


@pytest.fixture(scope="module")
def claimed(service: Service) -> str:
    """A speaker who was enrolled live, over the WebSocket."""
    with service.stream() as stream:
        stream.post("enroll", "customer").raise_for_status()
        stream.send(speech.samples(CUSTOMER, speech.ENROLMENT, 35))
        stream.wait("enrolled")
    return "customer"


@pytest.fixture(scope="module")
def extension(service: Service, pbx: Kamailio) -> Iterator[str]:
    """The uuid of a PBX instance of the service, which is registered there."""
    with service.client("operator") as client:
        instance = client.post(
            "/api/v2/pbx/",
            json={
                "name": "test",
                "host": pbx.address,
                "port": pbx.port,
                "transport": "udp",
                "username": EXTENSION,
                "password": USERS[EXTENSION],
            },
        ).raise_for_status()
        uuid = instance.json()["uuid"]
        until(lambda: bool(pbx.contacts(EXTENSION)))
        yield uuid
        client.delete(f"/api/v2/pbx/{uuid}").raise_for_status()
        until(lambda: not pbx.contacts(EXTENSION))


def both(service: Service, claimed: str, customer: str, impostor: str) -> None:
    """Decide about two streams that run at the same time."""
    for stream in (customer, impostor):
        observe.wait_for(service, stream)
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda stream: observe.decide(service, stream, claimed), (customer, impostor)))
    assert [answer["decision"] for answer in answers] == ["verified", "not_verified"], answers


@pytest.mark.parametrize(
    ("transport", "payload"), [("udp", pcap.Payload.PCMA), ("tcp", pcap.Payload.PCMU)], ids=["udp-pcma", "tcp-pcmu"]
)
def test_on_a_call_from_sipp(
    service: Service,
    claimed: str,
    call: MakeCall,
    voice: Callable[..., Path],
    *,
    transport: str,
    payload: pcap.Payload,
) -> None:
    uuids = [str(uuid4()), str(uuid4())]
    calls = []
    for uuid, who in zip(uuids, (CUSTOMER, IMPOSTOR), strict=True):
        scenario = Scenario(uuid=uuid)
        scenario.invite(scenario.offer((payload, 101))).receive(200).ack().play(voice(who, payload=payload)).pause(12)
        calls.append(call(scenario.bye(), transport=transport))
    both(service, claimed, *uuids)
    for each in calls:
        each.succeed()
    observe.until_none(service)
    ended = observe.report(service, uuids[0])
    assert ended["source"] == "sip", ended


def test_on_a_call_through_the_pbx(
    service: Service, claimed: str, extension: str, pbx: Kamailio, phone: StartPhone
) -> None:
    with service.client("viewer") as client:
        until(lambda: client.get(f"/api/v2/pbx/{extension}").json()["registration"]["state"] == "registered")
    for user, who in ((PHONE, CUSTOMER), (OTHER_PHONE, IMPOSTOR)):
        caller = phone(f"<sip:{user}@{pbx.address}>;auth_pass={USERS[user]};audio_codecs=pcma", who)
        caller.call(f"sip:{EXTENSION}@{pbx.address}")
        (uuid,) = observe.streams(service)
        decision = observe.decide(service, uuid, claimed)["decision"]
        assert decision == ("verified" if who == CUSTOMER else "not_verified")
        with service.client("viewer") as client:
            assert client.get(f"/api/v2/pbx/{extension}").json()["running_calls"] == 1
        caller.hang_up()
        observe.until_none(service)


@pytest.mark.parametrize(
    "media",
    ["audio_codecs=pcmu;mediaenc=srtp-mand", "audio_codecs=g722/16000/1", "audio_codecs=opus/48000/2;mediaenc=srtp"],
    ids=["pcmu-srtp", "g722", "opus-srtp"],
)
def test_on_a_call_over_tls(service: Service, claimed: str, network: Network, phone: StartPhone, *, media: str) -> None:
    target = f"{network.address}:{SIPS};transport=tls"
    for who, expected in ((CUSTOMER, "verified"), (IMPOSTOR, "not_verified")):
        caller = phone(f"<sip:phone@{target}>;regint=0;{media}", who)
        caller.call(f"sip:voice@{network.address}:{SIPS}")
        (uuid,) = observe.streams(service)
        answer = observe.decide(service, uuid, claimed)
        assert answer["decision"] == expected, str(answer)
        caller.hang_up()
        observe.until_none(service)


def test_on_both_streams_of_a_recording(
    service: Service, claimed: str, network: Network, host: Callable[[], Host]
) -> None:
    people = [
        Participant(name, f"sip:{name}@example.com", uuid4(), speech.samples(who, speech.TEST, 12))
        for name, who in (("Anna", CUSTOMER), ("Bruno", IMPOSTOR))
    ]
    recording = Recording(host(), (network.address, SIP), people)
    recording.start()
    for person in people:
        stream = observe.wait_for(service, str(person.stream))
        assert (stream["source"], stream["participant"]) == ("siprec", person.name)
    both(service, claimed, *(str(person.stream) for person in people))
    recording.finish()
    observe.until_none(service)


def test_who_enrols_on_a_call_is_recognised_on_the_websocket(
    service: Service, call: MakeCall, voice: Callable[..., Path], uuid: str
) -> None:
    capture = voice(CUSTOMER, 34, prompts=speech.ENROLMENT)
    caller = call(Scenario(uuid=uuid).invite().receive(200).ack().play(capture).pause(34).bye())
    observe.wait_for(service, uuid)
    with service.client() as client:
        client.post(f"/api/v2/streams/{uuid}/enroll", json={"speaker": "by-call"}).raise_for_status()
        until(lambda: client.get(f"/api/v2/streams/{uuid}/enroll").json()["state"] == "enrolled", 60)
    caller.kill()
    with service.client() as client:
        client.delete(f"/api/v2/streams/{uuid}")
    assert service.decide_live("by-call", speech.samples(CUSTOMER, speech.TEST, 8)) == "verified"
    assert service.decide_live("by-call", speech.samples(IMPOSTOR, speech.TEST, 8)) == "not_verified"

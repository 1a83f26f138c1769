"""Everything that a caller may do in a call, from sipp."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract import speech
from tests.contract.running import Service, until

from . import observe
from .conftest import IDLE_S, SIP, MakeCall
from .network import Host, Network
from .pcap import Payload
from .raw import Peer
from .scenario import Scenario

CAPTURE_S = 4


@pytest.fixture
def said(voice: Callable[..., Path]) -> Path:
    return voice(speech.ANNA, CAPTURE_S)


def test_a_call_is_heard_whole(service: Service, call: MakeCall, said: Path, uuid: str, *, transport: str) -> None:
    scenario = Scenario(uuid=uuid).invite().receive(200).ack().play(said).pause(CAPTURE_S + 0.2).bye()
    call(scenario, transport=transport).succeed()
    ended = observe.report(service, uuid)
    assert ended["end_reason"] == "client_closed"
    assert ended["audio_s"] == pytest.approx(CAPTURE_S, abs=0.1)


def test_an_invite_without_offer_is_answered_with_one(
    service: Service, call: MakeCall, said: Path, uuid: str, *, transport: str
) -> None:
    scenario = Scenario(uuid=uuid)
    scenario.invite("").receive(200, header="Content-Type", value="application/sdp")
    scenario.ack(scenario.offer((8, 101))).play(said).pause(CAPTURE_S + 0.2).bye()
    call(scenario, transport=transport).succeed()
    assert observe.report(service, uuid)["audio_s"] == pytest.approx(CAPTURE_S, abs=0.1)


def test_hold_resume_another_codec_and_update(
    service: Service, call: MakeCall, said: Path, voice: Callable[..., Path], uuid: str, *, transport: str
) -> None:
    scenario = Scenario(uuid=uuid).invite().receive(200).ack().play(said).pause(CAPTURE_S + 0.2)
    scenario.invite(scenario.offer(direction="sendonly")).receive(200).ack()
    scenario.invite(scenario.offer(direction="inactive")).receive(200).ack()
    # Longer than a caller may be silent outside a hold.
    scenario.pause(IDLE_S + 1)
    scenario.request("UPDATE").receive(200)
    scenario.invite(scenario.offer((0, 101))).receive(200).ack()
    scenario.play(voice(speech.ANNA, CAPTURE_S, payload=Payload.PCMU)).pause(CAPTURE_S + 0.2).bye()
    call(scenario, transport=transport).succeed()
    ended = observe.report(service, uuid)
    assert ended["end_reason"] == "client_closed"
    assert ended["audio_s"] >= 2 * CAPTURE_S - 0.2


def test_a_session_timer_is_agreed_on(call: MakeCall, uuid: str) -> None:
    agreed = Scenario(uuid=uuid).invite(headers="Supported: timer\nSession-Expires: 1800;refresher=uac")
    call(agreed.receive(200, header="Session-Expires", value="1800;refresher=uac").ack().bye()).succeed()
    brief = Scenario().invite(headers="Supported: timer\nSession-Expires: 60")
    call(brief.receive(422, header="Min-SE", value="[0-9]+").ack_refusal()).succeed()


def test_what_is_not_spoken_is_refused(service: Service, call: MakeCall) -> None:
    scenario = Scenario()
    call(scenario.invite(scenario.offer((18,))).receive(488).ack_refusal()).succeed()
    call(
        Scenario().invite(headers="Require: sorcery").receive(420, header="Unsupported", value="sorcery").ack_refusal()
    ).succeed()
    assert not observe.streams(service)


def test_a_call_may_be_cancelled_at_any_moment(service: Service, network: Network, caller: Host) -> None:
    # Whether the answer or the CANCEL comes first is a matter of luck; neither may leave a stream.
    with caller.socket() as phone:
        phone.settimeout(5)
        for _ in range(20):
            call_id, branch = secrets.token_hex(8), f"z9hG4bK{secrets.token_hex(8)}"

            peer = Peer(network.address, caller.address, phone.getsockname()[1], call_id)

            def send(method: str, to_tag: str = "", branch: str = branch, peer: Peer = peer) -> None:
                phone.sendto(peer.request(method, branch, to_tag=to_tag), (network.address, SIP))

            send("INVITE")
            send("CANCEL")
            final: dict[str, tuple[int, str]] = {}
            while len(final) < 2:
                answer = phone.recv(65535).decode()
                status, method = int(answer.split()[1]), answer.partition("CSeq: 1 ")[2].split()[0]
                if status >= 200:
                    final[method] = status, answer.partition("\r\nTo:")[2].partition("\r\n")[0].partition("tag=")[2]
            assert final["CANCEL"][0] in (200, 481), final
            assert final["INVITE"][0] in (200, 487), final
            if final["INVITE"][0] == 487:
                send("ACK", final["INVITE"][1])
            else:
                send("ACK", final["INVITE"][1], branch=f"{branch}a")
                send("BYE", final["INVITE"][1], branch=f"{branch}b")
    observe.until_none(service)


def test_a_stream_that_the_service_ends_ends_the_call(
    service: Service, call: MakeCall, said: Path, uuid: str, *, transport: str
) -> None:
    caller = call(
        Scenario(uuid=uuid).invite().receive(200).ack().play(said).receive_request("BYE"), transport=transport
    )
    observe.wait_for(service, uuid)
    with service.client() as client:
        client.delete(f"/api/v2/streams/{uuid}").raise_for_status()
    caller.succeed()


def test_a_caller_who_vanished_is_given_up(service: Service, call: MakeCall, said: Path, uuid: str) -> None:
    caller = call(Scenario(uuid=uuid).invite().receive(200).ack().play(said).pause(60).bye())
    observe.wait_for(service, uuid)
    caller.kill()
    until(lambda: not observe.streams(service), IDLE_S + CAPTURE_S + 20)
    assert observe.report(service, uuid)["end_reason"] != "client_closed"


def test_options_say_what_is_understood(call: MakeCall) -> None:
    call(Scenario().request("OPTIONS").receive(200, header="Allow", value="INVITE.*UPDATE")).succeed()

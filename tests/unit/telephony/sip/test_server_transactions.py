"""A request is answered once, however often it comes; timers as RFC 3261 table 4 and RFC 6026 give them."""

from __future__ import annotations

import pytest

from tests.unit.telephony.sip.conftest import Clock, Counts, Wire, request
from voice_verify.telephony.sip import Request, Response, ServerTransaction, Sip, Transport, Transports, reply


class Agent:
    def __init__(self, clock: Clock, counts: Counts) -> None:
        self.requests: list[ServerTransaction] = []
        self.acks: list[Request] = []
        self.sip = Sip(
            Transports(),
            user_agent="test",
            on_request=self.requests.append,
            on_ack=lambda ack, _: self.acks.append(ack),
            clock=clock,
            count=counts,
        )


@pytest.fixture
def agent(clock: Clock, counts: Counts) -> Agent:
    return Agent(clock, counts)


@pytest.fixture
def wire() -> Wire:
    return Wire()


def ack(response: Response, branch: str = "z9hG4bKone") -> Request:
    message = request("ACK", branch=branch, cseq="7 ACK")
    message.headers.set("To", response.headers.get("To") or "")
    return message


def final(wire: Wire) -> Response:
    response = wire.sent[-1]
    assert isinstance(response, Response)
    return response


def test_gives_a_repeated_request_to_the_user_once(agent: Agent, wire: Wire, counts: Counts) -> None:
    for _ in range(3):
        agent.sip.received(wire, request("OPTIONS"))
    agent.requests[0].reply(200)
    agent.sip.received(wire, request("OPTIONS"))
    assert len(agent.requests) == 1
    assert wire.statuses == [200, 200]
    assert counts["sip_retransmissions:in"] == 3


def test_answers_an_invite_with_trying_after_200_ms(agent: Agent, wire: Wire, clock: Clock) -> None:
    agent.sip.received(wire, request())
    clock.advance(0.19)
    assert wire.statuses == []
    clock.advance(0.02)
    assert wire.statuses == [100]
    assert final(wire).to_tag is None


def test_sends_no_trying_when_the_answer_was_faster(agent: Agent, wire: Wire, clock: Clock) -> None:
    agent.sip.received(wire, request())
    agent.requests[0].reply(180)
    clock.advance(1.0)
    assert wire.statuses == [180]


def test_repeats_a_refusal_until_it_is_acknowledged(agent: Agent, wire: Wire, clock: Clock) -> None:
    agent.sip.received(wire, request())
    agent.requests[0].reply(486)
    clock.advance(3.5)  # G at 0.5, 1.5, 3.5
    assert wire.statuses == [486] * 4
    agent.sip.received(wire, ack(final(wire)))
    clock.advance(30)
    assert wire.statuses == [486] * 4
    assert agent.acks == []
    assert clock.waiting == 0


def test_gives_up_on_a_refusal_that_is_never_acknowledged(agent: Agent, wire: Wire, clock: Clock) -> None:
    agent.sip.received(wire, request())
    agent.requests[0].reply(486)
    clock.advance(31.9)
    assert clock.waiting
    clock.advance(0.2)
    assert clock.waiting == 0


def test_does_not_repeat_a_refusal_on_a_connection(agent: Agent, clock: Clock) -> None:
    wire = Wire(Transport.TCP)
    agent.sip.received(wire, request())
    agent.requests[0].reply(486)
    clock.advance(20)
    assert wire.statuses == [486]


def test_leaves_the_repetition_of_a_2xx_to_its_user_and_gives_him_the_ack(
    agent: Agent, wire: Wire, clock: Clock
) -> None:
    agent.sip.received(wire, request())
    answer = agent.requests[0].reply(200)
    clock.advance(2)
    agent.sip.received(wire, request())
    assert wire.statuses == [200]
    agent.requests[0].respond(answer)
    assert wire.statuses == [200, 200]
    agent.sip.received(wire, ack(answer, branch="z9hG4bKother"))
    assert len(agent.acks) == 1
    clock.advance(33)
    assert clock.waiting == 0


def test_sends_nothing_after_the_final_response(agent: Agent, wire: Wire) -> None:
    agent.sip.received(wire, request())
    agent.requests[0].reply(486)
    agent.requests[0].reply(200)
    agent.requests[0].reply(180)
    assert wire.statuses == [486]


def test_cancels_an_invite(agent: Agent, wire: Wire) -> None:
    agent.sip.received(wire, request())
    invite = agent.requests[0]
    invite.on_cancel = lambda: invite.reply(487) and None
    agent.sip.received(wire, request("CANCEL"))
    agent.sip.received(wire, request("CANCEL"))
    assert [(message.cseq.method, message.status) for message in wire.sent if isinstance(message, Response)] == [
        ("CANCEL", 200),
        ("INVITE", 487),
        ("CANCEL", 200),
    ]
    assert {message.to_tag for message in wire.sent} == {invite.to_tag}
    assert len(agent.requests) == 1


def test_a_cancel_has_no_effect_on_an_answered_invite(agent: Agent, wire: Wire) -> None:
    agent.sip.received(wire, request())
    agent.requests[0].on_cancel = lambda: pytest.fail("it was answered")
    agent.requests[0].reply(200)
    agent.sip.received(wire, request("CANCEL"))
    assert wire.statuses == [200, 200]


def test_refuses_a_cancel_of_nothing(agent: Agent, wire: Wire) -> None:
    agent.sip.received(wire, request("CANCEL"))
    assert wire.statuses == [481]


def test_a_stranger_cannot_cancel(agent: Agent, wire: Wire) -> None:
    agent.sip.received(wire, request())
    agent.requests[0].on_cancel = lambda: pytest.fail("another address sent it")
    stranger = Wire(host="198.51.100.7")
    agent.sip.received(stranger, request("CANCEL"))
    assert stranger.statuses == [481]


def test_refuses_a_request_that_came_by_two_ways(agent: Agent, wire: Wire) -> None:
    agent.sip.received(wire, request())
    agent.sip.received(wire, request(branch="z9hG4bKtwo"))
    assert wire.statuses == [482]
    assert len(agent.requests) == 1


def test_takes_a_refused_request_again_that_comes_by_another_way(agent: Agent, wire: Wire) -> None:
    agent.sip.received(wire, request())
    agent.requests[0].reply(486)
    agent.sip.received(wire, request(branch="z9hG4bKtwo"))
    agent.requests[1].reply(200)
    assert wire.statuses == [486, 200]


def test_matches_requests_of_rfc_2543_without_branch(agent: Agent, wire: Wire, clock: Clock) -> None:
    agent.sip.received(wire, request(branch="1"))
    agent.sip.received(wire, request(branch="1"))
    agent.requests[0].reply(486)
    agent.sip.received(wire, ack(final(wire), branch="1"))
    clock.advance(40)
    assert wire.statuses == [486]
    assert len(agent.requests) == 1
    assert clock.waiting == 0


def test_forgets_other_requests_after_32_s(agent: Agent, wire: Wire, clock: Clock) -> None:
    agent.sip.received(wire, request("BYE"))
    agent.requests[0].reply(200)
    clock.advance(31)
    agent.sip.received(wire, request("BYE"))
    assert wire.statuses == [200, 200]
    clock.advance(2)
    agent.sip.received(wire, request("BYE"))
    assert len(agent.requests) == 2


def test_answers_to_the_source_and_says_so_in_via(agent: Agent, wire: Wire) -> None:
    agent.sip.received(wire, request("OPTIONS"))
    agent.requests[0].reply(200)
    via = final(wire).vias[0]
    assert (via.host, via.parameters["received"], via.parameters["rport"]) == ("host.example.com", "192.0.2.9", "5071")


def test_keeps_the_hops_apart(agent: Agent, wire: Wire) -> None:
    message = request("OPTIONS", extra="Via: SIP/2.0/TCP a.example.com;branch=z9hG4bKa, SIP/2.0/TLS b.example.com\r\n")
    agent.sip.received(wire, message)
    agent.requests[0].reply(200)
    assert [value.split(";")[0] for value in final(wire).headers.all("Via")] == [
        "SIP/2.0/UDP host.example.com:5060",
        "SIP/2.0/TCP a.example.com",
        "SIP/2.0/TLS b.example.com",
    ]


def test_has_one_tag_for_all_responses_but_trying(agent: Agent, wire: Wire, clock: Clock) -> None:
    agent.sip.received(wire, request())
    clock.advance(0.3)
    agent.requests[0].reply(180)
    agent.requests[0].reply(200)
    assert [response.to_tag for response in wire.sent] == [None, agent.requests[0].to_tag, agent.requests[0].to_tag]


def test_survives_a_flow_that_is_closed(agent: Agent, wire: Wire, counts: Counts, clock: Clock) -> None:
    agent.sip.received(wire, request())
    wire.closed = True
    agent.requests[0].reply(486)
    clock.advance(40)
    assert counts["sip_unsent:closed"] > 1
    assert clock.waiting == 0


def test_refuses_more_transactions_than_it_holds(
    agent: Agent, wire: Wire, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voice_verify.telephony.sip.layer._TRANSACTIONS", 2)
    for number in range(3):
        agent.sip.received(wire, request("OPTIONS", branch=f"z9hG4bK{number}", call_id=f"{number}"))
    assert len(agent.requests) == 2
    assert wire.statuses == [480]
    assert counts["sip_transactions_full"] == 1
    agent.sip.received(wire, request("BYE", branch="z9hG4bKbye", to="<sip:bot@example.com>;tag=ours"))
    assert len(agent.requests) == 3


def test_a_fault_of_the_user_ends_nothing(agent: Agent, wire: Wire, counts: Counts) -> None:
    def fail(transaction: ServerTransaction) -> None:
        raise RuntimeError

    agent.sip.on_request = fail
    agent.sip.received(wire, request("OPTIONS"))
    assert counts["sip_internal_errors"] == 1
    assert wire.statuses == [500]


def test_answers_what_its_user_forgets(agent: Agent, wire: Wire, counts: Counts, clock: Clock) -> None:
    agent.sip.received(wire, request("OPTIONS"))
    clock.advance(181)
    assert wire.statuses == [500]
    assert counts["sip_requests_forgotten:OPTIONS"] == 1
    clock.advance(40)
    assert clock.waiting == 0


def test_copies_the_route_of_a_dialog() -> None:
    invite = request(extra="Record-Route: <sip:edge.example.com;lr>\r\n")
    assert reply(invite, 200).headers.all("Record-Route") == ["<sip:edge.example.com;lr>"]
    assert reply(invite, 100).headers.all("Record-Route") == []
    assert reply(invite, 486).headers.all("Record-Route") == []


def test_leaves_the_tag_of_a_dialog() -> None:
    bye = request("BYE", to="<sip:bot@example.com>;tag=ours")
    assert reply(bye, 200, to_tag="other").to_tag == "ours"

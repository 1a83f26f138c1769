"""What becomes of every message of RFC 4475 and RFC 5118."""

from __future__ import annotations

import pytest

from tests.unit.telephony.sip.conftest import Clock, Counts, Wire
from tests.unit.telephony.sip.torture import messages
from voice_verify.telephony.sip import (
    BadMessage,
    Message,
    Request,
    Response,
    ServerTransaction,
    Sip,
    Transports,
    parse,
)
from voice_verify.telephony.sip.multipart import parts_of
from voice_verify.telephony.sip.sdp import Session
from voice_verify.telephony.sip.stream import StreamParser

# What a peer gets: "served" by the user agent (which here answers 200 to all), a status, or nothing.
SERVED, DROPPED = "served", "dropped"
RFC_4475 = {
    # 3.1.1 valid
    "wsinv": SERVED,
    "intmeth": SERVED,
    "esc01": SERVED,
    "escnull": SERVED,
    "esc02": SERVED,
    "lwsdisp": SERVED,
    "longreq": SERVED,
    "dblreq": SERVED,
    "semiuri": SERVED,
    "transports": SERVED,
    "mpart01": SERVED,
    # Responses to nothing that we asked.
    "unreason": DROPPED,
    "noreason": DROPPED,
    # 3.1.2 invalid
    "badinv01": "400",
    "clerr": "400",
    "ncl": "400",
    "scalar02": "400",
    "scalarlg": DROPPED,
    "quotbal": "400",
    "ltgtruri": "400",
    "lwsruri": "400",
    "lwsstart": "400",
    "trws": "400",
    "escruri": "400",
    # Nothing here reads the date.
    "baddate": SERVED,
    "regbadct": "400",
    "badaspec": "400",
    "baddn": "400",
    "badvers": "505",
    "mismatch01": "400",
    "mismatch02": "400",
    "bigcode": DROPPED,
    # 3.2 transactions: taken as one of RFC 2543
    "badbranch": SERVED,
    # 3.3 application: From, To and Call-ID are missing, nobody could match an answer
    "insuf": DROPPED,
    # What is wrong with these is for the user agent to say.
    "unkscm": SERVED,
    "novelsc": SERVED,
    "unksm2": SERVED,
    "bext01": SERVED,
    "invut": SERVED,
    "regaut01": SERVED,
    "multi01": "400",
    "mcl01": "400",
    "bcast": DROPPED,
    "zeromf": SERVED,
    "cparam01": SERVED,
    "cparam02": SERVED,
    "regescrt": SERVED,
    "sdp01": SERVED,
    # 3.4
    "inv2543": SERVED,
}
RFC_5118 = {
    "ipv6-good": SERVED,
    "ipv6-bad": "400",
    "port-ambiguous": SERVED,
    "port-unambiguous": SERVED,
    "via-received-param-with-delim": SERVED,
    "via-received-param-no-delim": SERVED,
    "ipv6-in-sdp": SERVED,
    "mult-ip-in-header": SERVED,
    "mult-ip-in-sdp": SERVED,
    "ipv4-mapped-ipv6": SERVED,
    "ipv6-bug-abnf-3-colons": SERVED,
    "ipv6-correct-abnf-2-colons": SERVED,
}
EXPECTED = RFC_4475 | RFC_5118
MESSAGES = messages("rfc4475") | messages("rfc5118")


def test_has_all_messages() -> None:
    assert (len(RFC_4475), len(RFC_5118)) == (49, 12)
    assert MESSAGES.keys() == EXPECTED.keys()


def outcome(data: bytes, clock: Clock, counts: Counts) -> str:
    served: list[ServerTransaction] = []
    sip = Sip(Transports(), user_agent="t", on_request=served.append, on_ack=lambda *_: None, clock=clock, count=counts)
    wire = Wire()
    try:
        sip.received(wire, parse(data))
    except BadMessage as error:
        sip.received_bad(wire, error)
    assert not counts["sip_internal_errors"]
    if served:
        served[0].reply(200)
        assert wire.statuses == [200]
        return SERVED
    return str(wire.statuses[0]) if wire.sent_bytes else DROPPED


@pytest.mark.parametrize("name", EXPECTED)
def test_does_with_a_torture_message_what_it_should(name: str, clock: Clock, counts: Counts) -> None:
    assert outcome(MESSAGES[name], clock, counts) == EXPECTED[name]


def request(name: str) -> Request:
    message = parse(MESSAGES[name])
    assert isinstance(message, Request)
    return message


@pytest.mark.parametrize("name", [name for name, expected in EXPECTED.items() if expected == SERVED])
def test_writes_what_it_reads(name: str) -> None:
    message = parse(MESSAGES[name])
    assert parse(message.encode()).headers.get("Call-ID") == message.call_id
    assert list(parse(message.encode()).headers)[:-1] == [
        field for field in message.headers if field[0].lower() not in {"content-length", "l"}
    ]


@pytest.mark.parametrize("name", [name for name in EXPECTED if name not in {"inv2543", "dblreq"}])
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_a_stream_gives_the_same_as_a_datagram(name: str, step: int) -> None:
    data = MESSAGES[name]
    parser = StreamParser()
    found = [item for place in range(0, len(data), step) for item in parser.feed(data[place : place + step])]
    try:
        expected: Message | None = parse(data)
    except BadMessage:
        expected = None
    if expected is not None:
        assert found[0] == expected
    else:
        assert not any(isinstance(item, Request | Response) for item in found[:1])


def test_understands_wsinv() -> None:
    message = request("wsinv")
    assert (message.from_.display, message.from_tag, message.to_tag) == ('J Rosenberg \\"', "98asjd8", "1918181833n")
    assert (message.cseq.number, message.headers.get("Max-Forwards")) == (9, "0068")
    assert [(via.transport, via.host, via.branch) for via in message.vias] == [
        ("UDP", "192.0.2.2", ""),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert message.contact is not None
    assert message.contact.display == 'Quoted string ""'
    assert message.contact.parameters == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
    assert message.headers.get("subject") == ""
    assert message.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert len(Session.parse(message.body).media) == 2


def test_understands_intmeth() -> None:
    message = request("intmeth")
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.to.display == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.from_.parameters["fromparam''~+*_!.-%"] == "работающий"
    assert message.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"


def test_understands_escapes() -> None:
    message = request("esc01")
    assert message.contact is not None
    contact = message.contact.sip_uri
    assert (contact.user, contact.parameters) == ("caller", {"lr": None, "name": "value%41"})
    assert request("escnull").to.sip_uri.user == "null-\0-null"
    assert request("esc02").headers.all("Contact") == [
        "<sip:alias1@host1.example.com>",
        "<sip:alias3@host3.example.com>",
    ]
    assert request("semiuri").uri.startswith("sip:user;par=u%40example.net@")


def test_understands_a_body_of_binary_parts() -> None:
    message = request("mpart01")
    assert len(message.body) == 553
    hello, signature = parts_of(message)
    assert hello.body == b"Hello"
    assert len(signature.body) == 4 + 0x152


def test_understands_long_values() -> None:
    message = request("longreq")
    assert len(message.vias) == 34
    assert message.from_tag == "12" + "982" * 50 + "424"


def test_understands_addresses_of_ipv6() -> None:
    assert request("via-received-param-with-delim").vias[0].parameters["received"] == "[2001:db8::9:255]"
    assert request("via-received-param-no-delim").vias[0].parameters["received"] == "2001:db8::9:255"
    assert request("ipv6-bug-abnf-3-colons").to.sip_uri.host == "2001:db8::192.0.2.1"
    session = Session.parse(request("mult-ip-in-sdp").body)
    assert [media.address for media in session.media] == ["192.0.2.1", "2001:db8::1"]

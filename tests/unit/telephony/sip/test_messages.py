"""Messages, header fields and URIs, one rule a test; the torture messages are tested apart."""

from __future__ import annotations

import pytest

from tests.unit.telephony.sip.conftest import request
from voice_verify.telephony.sip import (
    BadMessage,
    BadSyntax,
    BadUri,
    Headers,
    NameAddress,
    Request,
    Response,
    SipUri,
    Via,
    parse,
)
from voice_verify.telephony.sip.parser import HEADER_LINES
from voice_verify.telephony.sip.stream import KeepAlive, StreamBroken, StreamParser

REQUEST = request("OPTIONS").encode()


def test_finds_headers_by_any_spelling_and_keeps_their_order() -> None:
    headers = Headers([("v", "1"), ("VIA", "2"), ("X-Other", "3"), ("i", "4")])
    assert headers.all("via") == ["1", "2"]
    assert headers.get("CALL-ID") == "4"
    assert "Contact" not in headers
    assert list(headers) == [("Via", "1"), ("VIA", "2"), ("X-Other", "3"), ("Call-ID", "4")]
    headers.set("Via", "5")
    headers.insert("x", "6")
    assert list(headers) == [("Session-Expires", "6"), ("Via", "5"), ("X-Other", "3"), ("Call-ID", "4")]
    other = headers.copy()
    other.remove("V")
    assert "v" in headers
    assert "v" not in other


def test_splits_lists_outside_quotes_and_brackets() -> None:
    headers = Headers([("Contact", '"a, b" <sip:a,b@c;x=1,2>;q=1 , <sip:d>'), ("m", "<sip:e>")])
    assert headers.items("Contact") == ['"a, b" <sip:a,b@c;x=1,2>;q=1', "<sip:d>", "<sip:e>"]


def test_writes_the_length_of_the_body_whatever_the_headers_say() -> None:
    message = request("INVITE")
    message.body = b"12345"
    assert b"Content-Length: 5\r\n\r\n12345" in message.encode()
    assert message.encode().count(b"Content-Length") == 1


def test_writes_no_line_that_a_value_brings_along() -> None:
    message = request("INVITE")
    message.headers.add("Subject", "x\r\nContact: <sip:evil@example.com>")
    with pytest.raises(BadSyntax):
        message.encode()


def test_keeps_bytes_that_are_no_utf8() -> None:
    message = parse(REQUEST.replace(b"Call-ID: ", b"Call-ID: \xff\xfe"))
    assert b"\xff\xfecall@" in message.encode()


def test_ignores_what_follows_the_body_of_a_datagram() -> None:
    assert parse(REQUEST + b"rest").body == b""


def test_takes_the_rest_of_a_datagram_without_a_length() -> None:
    assert parse(REQUEST.replace(b"Content-Length: 0\r\n", b"") + b"rest").body == b"rest"


@pytest.mark.parametrize(
    ("change", "to", "status"),
    [
        (b"SIP/2.0\r\n", b"SIP/3.0\r\n", 505),
        (b"OPTIONS sip", b"OPTIONS  sip", 400),
        (b"OPTIONS sip:bot@example.com", b"OPTIONS sip:bot@example.com:70000", 400),
        (b"OPTIONS sip:bot@example.com", b"OPTIONS sip:b ot@example.com", 400),
        (b"OPTIONS sip:bot@example.com", b"OPTIONS sip:bot@[::1", 400),
        (b"OPTIONS sip:bot@example.com", b"OPTIONS bot", 400),
        (b"CSeq: 7", b"CSeq: 2147483648", 400),
        (b"CSeq: 7", b"CSeq: seven", 400),
        (b"Content-Length: 0", b"Content-Length: 1", 400),
        (b"Content-Length: 0", b"Content-Length: +0", 400),
        (b"Content-Length: 0", b"Content-Length: 0\r\nl: 0", 400),
        (b"Content-Length: 0", b"Max-Forwards: 256", 400),
        (b"Content-Length: 0", b"no colon", 400),
        (b"Content-Length: 0", b"na me: x", 400),
        (b"Content-Length: 0", b"X: a\rb", 400),
        (b"Content-Length: 0", b"X: a\nb", 400),
        (b"Content-Length: 0", b"Content-Type: sdp", 400),
        (b"Content-Length: 0", b"Contact: <sip:a@b", 400),
        (b"Content-Length: 0", b"Contact: <sip:a@b>;;", 400),
        (b"Content-Length: 0", b"Route: *", 400),
        (b"Content-Length: 0", b"To: <sip:a@b>", 400),
        (b"Content-Length: 0", b"Record-Route: " + b"<sip:a>," * 65, 400),
        (b"call@192.0.2.9", b"one two", 400),
        (b"<sip:alice@example.com>", b"Alice <sip:alice@example.com> x", 400),
    ],
)
def test_refuses_with_an_answer(change: bytes, to: bytes, status: int) -> None:
    data = REQUEST.replace(change, to)
    assert data != REQUEST
    with pytest.raises(BadMessage) as caught:
        parse(data)
    assert caught.value.status == status
    assert isinstance(caught.value.request, Request)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"hello",
        REQUEST.replace(b"OPTIONS", b"ACK").replace(b"CSeq: 7", b"CSeq: x"),
        REQUEST.replace(b"Via: ", b"X: "),
        REQUEST.replace(b"Call-ID: call@192.0.2.9\r\n", b""),
        REQUEST.replace(b"OPTIONS sip:bot@example.com SIP/2.0", b"SIP/2.0 99 low"),
        REQUEST.replace(b"OPTIONS sip:bot@example.com SIP/2.0", b"SIP/2.0 700 high"),
        REQUEST + b"x" * 70_000,
        REQUEST.replace(b"Content-Length", b"X: y\r\n" * (HEADER_LINES + 1) + b"Content-Length"),
        REQUEST.replace(b"Content-Length", b"X: " + b"y" * 17_000 + b"\r\nContent-Length"),
    ],
)
def test_refuses_without_an_answer(data: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        parse(data)
    assert caught.value.request is None


def test_takes_a_response_without_a_reason() -> None:
    message = parse(REQUEST.replace(b"OPTIONS sip:bot@example.com SIP/2.0", b"SIP/2.0 200"))
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (200, "")


@pytest.mark.parametrize(
    "text",
    [
        "sip:example.com",
        "sips:alice:secret@example.com:5061",
        "sip:alice@[2001:db8::1]:5060;transport=tcp;lr?Subject=a%20b&Priority=1",
        "sip:+1-201;ext=7@192.0.2.1;user=phone",
        "sip:a%40b%20c@example.com",
    ],
)
def test_writes_a_uri_as_it_was(text: str) -> None:
    assert str(SipUri.parse(text)) == text


def test_unescapes_the_parts_of_a_uri() -> None:
    uri = SipUri.parse("SIP:a%40b:p%3A@EXAMPLE.com;%6Cr?x=%31")
    assert (uri.scheme, uri.user, uri.password, uri.host) == ("sip", "a@b", "p:", "EXAMPLE.com")
    assert (uri.parameters, uri.headers) == ({"lr": None}, {"x": "1"})


@pytest.mark.parametrize(
    "text",
    ["tel:+1", "sip:", "sip:@host", "sip:a@", "sip:a@b@c", "sip:a b@c", "sip:a@b:x", "sip:a@b;", "sip:a@b;x=",
     "sip:a@b;x;X", "sip:a@[1.2.3.4]", "sip:a@b?", "sip:a@b?x", "sip:a@-b", "sip:%zz@b", "sip:a@b c", "sip:a@b:65536"],
)  # fmt: skip
def test_refuses_what_is_no_sip_uri(text: str) -> None:
    with pytest.raises(BadUri):
        SipUri.parse(text)


@pytest.mark.parametrize(
    ("text", "display", "uri", "tag"),
    [
        ('"A \\"B\\", C" <sip:a@b;x>;tag=1', 'A "B", C', "sip:a@b;x", "1"),
        ("Jürgen (Büro) <sip:a@b>", "Jürgen (Büro)", "sip:a@b", None),
        ("sip:a@b;tag=1", "", "sip:a@b", "1"),
        ("<tel:+49123;phone-context=x>", "", "tel:+49123;phone-context=x", None),
        ('"" <sip:a@b> ; TAG = 1', "", "sip:a@b", "1"),
    ],
)
def test_reads_addresses(text: str, display: str, uri: str, tag: str | None) -> None:
    address = NameAddress.parse(text)
    assert (address.display, address.uri, address.tag) == (display, uri, tag)
    assert NameAddress.parse(str(address)) == address


def test_a_via_keeps_what_it_was_and_says_where_it_came_from() -> None:
    via = Via.parse('SIP / 2.0 / udp a.example.com : 5070 ; rport ; branch=z9hG4bK1 ; x = "a;b"')
    assert str(via.with_source("2001:db8::1", 9)) == (
        'SIP/2.0/UDP a.example.com:5070;rport=9;branch=z9hG4bK1;x="a;b";received=2001:db8::1'
    )
    plain = Via.parse("SIP/2.0/TCP [2001:db8::2]")
    assert str(plain.with_source("192.0.2.1", 9)) == "SIP/2.0/TCP [2001:db8::2];received=192.0.2.1"


def test_a_stream_gives_messages_however_they_are_cut() -> None:
    message = request("OPTIONS")
    message.body = b"a body\r\n\r\nwith an empty line"
    data = b"\r\n\r\n" + message.encode() + b"\r\n" + REQUEST + b"\r\n\r\n"
    for step in range(1, 40):
        parser = StreamParser()
        found = [item for place in range(0, len(data), step) for item in parser.feed(data[place : place + step])]
        bodies = [item.body for item in found if isinstance(item, Request)]
        assert bodies == [message.body, b""]
        assert found.count(KeepAlive.PING) == 2
        assert not parser.amid


@pytest.mark.parametrize("start", [b"", b"\r", b"\r\n\r", b"\r\n\r\n\n", b"OPTIONS sip:a SIP/2.0\r\n"])
def test_a_stream_holds_no_more_than_a_head(start: bytes) -> None:
    (*_, found) = StreamParser().feed(start + b"x" * 17_000)
    assert isinstance(found, StreamBroken)


def test_a_line_end_alone_is_nothing() -> None:
    parser = StreamParser()
    assert parser.feed(b"\r\n") == []
    assert not parser.amid
    (found,) = parser.feed(REQUEST)
    assert isinstance(found, Request)

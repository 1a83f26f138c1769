"""Bodies of several parts, as SIPREC sends them."""

from __future__ import annotations

import pytest

from tests.unit.telephony.sip.conftest import request
from voice_verify.telephony.sip import BadMultipart, Headers
from voice_verify.telephony.sip.multipart import Part, build, parse, parts_of

BODY = (
    b"a preamble\r\n--b1 \r\nContent-Type: application/SDP\r\n\r\nv=0\r\n\r\n"
    b"--b1\r\nContent-Type: application/rs-metadata+xml\r\n"
    b"Content-Disposition: recording-session;\r\n handling=x\r\n\r\n"
    b"<recording/>\r\n--b1--\r\nan epilogue --b1"
)


def test_reads_a_recording() -> None:
    description, metadata = parse('multipart/mixed; boundary="b1"', BODY)
    assert description.content_type == "application/sdp"
    assert description.body == b"v=0\r\n"
    assert metadata.content_type == "application/rs-metadata+xml"
    assert metadata.body == b"<recording/>"


def test_takes_lines_that_end_with_lf() -> None:
    assert [part.body for part in parse("multipart/mixed;boundary=b1", BODY.replace(b"\r\n", b"\n"))] == [
        b"v=0\n",
        b"<recording/>",
    ]


def test_flattens_what_is_nested() -> None:
    inner_type, inner = build([Part(Headers([("Content-Type", "text/a")]), b"1"), Part(body=b"2")], "alternative")
    outer_type, outer = build([Part(Headers([("Content-Type", inner_type)]), inner), Part(body=b"\x003\r\n--")])
    parts = parse(outer_type, outer)
    assert [part.body for part in parts] == [b"1", b"2", b"\x003\r\n--"]
    assert [part.content_type for part in parts] == ["text/a", "text/plain", "text/plain"]


def test_a_boundary_within_a_line_separates_nothing() -> None:
    (part,) = parse("multipart/mixed;boundary=b", b"--b\r\n\r\nx --b--\r\n--bb\r\n--b--")
    assert part.body == b"x --b--\r\n--bb"


def test_a_body_without_parts_is_one() -> None:
    message = request()
    assert parts_of(message) == []
    message.body = b"v=0\r\n"
    message.headers.set("Content-Type", "application/sdp")
    (part,) = parts_of(message)
    assert (part.content_type, part.body) == ("application/sdp", b"v=0\r\n")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/mixed", BODY),
        ('multipart/mixed;boundary="b1 "', BODY),
        ("multipart/mixed;boundary=" + "b" * 71, BODY),
        ("multipart/mixed;boundary=other", BODY),
        ("multipart/mixed;boundary=b1", BODY.replace(b"--b1--", b"")),
        ("multipart/mixed;boundary=b1", b"--b1--"),
        ("multipart/mixed;boundary=b", b"--b\r\nContent-Type: text/plain\r\n--b--"),
        ("multipart/mixed;boundary=b", b"--b\r\nno header\r\n\r\nx\r\n--b--"),
        ("multipart/mixed;boundary=b", b"--b\r\nContent-Type: none\r\n\r\nx\r\n--b--"),
        ("multipart/mixed;boundary=b", b"--b\r\n\r\n\r\n" * 40 + b"--b--"),
        ("multipart/mixed;=", BODY),
    ],
)
def test_refuses(content_type: str, body: bytes) -> None:
    with pytest.raises(BadMultipart):
        parse(content_type, body)


def test_refuses_a_matryoshka() -> None:
    content_type, body = build([Part(body=b"x")])
    for _ in range(5):
        content_type, body = build([Part(Headers([("Content-Type", content_type)]), body)])
    with pytest.raises(BadMultipart):
        parse(content_type, body)

"""Garbage made of good messages: nothing but BadMessage and its like comes out of the parsers, and nothing hangs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from tests.unit.telephony.sip.conftest import Clock, Counts, Wire
from tests.unit.telephony.sip.test_multipart import BODY
from tests.unit.telephony.sip.test_sdp import OFFER
from tests.unit.telephony.sip.torture import messages
from voice_verify.telephony.sip import BadMessage, BadMultipart, BadSdp, BadSyntax, Request, Sip, Transports, parse
from voice_verify.telephony.sip.digest.algorithms import parse as parse_digest
from voice_verify.telephony.sip.message import Message
from voice_verify.telephony.sip.multipart import parse as parse_multipart
from voice_verify.telephony.sip.multipart import parts_of
from voice_verify.telephony.sip.sdp import Session
from voice_verify.telephony.sip.stream import StreamBroken, StreamParser

CORPUS = list((messages("rfc4475") | messages("rfc5118")).values())
INTERESTING = [
    b"\r\n", b"\r", b"\n", b"\0", b"\r\n\r\n", b"\r\n ", b";", b",", b'"', b"\\", b"<", b">", b"%", b"%00", b"%zz",
    b"=", b":", b"@", b"[", b"]", b"?", b" ", b"\t", b"\xff", b"\xe2\x80\xa8", b"-1", b"4294967296",
    b"99999999999999999999", b"SIP/2.0", b"Via: SIP/2.0/UDP x;branch=z9hG4bK", b"Content-Length: 5",
    b"l:0\r\n", b"Contact: *\r\n", b";tag=",
]  # fmt: skip


def mutate(data: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        place = chance.randrange(len(data) + 1)
        length = chance.choice((0, 1, 1, 2, 8, 40))
        match chance.choice((0, 0, 1, 1, 2, 2, 3, 4, 5, 5)):
            case 0:
                data = data[:place] + data[place + length :]
            case 1:
                data = data[:place] + chance.choice(INTERESTING) + data[place + length :]
            case 2:
                data = data[:place] + data[place : place + length] * chance.randint(2, 30) + data[place + length :]
            case 3:
                other = chance.choice(CORPUS)
                data = data[:place] + other[chance.randrange(len(other)) :]
            case 4:
                lines = data.split(b"\r\n")
                chance.shuffle(lines)
                data = b"\r\n".join(lines)
            case _:
                data = data[:place] + chance.randbytes(length) + data[place + length :]
    return data


def read_all(message: Message) -> None:
    """Whatever was parsed can be read, written, and parsed again."""
    _ = message.call_id, message.cseq, message.from_tag, message.to_tag, message.vias
    if isinstance(message, Request):
        _ = message.contact
    _ = message.content_type, message.from_.display
    for name in ("Contact", "Route", "Record-Route", "Via"):
        message.headers.items(name)
    assert parse(message.encode()).headers.get("Call-ID") == message.call_id


@pytest.mark.parametrize("seed", range(3))
def test_garbage_ends_in_a_refusal(seed: int, clock: Clock, counts: Counts) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same garbage each time
    sip = Sip(
        Transports(),
        user_agent="t",
        on_request=lambda transaction: transaction.reply(200) and None,
        on_ack=lambda *_: None,
        clock=clock,
        count=counts,
    )
    wire = Wire()
    understood = 0
    for _ in range(2000):
        data = mutate(chance.choice(CORPUS), chance)
        try:
            message = parse(data)
        except BadMessage as error:
            sip.received_bad(wire, error)
            continue
        understood += 1
        read_all(message)
        sip.received(wire, message)
        clock.advance(1)
        try:
            for part in parts_of(message):
                Session.parse(part.body)
        except (BadMultipart, BadSdp):
            pass
    assert 250 < understood < 1750
    assert counts["sip_internal_errors"] == 0
    clock.advance(100)
    assert clock.waiting == 0


def test_a_stream_of_garbage_ends_in_a_refusal() -> None:
    chance = random.Random(7)  # noqa: S311 - the same garbage each time
    for _ in range(300):
        data = b"".join(mutate(chance.choice(CORPUS), chance) for _ in range(3))
        parser = StreamParser()
        place = 0
        while place < len(data):
            step = chance.choice((1, 3, 50, 2000))
            found = parser.feed(data[place : place + step])
            place += step
            if found and isinstance(found[-1], StreamBroken):
                break


@pytest.mark.parametrize(
    ("read", "sample", "refusal"),
    [
        (Session.parse, OFFER, BadSdp),
        (lambda body: parse_multipart("multipart/mixed;boundary=b1", body), BODY, BadMultipart),
        (lambda body: parse_multipart(body.decode("latin-1"), BODY), b'multipart/mixed; boundary="b1"', BadMultipart),
        (
            lambda value: parse_digest(value.decode("utf-8", "surrogateescape")),
            b'Digest username="a\\"b", realm="c", nonce="d", uri="sip:e", response="f", qop=auth, nc=00000001',
            BadSyntax,
        ),
    ],
    ids=["sdp", "multipart", "content-type", "digest"],
)
def test_garbage_in_bodies_and_values(read: Callable[[bytes], object], sample: bytes, refusal: type[Exception]) -> None:
    chance = random.Random(11)  # noqa: S311 - the same garbage each time
    for _ in range(1500):
        try:
            found = read(mutate(sample, chance))
        except refusal:
            continue
        if isinstance(found, Session):
            assert Session.parse(found.encode()).media == found.media
            for media in found.media:
                _ = media.rtpmaps, media.fmtp, media.rtcp, media.crypto, media.label, media.direction


HEAD = "INVITE sip:a@b SIP/2.0\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"


@pytest.mark.parametrize(
    "line",
    [
        "Via: SIP/2.0/UDP h" + " " * 15_000 + "x",
        "Via: SIP/2.0/UDP " + "a" * 15_000 + "!",
        "Via: SIP/2.0/UDP h;a=" + '"' + "\\" * 15_000,
        "Via: SIP/2.0/UDP h" + ";a" * 7_000 + "\\",
        "Via: " + "," * 15_000,
        "Via: SIP/2.0/UDP h\r\nContact: " + "<" * 15_000,
        "Via: SIP/2.0/UDP h\r\nContact: " + '"' * 15_000,
        "Via: SIP/2.0/UDP h\r\nContact: " + "a " * 7_000 + ",",
        "Via: SIP/2.0/UDP h\r\nContact: <sip:" + "%" * 15_000 + "@b>",
        "Via: SIP/2.0/UDP h\r\nContact: <sip:a@b" + ";a" * 7_000 + ">",
        "Via: SIP/2.0/UDP h\r\nContact: <sip:a@" + "a-" * 7_000 + ">",
        "Via: SIP/2.0/UDP h\r\nContent-Type: a/b" + " " * 15_000 + "x",
        "Via: SIP/2.0/UDP h\r\nCSeq: 1" + " " * 15_000,
    ],
)
def test_no_value_takes_long(line: str) -> None:
    """A pattern that goes back and forth needs minutes for these; without that they take milliseconds."""
    begun = time.process_time()
    with pytest.raises(BadMessage):
        parse(f"{HEAD}{line}\r\n\r\n".encode())
    assert time.process_time() - begun < 1


def test_answers_nothing_to_garbage_that_is_an_answer(clock: Clock, counts: Counts) -> None:
    """Two user agents that answer each other's garbage would never stop."""
    sip = Sip(
        Transports(), user_agent="t", on_request=lambda _: None, on_ack=lambda *_: None, clock=clock, count=counts
    )
    wire = Wire()
    for data in (
        b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n",
        b"ACK sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP x\r\n\r\n",
        b"\xff" * 100,
    ):
        with pytest.raises(BadMessage) as caught:
            parse(data)
        sip.received_bad(wire, caught.value)
    assert wire.sent_bytes == []
    assert not isinstance(caught.value.request, Request)

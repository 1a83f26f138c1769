"""What crosses the socket arrives as it was sent, however it is cut, and what is no message is refused."""

from __future__ import annotations

import socket
import struct
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_verify.engine import EngineError, NotRunning, Overloaded, Quality, StreamFailed, Voice, protocol
from voice_verify.engine.protocol import Kind, Message, Parser, Ready, Status
from voice_verify.processes.wire import MAX_CONTENT, ProtocolError, pack, receive

numbers = st.floats(0, 1e9)
voices = st.builds(
    Voice,
    embedding=st.none() | st.lists(st.floats(-1, 1, width=32), min_size=192, max_size=192).map(np.float32),
    net_speech_s=numbers,
    audio_s=numbers,
    quality=st.builds(Quality, snr_db=st.none() | st.floats(-20, 60), clipped_share=st.floats(0, 1)),
)
messages = st.builds(
    Message,
    kind=st.sampled_from(Kind),
    code=st.integers(0, 255),
    number=st.integers(0, 2**32 - 1),
    content=st.binary(max_size=300),
)


def packed(message: Message) -> bytes:
    return pack(message.kind, message.number, message.content, code=message.code)


def parsed(data: bytes) -> Message:
    (message,) = Parser().feed(data)
    return message


@given(sent=st.lists(messages, max_size=6), cut=st.integers(1, 50))
def test_messages_survive_any_cut(sent: list[Message], cut: int) -> None:
    data = b"".join(map(packed, sent))
    parser = Parser()
    received = [message for start in range(0, len(data), cut) for message in parser.feed(data[start : start + cut])]
    assert received == sent
    assert parser.is_between_messages


@given(voice=voices, number=st.integers(0, 2**32 - 1))
def test_a_voice_arrives_as_it_was(voice: Voice, number: int) -> None:
    message = parsed(protocol.pack_voice(Kind.voice, number, voice))
    assert (message.kind, message.number) == (Kind.voice, number)
    assert protocol.has_embedding(message.content) == (voice.embedding is not None)
    received = protocol.unpack_voice(message.content)
    assert astuple(received)[1:] == astuple(voice)[1:]
    np.testing.assert_array_equal(received.embedding, voice.embedding)


@given(st.builds(Status, *[numbers] * 7, st.integers(0, 2**63), st.integers(0, 2**31)))
def test_a_status_arrives_as_it_was(status: Status) -> None:
    assert protocol.unpack_status(parsed(protocol.pack_status(status)).content) == status


@given(precision=st.sampled_from(["int8", "fp32"]), identity=st.text("0123456789abcdef", max_size=64))
def test_ready_arrives_as_it_was(precision: str, identity: str) -> None:
    ready = Ready(precision, identity)
    assert protocol.unpack_ready(parsed(protocol.pack_ready(ready)).content) == ready


@pytest.mark.parametrize("kind", [StreamFailed, Overloaded, NotRunning])
def test_a_failure_keeps_its_kind_and_hint(kind: type[EngineError]) -> None:
    message = parsed(protocol.pack_failure(7, kind("what was\nwrong", hint="what to do")))
    error = protocol.unpack_failure(message)
    assert (type(error), error.message, error.hint, message.number) == (kind, "what was wrong", "what to do", 7)


@given(st.binary(max_size=2000))
def test_garbage_is_refused_or_waited_for_but_never_crashes(data: bytes) -> None:
    try:
        for message in Parser().feed(data):
            for unpack in (protocol.unpack_voice, protocol.unpack_status, protocol.unpack_ready, protocol.unpack_clock):
                refuses(unpack, message.content)
            refuses(protocol.unpack_failure, message)
    except ProtocolError:
        return


def refuses(unpack, content) -> None:
    try:
        unpack(content)
    except ProtocolError:
        return


@pytest.mark.parametrize(
    "header", [struct.pack("<IBBI", 2**31, Kind.audio, 0, 1), struct.pack("<IBBI", 0, 200, 0, 1)], ids=["long", "kind"]
)
def test_refuses_what_no_peer_of_ours_sends(header: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(Parser().feed(header))


def test_a_connection_that_ends_inside_a_message_is_told_from_one_that_ends() -> None:
    message = pack(Kind.audio, 1, b"abc")
    assert len(received(message)) == 1
    with pytest.raises(ProtocolError, match="middle"):
        received(message + message[:-1])


def received(data: bytes) -> list[Message]:
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(data)
        return list(receive(theirs, Parser()))


def test_refuses_to_send_what_the_peer_would_refuse() -> None:
    with pytest.raises(ValueError, match="at most"):
        pack(Kind.recording, 1, bytes(MAX_CONTENT + 1))

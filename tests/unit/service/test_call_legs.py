"""Calls that come faster than they can be admitted, and audio that comes while its stream ends."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import cast
from unittest.mock import Mock
from uuid import uuid4

from voice_verify.errors import StreamNotFound
from voice_verify.processes.wire import pack
from voice_verify.services.call_legs import MAX_OPENING, CallLegs
from voice_verify.services.events import Ended, EndReason
from voice_verify.services.streams import StreamService
from voice_verify.telephony import protocol
from voice_verify.telephony.agent import CallInfo
from voice_verify.telephony.protocol import Kind, Parser

CALL = CallInfo("sip", "192.0.2.7", "id", "a", "b", None, None, None, "alaw", 8000)


def test_those_that_would_wait_too_long_are_refused_at_once() -> None:
    said: list[bytes] = []
    database_answers = threading.Event()
    with ThreadPoolExecutor(1) as openers, ThreadPoolExecutor(1) as enders:
        openers.submit(database_answers.wait)
        # No stream is asked for: the database does not answer.
        legs = CallLegs(cast(StreamService, None), said.append, openers=openers, enders=enders)
        for number in range(MAX_OPENING + 10):
            for message in Parser().feed(protocol.pack_open(number, CALL)):
                legs.told(message)
        refused = [message for data in said for message in Parser().feed(data)]
        assert [(message.kind, message.number) for message in refused] == [
            (Kind.refused, number) for number in range(MAX_OPENING, MAX_OPENING + 10)
        ]
        refusal = protocol.unpack_refused(refused[0].content)
        assert (refusal.code, refusal.status) == ("overloaded", 486)
        assert refusal.retry_after_s
        legs.refuse_new()
        database_answers.set()
    # Those that waited have their answer, too.
    assert len(said) == MAX_OPENING + 10


def test_audio_that_comes_while_the_service_ends_its_stream_does_not_hide_why() -> None:
    said: list[bytes] = []
    streams = Mock(spec=StreamService)
    stream = streams.open.return_value
    stream.uuid = uuid4()
    with ThreadPoolExecutor(1) as enders:
        with ThreadPoolExecutor(1) as openers:
            legs = CallLegs(streams, said.append, openers=openers, enders=enders)
            for message in Parser().feed(protocol.pack_open(1, CALL)):
                legs.told(message)
        # The engine has let go of it, and the report is being written.
        streams.push.side_effect = StreamNotFound("The stream has ended")
        for message in Parser().feed(pack(Kind.audio, 1, bytes(800))):
            legs.told(message)
        enders.submit(stream.attach.call_args.args[2], Ended(EndReason.deleted, 0.0, 0.0))
    ends = [message for data in said for message in Parser().feed(data) if message.kind is Kind.ended]
    assert [(end.number, end.content) for end in ends] == [(1, b"deleted")]

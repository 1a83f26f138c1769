"""What crosses between the service and the telephony process arrives as it was sent; what is none is refused."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_verify.processes.wire import ProtocolError, pack
from voice_verify.telephony import protocol
from voice_verify.telephony.agent import (
    MAX_TEXT,
    AgentError,
    CallInfo,
    LastError,
    LegEnd,
    PbxInstance,
    PbxState,
    Refused,
    RegistrationState,
    TelephonyConfig,
)
from voice_verify.telephony.protocol import FORMATS, Kind, Message, Parser, Status

words = st.text(st.characters(categories=["L", "N", "P"]), max_size=40)
moments = st.datetimes(timezones=st.just(UTC))
instances = st.builds(
    PbxInstance,
    uuid=st.uuids(),
    name=words,
    host=words,
    port=st.integers(1, 65535),
    transport=st.sampled_from(["udp", "tcp", "tls"]),
    username=st.none() | words,
    password=st.none() | words,
)
paths = st.none() | st.just(Path("/etc/voice-verify/tls.pem"))
configs = st.builds(
    TelephonyConfig,
    tls_certificate=paths,
    tls_key=paths,
    ca_file=paths,
    peers=st.lists(words, max_size=3).map(tuple),
    accounts=st.dictionaries(words, words, max_size=3),
    pbx=st.lists(instances, max_size=3).map(tuple),
)
calls = st.builds(
    lambda form, **others: CallInfo(codec=form.codec, rate=form.rate, **others),
    form=st.sampled_from(FORMATS),
    source=st.sampled_from(["sip", "siprec"]),
    peer=words,
    call_id=words,
    caller=words,
    callee=words,
    participant=st.none() | words,
    pbx=st.none() | st.uuids(),
    uuid=st.none() | st.uuids(),
)
states = st.builds(
    PbxState,
    uuid=st.uuids(),
    state=st.sampled_from(RegistrationState),
    since=st.none() | moments,
    until=st.none() | moments,
    last_error=st.none() | st.builds(LastError, code=words, message=words, at=moments),
)
counts = st.dictionaries(st.tuples(words, words), st.floats(0, 1e12), max_size=5)
statuses = st.builds(
    Status,
    cpu_s=st.floats(0, 1e9),
    memory_bytes=st.integers(0),
    counts=counts,
    gauges=st.dictionaries(words, st.floats(0)),
)
UNPACK = (
    protocol.unpack_config,
    protocol.unpack_pbx,
    protocol.unpack_open,
    protocol.unpack_opened,
    protocol.unpack_refused,
    protocol.unpack_states,
    protocol.unpack_status,
    protocol.unpack_failed,
)


def parsed(data: bytes) -> Message:
    (message,) = Parser().feed(data)
    return message


@given(configs)
def test_a_config_arrives_as_it_was(config: TelephonyConfig) -> None:
    assert protocol.unpack_config(parsed(protocol.pack_config(config)).content) == config


def test_passwords_show_in_no_text_of_a_config() -> None:
    pbx = PbxInstance(
        uuid=protocol.unpack_opened(bytes(16)),
        name="Lyon",
        host="h",
        port=1,
        transport="udp",
        username="vv",
        password="correct horse",  # noqa: S106
    )
    assert "horse" not in repr(pbx)


@given(st.lists(instances, max_size=3))
def test_pbx_instances_arrive_as_they_were(pbx: list[PbxInstance]) -> None:
    assert protocol.unpack_pbx(parsed(protocol.pack_pbx(pbx)).content) == pbx


@given(call=calls, number=st.integers(0, 2**32 - 1))
def test_a_call_arrives_as_it_was(call: CallInfo, number: int) -> None:
    message = parsed(protocol.pack_open(number, call))
    assert (message.number, protocol.unpack_open(message.content)) == (number, call)


@given(st.text(max_size=MAX_TEXT + 10))
def test_what_a_peer_wrote_is_short_and_printable(written: str) -> None:
    cleaned = protocol.clean(written)
    assert len(cleaned) <= MAX_TEXT
    assert cleaned.isprintable()
    cleaned.encode()


@pytest.mark.parametrize(
    "change",
    [
        {"codec": "g722"},
        {"rate": 44100},
        {"codec": "alaw", "rate": 16000},
        {"source": "websocket"},
        {"uuid": "x"},
        {"pbx": 1},
        {"peer": None},
        {"more": 1},
    ],
)
def test_refuses_calls_that_no_agent_of_ours_makes(change: dict[str, Any]) -> None:
    call = CallInfo("sip", "192.0.2.7", "id", "a", "b", None, None, None, "alaw", 8000)
    document = json.loads(parsed(protocol.pack_open(1, call)).content) | change
    with pytest.raises(ProtocolError):
        protocol.unpack_open(json.dumps(document).encode())


@given(st.lists(states, max_size=3))
def test_states_of_registrations_arrive_as_they_were(sent: list[PbxState]) -> None:
    assert protocol.unpack_states(parsed(protocol.pack_states(sent)).content) == sent


@given(statuses)
def test_a_status_arrives_as_it_was(status: Status) -> None:
    assert protocol.unpack_status(parsed(protocol.pack_status(status)).content) == status


@pytest.mark.parametrize("retry_after_s", [None, 5])
def test_a_refusal_arrives_as_it_was(retry_after_s: int | None) -> None:
    sent = Refused("too_many_streams", 486, "Busy Here", "All are in use.", retry_after_s)
    assert vars(protocol.unpack_refused(parsed(protocol.pack_refused(3, sent)).content)) == vars(sent)


def test_a_failure_arrives_with_its_hint() -> None:
    received = protocol.unpack_failed(parsed(protocol.pack_failed(AgentError("port\ntaken", hint="free it"))).content)
    assert (received.message, received.hint) == ("port taken", "free it")


@pytest.mark.parametrize("form", FORMATS)
def test_formats_and_ends_have_codes(form: protocol.Format) -> None:
    assert protocol.unpack_codec(parsed(protocol.pack_codec(1, *form))) == form
    for reason in LegEnd:
        assert protocol.unpack_end(parsed(protocol.pack_end(1, reason))) is reason
    for unpack, kind in ((protocol.unpack_codec, Kind.codec), (protocol.unpack_end, Kind.end)):
        with pytest.raises(ProtocolError):
            unpack(parsed(pack(kind, 1, code=200)))
    with pytest.raises(ValueError, match="not in tuple"):
        protocol.pack_codec(1, "alaw", 16000)


@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.integers() | words, lambda inner: st.lists(inner) | st.dictionaries(words, inner)
    ).map(lambda document: json.dumps(document).encode())
)
def test_garbage_is_refused_and_never_crashes(content: bytes) -> None:
    for unpack in UNPACK:
        refuses(unpack, content)


def refuses(unpack: Any, content: bytes) -> None:
    try:
        unpack(content)
    except ProtocolError:
        return

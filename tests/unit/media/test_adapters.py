"""Adapters on exchanges from the documents: what they make of each message, and what they answer."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from tests.contract.media import exchange
from voice_verify.errors import TooManyStreams, VoiceVerifyError
from voice_verify.media.actions import (
    Action,
    Adapter,
    Alive,
    End,
    Finished,
    Format,
    Handshake,
    Heard,
    Opened,
    Reply,
    Started,
)
from voice_verify.media.asterisk import Asterisk
from voice_verify.media.audiohook import Audiohook
from voice_verify.media.freeswitch import Freeswitch
from voice_verify.media.jambonz import Jambonz
from voice_verify.media.twilio import Twilio
from voice_verify.media.vonage import Vonage
from voice_verify.services.events import EndReason

ADAPTERS: dict[str, type[Adapter]] = {
    adapter.name.value: adapter for adapter in (Twilio, Audiohook, Vonage, Asterisk, Jambonz, Freeswitch)
}
SPEECH = (np.arange(1600, dtype=np.int16), np.arange(1600, dtype=np.int16) * 2)
STREAM = UUID("6f0c2a1e-4f4e-4c53-9d0b-0c8b6f1f7a51")
FORMATS = {
    "twilio-one-track": Format("mulaw", 8000, ("inbound",)),
    "twilio-both-tracks": Format("mulaw", 8000, ("inbound", "outbound")),
    "audiohook": Format("mulaw", 8000, ("external", "internal"), interleaved=True),
    "vonage": Format("pcm_s16le", 16000),
    "asterisk": Format("mulaw", 8000),
    "asterisk-json": Format("pcm_s16le", 16000),
    "jambonz": Format("pcm_s16le", 8000, ("0", "1"), interleaved=True),
    "freeswitch-audio-fork": Format("pcm_s16le", 8000, ("0", "1"), interleaved=True),
    "freeswitch-audio-stream": Format("pcm_s16le", 16000),
}


def adapter(document: dict[str, Any], **parameters: str) -> Adapter:
    path, _, query = document["path"].partition("?")
    said = dict(pair.split("=") for pair in query.split("&") if pair)
    headers = {name.lower(): value for name, value in document.get("headers", {}).items()}
    handshake = Handshake({**said, **parameters}, headers, document.get("subprotocols", []))
    return ADAPTERS[path.rpartition("/")[2]](handshake)


def played(name: str) -> tuple[list[Action], list[Any]]:
    """All actions of an exchange, and all that was answered."""
    document = exchange.load(name)
    peer, actions, answers = adapter(document), [], []
    for step in document["steps"]:
        frames = list(exchange.frames(step["audio"], SPEECH)) if "audio" in step else []
        if "send" in step:
            frames = [exchange.text(step["send"])]
        for frame in frames:
            for action in peer.text(frame) if isinstance(frame, str) else peer.binary(frame):
                actions.append(action)
                match action:
                    case Started():
                        answers += peer.opened([Opened(STREAM, action.format.channels[0])])
                    case Reply():
                        answers.append(action.message)
                    case Finished():
                        answers += peer.finished()
    return actions, [json.loads(answer) for answer in answers]


@pytest.mark.parametrize("name", FORMATS)
def test_hears_all_that_was_said(name: str) -> None:
    actions, _ = played(name)
    (started,) = [action for action in actions if isinstance(action, Started)]
    assert started.format == FORMATS[name]
    assert started.call_id == exchange.load(name)["call_id"]
    audio = next(step["audio"] for step in exchange.load(name)["steps"] if "audio" in step)
    sent = list(exchange.frames(audio, SPEECH))
    heard = [action for action in actions if isinstance(action, Heard)]
    assert len(heard) == len(sent)
    if "as" in audio:
        for number, voice in enumerate(SPEECH[: len(audio["as"])]):
            track = started.format.channels[number]
            joined = b"".join(action.payload for action in heard if action.channel == track)
            assert joined == exchange.encoded(voice, audio["codec"])


@pytest.mark.parametrize("name", exchange.names())
def test_answers_as_the_document_has_it(name: str) -> None:
    _, answers = played(name)
    expected = [step["receive"] for step in exchange.load(name)["steps"] if "receive" in step]
    if not name.startswith("freeswitch"):
        assert len(answers) == len(expected)
    for answer, wanted in zip(answers, expected, strict=False):
        assert exchange.contains(answer, wanted)


def test_genesys_conversation_names_the_stream_and_pauses_hold_it() -> None:
    actions, _ = played("audiohook")
    assert next(action.uuid for action in actions if isinstance(action, Started)) == UUID(
        exchange.load("audiohook")["call_id"]
    )
    assert [action.held for action in actions if isinstance(action, Alive) and action.held is not None] == [True, False]


def test_a_probe_starts_nothing() -> None:
    actions, _ = played("audiohook-probe")
    assert not [action for action in actions if isinstance(action, Started)]


@pytest.mark.parametrize(
    ("parameters", "channels"),
    [
        ({}, ["external", "internal"]),
        ({"listen": "customer"}, ["external"]),
        ({"listen": "customer", "customer": "internal"}, ["internal"]),
    ],
)
def test_genesys_is_asked_for_what_is_wanted(parameters: dict[str, str], channels: list[str]) -> None:
    document = exchange.load("audiohook")
    peer = adapter(document, **parameters)
    peer.text(exchange.text(document["steps"][0]["send"]))
    (opened,) = peer.opened([])
    assert json.loads(opened)["parameters"]["media"][0]["channels"] == channels


@pytest.mark.parametrize(
    ("end", "parameters"),
    [
        (End(EndReason.maintenance), {"reason": "completed", "info": "maintenance"}),
        (End(EndReason.error, TooManyStreams("full")), {"reason": "error", "info": "too_many_streams"}),
    ],
)
def test_genesys_is_told_why_it_ends(end: End, parameters: dict[str, str]) -> None:
    (told,) = adapter(exchange.load("audiohook")).ended(end)
    assert json.loads(told)["parameters"] == parameters


def test_freeswitch_gets_events_as_each_module_takes_them() -> None:
    event = '{"event": "speech"}'
    assert adapter(exchange.load("freeswitch-audio-stream")).event(event) == [event]
    (told,) = adapter(exchange.load("freeswitch-audio-fork")).event(event)
    assert json.loads(told) == {"type": "json", "data": {"event": "speech"}}


@pytest.mark.parametrize("name", [name for name in exchange.names() if not name.startswith("freeswitch")])
def test_nothing_of_the_peer_is_in_an_error(name: str) -> None:
    with pytest.raises(VoiceVerifyError) as raised:
        adapter(exchange.load(name)).text('{"event": "secret-4711", "version": "secret-4711"}')
    assert "secret" not in raised.value.detail

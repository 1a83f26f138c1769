"""Whatever a peer sends, an adapter makes actions of it or refuses it, and keeps little."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.media import exchange
from voice_verify.errors import VoiceVerifyError
from voice_verify.media.actions import Handshake, Started
from voice_verify.media.audiosocket import Audiosocket

from .test_adapters import adapter

EXAMPLES = int(os.environ.get("VV_FUZZ_EXAMPLES", "0"))
fuzzing = settings(
    max_examples=EXAMPLES or 40,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def changed(message: Any, path: int, value: Any) -> Any:
    """`message` with one of its members, at any depth, made into `value`."""
    places: list[tuple[Any, Any]] = []

    def gather(inner: Any) -> None:
        for key in list(inner if isinstance(inner, dict) else range(len(inner))):
            places.append((inner, key))
            if isinstance(inner[key], dict | list):
                gather(inner[key])

    copied = copy.deepcopy(message)
    gather(copied)
    container, key = places[path % len(places)]
    container[key] = value
    return copied


@pytest.mark.parametrize("name", exchange.names())
def test_any_message_is_understood_or_refused(name: str) -> None:
    sent = [step["send"] for step in exchange.load(name)["steps"] if "send" in step]

    @fuzzing
    @given(data=st.data())
    def send(data: st.DataObject) -> None:
        peer = adapter(exchange.load(name))
        good = data.draw(st.integers(0, len(sent)))
        with suppress(VoiceVerifyError):
            for message in sent[:good]:
                if any(isinstance(action, Started) for action in peer.text(exchange.text(message))):
                    peer.opened([])
            _send(peer.text, peer.binary, _message(data, sent))

    send()


@fuzzing
@given(pieces=st.lists(st.binary(max_size=60), max_size=8), begun=st.booleans())
def test_any_bytes_are_audiosocket_or_not(pieces: list[bytes], begun: bool) -> None:
    peer = Audiosocket(Handshake())
    with suppress(VoiceVerifyError):
        if begun:
            peer.binary(b"\x01\x00\x10" + bytes(16))
        for piece in pieces:
            peer.binary(piece)


def _message(data: st.DataObject, sent: list[Any]) -> str | bytes:
    objects = [message for message in sent if isinstance(message, dict)]
    match data.draw(st.sampled_from(["mutated", "json", "text", "binary"])):
        case "mutated" if objects:
            message = data.draw(st.sampled_from(objects))
            return json.dumps(changed(message, data.draw(st.integers(0, 40)), data.draw(values)))
        case "json":
            return json.dumps(data.draw(values))
        case "binary":
            return data.draw(st.binary(max_size=50))
        case _:
            return data.draw(st.text(max_size=50))


def _send(text: Callable[[str], Any], binary: Callable[[bytes], Any], message: str | bytes) -> None:
    if isinstance(message, str):
        text(message)
    else:
        binary(message)

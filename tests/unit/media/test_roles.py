from __future__ import annotations

import pytest

from voice_verify.errors import InvalidRequest
from voice_verify.media.actions import Format, shortened
from voice_verify.media.session import roles

NAMES = ("inbound", "outbound")
BOTH = Format("mulaw", 8000, NAMES)


@pytest.mark.parametrize(
    ("parameters", "heard"),
    [
        ({}, {"inbound": "customer", "outbound": "agent"}),
        ({"customer": "outbound"}, {"outbound": "customer", "inbound": "agent"}),
        ({"listen": "customer"}, {"inbound": "customer"}),
        ({"customer": "outbound", "listen": "customer"}, {"outbound": "customer"}),
    ],
)
def test_says_whose_voice_is_on_which_channel(parameters: dict[str, str], heard: dict[str, str]) -> None:
    found = roles(BOTH, parameters, NAMES)
    assert found == heard
    # So that the uuid of the call goes to the customer.
    assert next(iter(found.values())) == "customer"


def test_one_channel_is_the_customer_whatever_it_is_called() -> None:
    assert roles(Format("alaw", 8000), {"customer": "outbound"}, NAMES) == {"mono": "customer"}


def test_an_announced_track_of_the_agent_is_not_the_customer() -> None:
    assert roles(Format("mulaw", 8000, ("outbound",)), {}, NAMES) == {"outbound": "agent"}


@pytest.mark.parametrize(
    ("channels", "parameters"),
    [
        (NAMES, {"customer": "left"}),
        (NAMES, {"listen": "none"}),
        (("outbound",), {"listen": "customer"}),
    ],
)
def test_refuses_what_there_is_not(channels: tuple[str, ...], parameters: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        roles(Format("mulaw", 8000, channels), parameters, NAMES)


@pytest.mark.parametrize(
    ("said", "kept"), [("+1 555", "+1 555"), ("a\nb\x00c\ud800", "abc"), ("x" * 300, "x" * 256), ("", None), (7, None)]
)
def test_what_a_peer_says_is_kept_as_one_short_line(said: object, kept: str | None) -> None:
    assert shortened(said) == kept

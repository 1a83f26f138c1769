"""RFC 4028, as the one who is called: table 2 and the arithmetic of section 10."""

from __future__ import annotations

import pytest

from voice_verify.telephony.uas.session_timer import (
    INTERVAL_S,
    BadTimer,
    SessionTimer,
    TooBrief,
    answer,
    read_expires,
    refreshed,
)


@pytest.mark.parametrize(
    ("expires", "supported", "refresher"),
    [
        (None, False, "uas"),
        ("600", False, "uas"),
        (None, True, "uac"),
        ("600", True, "uac"),
        ("600;refresher=uac", True, "uac"),
        ("600;refresher=uas", True, "uas"),
        (" 600 ; Refresher = UAS ", True, "uas"),
    ],
)
def test_agrees_on_who_refreshes(expires: str | None, supported: bool, refresher: str) -> None:
    answered = answer(expires, None, supported=supported)
    headers = dict(answered.headers)
    assert headers["Session-Expires"].endswith(f";refresher={refresher}")
    assert answered.timer.ours is (refresher == "uas")
    # Who does not know the extension must not be required to.
    assert headers.get("Require") == ("timer" if refresher == "uac" else None)


def test_proposes_an_interval_to_who_names_none() -> None:
    assert answer(None, None, supported=True).timer.interval_s == INTERVAL_S


def test_shortens_what_is_too_long() -> None:
    assert answer("86400", None, supported=True).timer.interval_s == INTERVAL_S


def test_respects_the_least_interval_of_proxies() -> None:
    assert answer("7200", "3600", supported=True).timer.interval_s == 3600
    assert answer(None, "3600", supported=True).timer.interval_s == 3600
    # Of 317 years nothing would be left but the call.
    assert answer(None, "9999999999", supported=True).timer.interval_s == 86_400


def test_refuses_what_is_too_brief_only_to_who_can_understand_it() -> None:
    with pytest.raises(TooBrief):
        answer("60", None, supported=True)
    assert answer("60", None, supported=False).timer.interval_s == 90


@pytest.mark.parametrize("value", ["", "soon", "-1", "1e3", "99999999999"])
def test_refuses_what_is_no_interval(value: str) -> None:
    with pytest.raises(BadTimer):
        read_expires(value)
    with pytest.raises(BadTimer):
        answer("600", value, supported=True)


def test_acts_in_time() -> None:
    assert SessionTimer(1800, ours=True).acts_after_s == 900
    assert SessionTimer(1800, ours=False).acts_after_s == 1800 - 32
    assert SessionTimer(90, ours=False).acts_after_s == 60


def test_takes_over_what_the_peer_answers_to_a_refresh() -> None:
    timer = SessionTimer(1800, ours=True)
    assert refreshed(timer, "600;refresher=uas") == SessionTimer(600, ours=False)
    assert refreshed(timer, "600;refresher=uac") == SessionTimer(600, ours=True)
    # It has no timer: we go on asking, or a call whose end got lost would stay.
    assert refreshed(timer, None) == timer

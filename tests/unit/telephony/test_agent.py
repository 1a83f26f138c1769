"""Counters for the metrics, and how refusals of the service are said in SIP."""

from __future__ import annotations

import pytest

from voice_verify import errors
from voice_verify.telephony.agent import Counters
from voice_verify.telephony.refusals import ANSWERS, refused


def test_counters_add_up_by_name_and_kind() -> None:
    counters = Counters()
    counters.add("calls")
    counters.add("calls", 2)
    counters.add("refusals", kind="486")
    assert counters.counts() == {("calls", ""): 3, ("refusals", "486"): 1}


@pytest.mark.parametrize("name", ["", "Calls", "calls total", "streams", "cpu_seconds", "a" * 65])
def test_a_name_that_is_no_word_or_is_taken_is_a_bug(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        Counters().add(name)
    with pytest.raises(ValueError, match="no name"):
        Counters().watch(name, float)


def test_what_peers_bring_in_stays_bounded() -> None:
    counters = Counters()
    for number in range(2000):
        counters.add("requests", kind=f"M{number}")
    counters.add("requests", kind="x-\n")
    assert len(counters.counts()) <= 501
    assert sum(counters.counts().values()) == 2001
    assert counters.counts()["requests", "other"] > 1


def test_gauges_are_read_when_asked() -> None:
    values = iter([1.0, 2.0])
    counters = Counters()
    counters.watch("ports_free", lambda: next(values))
    assert [counters.gauges(), counters.gauges()] == [{"ports_free": 1}, {"ports_free": 2}]


# All that `StreamService.open` may raise.
OPENING = [
    errors.TooManyStreams,
    errors.LicenceExpired,
    errors.LicenceExceeded,
    errors.FeatureNotLicensed,
    errors.Overloaded,
    errors.EngineUnavailable,
    errors.MaintenanceMode,
    errors.DatabaseUnavailable,
    errors.StreamInUse,
    errors.Unavailable,
]


@pytest.mark.parametrize("kind", OPENING, ids=lambda kind: kind.code)
def test_each_refusal_has_its_answer(kind: type[errors.VoiceVerifyError]) -> None:
    said = refused(kind("it is so", hint="do that"))
    assert (said.status, said.reason) == ANSWERS[kind.code]
    assert (said.code, said.text) == (kind.code, "It is so. Do that.")
    # A wait is told exactly where it makes sense.
    assert (said.retry_after_s is not None) == issubclass(kind, errors.Unavailable)


def test_being_full_is_busy_and_no_reason_to_avoid_the_server() -> None:
    assert {refused(kind("x")).status for kind in (errors.TooManyStreams, errors.LicenceExceeded)} == {486}


def test_what_the_table_does_not_know_is_our_own_failure() -> None:
    assert refused(errors.InternalError("x")).status == 500
    known = {code for kind in _all(errors.VoiceVerifyError) if (code := kind.code)}
    assert ANSWERS.keys() <= known


def _all(kind: type[errors.VoiceVerifyError]) -> list[type[errors.VoiceVerifyError]]:
    return [kind, *(found for below in kind.__subclasses__() for found in _all(below))]

"""Which licence is in force on a day, and what it allows."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from voice_verify.services.licence_standing import Found, LicenceOrigin, LicenceState, Standing, judge

from .conftest import IssueTerms

EVALUATION = Standing(LicenceState.evaluation, 2, ("websocket", "sip", "siprec"))
EXPIRES = date(2027, 1, 31)
INSTALLED, PACKAGED = LicenceOrigin.installed, LicenceOrigin.packaged


def standing(*found: Found, days_left: int = 100) -> Standing:
    """What holds so many days before the licences of these tests expire."""
    return judge(found, EXPIRES - timedelta(days_left), evaluation=EVALUATION, warn_days=30)


def test_without_any_it_is_an_evaluation() -> None:
    assert standing() == EVALUATION


@pytest.mark.parametrize(
    ("days_left", "state", "says"),
    [
        (31, LicenceState.valid, []),
        (30, LicenceState.expiring, ["The licence expires on 2027-01-31, in 30 days: then no new calls are taken."]),
        (1, LicenceState.expiring, ["The licence expires on 2027-01-31, in 1 day: then no new calls are taken."]),
        (0, LicenceState.expiring, ["The licence expires today: then no new calls are taken."]),
        (-1, LicenceState.expired, ["The licence expired on 2027-01-31: no new calls are taken."]),
    ],
)
def test_warns_before_it_expires(terms: IssueTerms, days_left: int, state: LicenceState, says: list[str]) -> None:
    now = standing(Found(PACKAGED, terms()), days_left=days_left)
    assert (now.state, now.days_left, list(now.problems)) == (state, days_left, says)
    assert (now.calls, now.features) == (100, ("websocket", "sip"))


def test_the_first_that_has_not_expired_is_in_force(terms: IssueTerms) -> None:
    past = terms(1, expires=EXPIRES - timedelta(200))
    newer, older, packaged = terms(2, calls=50), terms(3, calls=70), terms(4, calls=10)
    found = [Found(INSTALLED, past), Found(INSTALLED, newer), Found(INSTALLED, older), Found(PACKAGED, packaged)]
    assert standing(*found).licence == newer
    now = standing(Found(INSTALLED, past), Found(PACKAGED, packaged))
    assert (now.licence, now.origin, now.problems) == (packaged, PACKAGED, ())


def test_when_all_have_expired_the_last_one_says_so(terms: IssueTerms) -> None:
    last, packaged = terms(1, expires=EXPIRES - timedelta(5)), terms(2)
    now = standing(Found(INSTALLED, last), Found(PACKAGED, packaged), days_left=-10)
    assert (now.state, now.licence) == (LicenceState.expired, last)


def test_tells_about_a_refused_one_that_would_come_first(terms: IssueTerms) -> None:
    refused = Found(INSTALLED, None, "It is refused.")
    assert standing(refused, Found(PACKAGED, terms())).problems == ("It is refused.",)
    assert standing(Found(INSTALLED, terms()), refused).problems == ()
    only = standing(refused)
    assert (only.state, only.calls, only.problems) == (LicenceState.evaluation, 2, ("It is refused.",))

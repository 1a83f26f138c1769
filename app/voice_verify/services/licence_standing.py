"""What a licence, or the want of one, allows on a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from voice_verify.licence import Licence


class LicenceState(StrEnum):
    evaluation = "evaluation"  # there is none
    valid = "valid"
    expiring = "expiring"  # valid, and soon no longer
    expired = "expired"


class LicenceOrigin(StrEnum):
    packaged = "packaged"  # in the image
    installed = "installed"  # put over the API


@dataclass(frozen=True)
class Found:
    """A licence that is there: `licence`, or why it is refused."""

    origin: LicenceOrigin
    licence: Licence | None
    refusal: str = ""


@dataclass(frozen=True)
class Standing:
    """What is allowed: `calls` at once, from the sources in `features`.

    `licence` is None in an evaluation; `days_left`: 0 on its last day, negative afterwards; `problems`: what somebody
    must see to, in sentences.
    """

    state: LicenceState
    calls: int
    features: tuple[str, ...]
    licence: Licence | None = None
    origin: LicenceOrigin | None = None
    days_left: int | None = None
    problems: tuple[str, ...] = ()


def judge(found: Sequence[Found], today: date, *, evaluation: Standing, warn_days: int) -> Standing:
    """What holds on `today`, with the licences that were `found` in the order of preference.

    The first one that has not expired is in force. When all have, the first one is, and says that it has expired; when
    there is none, the evaluation. Whatever is refused before it is among the problems.
    """
    held = [item for item in found if item.licence is not None]
    chosen = next((item for item in held if _is_current(item.licence, today)), held[0] if held else None)
    before = found if chosen is None else found[: found.index(chosen)]
    refusals = tuple(item.refusal for item in before if item.licence is None)
    if chosen is None or chosen.licence is None:
        return Standing(evaluation.state, evaluation.calls, evaluation.features, problems=refusals)
    licence = chosen.licence
    days_left = (licence.expires - today).days
    state, problems = _of_age(licence, days_left, warn_days)
    return Standing(
        state=state,
        calls=licence.calls,
        features=tuple(licence.features),
        licence=licence,
        origin=chosen.origin,
        days_left=days_left,
        problems=(*problems, *refusals),
    )


def _is_current(licence: Licence | None, today: date) -> bool:
    return licence is not None and licence.expires >= today


def _of_age(licence: Licence, days_left: int, warn_days: int) -> tuple[LicenceState, tuple[str, ...]]:
    if days_left < 0:
        return LicenceState.expired, (f"The licence expired on {licence.expires}: no new calls are taken.",)
    if days_left > warn_days:
        return LicenceState.valid, ()
    when = "today" if days_left == 0 else f"on {licence.expires}, in {days_left} day{'s' if days_left > 1 else ''}"
    return LicenceState.expiring, (f"The licence expires {when}: then no new calls are taken.",)

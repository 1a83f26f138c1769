"""Where to draw the lines between verified, not sure and not verified, and whether the data can tell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from vvctl.profile.errors import UnsupportedRate
from vvctl.profile.measure import Judged, Numbers

DEFAULT = math.log(99)
RULE_OF_THREE = 3
"""No error in 3/p trials: with 95 % confidence the rate is at most p (Hanley and Lippman-Hand, JAMA 249, 1983)."""
RULE_OF_THIRTY = 30
"""30 errors: with 90 % confidence the rate is within 30 % of what was seen (Doddington et al., Speech Communication
31, 2000)."""


@dataclass(frozen=True)
class Chosen:
    """Log-likelihood ratios: verified from `verified` up, not verified from `not_verified` down; and why these."""

    verified: float
    not_verified: float
    reason: str
    warnings: tuple[str, ...] = ()


def default() -> Chosen:
    return Chosen(DEFAULT, -DEFAULT, "99 times likelier than the contrary, on either side")


def from_costs(false_accept: float, false_reject: float, not_sure: float, prior: float) -> Chosen:
    """The three decisions that cost least on average, when the log-likelihood ratios are right.

    `prior` is the share of callers who are who they claim to be. Verified where an acceptance is expected to cost less
    than asking: (1-p)·C_fa <= C_ns; not verified where p·C_fr <= C_ns; p the posterior of the speaker. Chow, On optimum
    recognition error and reject tradeoff, IEEE Transactions on Information Theory 16, 1970. Raises UnsupportedRate when
    asking costs so much that it never pays.
    """
    worth = false_accept * false_reject / (false_accept + false_reject)
    if not_sure >= worth:
        raise UnsupportedRate(
            f"at these costs a `not sure` for {not_sure:g} never pays: deciding costs at most {worth:g}",
            hint=f"give --cost-not-sure less than {worth:g}",
        )
    odds = math.log(prior / (1 - prior))
    return Chosen(
        math.log((false_accept - not_sure) / not_sure) - odds,
        math.log(not_sure / (false_reject - not_sure)) - odds,
        f"least cost when a false acceptance costs {false_accept:g}, a false rejection {false_reject:g}, "
        f"a `not sure` {not_sure:g}, and {prior:.1%} of the callers are genuine",
    )


def from_rates(judged: Judged, *, max_far: float | None, max_frr: float | None) -> Chosen:
    """The most decisions while, at every length of test, the held-out trials keep to the rates.

    Where only one rate is given, the other threshold is the default. Where both rates leave a range in which either
    answer would do, the answer there is `not sure`. Raises UnsupportedRate that says how many trials are missing.
    """
    warnings: list[str] = []
    upper, lower = DEFAULT, -DEFAULT
    if max_far is not None:
        warnings += _support(judged, max_far, targets=False)
        upper = max(_exceeded_by(part.impostors, max_far) for part in judged.by_length())
        lower = min(lower, upper - 1.0) if max_frr is None else lower
    if max_frr is not None:
        warnings += _support(judged, max_frr, targets=True)
        lower = min(-_exceeded_by(-part.targets, max_frr) for part in judged.by_length() if len(part.targets))
        upper = max(upper, lower + 1.0) if max_far is None else upper
    asked = [f"at most {rate:.2%} {name}" for rate, name in ((max_far, "FAR"), (max_frr, "FRR")) if rate is not None]
    verified, not_verified = max(upper, lower), min(upper, lower)
    if verified == not_verified:
        verified = not_verified + 1e-4
    return Chosen(verified, not_verified, " and ".join(asked) + " on held-out trials of every length", tuple(warnings))


def upper_bound(errors: int, trials: int) -> float:
    """The rate that lies above the true one with 95 % confidence (Clopper and Pearson, Biometrika 26, 1934)."""
    return 1.0 if errors >= trials else float(beta.ppf(0.95, errors + 1, trials - errors))


def _exceeded_by(scores: Numbers, share: float) -> float:
    """The smallest threshold, in ten-thousandths, that at most `share` of the scores reach."""
    allowed = int(share * len(scores))
    highest_refused = float(np.sort(scores)[len(scores) - allowed - 1])
    return math.floor(highest_refused * 1e4 + 1) / 1e4


def _support(judged: Judged, rate: float, *, targets: bool) -> list[str]:
    kind, option = ("target", "FRR") if targets else ("impostor", "FAR")
    least = min(part.independent(targets=targets) for part in judged.by_length())
    needed, wanted = math.ceil(RULE_OF_THREE / rate), math.ceil(RULE_OF_THIRTY / rate)
    if least < needed:
        raise UnsupportedRate(
            f"an {option} of {rate:.3%} takes {needed} {kind} trials to be shown at all; there are {least} at one of "
            f"the lengths, {needed - least} are missing",
            hint="collect more speakers, or name a higher rate (the smallest that these data can show is "
            f"{RULE_OF_THREE / least:.2%})",
        )
    if least < wanted:
        return [
            f"An {option} of {rate:.3%} rests on {least} independent {kind} trials; {wanted} would pin it down to "
            "within 30 %. Leave a margin."
        ]
    return []

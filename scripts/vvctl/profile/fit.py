"""From takes to an Audio Source Profile with everything that says what it is worth."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from vvctl._generated import __version__
from vvctl.profile import crossvalidation
from vvctl.profile.calibration import Calibration
from vvctl.profile.crossvalidation import Start
from vvctl.profile.embeddings import Take
from vvctl.profile.errors import NotSeparable, TooLittleData
from vvctl.profile.measure import Judged
from vvctl.profile.normalisation import Normalisation, pieces_of
from vvctl.profile.thresholds import Chosen
from vvctl.profile.trials import Trials, build

if TYPE_CHECKING:
    from voice_verify.engine import AudioSourceProfile

MIN_SPEAKERS = 20
"""With 5 folds, 12 teach and 4 + 4 are judged; with fewer, two voices that happen to be alike decide the result."""
MIN_TEST_S = 5
MIN_TARGETS = 40
"""Two for each of the fewest speakers."""
_NOISELESS_DB = 15.0
"""Above it noise does not change scores, so a profile of clean recordings does not refuse good calls."""
_USUAL_CLIPPING = 0.005

_OF_THE_BASE = ("model_identity", "minimum_enrolment_s", "minimum_verification_s")

Choose = Callable[[Judged], Chosen]


@dataclass(frozen=True)
class Fit:
    profile: AudioSourceProfile
    judged: Judged
    """Every trial, judged by a fit that saw neither of its speakers."""
    chosen: Chosen


def fit(
    takes: Sequence[Take],
    base: AudioSourceProfile,
    *,
    name: str,
    version: int,
    choose: Choose,
    progress: Callable[[], None] = lambda: None,
) -> Fit:
    """Fit a profile named `name`; `choose` sets the thresholds from held-out trials.

    What is not fitted is the base's. Raises TooLittleData, NotSeparable and UnsupportedRate.
    """
    enrolment_s = int(base.minimum_enrolment_s)
    heard = [take for take in takes if len(take.embeddings)]
    trials = supported(build(heard, enrolment_s=enrolment_s, minimum_test_s=MIN_TEST_S), enrolment_s)
    pieces = pieces_of(heard)
    start = start_of(base)
    judged = Judged(trials, crossvalidation.held_out(trials, pieces, start, progress=progress))
    normalisation, calibration = crossvalidation.fit(trials, pieces, start)
    chosen = choose(judged)
    document = base.model_dump(include=set(_OF_THE_BASE)) | {
        "name": name,
        "uuid": uuid4(),
        "version": version,
        "description": f"Fitted on {len(trials.speakers)} speakers with vvctl profile fit",
        "mean": normalisation.mean,
        "wccn": normalisation.wccn,
        "a": calibration.a,
        "b": calibration.b,
        "c": calibration.c,
        "d": calibration.d,
        "fitted_s": {"shortest": calibration.shortest, "longest": calibration.longest},
        "thresholds": {"verified": chosen.verified, "not_verified": chosen.not_verified},
        "limits": _limits(heard),
        "provenance": _provenance(heard, trials, base, chosen),
    }
    profile = type(base).model_validate(document)
    return Fit(profile, judged, chosen)


def start_of(base: AudioSourceProfile) -> Start:
    """What a fit takes from a profile. Raises NotSeparable when it has no normalisation."""
    if base.mean is None or base.wccn is None:
        raise NotSeparable(f"{base.name} has no normalisation to start from", hint="take --base mixed")
    return Start(
        Normalisation(base.mean.astype(np.float64), base.wccn.astype(np.float64)),
        Calibration(base.a, base.b, base.c, base.d, base.fitted_s.shortest, base.fitted_s.longest),
    )


def supported(trials: Trials, enrolment_s: int) -> Trials:
    """The trials of the lengths that enough speakers reach. Raises TooLittleData that says what is missing."""
    missing = []
    speakers = len(trials.speakers)
    if speakers < MIN_SPEAKERS:
        missing.append(
            f"{MIN_SPEAKERS - speakers} more speaker(s) with {enrolment_s} s of net speech to enrol and {MIN_TEST_S} s "
            f"in another recording (there are {speakers}; {len(trials.excluded)} have too little speech)"
        )
    long = trials.target & (trials.seconds == MIN_TEST_S)
    targets = trials.distinct(long)
    if targets < MIN_TARGETS:
        missing.append(
            f"{MIN_TARGETS - targets} more recording(s) of at least {MIN_TEST_S} s of net speech to test speakers with "
            f"(there are {targets})"
        )
    if missing:
        raise TooLittleData(
            f"too little data for a calibration: missing are {'; and '.join(missing)}",
            hint="docs/calibration.md says what to collect; the packaged profiles need no data",
        )
    kept = [
        length
        for length in trials.lengths()
        if len(np.unique(trials.speaker_tested[trials.target & (trials.seconds == length)])) >= MIN_SPEAKERS
    ]
    return trials.only(np.isin(trials.seconds, kept))


def data_digest(takes: Sequence[Take]) -> str:
    """SHA-256 over the digests of all files: says whether it was the same data, and nothing else of it."""
    return hashlib.sha256("".join(sorted(digest for take in takes for digest in take.digests)).encode()).hexdigest()


def _limits(takes: Sequence[Take]) -> dict[str, float]:
    """What was hardly ever seen is not judged: the first percentile of SNR, the last of clipping."""
    ratios = [take.snr_db for take in takes if take.snr_db is not None]
    lowest = float(np.percentile(ratios, 1)) if ratios else _NOISELESS_DB
    clipped = float(np.percentile([take.clipped_share for take in takes], 99))
    return {
        "minimum_snr_db": round(min(lowest, _NOISELESS_DB), 1),
        "maximum_clipped_share": round(max(clipped, _USUAL_CLIPPING), 4),
    }


def _provenance(takes: Sequence[Take], trials: Trials, base: AudioSourceProfile, chosen: Chosen) -> str:
    hours = sum(len(take.embeddings) for take in takes) / 3600
    one_session = len(trials.one_session)
    optimistic = f", {one_session} of them with one session only, so figures are optimistic" if one_session else ""
    return (
        f"Fitted by vvctl {__version__} on {datetime.now(UTC):%Y-%m-%d} from {base.name} version {base.version}: "
        f"{len(trials.speakers)} speakers{optimistic}, {len(takes)} sessions, {hours:.1f} h of net speech; "
        f"{int(trials.target.sum())} target and {int((~trials.target).sum())} impostor trials, tests of "
        f"{trials.lengths()[0]} to {trials.lengths()[-1]} s. Thresholds: {chosen.reason}. "
        f"Data {data_digest(takes)[:16]}."
    )

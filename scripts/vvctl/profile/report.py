"""The report of a fit or an evaluation: one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vvctl._generated import __version__
from vvctl.profile import plots
from vvctl.profile.measure import Figures, Judged, Working, figures
from vvctl.profile.thresholds import upper_bound

if TYPE_CHECKING:
    from voice_verify.engine import AudioSourceProfile

_TYPICAL_S = 5
"""The highlights are of the longest length up to this: what a caller has said when an answer is wanted."""


@dataclass(frozen=True)
class Section:
    """The trials of one way to compute, under a heading."""

    heading: str
    judged: Judged
    rows: Sequence[Figures]

    @classmethod
    def of(cls, heading: str, judged: Judged, profile: AudioSourceProfile, working: Working) -> Section:
        limits = profile.thresholds
        return cls(heading, judged, figures(judged, limits.verified, limits.not_verified, working))


def write(
    path: Path,
    profile: AudioSourceProfile,
    sections: Sequence[Section],
    *,
    title: str,
    held_out: bool,
    doubts: Sequence[str],
    working: Working,
) -> None:
    """Write the page; `held_out`: figures of a fit by cross-validation, not of a second set."""
    environment = Environment(
        loader=PackageLoader("vvctl.profile", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"share": share, "number": number}
    limits = profile.thresholds
    first = sections[0]
    content = environment.get_template("report.html.j2").render(
        title=title,
        subtitle=f"{profile.name}, version {profile.version} · {datetime.now(UTC):%d %B %Y} · vvctl {__version__}",
        summary=_summary(profile, first, held_out=held_out),
        highlights=_highlights(first),
        doubts=doubts,
        working=describe(working),
        sections=[_drawn(section, limits.verified, limits.not_verified) for section in sections],
        footer=profile.provenance,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def share(value: float | None) -> str:
    """As a percentage, with digits where they matter."""
    if value is None:
        return "-"
    return f"{value:.2%}" if 0 < value < 0.1 else f"{value:.1%}"


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def describe(working: Working) -> str:
    return (
        f"{working.prior:.0%} of the callers are genuine, a false acceptance costs {working.cost_false_accept:g} and a "
        f"false rejection {working.cost_false_reject:g}"
    )


def _drawn(section: Section, verified: float, not_verified: float) -> dict[str, Any]:
    judged = section.judged
    drawn = {
        "det": plots.det(judged),
        "histogram": plots.histogram(judged, verified, not_verified),
        "tippett": plots.tippett(judged, verified, not_verified),
        "reliability": plots.reliability(judged),
    }
    # Drawn here, of numbers only.
    marked = {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704
    return {"heading": section.heading, "rows": section.rows, **marked}


def _typical(rows: Sequence[Figures]) -> Figures:
    return max((row for row in rows if row.seconds <= _TYPICAL_S), key=lambda row: row.seconds, default=rows[0])


def _highlights(section: Section) -> list[tuple[str, str]]:
    row = _typical(section.rows)
    after = f"after {row.seconds} s of speech"
    return [
        (share(row.verified), f"of speakers verified {after}"),
        (share(row.false_accept), f"of impostors verified {after}"),
        (share(row.false_reject), f"of speakers rejected {after}"),
        (number(row.cllr), f"Cllr {after}: 0 is perfect, 1 says nothing"),
    ]


def _summary(profile: AudioSourceProfile, section: Section, *, held_out: bool) -> list[str]:
    row, trials = _typical(section.rows), section.judged.trials
    part = next(part for part in section.judged.by_length() if part.trials.seconds[0] == row.seconds)
    independent = part.independent(targets=False)
    errors = int((part.impostors >= profile.thresholds.verified).sum())
    bound = upper_bound(round(errors * independent / max(1, row.impostors)), independent)
    sentences = [
        f"Of 1,000 genuine callers who have said {row.seconds} seconds, about {round(1000 * row.verified)} would be "
        f"verified, {round(1000 * row.unsure_targets)} answered “not sure” and {round(1000 * row.false_reject)} not "
        f"verified. Of the {row.impostors:,} attempts with another voice {errors} would have been verified; "
        f"with 95 % confidence the true rate lies below {share(bound)}.",
    ]
    if held_out:
        sentences.append(
            f"Every figure is of speakers that the fit had not seen: {len(trials.speakers)} speakers, judged by "
            "cross-validation. The profile itself is fitted on all of them."
        )
    if trials.one_session:
        sentences.append(
            f"{len(trials.one_session)} of {len(trials.speakers)} speakers have one session only, so enrolment and "
            "test are of the same call. That is optimistic: expect worse from real calls."
        )
    fitted = profile.fitted_s
    sentences.append(
        f"The calibration holds for {fitted.shortest:g} to {fitted.longest:g} seconds of net speech; more speech is "
        f"judged as {fitted.longest:g} seconds. The thresholds are log-likelihood ratios of "
        f"{profile.thresholds.verified:.2f} (verified) and {profile.thresholds.not_verified:.2f} (not verified)."
    )
    return sentences

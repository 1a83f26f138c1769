"""The plots of the report, as SVG that stands in the page itself."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from vvctl.profile import metrics
from vvctl.profile.measure import Judged, Numbers

TARGET, IMPOSTOR, LINE = "#0f766e", "#c2410c", "#64748b"
_LENGTHS = ("#93c5fd", "#60a5fa", "#3b82f6", "#2563eb", "#1d4ed8", "#172554")
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": LINE,
    "axes.labelcolor": "#334155",
    "xtick.color": LINE,
    "ytick.color": LINE,
    "axes.grid": True,
    "grid.color": "#e2e8f0",
    "legend.frameon": False,
    "svg.fonttype": "none",
}
_RATES = (0.001, 0.01, 0.05, 0.2, 0.4)
_LEAST_SPAN = 10.0


class _Plot:
    svg = ""


@contextmanager
def _plot(x: str, y: str, salt: str) -> Iterator[tuple[Axes, _Plot]]:
    plot = _Plot()
    # The salt keeps the identifiers of several plots in one page apart.
    with mpl.rc_context(_STYLE | {"svg.hashsalt": salt}):
        figure = Figure(figsize=(5.6, 3.8), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        yield axes, plot
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    plot.svg = file.getvalue()[file.getvalue().index("<svg") :]


def det(judged: Judged) -> str:
    """False acceptance against false rejection, a curve a length, on normal deviate scales (Martin et al., 1997)."""
    with _plot("impostors accepted", "speakers rejected", "det") as (axes, plot):
        for part, colour in zip(judged.by_length(), cycle(_LENGTHS), strict=False):
            if not len(part.targets) or not len(part.impostors):
                continue
            accepted, rejected = metrics.rates(part.targets, part.impostors)
            floor = _RATES[0] / 2
            axes.plot(
                norm.ppf(np.clip(accepted, floor, 1 - floor)),
                norm.ppf(np.clip(rejected, floor, 1 - floor)),
                color=colour,
                label=f"{part.trials.seconds[0]} s",
            )
        ticks = norm.ppf(_RATES)
        labels = [f"{rate:.1%}" if rate < 0.01 else f"{rate:.0%}" for rate in _RATES]
        axes.set_xticks(ticks, labels)
        axes.set_yticks(ticks, labels)
        axes.set_xlim(norm.ppf(_RATES[0] / 2), norm.ppf(0.5))
        axes.set_ylim(norm.ppf(_RATES[0] / 2), norm.ppf(0.5))
        axes.plot([-4, 0], [-4, 0], color=LINE, linewidth=0.8, linestyle=":")
        axes.legend(title="net speech", loc="upper right")
    return plot.svg


def tippett(judged: Judged, verified: float, not_verified: float) -> str:
    """The share of trials whose log-likelihood ratio is at least x, of either kind."""
    with _plot("log-likelihood ratio", "share of trials at or above it", "tippett") as (axes, plot):
        for ratios, colour, label in _kinds(judged):
            ordered = np.sort(ratios)
            axes.step(ordered, 1 - np.arange(len(ordered)) / len(ordered), color=colour, label=label, where="pre")
        _thresholds(axes, verified, not_verified)
        _limit(axes, judged.ratios)
        axes.legend(loc="lower left")
    return plot.svg


def histogram(judged: Judged, verified: float, not_verified: float) -> str:
    """How the log-likelihood ratios of either kind are spread."""
    with _plot("log-likelihood ratio", "density", "histogram") as (axes, plot):
        low, high = _span(judged.ratios)
        bins = np.linspace(low, high, 60).tolist()
        for ratios, colour, label in _kinds(judged):
            axes.hist(np.clip(ratios, low, high), bins=bins, density=True, color=colour, alpha=0.6, label=label)
        _thresholds(axes, verified, not_verified)
        axes.legend(loc="upper left")
    return plot.svg


def reliability(judged: Judged) -> str:
    """What the log-likelihood ratios claim against what the trials show, in bins with enough of both kinds."""
    with _plot("log-likelihood ratio given", "log-likelihood ratio seen", "reliability") as (axes, plot):
        low, high = -8.0, 8.0
        axes.plot([low, high], [low, high], color=LINE, linewidth=0.8, linestyle=":", label="perfect")
        edges = np.linspace(low, high, 17)
        targets, impostors = (np.histogram(part, edges)[0] for part in (judged.targets, judged.impostors))
        enough = (targets >= 3) & (impostors >= 3)
        seen = np.log(targets[enough] / len(judged.targets)) - np.log(impostors[enough] / len(judged.impostors))
        centres = ((edges[:-1] + edges[1:]) / 2)[enough]
        error = 1.96 * np.sqrt(1 / targets[enough] + 1 / impostors[enough])
        axes.errorbar(centres, seen, yerr=error, fmt="o", color=TARGET, capsize=3, label="seen, with 95 % interval")
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
        axes.legend(loc="upper left")
    return plot.svg


def _kinds(judged: Judged) -> list[tuple[Numbers, str, str]]:
    return [(judged.targets, TARGET, "same speaker"), (judged.impostors, IMPOSTOR, "another speaker")]


def _thresholds(axes: Axes, verified: float, not_verified: float) -> None:
    axes.axvspan(not_verified, verified, color="#f1f5f9", zorder=0, label="not sure")
    for place in (verified, not_verified):
        axes.axvline(place, color=LINE, linewidth=0.8, linestyle="--")


def _span(ratios: Numbers) -> tuple[float, float]:
    low, high = np.percentile(ratios, [0.2, 99.8])
    return min(float(low), -_LEAST_SPAN), max(float(high), _LEAST_SPAN)


def _limit(axes: Axes, ratios: Numbers) -> None:
    axes.set_xlim(*_span(ratios))
    axes.set_ylim(0, 1.02)

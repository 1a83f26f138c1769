"""What the demonstration shows in the terminal while a call runs."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

STYLES = {"verified": "bold green", "not_sure": "bold yellow", "not_verified": "bold red"}
MARKS = {"verified": "✔", "not_sure": "…", "not_verified": "✘"}
BLOCKS = "▁▂▃▄▅▆▇█"
# Log-likelihood ratios beyond ±10 (22,000 to 1) look alike to a person.
SCALE = 10.0
BAR_WIDTH = 30


class EnrolmentView:
    """Seconds of net speech growing towards what an enrolment takes."""

    def __init__(self, speaker: str) -> None:
        self._speaker = speaker
        self.required_s = 0.0
        self.net_speech_s = 0.0
        self.enrolled = False

    def __rich__(self) -> RenderableType:
        state = Text("✔ enrolled", "bold green") if self.enrolled else Text("listening", "bold")
        row = Table.grid(padding=(0, 1))
        row.add_row(
            Text(f"Enrolling {self._speaker}"),
            state,
            ProgressBar(self.required_s or 1, min(self.net_speech_s, self.required_s), width=BAR_WIDTH),
            Text(f"{self.net_speech_s:.0f} of {self.required_s:.0f} s"),
        )
        return row


class VerificationView:
    """The decision as it moves, with what it stands on."""

    def __init__(self, speaker: str) -> None:
        self._speaker = speaker
        self.result: dict[str, Any] = {}
        self.audio_s = 0.0
        self._ratios: list[float] = []
        self.decided_after_s: float | None = None

    def add(self, result: dict[str, Any]) -> None:
        """Take in a decision, as the API gives it."""
        if self.result.get("decision") != result["decision"]:
            self.decided_after_s = result["net_speech_s"]
        self.result = result
        if result["log_likelihood_ratio"] is not None:
            self._ratios.append(result["log_likelihood_ratio"])

    def summary(self) -> str:
        """The outcome in one plain line."""
        result = self.result
        if result.get("score") is None:
            return f"{self._speaker}: not_sure, no speech was heard"
        reason = "" if result["reason"] == "ok" else f" because of {result['reason']}"
        return (
            f"{self._speaker}: {result['decision']}{reason} since {self.decided_after_s:.0f} s of speech; "
            f"score {result['score']:.2f}, log-likelihood ratio {result['log_likelihood_ratio']:+.1f}, "
            f"{result['net_speech_s']:.0f} s of net speech"
        )

    def __rich__(self) -> RenderableType:
        decision = self.result.get("decision", "not_sure")
        reason = self.result.get("reason", "not_enough_speech")
        head = Text.assemble(
            f"Verifying {self._speaker}  ",
            (f"{MARKS[decision]} {decision}", STYLES[decision]),
            "" if reason == "ok" else f"  ({reason})",
        )
        score, ratio = self.result.get("score"), self.result.get("log_likelihood_ratio")
        figures = Table.grid(padding=(0, 2))
        figures.add_row(
            "  net speech", f"{self.result.get('net_speech_s', 0.0):.0f} s of {self.audio_s:.0f} s of audio"
        )
        figures.add_row("  score", "-" if score is None else f"{score:.2f}")
        figures.add_row(
            "  log-likelihood ratio", "-" if ratio is None else Text.assemble(f"{ratio:+5.1f}  ", _gauge(ratio))
        )
        figures.add_row("  so far", _sparkline(self._ratios))
        return Group(head, figures)


def _gauge(ratio: float) -> Text:
    """A bar with its middle at 0: left is "another speaker", right is "the speaker"."""
    place = round((max(-SCALE, min(SCALE, ratio)) + SCALE) / (2 * SCALE) * BAR_WIDTH)
    style = "green" if ratio > 0 else "red"
    cells = ["─"] * (BAR_WIDTH + 1)
    cells[BAR_WIDTH // 2] = "┼"
    cells[place] = "●"
    return Text.assemble(*((cell, style if cell == "●" else "dim") for cell in cells))


def _sparkline(ratios: list[float]) -> Text:
    text = Text()
    for ratio in ratios[-BAR_WIDTH:]:
        share = (max(-SCALE, min(SCALE, ratio)) + SCALE) / (2 * SCALE)
        text.append(BLOCKS[round(share * (len(BLOCKS) - 1))], "green" if ratio > 0 else "red")
    return text

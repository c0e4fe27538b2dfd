"""Lays out the reliability diagram: what is found against the probability that is told."""

from dataclasses import dataclass

from lookalike.display.plot import Tick
from lookalike.display.text import score_text
from lookalike.evaluation.results import Calibration

_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class BinMark:
    """Matches of about the same probability: what is told at `x`, what was found at `y`, and both in words."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Reliability:
    """The probability on the horizontal axis, the share that is right on the vertical one, in percent of the square.

    Attributes:
        marks: one for each bin, from left to right.
        across: the ticks of the horizontal axis.
        down: the ticks of the vertical axis.
        error: the calibration error.
        right: what a right match is: "has the query's label".
        tells: sentences on how well right first answers are told from wrong ones; none if that is not known.
    """

    marks: tuple[BinMark, ...]
    across: tuple[Tick, ...]
    down: tuple[Tick, ...]
    error: float
    right: str
    tells: tuple[str, ...]


def reliability(calibration: Calibration, right: str) -> Reliability:
    """Lays out the bins of a calibration; `right` says what a right match is."""
    marks = (
        BinMark(
            100 * each.told,
            100 * (1 - each.found),
            f"told {score_text(each.told)}, found {score_text(each.found)}, {each.matches:,} matches",
        )
        for each in calibration.bins
    )
    return Reliability(
        tuple(marks),
        tuple(Tick(100 * tick, f"{tick:g}") for tick in _TICKS),
        tuple(Tick(100 * (1 - tick), f"{tick:g}") for tick in _TICKS),
        calibration.error,
        right,
        tuple(_tells(calibration)),
    )


def _tells(calibration: Calibration) -> list[str]:
    if calibration.auroc is None:
        return []
    others = [
        f"{score_text(auroc)} by {name}"
        for name, auroc in (
            ("the cosine without the collection\N{RIGHT SINGLE QUOTATION MARK}s mean", calibration.auroc_of_centred),
            ("the score", calibration.auroc_of_score),
        )
        if auroc is not None
    ]
    return [
        "Of two first answers, a right and a wrong one, the right one has the larger probability in"
        f" {score_text(calibration.auroc)} of the cases (AUROC; {', '.join(others)})."
    ]

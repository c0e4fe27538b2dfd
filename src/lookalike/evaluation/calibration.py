"""Fits how probable it is that a match has the label of its query, or is a copy, and measures how far that holds.

The probability rises with the evidence: isotonic regression. The queries are divided into two halves, and each half is
judged by a curve that the other half has taught; the curve that is kept is taught by all of them. Whether it counts
beside a cosine how many relatives a query has is learned, too: where kinds are of different density it helps, else not.
For copies the evidence is how far a match is beyond chance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.evaluation.results import Calibration, CalibrationBin
from lookalike.metrics import Labels
from lookalike.search.chance import Judged
from lookalike.search.options import SearchOptions
from lookalike.search.probability import MOST_KNOTS, CopyCurve, FittedCurve, LabelCurve, beyond_chance
from lookalike.search.searched import Searched
from lookalike.storage.rows import Rows
from lookalike.storage.vectors import single, unit

Numbers = NDArray[np.float64]
Rightness = NDArray[np.bool_]

FEWEST = 40  # queries; of fewer, a curve would be that of a few images
SHOWN = 10  # the matches of each query whose probabilities are judged
RANKS = np.unique([*range(SHOWN), *np.geomspace(SHOWN + 1, 100, 10).round().astype(int) - 1])  # that teach the curve
_RELATIVES = (0.0, 0.5)  # what those of a query may count; on photographs, half and twice that are as good
_BINS = 15
_LEAST_GROUP = 20  # matches of about as much evidence, taken together
_SEED = 13


@dataclass(frozen=True)
class Asked:
    """The matches of a query of which it is known whether they are right, best first.

    Attributes:
        near: what chance tells of each match.
        scores: the cosines, float64 (k,).
        is_right: whether it has the query's label, or is its original, bool (k,).
    """

    near: Judged
    scores: Numbers
    is_right: Rightness


Fit: TypeAlias = Callable[[Sequence[Asked]], LabelCurve | CopyCurve]


def measure(
    snapshot: Searched, rows: Rows, labels: Labels, queries: Rows, step: Callable[[], None]
) -> Calibration | None:
    """Fits and measures the probabilities; None if too few queries find anything that has a label, or nobody can tell.

    Args:
        snapshot: the state of the collection.
        rows: of each image, int64 (n,).
        labels: of the same images.
        queries: the positions of the images that are asked, all of which are answerable, int64 (q,).
        step: is called after each query.
    """
    codes = np.full(snapshot.state.count, -1)
    codes[rows[::-1]] = labels.codes[::-1]  # of identical files, the first one
    asked = []
    for query in queries:
        asked.append(_ask(snapshot, rows[query], codes, labels.codes[query]))
        step()
    told = [each for each in asked if len(each.scores) and not np.isnan(each.near.centred).any()]
    return calibration(told, snapshot.live.size, fit_labels) if len(told) >= FEWEST else None


def _ask(snapshot: Searched, row: np.int64, codes: Rows, code: np.int64) -> Asked:
    """Searches for the image of a row, which is left out."""
    vector = unit(single(snapshot.vectors.stored(np.array([row]))))
    scores, found = snapshot.search(vector, SearchOptions(int(RANKS[-1]) + 1), snapshot.live, extra=1)
    others = (found[0] != row) & (codes[found[0]] >= 0)
    near = found[0][others]
    return Asked(snapshot.judged(vector, near), scores[0][others].astype(np.float64), codes[near] == code)


def calibration(
    asked: Sequence[Asked], vectors: int, fit: Fit, groups: Rows | None = None, shown: int = SHOWN
) -> Calibration:
    """Fits a curve to queries, and measures how far the probabilities of others hold that were held out.

    Args:
        asked: the queries, at least two; each has found something.
        vectors: the number of vectors that were searched.
        fit: makes a curve of queries.
        groups: of each query, the number of its group, from 0 on; queries of one are held out together. By default,
            each is a group.
        shown: the matches of each query whose probabilities are judged.
    """
    groups = np.arange(len(asked)) if groups is None else groups
    halves = (np.random.default_rng(_SEED).permutation(groups.max() + 1) % 2)[groups]
    chances: list[Numbers] = [np.empty(0)] * len(asked)
    for half in (0, 1):
        curve = fit([each for each, own in zip(asked, halves, strict=True) if own != half])
        for number in np.flatnonzero(halves == half).tolist():
            chances[number] = curve.of(asked[number].near)
    told = np.concatenate([each[:shown] for each in chances])
    bins = calibration_bins(told, np.concatenate([each.is_right[:shown] for each in asked]))
    best = np.array([each.is_right[0] for each in asked])
    centred = [each.near.centred[0] for each in asked]
    measures = [each[0] for each in chances], centred, [each.scores[0] for each in asked]
    aurocs = [_auroc_of_halves(np.array(values), best, halves) for values in measures]
    return Calibration(
        queries=len(asked),
        vectors=vectors,
        error=calibration_error(bins),
        auroc=aurocs[0],
        auroc_of_centred=aurocs[1],
        auroc_of_score=aurocs[2],
        bins=bins,
        curve=fit(asked),
    )


def fitted(found: Calibration | None, fingerprint: str) -> FittedCurve | None:
    """The curve of a calibration, to be kept, if there is one; `fingerprint` is that of the model."""
    if found is None:
        return None
    now = datetime.now(UTC)
    return FittedCurve(found.curve, fingerprint, found.vectors, found.queries, found.error, now)


def fit_labels(asked: Sequence[Asked]) -> LabelCurve:
    """The curve that queries teach, with the weight of the relatives that tells right matches from wrong ones best."""
    right = np.concatenate([each.is_right[:SHOWN] for each in asked])

    def tells(relatives: float) -> float:
        evidence = [each.near.centred[:SHOWN] + relatives * each.near.relatives for each in asked]
        return auroc(np.concatenate(evidence), right) or 0.0

    relatives = max(_RELATIVES, key=tells)
    return LabelCurve(*_fit(asked, [each.near.centred + relatives * each.near.relatives for each in asked]), relatives)


def fit_copies(asked: Sequence[Asked]) -> CopyCurve:
    """The curve that queries teach which are edited copies."""
    return CopyCurve(*_fit(asked, [beyond_chance(each.near) for each in asked]))


def _fit(asked: Sequence[Asked], told: Sequence[Numbers]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The knots of the curve that queries teach, of which that is the evidence.

    Matches of about as much evidence are taken together. One right one is added to those of the least evidence, and one
    wrong one to those of the most, so that nothing is certain.
    """
    ranks = [RANKS[len(each.scores) > RANKS] for each in asked]
    evidence = np.concatenate([each[which] for each, which in zip(told, ranks, strict=True)])
    right = np.concatenate([each.is_right[which] for each, which in zip(asked, ranks, strict=True)])
    order = np.argsort(evidence, kind="stable")
    count = min(max(len(order) // _LEAST_GROUP, 1), MOST_KNOTS)
    groups = np.array_split(order, count)
    sizes = np.array([len(group) for group in groups], float)
    places = np.array([evidence[group].mean() for group in groups])
    sums = np.array([right[group].sum() for group in groups], float)
    sums[0] += 1
    sizes[0] += 1
    sizes[-1] += 1
    return _through_blocks(places, isotonic(sums / sizes, sizes), sizes)


def _through_blocks(places: Numbers, values: Numbers, weights: Numbers) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The knots of the curve through the middle of each block of equal values."""
    starts = np.flatnonzero(np.concatenate([[True], np.diff(values) > 0]))
    middles = np.add.reduceat(places * weights, starts) / np.add.reduceat(weights, starts)
    is_new = np.concatenate([[True], np.diff(middles) > 0])  # equal evidence has one probability
    return tuple(middles[is_new].tolist()), tuple(values[starts][is_new].tolist())


def isotonic(values: Numbers, weights: Numbers) -> Numbers:
    """The rising sequence that is nearest to some values by weighted squares: float64 (n,), by pooling neighbours.

    Source: Ayer et al., An Empirical Distribution Function for Sampling with Incomplete Information (1955).
    """
    blocks: list[list[float]] = []  # mean, weight, length
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, heavy, length = blocks.pop()
            before = blocks[-1]
            before[0] = (before[0] * before[1] + mean * heavy) / (before[1] + heavy)
            before[1:] = before[1] + heavy, before[2] + length
    return np.repeat([block[0] for block in blocks], [int(block[2]) for block in blocks])


def calibration_bins(told: Numbers, right: Rightness) -> tuple[CalibrationBin, ...]:
    """Divides probabilities into fifteen bins of as many each, the lowest first; float64 (n,) and bool (n,)."""
    parts = np.array_split(np.argsort(told, kind="stable"), min(_BINS, len(told)))
    return tuple(CalibrationBin(float(told[part].mean()), float(right[part].mean()), len(part)) for part in parts)


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """The expected calibration error: the mean difference of what is told and what is found, over all matches.

    Source: Naeini et al., Obtaining Well Calibrated Probabilities Using Bayesian Binning (AAAI 2015); the bins hold as
    many matches each instead of being as wide (Nguyen & O'Connor, EMNLP 2015).
    """
    count = sum(each.matches for each in bins)
    return sum(each.matches * abs(each.told - each.found) for each in bins) / count


def _auroc_of_halves(values: Numbers, is_right: Rightness, halves: Rows) -> float | None:
    """The mean of that of each half, whose probabilities are of one curve; None if one of them has none."""
    found = [auroc(values[halves == half], is_right[halves == half]) for half in (0, 1)]
    return None if None in found else float(np.mean(np.array(found, np.float64)))


def auroc(values: Numbers, is_right: Rightness) -> float | None:
    """The probability that a right one has a larger value than a wrong one; ties count half. None if all are alike."""
    right, wrong = values[is_right], np.sort(values[~is_right])
    if not len(right) or not len(wrong):
        return None
    below = np.searchsorted(wrong, right, "left") + np.searchsorted(wrong, right, "right")
    return float(below.mean() / (2 * len(wrong)))

"""What is asked of the collection, and whether an answer is right."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import Match
from lookalike.filters import Where
from lookalike.storage.vectors import unit
from tests.campaigns.soak.history import State, Vector

TOLERANCE = 2e-5  # of a score; single precision leaves some 1e-6


@dataclass(frozen=True)
class Question:
    """The keyword arguments of a search."""

    k: int
    where: Where | None
    exact: bool
    min_score: float | None
    recall: float | None

    def options(self) -> dict[str, Any]:
        """The arguments by name."""
        return {name: getattr(self, name) for name in ("k", "where", "exact", "min_score", "recall")}


class Verdict:
    """What is wrong with an answer, if one state is the true one.

    Attributes:
        wrong: a description, or "" if the answer is right.
        recall: the share of the best matches that was found.
    """

    def __init__(
        self, state: State, found: Sequence[Match], query: Vector | None, question: Question, own: str | None
    ) -> None:
        """`query` is a unit vector; or `own` is the key of the image that was asked for, which is not to be found."""
        self.wrong, self.recall = "", 0.0
        if own is not None:
            if own not in state.rows:
                self.wrong = f"{own} does not exist"
                return
            [query] = unit(state.vectors[state.rows[own]])
        assert query is not None
        scores = np.clip(state.vectors @ query, -1, 1)
        admitted = state.admits(question.where)
        if own is not None:
            admitted[state.rows[own]] = False
        self.wrong = _wrong_match(state, found, scores, admitted) or _wrong_order(found)
        if not self.wrong:
            self._compare(found, np.sort(scores[admitted])[::-1], question)

    def _compare(self, found: Sequence[Match], expected: Vector, question: Question) -> None:
        """Compares the number of the matches, and their scores, with the scores of all admitted images, best first."""
        least = -2.0 if question.min_score is None else question.min_score
        sure = question.exact or question.min_score is None  # an index need not find all above a score
        fewest = min(question.k, int((expected > least + TOLERANCE).sum())) if sure else 0
        most = min(question.k, int((expected > least - TOLERANCE).sum()))
        if not fewest <= len(found) <= most:
            self.wrong = f"{len(found)} images instead of {fewest}"
            return
        best = expected[: len(found)]
        near = np.array([match.score for match in found])
        if question.exact and (np.abs(near - best) > TOLERANCE).any():
            self.wrong = f"these are not the best, which score {best.tolist()}"
        self.recall = float((near >= best[-1] - TOLERANCE).mean()) if len(best) else 1.0


def _wrong_match(state: State, found: Sequence[Match], scores: Vector, admitted: NDArray[np.bool_]) -> str:
    for match in found:
        row = state.rows.get(match.key)
        if row is None or not admitted[row]:
            return f"{match.key} should not be found"
        if abs(match.score - scores[row]) > TOLERANCE:
            return f"{match.key} scores {match.score} instead of {scores[row]}"
        image = state.images[match.key]
        attributes = {"colour": image.colour, "price": image.price}
        if dict(match.attributes) != {name: value for name, value in attributes.items() if value is not None}:
            return f"{match.key} has {match.attributes} instead of {attributes}"
    return ""


def _wrong_order(found: Sequence[Match]) -> str:
    if len({match.id for match in found}) < len(found) or len({match.key for match in found}) < len(found):
        return "one of them comes twice"
    if any(first.score < second.score for first, second in itertools.pairwise(found)):
        return "they are not in order"
    return ""

"""The vector that the terms of a query add up to."""

from collections.abc import Sequence

import numpy as np

from lookalike.errors import UsageError
from lookalike.search.terms import Term
from lookalike.storage.vectors import Vectors, unit

_ROUNDING = 1e-6  # of the weights: what single precision leaves of terms that cancel each other out


def query_vector(terms: Sequence[Term], vectors: Sequence[Vectors]) -> Vectors:
    """The unit vector of a query, float32 (1, dim): the weighted sum of its terms' unit vectors, each (1, dim).

    Raises:
        UsageError: there are no terms, or they cancel each other out.
    """
    if not terms:
        raise UsageError("there is nothing to search for: give an image or a text")
    weights = np.array([term.weight for term in terms])
    weights = np.ldexp(weights, -np.frexp(np.abs(weights).max())[1])  # at most 1, so that no sum overflows
    total = weights @ np.concatenate(vectors).astype(np.float64)
    if np.linalg.norm(total) <= _ROUNDING * np.abs(weights).sum():
        raise UsageError("the terms of the query cancel each other out; nothing is left to search for")
    return unit(total)

"""A better order from the same vectors: what the nearest images have in common ranks them.

The collection's mean is taken off all vectors, the query is expanded by its nearest images (Chum et al., Total Recall,
ICCV 2007), searched again, and then the nearest few hundred and the query become means of their own nearest among them,
weighted by similarity squared (Shao et al., Global Features are All You Need for Image Retrieval and Reranking, ICCV
2023). That finds things of a kind. It would push aside the one image that the query is a copy of, so what is as near as
a copy stays on top, and so does the nearest image.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.storage.vectors import StoredVectors, Vectors, single, unit

POOL = 400  # the nearest images that are ranked anew
NEIGHBOURS = 20  # whose mean takes the place of an image
_COPY = 0.8  # centred cosine: what is as near is a copy, which no other image is put before
_TINY = np.finfo(np.float32).tiny
_SAME = 0.999  # cosine: the query itself, which tells nothing of what it is like

Order = NDArray[np.int64]


class Centre:
    """The mean of a collection's vectors, which all of them have in common and none is told apart by."""

    def __init__(self, sample: StoredVectors) -> None:
        """Some hundred stored vectors are enough: half precision, (n, dim). The mean of none is 0."""
        self._mean: Vectors = single(sample).sum(axis=0) / max(len(sample), 1)

    def taken_off(self, vectors: Vectors) -> Vectors:
        """What is left of vectors, float32 (n, dim), of any length; one that is the mean itself stays as it is."""
        left = vectors - self._mean
        left[~left.any(axis=1)] = self._mean
        return left


def expanded(query: Vectors, nearest: Vectors) -> Vectors:
    """A query with its nearest images added, each weighted by its similarity squared: a unit vector, float32 (1, dim).

    Args:
        query: centred, float32 (1, dim).
        nearest: centred, float32 (n, dim).
    """
    if not len(nearest):
        return unit(query)
    query, nearest = unit(query), unit(nearest)
    return unit(query + _weights(nearest @ query[0]) @ nearest)


@dataclass(frozen=True)
class Refined:
    """How alike images are to a query, float32 (n,) each, in [-1, 1].

    Attributes:
        scores: if the query and each image are replaced by the means of their nearest.
        cosines: of the centred vectors.
    """

    scores: Vectors
    cosines: Vectors


def refine(query: Vectors, pool: Vectors) -> Refined:
    """Compares images with a query by what they have in common with their nearest among these images and the query.

    Args:
        query: centred, float32 (1, dim).
        pool: centred, float32 (n, dim).
    """
    cosines = _cosines(query, pool)
    count = min(NEIGHBOURS + 1, len(cosines))  # each is its own nearest
    near = _nearest(cosines, count)
    weights = _weights(np.take_along_axis(cosines, near, axis=1))
    # Of the means m = sum(w v), only their products with the query's mean and their lengths are needed.
    with_query = cosines[:, near[0]] @ weights[0]
    products = (weights * with_query[near]).sum(axis=1)
    among = cosines[near[:, :, None], near[:, None, :]]
    squares = ((among @ weights[:, :, None])[:, :, 0] * weights).sum(axis=1)
    lengths = np.sqrt(np.maximum(squares, _TINY))
    return Refined((products / (lengths * lengths[0]))[1:], cosines[0, 1:])


def guarded_order(refined: Refined) -> Order:
    """The order of images, best first: a permutation, int64 (n,).

    It goes by the refined scores, but copies and the nearest image come first, in the order of their centred cosines.
    """
    order: Order = np.lexsort((-refined.cosines, -refined.scores))
    by_cosine: Order = np.argsort(-refined.cosines, kind="stable")
    guarded = by_cosine[: max(1, np.count_nonzero(refined.cosines >= _COPY))]
    return np.concatenate([guarded, order[~np.isin(order, guarded)]])


def is_same(cosines: Vectors) -> NDArray[np.bool_]:
    """Which images are the query itself, by their cosines: bool (n,)."""
    return cosines >= _SAME


def _nearest(cosines: Vectors, count: int) -> Order:
    """Where the largest values of each row are, int64 (n, count), in any order."""
    least = np.partition(cosines, -count, axis=1)[:, -count, None]
    columns = np.nonzero(cosines >= least)[1]
    if len(columns) == len(cosines) * count:
        return columns.reshape(len(cosines), count)
    return np.argpartition(-cosines, count - 1, axis=1)[:, :count]  # slower, but among equals it takes as many as asked


def _weights(cosines: Vectors) -> Vectors:
    return np.maximum(cosines, 0) ** 2


def _cosines(query: Vectors, pool: Vectors) -> Vectors:
    """The cosines of a query and a pool of vectors, of any length, with each other, float32 (1 + n, 1 + n)."""
    products = np.empty((1 + len(pool), 1 + len(pool)), np.float32)
    products[0, 0] = query[0] @ query[0]
    products[0, 1:] = products[1:, 0] = pool @ query[0]
    products[1:, 1:] = pool @ pool.T
    lengths = np.sqrt(np.maximum(products.diagonal(), _TINY))
    products /= lengths
    products /= lengths[:, None]
    return products

"""Which index a collection gets by default: inverted lists of product quantizer codes, sized for its vectors."""

from collections.abc import Iterator, Sequence
from math import log2, sqrt

from lookalike.index.spec import SAMPLES_PER_LIST, IndexSpec

_LIST_BYTES = 16  # of memory a vector, at most, for the centroids of the lists
_CENTROID_BYTES = 2  # a dimension; half precision chooses the same lists in half the time
_PART_LIST_ROWS = 256  # vectors in a list of a part, on average; with 64 to 128, 16 parts took longer
_GRAPH_LISTS = 256  # from so many lists on, a graph finds them sooner than comparing with all centroids


def specs(dim: int, rows: int, *, is_part: bool = False) -> tuple[IndexSpec, ...]:
    """The default indexes for that many vectors, in the order to try them: each is finer and larger than the last.

    They are inverted lists of product quantizer codes, compared by 4-bit fast scan (Andre et al., 2021): four
    dimensions a code of four bits, then two dimensions, then 8-bit scalars.

    If each is a part of a whole, whose parts are all searched for every query, their lists are longer.
    """
    return tuple(IndexSpec(factory, dim) for factory in _factories(dim, rows, (4, 2, 0), is_part=is_part))


def small_specs(dim: int, rows: int, *, is_part: bool = False) -> tuple[IndexSpec, ...]:
    """The default indexes, preceded by one that takes half the memory and has to re-rank more candidates."""
    return tuple(IndexSpec(factory, dim) for factory in _factories(dim, rows, (8, 4, 2, 0), is_part=is_part))


def _factories(dim: int, rows: int, dims_per_code: Sequence[int], *, is_part: bool) -> Iterator[str]:
    lists = _lists(dim, rows, is_part=is_part)
    inverted = f"IVF{lists}(HNSW32,SQfp16)" if lists >= _GRAPH_LISTS else f"IVF{lists}"
    for dims in dims_per_code:
        if not dims:
            yield f"{inverted},SQ8"
        else:
            padded = -(-dim // dims) * dims
            yield f"{f'Pad{padded},' if padded != dim else ''}{inverted},PQ{padded // dims}x4fs"


def _lists(dim: int, rows: int, *, is_part: bool) -> int:
    """The number of lists: four times the square root of the rows, unless the centroids would weigh too much.

    In each part of a whole, the same lists are visited, most of them to find nothing: they are so long that beginning
    with one takes less than looking through it.
    """
    wanted = min(4 * sqrt(rows), rows * _LIST_BYTES / (_CENTROID_BYTES * dim), rows / SAMPLES_PER_LIST)
    if is_part:
        wanted = min(wanted, rows / _PART_LIST_ROWS)
    return int(2 ** max(round(log2(max(wanted, 1))), 0))

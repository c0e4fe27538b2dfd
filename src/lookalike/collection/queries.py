"""Checks the vectors that callers give to a collection, and marks the files that they search for."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lookalike import arguments
from lookalike.errors import UsageError
from lookalike.results import Match
from lookalike.search.terms import Term
from lookalike.storage.vectors import Vectors, unit


def checked_vector(given: ArrayLike, dim: int) -> Vectors:
    """The unit vector, float32 (1, dim), of a vector of shape (dim,) or (1, dim).

    Raises:
        UsageError: it has another shape, is zero, or is not of finite real numbers.
    """
    try:
        array: NDArray[Any] = np.asarray(given)
    except (TypeError, ValueError, RuntimeError):  # lists of different lengths; a tensor on a GPU
        raise UsageError(f"vector={arguments.shown(given)}: give an array of {dim} numbers") from None
    if array.shape not in ((dim,), (1, dim)):
        raise UsageError(f"a vector of shape {array.shape}: this collection's have {dim} dimensions; give one of them")
    return unit(array)


def with_queries_marked(matches: Iterable[Match], queries: Iterable[Any]) -> list[Match]:
    """The matches, of which those have `is_query` whose files are among the queries, but for negative examples."""
    given = [query.image if isinstance(query, Term) and query.weight > 0 else query for query in queries]
    files = [str(Path(os.fsdecode(query))) for query in given if isinstance(query, str | os.PathLike)]
    if not files:
        return [*matches]
    places = {place for file in files for place in _places(file)}
    return [_marked(match, places) for match in matches]


def _marked(match: Match, places: set[str]) -> Match:
    if match.copies:
        match = replace(match, copies=tuple(_marked(copy, places) for copy in match.copies))
    return replace(match, is_query=True) if str(match.path) in places else match


def _places(file: str) -> list[str]:
    """Where a file is without the symlinks that lead to its folder and, if it is a symlink itself, without that one."""
    folder, name = os.path.split(file)  # of every search, and pathlib takes twice as long
    place = os.path.join(os.path.realpath(folder), name)  # noqa: PTH118
    return [place, os.path.realpath(place)] if os.path.islink(place) else [place]  # noqa: PTH114

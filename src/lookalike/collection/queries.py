"""Checks the queries that callers give to a collection."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lookalike import arguments
from lookalike.errors import UsageError
from lookalike.images.decode import ImageSource, reusable_source
from lookalike.results import Match
from lookalike.search.query import Term
from lookalike.sources.folder import absolute
from lookalike.storage.vectors import Vectors, unit


def checked_images(queries: Iterable[ImageSource], name: str) -> list[ImageSource]:
    """Several images, each of which can be decoded more than once; an array may hold them, (n, h, w, 3) or (n, h, w).

    Raises:
        ImageError: an open file is empty or too large.
        UsageError: it is one image, or something in it is no image.
    """
    if isinstance(queries, np.ndarray) and queries.dtype.kind not in "OU" and _is_one_image(queries):
        raise UsageError(f"{name}: expected a list of images, got one array of shape {queries.shape}; give [array]")
    return [checked_image(query, name) for query in arguments.several(queries, name)]


def checked_image(query: ImageSource, name: str) -> ImageSource:
    """One image, which can be decoded more than once; raises as `checked_images` does."""
    try:
        return reusable_source(query)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None


def signed_terms(query: ImageSource, plus: Iterable[ImageSource], minus: Iterable[ImageSource]) -> list[Term]:
    """The terms of a search for an image, perhaps with more examples, and with negative ones.

    Raises:
        ImageError: an open file is empty or too large.
        UsageError: something in it is no image.
    """
    alike = [checked_image(query, "query"), *checked_images(plus, "plus")]
    unlike = checked_images(minus, "minus")
    return [*(Term(each) for each in alike), *(Term(each, weight=-1) for each in unlike)]


def checked_terms(given: Iterable[Term]) -> list[Term]:
    """The terms of a query; raises UsageError for anything else."""
    found = arguments.several(given, "terms")
    for term in found:
        if not isinstance(term, Term):
            raise UsageError(f"terms: {arguments.shown(term)} is no term; give lookalike.Term(image) or Term(text=...)")
    return found


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
    names = [Path(os.fsdecode(query)) for query in given if isinstance(query, str | os.PathLike)]
    if not names:
        return [*matches]
    paths = {path for name in names for path in (absolute(name), name.resolve())}
    return [replace(match, is_query=True) if match.path in paths else match for match in matches]


def _is_one_image(array: NDArray[Any]) -> bool:
    return array.ndim < 3 or (array.ndim == 3 and array.shape[2] == 3)

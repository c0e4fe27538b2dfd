"""Collections of synthetic vectors, made in no time since no image is encoded, and their exact answers."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

import lookalike
from lookalike import Collection, Match, Policies, Preprocessing
from lookalike.storage.checksums import crc32s
from lookalike.storage.vectors import Vectors, VectorWriter, unit
from tests.support.catalogs import STATUS


class OfDimension:
    """An encoder of a given dimension that cannot encode."""

    name = "given"
    preprocessing = Preprocessing(size=8, crop=1.0)
    fingerprint = "91fe0001"

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise NotImplementedError


def clustered(count: int, dim: int, *, seed: int, spread: float = 1.0, centres: int = 20) -> Vectors:
    """Unit vectors like those of a model, float32 (count, dim): around centres, in a subspace of half the dimension.

    Args:
        count: the number of vectors.
        dim: their dimension.
        seed: of the vectors; the centres and the subspace are always the same.
        spread: the standard deviation around a centre, relative to that of the centres.
        centres: the number of centres.
    """
    fixed = np.random.default_rng(99)
    basis, middles = fixed.normal(size=(max(dim // 2, 2), dim)), fixed.normal(size=(centres, max(dim // 2, 2)))
    random = np.random.default_rng(seed)
    points = middles[random.integers(0, centres, count)] + spread * random.normal(size=(count, len(basis)))
    return unit(points @ basis)


def create(folder: Path, dim: int, policies: Policies | None = None) -> Collection:
    """An empty collection of vectors of that dimension."""
    folder.mkdir(exist_ok=True)
    return lookalike.create(folder, encoder=OfDimension(dim), policies=policies or Policies())


def reopened(collection: Collection) -> Collection:
    """The same collection, opened once more with the same policies."""
    encoder = OfDimension(collection.made_by.dim)
    return lookalike.open(collection.directory, encoder=encoder, policies=collection._policies)


def put(collection: Collection, vectors: Vectors, keys: Sequence[str]) -> None:
    """Adds an image for each vector, as adding a file does."""
    state, stored = collection._catalog.state(), vectors.astype(np.float16)
    path = collection.directory / state.vectors
    with closing(VectorWriter(path, collection.made_by.dim, state.count)) as writer:
        writer.append(stored)
    with collection._catalog.writing() as transaction:
        for row, (key, crc32) in enumerate(zip(keys, crc32s(stored), strict=True), start=state.count):
            transaction.add_vector(row, hashlib.sha256(key.encode()).digest(), crc32, width=1, height=1)
            transaction.put_image(key, row, STATUS)


def drop(collection: Collection, keys: Sequence[str]) -> None:
    """Removes these images, all of which must be there."""
    with collection._catalog.writing() as transaction:
        assert transaction.remove(keys) == len(keys)


def keys_of(count: int, first: int = 0) -> list[str]:
    """Keys in the folders a, b, c and d: of ten, four, three, two and one."""
    return [f"{'aaaabbbccd'[number % 10]}/{number:06}.jpg" for number in range(first, first + count)]


class Exact:
    """Exact answers by brute force over the files of a collection.

    Attributes:
        keys: of the images, in order.
        vectors: of the same images, float64 (n, dim).
    """

    def __init__(self, collection: Collection) -> None:
        with collection._catalog._database.connection() as connection:
            images = connection.execute("SELECT key, row FROM images ORDER BY key").fetchall()
            (name,) = connection.execute("SELECT vectors FROM storage").fetchone()
        index = faiss.read_index(str(collection.directory / name))
        self.keys = [key for key, _ in images]
        everything = index.reconstruct_n(0, index.ntotal) if index.ntotal else np.empty((0, index.d))
        self.vectors = everything[[row for _, row in images]].astype(np.float64)

    def scores(self, query: Vectors, *, admitted: Callable[[str], bool] = lambda _: True) -> dict[str, float]:
        """The cosine of a query, (dim,), with each image that is admitted, by key."""
        cosines = self.vectors @ unit(query)[0].astype(np.float64)
        return {key: score for key, score in zip(self.keys, cosines.tolist(), strict=True) if admitted(key)}

    def recall(self, search: Callable[[Vectors], Sequence[Match]], queries: Vectors, *, k: int = 10) -> float:
        """The share of the k nearest that a search finds, whose matches must be true."""
        found = 0
        for query in queries:
            true = self.scores(query)
            matches = search(query)
            assert_true(matches, true, k)
            best = sorted(true.values(), reverse=True)[:k]
            found += sum(match.score > best[-1] - 2e-6 for match in matches)
        return found / (k * len(queries))


def assert_true(matches: Sequence[Match], true: dict[str, float], k: int) -> None:
    """The matches are as many as there are up to k, none twice, each with its own score, best first."""
    assert len(matches) == min(k, len(true))
    assert len({match.key for match in matches}) == len(matches)
    scores = [match.score for match in matches]
    assert scores == sorted(scores, reverse=True)
    np.testing.assert_allclose(scores, [min(true[match.key], 1.0) for match in matches], atol=3e-6)


def assert_exact(matches: Sequence[Match], true: dict[str, float], k: int) -> None:
    """The matches are the k best images."""
    assert_true(matches, true, k)
    best = [min(score, 1.0) for score in sorted(true.values(), reverse=True)[:k]]
    np.testing.assert_allclose([match.score for match in matches], best, atol=3e-6)


@contextmanager
def one_thread() -> Iterator[None]:
    """Limits FAISS to one thread: with few vectors, more of them only wait for each other."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)

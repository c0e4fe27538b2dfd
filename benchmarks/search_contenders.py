"""What `search_speed.py` compares: Lookalike, NumPy, and the libraries that are installed.

Each contender builds from a file of half-precision unit vectors that is mapped into memory, leaves what it has built
in a folder, and loads that in another process, which searches.
"""

import importlib
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

import lookalike
from lookalike import Preprocessing
from lookalike.index.build_progress import BuildProgress
from lookalike.index.spec import IndexSpec
from lookalike.search.searcher import Request, Searcher
from lookalike.search.snapshot import Snapshots
from lookalike.storage import layout, manifest
from lookalike.storage.catalog import Catalog
from lookalike.storage.rows import Rows
from lookalike.storage.vectors import Vectors, VectorWriter, checksums

K = 10
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_BLOCK = 8192  # vectors at a time
_EFFORTS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)

Stored = NDArray[np.float16]


@dataclass(frozen=True)
class Built:
    """What building has come to.

    Attributes:
        seconds: how long it took on all cores.
        settings: for people.
        mapped_bytes: of what is read from the disk when it is needed, and counts as the system's file cache.
        recall_within: the recall for queries that are in the collection, where the contender measures that itself.
    """

    seconds: float
    settings: str
    mapped_bytes: int = 0
    recall_within: float | None = None


class Contender(Protocol):
    """Something that finds the nearest vectors.

    Attributes:
        name: what it is called.
        library: what has to be installed for it.
        efforts: how hard it can look, beginning with the least; one where that is not for the caller to say.
    """

    name: str
    library: str
    efforts: tuple[int, ...]

    def build(self, stored: Stored, place: Path) -> Built: ...
    def load(self, place: Path) -> None: ...
    def search(self, queries: Vectors, effort: int, threads: int) -> Rows:
        """The rows of the ten nearest of each query, (n, 10)."""
        ...


def contenders(spec: str | None) -> list[Contender]:
    """All of them, the one that sets the mark for the others first; `spec` is the index of a collection."""
    return [Lookalike(spec), SearchVector(), NumPy(), Hnswlib(16), Hnswlib(32), Usearch(), Autofaiss()]


class Lookalike:
    """The index of a collection, asked for rows and cosines as the other libraries are."""

    name, library = "Lookalike", "lookalike"
    efforts: tuple[int, ...] = (0,)

    def __init__(self, spec: str | None) -> None:
        self.spec = spec

    def build(self, stored: Stored, place: Path) -> Built:
        """Fills a collection, which indexing would have done, and measures how long its index takes."""
        with lookalike.create(place, encoder=Given(stored.shape[1])) as collection:
            _fill(collection.directory, stored)
            began = time.perf_counter()
            stages: dict[str, float] = {}

            def progress(progress: BuildProgress) -> None:
                stages.setdefault(progress.stage, time.perf_counter() - began)

            made = collection.build(spec=self.spec, progress=progress)
            seconds = time.perf_counter() - began
        if made is None or made.chosen is None:
            return Built(seconds, "exact search, without an index", stored.nbytes)
        effort = made.chosen.effort.named(IndexSpec(made.spec, made.dim).kind)
        settings = f"{made.spec}, {effort}; of the build {stages['comparing']:.0f} s to train and add, the rest to tune"
        return Built(seconds, settings, stored.nbytes, made.chosen.recall)

    def load(self, place: Path) -> None:
        self._snapshot = _snapshots(place).run(lambda snapshot: snapshot)
        self._effort = self._snapshot.effort(K, self._snapshot.live, recall=None, exact=False)

    def search(self, queries: Vectors, _effort: int, threads: int) -> Rows:
        faiss.omp_set_num_threads(threads)
        return self._snapshot.nearest(queries, K, self._snapshot.live, self._effort)[1]


class SearchVector:
    """The same from outside: `Collection.search_vector`, and for many queries at once what is below it."""

    name, library = "Lookalike, search_vector", "lookalike"
    efforts: tuple[int, ...] = (0,)

    def build(self, stored: Stored, _place: Path) -> Built:
        return Built(0.0, "the same collection; names and labels come back, and every vector is checked", stored.nbytes)

    def load(self, place: Path) -> None:
        made_by = manifest.read(place / layout.NAME).made_by
        self._collection = lookalike.open(place, encoder=Given(made_by.dim))
        self._searcher = Searcher(_snapshots(place), place)

    def search(self, queries: Vectors, _effort: int, threads: int) -> Rows:
        faiss.omp_set_num_threads(threads)
        if len(queries) > 1:
            found = self._searcher.of_vectors(queries, Request(K))
        else:
            found = [self._collection.search_vector(query, k=K) for query in queries]
        return np.array([[match.id - 1 for match in matches] for matches in found])


class NumPy:
    """Everything in memory, in single precision, compared with every query."""

    name, library = "NumPy, exact", "numpy"
    efforts: tuple[int, ...] = (0,)

    def build(self, stored: Stored, place: Path) -> Built:
        (place / "numpy.json").write_text(json.dumps(stored.shape))
        return Built(0.0, "vectors @ query, argpartition, float32; batches of 32 queries, one in each thread")

    def load(self, place: Path) -> None:
        self._vectors = np.empty(json.loads((place / "numpy.json").read_text()), np.float32)
        _read(np.load(place / "vectors.npy", mmap_mode="r"), self._vectors)

    def search(self, queries: Vectors, _effort: int, threads: int) -> Rows:
        if len(queries) == 1:
            return self._best(queries)
        with ThreadPoolExecutor(threads) as pool:
            batches = [queries[at : at + 32] for at in range(0, len(queries), 32)]
            return np.concatenate(list(pool.map(self._best, batches)))

    def _best(self, queries: Vectors) -> Rows:
        scores = queries @ self._vectors.T if len(queries) > 1 else (self._vectors @ queries[0])[None]
        best: Rows = np.argpartition(-scores, K, axis=1)[:, :K]
        return best


class Hnswlib:
    """https://github.com/nmslib/hnswlib"""

    library = "hnswlib"
    efforts: tuple[int, ...] = _EFFORTS

    def __init__(self, links: int) -> None:
        self.links, self.name = links, f"hnswlib, M={links}"

    def build(self, stored: Stored, place: Path) -> Built:
        index = importlib.import_module("hnswlib").Index(space="ip", dim=stored.shape[1])
        began = time.perf_counter()
        index.init_index(max_elements=len(stored), M=self.links, ef_construction=200, random_seed=1)
        for start, block in _blocks(stored):
            index.add_items(block, np.arange(start, start + len(block)), num_threads=CORES)
        seconds = time.perf_counter() - began
        index.save_index(str(self._path(place)))
        return Built(seconds, f"float32, M={self.links}, ef_construction=200")

    def load(self, place: Path) -> None:
        dim = np.load(place / "vectors.npy", mmap_mode="r").shape[1]
        self._index = importlib.import_module("hnswlib").Index(space="ip", dim=dim)
        self._index.load_index(str(self._path(place)))

    def search(self, queries: Vectors, effort: int, threads: int) -> Rows:
        self._index.set_ef(effort)
        return np.asarray(self._index.knn_query(queries, k=K, num_threads=threads)[0], np.int64)

    def _path(self, place: Path) -> Path:
        return place / f"hnswlib-{self.links}"


class Usearch:
    """https://github.com/unum-cloud/usearch"""

    name, library = "usearch", "usearch"
    efforts: tuple[int, ...] = _EFFORTS

    def build(self, stored: Stored, place: Path) -> Built:
        index = importlib.import_module("usearch.index").Index(ndim=stored.shape[1], metric="ip", dtype="f16")
        began = time.perf_counter()
        for start, block in _blocks(stored, np.float16):
            index.add(np.arange(start, start + len(block)), block, threads=CORES)
        seconds = time.perf_counter() - began
        index.save(str(place / "usearch"))
        return Built(seconds, f"float16, connectivity {index.connectivity}, expansion_add {index.expansion_add}")

    def load(self, place: Path) -> None:
        self._index = importlib.import_module("usearch.index").Index.restore(str(place / "usearch"))

    def search(self, queries: Vectors, effort: int, threads: int) -> Rows:
        self._index.expansion_search = effort
        keys = self._index.search(queries.astype(np.float16), K, threads=threads).keys
        return np.asarray(keys, np.int64).reshape(len(queries), K)


class Autofaiss:
    """https://github.com/criteo/autofaiss: what it chooses by itself for as much memory as Lookalike's index takes."""

    name, library = "autofaiss", "autofaiss"
    efforts: tuple[int, ...] = (0,)

    def build(self, stored: Stored, place: Path) -> Built:
        limit = max((path.stat().st_size for path in place.rglob("index/*.faiss")), default=stored.nbytes)
        vectors = np.empty(stored.shape, np.float32)
        _read(stored, vectors)
        began = time.perf_counter()
        _, infos = importlib.import_module("autofaiss").build_index(
            vectors,
            index_path=str(place / "autofaiss"),
            index_infos_path=str(place / "autofaiss.json"),
            max_index_memory_usage=f"{limit / 1e6:.1f}MB",
            nb_cores=CORES,
            verbose=40,
        )
        chosen = f"its own choice for {limit / 1e6:.0f} MB: {infos['index_key']}, {infos['index_param']}"
        return Built(time.perf_counter() - began, chosen)

    def load(self, place: Path) -> None:
        self._index = faiss.read_index(str(place / "autofaiss"))

    def search(self, queries: Vectors, _effort: int, threads: int) -> Rows:
        faiss.omp_set_num_threads(threads)
        rows: Rows = self._index.search(queries, K)[1]
        return rows


class Given:
    """An encoder that stands for whatever has made the vectors."""

    name, fingerprint, preprocessing = "given", "00", Preprocessing(size=8, crop=1.0)

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def encode(self, pixels: NDArray[np.uint8]) -> Vectors:
        return np.ones((len(pixels), self.dim), np.float32)


def _snapshots(place: Path) -> Snapshots:
    kept = place / layout.NAME
    return Snapshots(Catalog(kept / layout.CATALOG), kept, manifest.read(kept).made_by.dim)


def _fill(kept: Path, stored: Stored) -> None:
    """Writes a collection's vectors, and of each an image in its catalog."""
    catalog = Catalog(kept / layout.CATALOG)
    with closing(catalog), closing(VectorWriter(kept / layout.VECTORS, stored.shape[1], 0)) as writer:
        for start, block in _blocks(stored, np.float16):
            writer.append(block)
            with catalog.writing() as transaction:
                for row, crc32 in enumerate(checksums(block), start):
                    transaction.add_vector(row, row.to_bytes(32, "big"), crc32, width=400, height=533)
                    key, label = f"{row // 1000:05}/{row:09}.jpg", f"{row // 1000:05}"
                    transaction.put_image(key, row, size=30_000, changed_ns=0, label=label)


def _blocks(stored: Stored, dtype: Any = np.float32) -> Iterator[tuple[int, NDArray[Any]]]:
    for start in range(0, len(stored), _BLOCK):
        yield start, np.array(stored[start : start + _BLOCK], dtype)


def _read(stored: Stored, into: Vectors) -> None:
    for start, block in _blocks(stored):
        into[start : start + len(block)] = block

"""What `search_speed.py` compares: Lookalike, NumPy, and the libraries that are installed.

Each contender builds from a file of half-precision unit vectors that is mapped into memory, writes the result to a
folder, and loads it in another process, which searches.
"""

import importlib
import json
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
from lookalike import Preprocessing, SearchOptions
from lookalike.images.reading import FileStatus
from lookalike.index import policies
from lookalike.index.build_progress import BuildProgress
from lookalike.index.spec import IndexSpec
from lookalike.search.probability import KeptCurves
from lookalike.search.searcher import Searcher
from lookalike.search.snapshot import Snapshots
from lookalike.storage import layout, manifest
from lookalike.storage.catalog import Catalog
from lookalike.storage.checksums import crc32s
from lookalike.storage.rows import Rows
from lookalike.storage.vectors import Vectors, VectorWriter
from lookalike.system.resources import cores

K = 10
CORES = cores()
_BLOCK = 8192  # vectors at a time
_EFS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)

Stored = NDArray[np.float16]


@dataclass(frozen=True)
class Built:
    """The result of building.

    Attributes:
        seconds: the build time on all cores.
        settings: a description for people.
        mapped_bytes: the size of what is read from the disk when it is needed, and counts as the system's file cache.
        recall_within: the recall for queries that are in the collection, if the contender measures that itself.
    """

    seconds: float
    settings: str
    mapped_bytes: int = 0
    recall_within: float | None = None


class Contender(Protocol):
    """Something that finds the nearest vectors.

    Attributes:
        name: for people.
        library: the name of the package that has to be installed for it.
        efs: the values to try for its search parameter (ef, the size of the candidate list), ascending; a single one if
            the contender chooses its parameters itself.
    """

    name: str
    library: str
    efs: tuple[int, ...]

    def build(self, stored: Stored, folder: Path) -> Built:
        """Builds an index of these vectors, and writes it to a folder."""
        ...

    def load(self, folder: Path) -> None:
        """Loads what has been built."""
        ...

    def search(self, queries: Vectors, ef: int, threads: int) -> Rows:
        """Finds the rows of the ten nearest vectors of each query, (n, 10)."""
        ...


def contenders(spec: str | None) -> list[Contender]:
    """All contenders, first the one whose recall the others have to reach; `spec` is the index of a collection."""
    return [Lookalike(spec), SearchVector(), NumPy(), Hnswlib(16), Hnswlib(32), Usearch(), Autofaiss()]


class Lookalike:
    """The index of a collection, searched for rows and cosines as the other libraries are."""

    name, library = "Lookalike", "lookalike"
    efs: tuple[int, ...] = (0,)

    def __init__(self, spec: str | None) -> None:
        self.spec = spec

    def build(self, stored: Stored, folder: Path) -> Built:
        """Fills a collection, as indexing would, and measures how long building its index takes."""
        with lookalike.create(folder, encoder=Given(stored.shape[1])) as collection:
            _fill(collection.directory, stored)
            began = time.perf_counter()
            stages: dict[str, float] = {}

            def progress(progress: BuildProgress) -> None:
                stages.setdefault(progress.stage, time.perf_counter() - began)

            made = collection.build(spec=self.spec, progress=progress)
            seconds = time.perf_counter() - began
        if made is None or made.chosen is None:
            return Built(seconds, "exact search, without an index", stored.nbytes)
        parameters = made.chosen.parameters.description(IndexSpec(made.spec, made.dim).kind)
        settings = (
            f"{made.spec}, {parameters}; of the build {stages['comparing']:.0f} s to train and add, the rest to tune"
        )
        return Built(seconds, settings, stored.nbytes, made.chosen.recall)

    def load(self, folder: Path) -> None:
        with _snapshots(folder).current() as snapshot:
            self._snapshot = snapshot
        self._parameters = snapshot.parameters(K, snapshot.live)

    def search(self, queries: Vectors, _ef: int, threads: int) -> Rows:
        faiss.omp_set_num_threads(threads)
        return self._snapshot.nearest(queries, K, self._snapshot.live, self._parameters)[1]


class SearchVector:
    """The same collection by `Collection.search_vector`; many queries at once by what that calls."""

    name, library = "Lookalike, search_vector", "lookalike"
    efs: tuple[int, ...] = (0,)

    def build(self, stored: Stored, _folder: Path) -> Built:
        return Built(0.0, "the same collection; names and labels come back, and every vector is checked", stored.nbytes)

    def load(self, folder: Path) -> None:
        made_by = manifest.read(folder / layout.DIRECTORY).made_by
        self._collection = lookalike.open(folder, encoder=Given(made_by.dim))
        curve = KeptCurves(folder / layout.DIRECTORY, made_by.fingerprint)
        self._searcher = Searcher(_snapshots(folder), folder, curve)

    def search(self, queries: Vectors, _ef: int, threads: int) -> Rows:
        faiss.omp_set_num_threads(threads)
        if len(queries) > 1:
            found = self._searcher.by_vectors(queries, SearchOptions(K))
        else:
            found = [self._collection.search_vector(query, k=K) for query in queries]
        return np.array([[match.id - 1 for match in matches] for matches in found])


class NumPy:
    """Exact search: all vectors in memory, in single precision, compared with every query."""

    name, library = "NumPy, exact", "numpy"
    efs: tuple[int, ...] = (0,)

    def build(self, stored: Stored, folder: Path) -> Built:
        (folder / "numpy.json").write_text(json.dumps(stored.shape))
        return Built(0.0, "vectors @ query, argpartition, float32; batches of 32 queries, one in each thread")

    def load(self, folder: Path) -> None:
        self._vectors = np.empty(json.loads((folder / "numpy.json").read_text()), np.float32)
        _read(np.load(folder / "vectors.npy", mmap_mode="r"), self._vectors)

    def search(self, queries: Vectors, _ef: int, threads: int) -> Rows:
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
    efs: tuple[int, ...] = _EFS

    def __init__(self, links: int) -> None:
        self.links, self.name = links, f"hnswlib, M={links}"

    def build(self, stored: Stored, folder: Path) -> Built:
        index = importlib.import_module("hnswlib").Index(space="ip", dim=stored.shape[1])
        began = time.perf_counter()
        index.init_index(max_elements=len(stored), M=self.links, ef_construction=200, random_seed=1)
        for start, block in _blocks(stored):
            index.add_items(block, np.arange(start, start + len(block)), num_threads=CORES)
        seconds = time.perf_counter() - began
        index.save_index(str(self._path(folder)))
        return Built(seconds, f"float32, M={self.links}, ef_construction=200")

    def load(self, folder: Path) -> None:
        dim = np.load(folder / "vectors.npy", mmap_mode="r").shape[1]
        self._index = importlib.import_module("hnswlib").Index(space="ip", dim=dim)
        self._index.load_index(str(self._path(folder)))

    def search(self, queries: Vectors, ef: int, threads: int) -> Rows:
        self._index.set_ef(ef)
        return np.asarray(self._index.knn_query(queries, k=K, num_threads=threads)[0], np.int64)

    def _path(self, folder: Path) -> Path:
        return folder / f"hnswlib-{self.links}"


class Usearch:
    """https://github.com/unum-cloud/usearch"""

    name, library = "usearch", "usearch"
    efs: tuple[int, ...] = _EFS

    def build(self, stored: Stored, folder: Path) -> Built:
        index = importlib.import_module("usearch.index").Index(ndim=stored.shape[1], metric="ip", dtype="f16")
        began = time.perf_counter()
        for start, block in _blocks(stored, np.float16):
            index.add(np.arange(start, start + len(block)), block, threads=CORES)
        seconds = time.perf_counter() - began
        index.save(str(folder / "usearch"))
        return Built(seconds, f"float16, connectivity {index.connectivity}, expansion_add {index.expansion_add}")

    def load(self, folder: Path) -> None:
        self._index = importlib.import_module("usearch.index").Index.restore(str(folder / "usearch"))

    def search(self, queries: Vectors, ef: int, threads: int) -> Rows:
        self._index.expansion_search = ef
        keys = self._index.search(queries.astype(np.float16), K, threads=threads).keys
        return np.asarray(keys, np.int64).reshape(len(queries), K)


class Autofaiss:
    """https://github.com/criteo/autofaiss, with the index that it chooses for as much memory as Lookalike's takes."""

    name, library = "autofaiss", "autofaiss"
    efs: tuple[int, ...] = (0,)

    def build(self, stored: Stored, folder: Path) -> Built:
        limit = max((path.stat().st_size for path in folder.rglob("index/*.faiss")), default=stored.nbytes)
        vectors = np.empty(stored.shape, np.float32)
        _read(stored, vectors)
        began = time.perf_counter()
        _, infos = importlib.import_module("autofaiss").build_index(
            vectors,
            index_path=str(folder / "autofaiss"),
            index_infos_path=str(folder / "autofaiss.json"),
            max_index_memory_usage=f"{limit / 1e6:.1f}MB",
            nb_cores=CORES,
            verbose=40,
        )
        chosen = f"its own choice for {limit / 1e6:.0f} MB: {infos['index_key']}, {infos['index_param']}"
        return Built(time.perf_counter() - began, chosen)

    def load(self, folder: Path) -> None:
        self._index = faiss.read_index(str(folder / "autofaiss"))

    def search(self, queries: Vectors, _ef: int, threads: int) -> Rows:
        faiss.omp_set_num_threads(threads)
        rows: Rows = self._index.search(queries, K)[1]
        return rows


class Given:
    """An encoder in whose name given vectors are stored."""

    name, fingerprint, preprocessing = "given", "00", Preprocessing(size=8, crop=1.0)

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def encode(self, pixels: NDArray[np.uint8]) -> Vectors:
        return np.ones((len(pixels), self.dim), np.float32)


def _snapshots(folder: Path) -> Snapshots:
    directory = folder / layout.DIRECTORY
    catalog = Catalog(directory / layout.CATALOG)
    return Snapshots(catalog, directory, manifest.read(directory), policies.DEFAULT.tuning)


def _fill(directory: Path, stored: Stored) -> None:
    """Writes a collection's vectors, and an image for each of them."""
    catalog = Catalog(directory / layout.CATALOG)
    with closing(catalog), closing(VectorWriter(directory / layout.VECTORS, stored.shape[1], 0)) as writer:
        for start, block in _blocks(stored, np.float16):
            writer.append(block)
            with catalog.writing() as transaction:
                for row, crc32 in enumerate(crc32s(block), start):
                    transaction.add_vector(row, row.to_bytes(32, "big"), crc32, width=400, height=533)
                    transaction.put_image(f"{row // 1000:05}/{row:09}.jpg", row, FileStatus(30_000, 0, 0))


def _blocks(stored: Stored, dtype: Any = np.float32) -> Iterator[tuple[int, NDArray[Any]]]:
    for start in range(0, len(stored), _BLOCK):
        yield start, np.array(stored[start : start + _BLOCK], dtype)


def _read(stored: Stored, into: Vectors) -> None:
    for start, block in _blocks(stored):
        into[start : start + len(block)] = block

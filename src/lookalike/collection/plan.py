"""What indexing a folder would take, told before anything is done: some of its files are tried, nothing is written."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lookalike import encoders
from lookalike.encoders import Encoder
from lookalike.errors import CorruptError, UsageError
from lookalike.index import build_progress, generation, maintenance, tuning
from lookalike.index.generation import Generation
from lookalike.index.spec import IndexSpec
from lookalike.ingest import embedding
from lookalike.ingest import sampling as samples
from lookalike.ingest.pipeline import cores
from lookalike.ingest.sampling import Census, Trial
from lookalike.sources.folder import Folder
from lookalike.storage import layout as directories
from lookalike.storage import manifest
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Identity, Origin

SAMPLE = 200
# What a catalog takes, measured with up to 100,000 images: empty, for each image, and for each byte of its key.
_CATALOG_EMPTY, _CATALOG_IMAGE, _CATALOG_KEY = 65_536, 175, 2.25
_COMMITTING = 0.0001  # seconds for each file, when the threads that encode wait for the one that commits
_PROCESS = 92_000_000  # bytes of memory that a process has taken when it has searched by an image
_BUILDING = 50_000_000  # bytes that building takes besides the index and the sample that it learns from
# Milliseconds of a search: in any case, for each number that the query is multiplied with, and by an index of 100,000
# vectors, which grows with the power 0.9 of their number.
_SEARCH_MS, _NUMBER_MS, _INDEX_MS = 0.2, 8e-8, 0.2


@dataclass(frozen=True)
class Searching:
    """How a collection would be searched.

    Attributes:
        spec: the FAISS index factory string of its index, or None where every search is exact.
        milliseconds: how long a search takes, about, one at a time on one thread, the query's vector given.
        index_bytes: the size of the index, on the disk and in memory; 0 where there is none.
        memory_bytes: the memory of a process that searches by images. The vectors are apart from that: the system
            keeps of their file in memory what it has room for.
        build_seconds: how long building the index takes, about; 0 where it need not be built.
        build_bytes: the memory that building it takes, about.
    """

    spec: str | None
    milliseconds: float
    index_bytes: int
    memory_bytes: int
    build_seconds: float
    build_bytes: int


@dataclass(frozen=True)
class Plan:
    """What indexing a folder would take, by a sample of its files and by earlier measurements.

    Attributes:
        folder: which is to be indexed.
        directory: the collection that it is part of, or None where there is none yet.
        made_by: the network.
        census: which files there are.
        trial: what a sample of them has told.
        images: how many images of this folder the collection would have, about.
        vectors: how many vectors the collection would have, about.
        indexing_seconds: how long looking at the files takes once the network is loaded, about.
        vector_bytes: the size of the collection's vectors on the disk, about.
        catalog_bytes: the size of its catalog, about.
        searching: how it would be searched.
    """

    folder: Path
    directory: Path | None
    made_by: Identity
    census: Census
    trial: Trial
    images: int
    vectors: int
    indexing_seconds: float
    vector_bytes: int
    catalog_bytes: int
    searching: Searching

    @property
    def seconds(self) -> float:
        """How long all of it takes, about: loading the network, looking at the files, building the index."""
        return self.trial.loading_seconds + self.indexing_seconds + self.searching.build_seconds

    @property
    def bytes(self) -> int:
        """The size of the collection on the disk, about."""
        return self.vector_bytes + self.catalog_bytes + self.searching.index_bytes

    @property
    def memory_bytes(self) -> int:
        """The most memory that indexing takes, about: what this process has taken, and for building the index."""
        return self.trial.memory_bytes + self.searching.build_bytes


@dataclass(frozen=True)
class PlanProgress:
    """How far it is: the files counted so far, and of those that are tried, `total`, how many have been."""

    files: int
    tried: int = 0
    total: int | None = None


def plan(
    folder: str | os.PathLike[str],
    *,
    directory: str | os.PathLike[str] | None = None,
    model: str | None = None,
    precision: str | None = None,
    encoder: Encoder | None = None,
    sample: int = SAMPLE,
    threads: int | None = None,
    progress: Callable[[PlanProgress], None] | None = None,
) -> Plan:
    """Says what indexing a folder would take, and writes nothing.

    The names and sizes of all files are looked at. Some of those that are new or changed, drawn at random and always
    the same, are read, decoded and encoded. A folder that has a collection, or is in one, is compared with that, unless
    it is to be indexed again with another network.

    Args:
        folder: the folder of images.
        directory: where the collection is or would be, unless it is in the folder or in one above it.
        model: the network; by default the collection's own, or the one that comes with Lookalike.
        precision: what it computes with; by default as for the collection, or int8.
        encoder: a network of your own instead.
        sample: how many files to try, where there are as many; each thread gets 16 in any case.
        threads: how many images to work on at once; by default one for each core.
        progress: called while it works; what it raises ends the work.

    Raises:
        UsageError: there is no such folder or model, or a number is less than 1.
        IncompatibleError: no other network is named, and the collection's own is not to be had here.
        CorruptError: the collection is damaged.
    """
    for name, number in (("sample", sample), ("threads", threads)):
        if number is not None and number < 1:
            raise UsageError(f"{name}={number}: give at least 1")
    here, count, progress = _folder(folder), threads or cores(), progress or (lambda _: None)
    place = directories.nearest(here) if directory is None else directories.locate(Path(directory))
    origin = _origin(here, place, encoder, model=model, precision=precision)
    if place and manifest.read(place).made_by != origin.made_by:
        place = None

    def load() -> Encoder:
        made_by = origin.made_by
        return encoder or encoders.load(made_by.model, precision=made_by.precision, threads=count)

    with _catalog(origin.place(place) if place else None) as catalog:
        source, size = Folder(here, base=origin.folder, leave_out=place), max(sample, count * embedding.GROUP)
        census, drawn = samples.take(source, catalog, size, progress=lambda files: progress(PlanProgress(files)))
        trial = samples.attempt(
            drawn,
            load,
            threads=count,
            row_of=catalog.row_of if catalog else lambda _: None,
            progress=lambda tried: progress(PlanProgress(census.files, tried, len(drawn))),
        )
        return _plan(here, place, origin.made_by, census, trial, catalog)


def _folder(folder: str | os.PathLike[str]) -> Path:
    here = Path(folder).resolve()
    if not os.path.isdir(here):
        raise UsageError(f"{folder}: there is no such folder")
    return here


def _origin(
    here: Path, place: Path | None, encoder: Encoder | None, *, model: str | None, precision: str | None
) -> Origin:
    """That of the collection, or the one that it would have where it were made anew."""
    if place is None:
        made_by = manifest.of_model(model or encoders.BUNDLED, precision)
        return Origin(manifest.of_encoder(encoder) if encoder else made_by, here)
    origin = manifest.read(place)
    wanted = manifest.of_encoder(encoder) if encoder else manifest.now(place, origin, model=model, precision=precision)
    return origin if wanted == origin.made_by else Origin(wanted, here)


@contextmanager
def _catalog(place: Path | None) -> Iterator[Catalog | None]:
    if place is None:
        yield None
        return
    with closing(Catalog(place / directories.CATALOG)) as catalog:
        yield catalog


# What follows from it


def _plan(
    here: Path, place: Path | None, made_by: Identity, census: Census, trial: Trial, catalog: Catalog | None
) -> Plan:
    new = round(census.changed * trial.new)
    vectors = new + (catalog.state().count if catalog else 0)
    rate = trial.files_per_second
    catalog_bytes = catalog.path.stat().st_size if catalog else _CATALOG_EMPTY
    return Plan(
        folder=here,
        directory=place,
        made_by=made_by,
        census=census,
        trial=trial,
        images=census.images + round(census.changed * trial.usable),
        vectors=vectors,
        indexing_seconds=census.changed * (1 / rate + _COMMITTING) if rate else 0.0,
        vector_bytes=vectors * made_by.dim * 2,
        catalog_bytes=catalog_bytes + round(census.changed * _CATALOG_IMAGE + census.key_bytes * _CATALOG_KEY),
        searching=_searching(made_by.dim, vectors, new, _index(catalog)),
    )


def _index(catalog: Catalog | None) -> Generation | None:
    """What is known of the index that there is, or None where there is none that can be used."""
    stored = catalog.state().generation if catalog else None
    try:
        return generation.read_about(catalog.path.parent, stored) if catalog and stored else None
    except CorruptError:
        return None


def _searching(dim: int, vectors: int, new: int, about: Generation | None) -> Searching:
    if about and vectors < maintenance.GROWTH * about.trained_rows:
        spec, milliseconds = IndexSpec(about.spec, dim), about.chosen.milliseconds if about.chosen else 0.0
        seconds = build_progress.stages(spec, vectors)["adding"] * new / max(vectors, 1)
        return _with_index(spec, vectors, milliseconds, seconds)
    if tuning.searches_exactly(dim, vectors):
        return Searching(None, _SEARCH_MS + vectors * dim * _NUMBER_MS, 0, _PROCESS, 0.0, 0)
    spec = tuning.specs(dim, vectors)[0]
    milliseconds = _INDEX_MS * (vectors / 100_000) ** 0.9
    return _with_index(spec, vectors, milliseconds, sum(build_progress.stages(spec, vectors).values()))


def _with_index(spec: IndexSpec, vectors: int, milliseconds: float, seconds: float) -> Searching:
    size = spec.bytes(vectors)
    return Searching(
        spec.factory,
        milliseconds=_SEARCH_MS + milliseconds,
        index_bytes=size,
        memory_bytes=_PROCESS + size + spec.table_bytes(),
        build_seconds=seconds,
        build_bytes=_BUILDING + size + spec.training_rows(vectors) * spec.dim * 4 if seconds else 0,
    )

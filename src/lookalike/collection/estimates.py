"""Estimates of how a collection would be searched, and of what its catalog and the vectors of parts would take."""

from dataclasses import dataclass

from lookalike.errors import CorruptError
from lookalike.index import build_progress, defaults, generation
from lookalike.index.generation import Generation
from lookalike.index.policies import Policies
from lookalike.index.spec import IndexSpec
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import StoredGeneration

_PART = 0.55  # of the time of an image, for each of its parts: measured with 5, 9 and 16
# The bytes in the catalog of the parts of an image, and of each part: measured with 5, 9 and 16.
_CATALOG_PARTS, _CATALOG_PART = 22, 4.2
# The size of a catalog in bytes, measured with up to 100,000 images: empty, for each image, for each byte of its key.
EMPTY_CATALOG, _CATALOG_IMAGE, _CATALOG_KEY = 122_880, 175, 2.25
_PROCESS = 92_000_000  # bytes of memory of a process that has searched by an image
_BUILDING = 50_000_000  # bytes of memory that building takes besides the index and its training sample
# Milliseconds of a search: a fixed part, a part for each stored number in an exact search, and that of an index of
# 100,000 vectors, which grows with the power 0.9 of their number.
_SEARCH_MS, _NUMBER_MS, _INDEX_MS = 0.2, 8e-8, 0.2


def catalog_growth(images: int, key_bytes: int) -> int:
    """By how many bytes a catalog grows by images whose keys have so many bytes together."""
    return round(images * _CATALOG_IMAGE + key_bytes * _CATALOG_KEY)


@dataclass(frozen=True)
class SearchEstimate:
    """How a collection would be searched.

    Attributes:
        spec: the FAISS index factory string of its index, or None if every search is exact.
        milliseconds: the estimated time of a search, one at a time on one thread, without encoding.
        index_bytes: the size of the index, on the disk and in memory; 0 if there is none.
        memory_bytes: the memory of a process that searches by images, without the vectors: the system keeps of their
            file in memory what it has room for.
        build_seconds: the estimated time of building the index; 0 if it need not be built.
        build_bytes: the estimated memory of building it.
    """

    spec: str | None
    milliseconds: float
    index_bytes: int
    memory_bytes: int
    build_seconds: float
    build_bytes: int


@dataclass(frozen=True)
class RegionEstimate:
    """What the vectors of parts of the images would take.

    Attributes:
        per_image: how many parts an image has.
        vectors: the estimated number of their vectors.
        new: the number of those that have to be made.
        seconds: the estimated time of making them; 0 if no file has been tried, since all are indexed.
        vector_bytes: the estimated size of all of them on the disk.
        catalog_bytes: by how much the catalog would grow.
        searching: how they would be searched.
    """

    per_image: int
    vectors: int
    new: int
    seconds: float
    vector_bytes: int
    catalog_bytes: int
    searching: SearchEstimate

    @property
    def bytes(self) -> int:
        """What they would take on the disk, with their index."""
        return self.vector_bytes + self.catalog_bytes + self.searching.index_bytes


def region_estimate(
    dim: int, images: int, per_image: int | None, rate: float, catalog: Catalog | None, policies: Policies
) -> RegionEstimate | None:
    """What the vectors of parts of images would take.

    Args:
        dim: of the vectors.
        images: the number of vectors of whole images.
        per_image: the number of parts, 0 for none; None stands for as many as the catalog's images have.
        rate: images that are encoded in a second.
        catalog: of the collection, if there is one.
        policies: when their index would be built.
    """
    state = catalog.state().regions if catalog else None
    kept = state.per_image if state else 0
    if not (count := kept if per_image is None else per_image):
        return None
    present = state if state and kept == count else None
    vectors = images * count
    new = vectors - (present.count if present else 0)
    return RegionEstimate(
        count,
        vectors,
        new,
        seconds=new * _PART / rate if rate else 0.0,
        vector_bytes=vectors * dim * 2,
        catalog_bytes=round(new * (_CATALOG_PARTS / count + _CATALOG_PART)),
        searching=search_estimate(dim, vectors, new, card(catalog, present.generation) if present else None, policies),
    )


def search_estimate(dim: int, vectors: int, new: int, present: Generation | None, policies: Policies) -> SearchEstimate:
    """How vectors would be searched, of which `new` are not in the `present` index."""
    policy = policies.tuning
    if present and vectors < policies.maintenance.growth * present.trained_rows:
        spec, milliseconds = IndexSpec(present.spec, dim), present.chosen.milliseconds if present.chosen else 0.0
        seconds = build_progress.stage_seconds(spec, vectors, policy)["adding"] * new / max(vectors, 1)
        return _with_index(spec, vectors, milliseconds, seconds)
    if policy.searches_exactly(dim, vectors):
        return SearchEstimate(None, _SEARCH_MS + vectors * dim * _NUMBER_MS, 0, _PROCESS, 0.0, 0)
    spec = defaults.specs(dim, vectors)[0]
    milliseconds = _INDEX_MS * (vectors / 100_000) ** 0.9
    return _with_index(spec, vectors, milliseconds, sum(build_progress.stage_seconds(spec, vectors, policy).values()))


def _with_index(spec: IndexSpec, vectors: int, milliseconds: float, seconds: float) -> SearchEstimate:
    size = spec.bytes(vectors)
    return SearchEstimate(
        spec.factory,
        milliseconds=_SEARCH_MS + milliseconds,
        index_bytes=size,
        memory_bytes=_PROCESS + size + spec.table_bytes(),
        build_seconds=seconds,
        build_bytes=_BUILDING + size + spec.training_rows(vectors) * spec.dim * 4 if seconds else 0,
    )


def card(catalog: Catalog | None, stored: StoredGeneration | None) -> Generation | None:
    """What is known of an index, or None if there is none that can be used."""
    try:
        return generation.read_card(catalog.path.parent, stored) if catalog and stored else None
    except CorruptError:
        return None

"""Estimates what indexing a folder would take, from a sample of its files. Nothing is written."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Unpack

from lookalike import arguments, encoders
from lookalike.collection import compatibility
from lookalike.collection.encoder_choice import EncoderChoice, check_options, max_pixels
from lookalike.collection.sources import exclusion
from lookalike.encoders import Encoder
from lookalike.errors import CorruptError, UsageError
from lookalike.images.region import grid
from lookalike.index import build_progress, defaults, generation
from lookalike.index.generation import Generation
from lookalike.index.policies import DEFAULT, Policies
from lookalike.index.spec import IndexSpec
from lookalike.ingest import embedding, sampling
from lookalike.ingest.sampling import Census, Trial
from lookalike.sources.folder import Folder, Listing
from lookalike.storage import files, layout
from lookalike.storage import manifest as manifests
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Identity, Manifest
from lookalike.storage.records import StoredGeneration
from lookalike.system.resources import checked_threads, cores

SAMPLE = 200  # files
# The size of a catalog in bytes, measured with up to 100,000 images: empty, for each image, for each byte of its key.
_CATALOG_EMPTY, _CATALOG_IMAGE, _CATALOG_KEY = 122_880, 175, 2.25
_AUGMENTING = 0.0004  # seconds for each augmented vector beside the search for its nearest
_PART = 0.55  # of the time of an image, for each of its parts: measured with 5, 9 and 16
_COMMITTING = 0.0001  # seconds a file, while the threads that encode wait for the one that commits
_PROCESS = 92_000_000  # bytes of memory of a process that has searched by an image
_BUILDING = 50_000_000  # bytes of memory that building takes besides the index and its training sample
# Milliseconds of a search: a fixed part, a part for each stored number in an exact search, and that of an index of
# 100,000 vectors, which grows with the power 0.9 of their number.
_SEARCH_MS, _NUMBER_MS, _INDEX_MS = 0.2, 8e-8, 0.2


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
        searching: how they would be searched.
    """

    per_image: int
    vectors: int
    new: int
    seconds: float
    vector_bytes: int
    searching: SearchEstimate


@dataclass(frozen=True)
class Plan:
    """What indexing a folder would take, estimated from a sample of its files and earlier measurements.

    Attributes:
        folder: the folder to be indexed.
        directory: the collection that it is part of, or None if there is none yet.
        made_by: the encoder.
        census: the files of the folder.
        trial: the results of processing a sample of them.
        images: the estimated number of images of this folder that the collection would have.
        vectors: the estimated number of vectors of the collection.
        indexing_seconds: the estimated time of processing the files, once the model is loaded.
        vector_bytes: the estimated size of the collection's vectors on the disk.
        catalog_bytes: the estimated size of its catalog.
        searching: how it would be searched.
        regions: what the vectors of parts of the images would take, or None if there would be none.
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
    searching: SearchEstimate
    regions: RegionEstimate | None = None

    @property
    def seconds(self) -> float:
        """The estimated time of all of it: loading the model, processing the files, building the indexes."""
        parts = self.regions.seconds + self.regions.searching.build_seconds if self.regions else 0.0
        return self.trial.loading_seconds + self.indexing_seconds + self.searching.build_seconds + parts

    @property
    def bytes(self) -> int:
        """The estimated size of the collection on the disk."""
        parts = self.regions.vector_bytes + self.regions.searching.index_bytes if self.regions else 0
        return self.vector_bytes + self.catalog_bytes + self.searching.index_bytes + parts

    @property
    def augmented_bytes(self) -> int:
        """The estimated size of augmented vectors (`Collection.keep_augmented`), which are not counted elsewhere."""
        return self.vectors * self.made_by.dim * 2

    @property
    def augmented_seconds(self) -> float:
        """The estimated time of making them: a search for each image."""
        return self.vectors * (self.searching.milliseconds / 1000 + _AUGMENTING)

    @property
    def memory_bytes(self) -> int:
        """The estimated peak memory of indexing: what this process has taken, and for building the larger index."""
        parts = self.regions.searching.build_bytes if self.regions else 0
        return self.trial.memory_bytes + max(self.searching.build_bytes, parts)


@dataclass(frozen=True)
class PlanProgress:
    """The number of files counted so far and, of the `total` in the sample, the number that have been tried."""

    files: int
    tried: int = 0
    total: int | None = None


@dataclass(frozen=True)
class _Sampled:
    """The files of a folder, and the results of processing a sample of them."""

    census: Census
    trial: Trial


def plan(
    folder: str | os.PathLike[str],
    *,
    directory: str | os.PathLike[str] | None = None,
    sample: int = SAMPLE,
    threads: int | None = None,
    regions: int | None = None,
    progress: Callable[[PlanProgress], None] | None = None,
    policies: Policies = DEFAULT,
    **choice: Unpack[EncoderChoice],
) -> Plan:
    """Estimates what indexing a folder would take. Nothing is written.

    All files are counted. Of those that are new or changed, some are drawn at random, always the same ones, and are
    read, decoded and encoded. A folder that has a collection, or is in one, is compared with that, unless another
    encoder is chosen.

    Args:
        folder: the folder of images.
        directory: the directory of the collection, if it is not in the folder or in one above it.
        sample: the number of files to try; each thread gets 16 in any case.
        threads: the number of images to process at once; by default one for each core.
        regions: how many parts of each image would have vectors, too: 5, 9 or 16, or 0 for none; by default as many as
            the collection has.
        progress: called while it works; an exception that it raises ends the work.
        policies: when its index would be built.
        choice: `model`, `precision`, `encoder` and `max_pixels`, see `EncoderChoice`; by default the collection's own.

    Raises:
        UsageError: there is no such folder or model, or a number is less than 1.
        IncompatibleError: no other model is named, and the collection's own is not available here.
        CorruptError: the collection is damaged.
    """
    check_options(policies, choice)
    sample, progress = arguments.whole(sample, "sample", least=1), arguments.callback(progress, "progress")
    if regions is not None and (regions := arguments.whole(regions, "regions", least=0)):
        grid(regions)
    here, count = _folder(folder), checked_threads(threads) or cores()
    present, manifest = _compared_with(here, directory, choice)
    with _catalog(manifest.data_directory(present) if present else None) as catalog:
        source = Folder(here, base=manifest.folder, listing=Listing(leave_out=present, exclusion=exclusion(present)))
        attempt = partial(
            sampling.attempt,
            load=partial(_encoder, manifest.made_by, choice, count),
            threads=count,
            decoding_of=catalog.decoding_of if catalog else lambda _: None,
            max_pixels=max_pixels(choice),
        )
        sampled = _sampled(source, catalog, max(sample, count * embedding.GROUP), attempt, progress)
        whole = _plan(here, present, manifest.made_by, sampled, catalog, policies)
        return replace(whole, regions=_region_estimate(whole, regions, catalog, policies))


def _compared_with(
    here: Path, directory: str | os.PathLike[str] | None, choice: EncoderChoice
) -> tuple[Path | None, Manifest]:
    """The directory of the collection that a folder is compared with, or None; its manifest, or that of a new one."""
    present = layout.nearest(here) if directory is None else layout.find(arguments.path(directory, "directory"))
    manifest = _manifest(here, present, choice)
    if present and manifests.read(present).made_by != manifest.made_by:
        present = None
    return present, manifest


def _sampled(
    source: Folder,
    catalog: Catalog | None,
    sample: int,
    attempt: Callable[..., Trial],
    progress: Callable[[PlanProgress], None] | None,
) -> _Sampled:
    """Counts the files, and processes a sample of them."""
    report = progress or (lambda _: None)
    census, drawn = sampling.take(source, catalog, sample, progress=lambda files: report(PlanProgress(files)))
    trial = attempt(drawn, progress=lambda tried: report(PlanProgress(census.files, tried, len(drawn))))
    return _Sampled(census, trial)


def _encoder(made_by: Identity, choice: EncoderChoice, threads: int) -> Encoder:
    if (encoder := choice.get("encoder")) is not None:
        return encoders.checked_encoder(encoder)
    return encoders.load(made_by.model, precision=made_by.precision, threads=threads)


def _folder(folder: str | os.PathLike[str]) -> Path:
    here = arguments.path(folder, "folder").resolve()
    if not os.path.isdir(here):
        raise UsageError(f"{folder}: there is no such folder")
    return here


def _manifest(here: Path, present: Path | None, choice: EncoderChoice) -> Manifest:
    """The manifest of the collection, or the one that it would have if it were made anew."""
    if present is None:
        return Manifest(compatibility.new_identity(choice), here)
    manifest = manifests.read(present)
    wanted = compatibility.wanted_identity(present, manifest, choice)
    return manifest if wanted == manifest.made_by else Manifest(wanted, here)


@contextmanager
def _catalog(data_directory: Path | None) -> Iterator[Catalog | None]:
    if data_directory is None:
        yield None
        return
    with closing(Catalog(data_directory / layout.CATALOG)) as catalog:
        yield catalog


# Estimates


def _plan(
    here: Path, present: Path | None, made_by: Identity, sampled: _Sampled, catalog: Catalog | None, policies: Policies
) -> Plan:
    census, trial = sampled.census, sampled.trial
    new = round(census.changed * trial.new)
    vectors = new + (catalog.state().count if catalog else 0)
    rate = trial.files_per_second
    catalog_bytes = files.size(catalog.path) if catalog else _CATALOG_EMPTY
    return Plan(
        folder=here,
        directory=present,
        made_by=made_by,
        census=census,
        trial=trial,
        images=census.images + round(census.changed * trial.usable),
        vectors=vectors,
        indexing_seconds=census.changed * (1 / rate + _COMMITTING) if rate else 0.0,
        vector_bytes=vectors * made_by.dim * 2,
        catalog_bytes=catalog_bytes + round(census.changed * _CATALOG_IMAGE + census.key_bytes * _CATALOG_KEY),
        searching=_searching(made_by.dim, vectors, new, _index(catalog), policies),
    )


def _region_estimate(
    plan: Plan, regions: int | None, catalog: Catalog | None, policies: Policies
) -> RegionEstimate | None:
    """What the vectors of parts of the images would take, beside the rest of a plan."""
    state = catalog.state().regions if catalog else None
    kept = state.per_image if state else 0
    if not (per_image := kept if regions is None else regions):
        return None
    vectors = plan.vectors * per_image
    is_kept = state is not None and kept == per_image
    new = vectors - (state.count if state and is_kept else 0)
    rate, card = plan.trial.files_per_second, _card(catalog, state.generation) if state and is_kept else None
    searching = _searching(plan.made_by.dim, vectors, new, card, policies)
    seconds = new * _PART / rate if rate else 0.0
    return RegionEstimate(per_image, vectors, new, seconds, vectors * plan.made_by.dim * 2, searching)


def _index(catalog: Catalog | None) -> Generation | None:
    """What is known of the present index, or None if there is none that can be used."""
    return _card(catalog, catalog.state().generation) if catalog else None


def _card(catalog: Catalog | None, stored: StoredGeneration | None) -> Generation | None:
    try:
        return generation.read_card(catalog.path.parent, stored) if catalog and stored else None
    except CorruptError:
        return None


def _searching(dim: int, vectors: int, new: int, card: Generation | None, policies: Policies) -> SearchEstimate:
    policy = policies.tuning
    if card and vectors < policies.maintenance.growth * card.trained_rows:
        spec, milliseconds = IndexSpec(card.spec, dim), card.chosen.milliseconds if card.chosen else 0.0
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

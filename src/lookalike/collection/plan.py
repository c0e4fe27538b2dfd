"""Estimates what indexing a folder would take, from a sample of its files. Nothing is written."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Unpack

from lookalike import arguments, encoders
from lookalike.collection import compatibility, estimates
from lookalike.collection.encoder_choice import EncoderChoice, check_options, max_pixels
from lookalike.collection.estimates import RegionEstimate, SearchEstimate
from lookalike.collection.sources import exclusion
from lookalike.encoders import Encoder
from lookalike.errors import UsageError
from lookalike.images.grid import grid
from lookalike.index.policies import DEFAULT, Policies
from lookalike.ingest import embedding, sampling
from lookalike.ingest.sampling import Census, Trial
from lookalike.sources.folder import Folder, Listing
from lookalike.storage import files, layout
from lookalike.storage import manifest as manifests
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Identity, Manifest
from lookalike.system.resources import checked_threads, cores

SAMPLE = 200  # files
_AUGMENTING = 0.0004  # seconds for each augmented vector beside the search for its nearest
_COMMITTING = 0.0001  # seconds a file, while the threads that encode wait for the one that commits


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
        own = self.vector_bytes + self.catalog_bytes + self.searching.index_bytes
        return own + (self.regions.bytes if self.regions else 0)

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
        return _plan(here, present, manifest.made_by, sampled, catalog, policies, regions)


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


def _plan(
    here: Path,
    present: Path | None,
    made_by: Identity,
    sampled: _Sampled,
    catalog: Catalog | None,
    policies: Policies,
    regions: int | None,
) -> Plan:
    census, trial = sampled.census, sampled.trial
    new, rate = round(census.changed * trial.new), trial.files_per_second
    vectors = new + (catalog.state().count if catalog else 0)
    index = estimates.card(catalog, catalog.state().generation) if catalog else None
    catalog_bytes = files.size(catalog.path) if catalog else estimates.EMPTY_CATALOG
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
        catalog_bytes=catalog_bytes + estimates.catalog_growth(census.changed, census.key_bytes),
        searching=estimates.search_estimate(made_by.dim, vectors, new, index, policies),
        regions=estimates.region_estimate(made_by.dim, vectors, regions, rate, catalog, policies),
    )

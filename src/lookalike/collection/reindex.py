"""Indexes the images of a collection again with another model, beside the present vectors.

    collection.json      names the model that serves, and the directory of its data
    reindexing.json      the same for the model that is to serve
    data.000001/         its catalog, vectors and index, during the re-indexing and after it

Only the last step counts: reindexing.json becomes collection.json. Until then the old model serves, and nothing of it
has changed. A run that was stopped or killed is carried on by the next one for the same model.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Unpack

from lookalike import arguments, encoders
from lookalike.collection import compatibility, trust
from lookalike.collection.encoder_choice import EncoderChoice, check_options, max_pixels
from lookalike.collection.migration import Migration
from lookalike.collection.sources import CollectionSources, Sources
from lookalike.encoders import Encoder
from lookalike.errors import LookalikeError, UsageError
from lookalike.index import defaults
from lookalike.index.build_progress import BuildProgress
from lookalike.index.policies import DEFAULT, Policies
from lookalike.ingest.pipeline import Progress, Report
from lookalike.sources.folder import Source
from lookalike.storage import directory as directories
from lookalike.storage import files, layout, lock
from lookalike.storage import made_of as remembered
from lookalike.storage import manifest as manifests
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Identity, Manifest
from lookalike.system.resources import checked_threads


@dataclass(frozen=True)
class Unfinished:
    """A re-indexing that has begun.

    Attributes:
        made_by: the encoder that is to serve.
        done: the number of files that have been processed.
        files: the number of files that the collection knows.
        data_directory: what has been made so far; deleting it gives the re-indexing up.
    """

    made_by: Identity
    done: int
    files: int
    data_directory: Path


@dataclass(frozen=True)
class ReindexEstimate:
    """What indexing a collection again with another encoder would do.

    Attributes:
        directory: the collection's.
        manifest: what it is now.
        wanted: the encoder that is to serve.
        images: the number of its images.
        bytes: the estimated size of what would be made, which for a time is there besides the old.
        unfinished: what has been done of it before, or what has begun with another model and would be given up.
    """

    directory: Path
    manifest: Manifest
    wanted: Identity
    images: int
    bytes: int
    unfinished: Unfinished | None


def unfinished(directory: Path) -> Unfinished | None:
    """The re-indexing of a collection that has begun, or is under way; None if there is none.

    Raises:
        CorruptError: the collection's own files are damaged.
    """
    manifest, then = manifests.read(directory), manifests.read_next(directory)
    if then is None or then.data != layout.next_data(manifest.data):
        return None
    files = _files(manifest.data_directory(directory))
    with suppress(LookalikeError):  # it may be incomplete
        data_directory = then.data_directory(directory)
        return Unfinished(then.made_by, _files(data_directory), files, data_directory)
    return None


def estimate_reindex(
    path: str | os.PathLike[str], *, policies: Policies = DEFAULT, **choice: Unpack[EncoderChoice]
) -> ReindexEstimate | None:
    """Estimates what indexing a collection again would do; None if the chosen encoder made it.

    Raises:
        NoCollectionError: there is no collection.
        UsageError: there is no such model.
        IncompatibleError: no other model is named, and the collection's own is not available here.
        CorruptError: a file of the collection is damaged.
    """
    directory = layout.find_or_raise(path)
    manifest = manifests.read(directory)
    wanted = compatibility.wanted_identity(directory, manifest, choice)
    if wanted == manifest.made_by:
        return None
    with closing(Catalog(manifest.data_directory(directory) / layout.CATALOG)) as catalog:
        totals, state, catalog_bytes = catalog.totals(), catalog.state(), files.size(catalog.path)
    live = totals.vectors - totals.dead
    exact = policies.tuning.searches_exactly(wanted.dim, live)
    index_bytes = 0 if exact else defaults.specs(wanted.dim, live)[0].bytes(live)
    each = 1 + (state.regions.per_image if state.regions else 0) + (state.augmented is not None)  # vectors of an image
    size = each * live * wanted.dim * 2 + catalog_bytes + index_bytes
    return ReindexEstimate(directory, manifest, wanted, totals.images, size, unfinished(directory))


def reindex(
    path: str | os.PathLike[str],
    sources: Sequence[Sources] | None = None,
    *,
    policies: Policies = DEFAULT,
    threads: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    build_progress: Callable[[BuildProgress], None] | None = None,
    **choice: Unpack[EncoderChoice],
) -> Report:
    """Indexes all images of a collection with another encoder, which then serves.

    Images keep their ids, attributes and labels. A collection that has been open meanwhile has to be opened again: when
    it needs a file that is gone, it raises IncompatibleError.

    Args:
        path: the folder that was indexed, or the collection's directory itself.
        sources: the folders, files or lists of files that it is then brought up to date with; by default what it was
            made of.
        policies: when the new index is built and how it is measured.
        threads: the number of images to process at once; by default one for each core.
        progress: called after each image; an exception that it raises ends the run, and the next one carries on.
        build_progress: called while the new index is built.
        choice: `model`, `precision`, `encoder`, `device` and `max_pixels`, see `EncoderChoice`; by default the model of
            the same name, of which there is another version here.

    Returns:
        What has changed against the collection as it was. Its images that are there again count as unchanged.

    Raises:
        UsageError: there is no such model or source, that model made the collection, images cannot be read now, or it
            names what is not trusted, see `Collection.trust`.
        CollectionError: there is no collection, it is damaged, another process is writing to it, or no model is named.
        StorageError: the disk is full or failing; unless the last step was done, the old model serves.
    """
    check_options(policies, choice)
    threads = checked_threads(threads)
    arguments.callback(progress, "progress")
    arguments.callback(build_progress, "build_progress")
    directory, start = layout.find_or_raise(path), time.monotonic()
    with lock.locked(directory), _migration(directory, sources, choice, policies) as migration:
        report = migration.run(partial(_encoder, choice), threads, max_pixels(choice), progress, build_progress)
        _keep_trust(directory, manifests.read(directory), migration.then)
        manifests.switch(directory)
        directories.sweep(directory, migration.then)
    return replace(report, seconds=time.monotonic() - start)


def _keep_trust(directory: Path, before: Manifest, then: Manifest) -> None:
    """Trusts what the collection was made of under the identity that it is about to have, if this user does so now."""
    made_of = remembered.read(directory)
    if trust.is_trusted(directory, before, made_of):
        trust.trust(directory, then, made_of)


@contextmanager
def _migration(
    directory: Path, sources: Sequence[Sources] | None, choice: EncoderChoice, policies: Policies
) -> Iterator[Migration]:
    """The migration of a locked collection to the chosen encoder."""
    manifest = manifests.read(directory)
    wanted = compatibility.wanted_identity(directory, manifest, choice)
    if wanted == manifest.made_by:
        raise UsageError(f"{directory}: its images are indexed with {wanted} already")
    directories.sweep(directory, manifest)
    new = _named(directory, manifest, [] if sources is None else arguments.several(sources, "sources"))
    with closing(Migration(directory, manifest, wanted, new, policies)) as migration:
        yield migration


def _named(directory: Path, manifest: Manifest, sources: Sequence[Sources]) -> list[Source]:
    """What the images are brought up to date with: what is named, or else what the collection was made of."""
    made_of = CollectionSources(directory, manifest)
    with closing(Catalog(manifest.data_directory(directory) / layout.CATALOG)) as catalog:
        made_of.check_known(catalog, sources)
        if not sources:
            return list(made_of.again(catalog).sources)
    named = [made_of.name(each) for each in sources]
    for source, each in zip(sources, named, strict=True):
        made_of.remember(source, each)
    return [source for each in named for source in each.sources]


def _encoder(choice: EncoderChoice, wanted: Identity, threads: int) -> Encoder:
    """The chosen encoder, loaded for that many threads."""
    if (encoder := choice.get("encoder")) is not None:
        return encoders.checked_encoder(encoder)
    device = choice.get("device", "auto")
    return encoders.load(wanted.model, precision=wanted.precision, threads=threads, device=device)


def _files(data_directory: Path) -> int:
    """The number of files that a catalog knows."""
    with closing(Catalog(data_directory / layout.CATALOG)) as catalog:
        totals = catalog.totals()
        return totals.images + totals.skipped

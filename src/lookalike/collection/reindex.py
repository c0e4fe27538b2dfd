"""Indexes the images of a collection again with another model, beside the vectors that there are.

    collection.json      names the model that serves, and the folder of its data
    reindexing.json      the same of the model that is to come
    data.000001/         its catalog, vectors and index, while they come about and ever after

The one step that counts is the last: reindexing.json becomes collection.json. Until then the old model serves, and
nothing of it has changed. A run that was stopped or killed is carried on by the next one for the same model.
"""

import os
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lookalike import encoders
from lookalike.collection.migration import Migration
from lookalike.encoders import Encoder
from lookalike.errors import LookalikeError, UsageError
from lookalike.index import tuning
from lookalike.index.build_progress import BuildProgress
from lookalike.ingest.pipeline import Progress, Report, cores
from lookalike.sources.folder import source_of
from lookalike.storage import layout as directories
from lookalike.storage import manifest
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Identity, Origin

_Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclass(frozen=True)
class Unfinished:
    """A re-indexing that has been begun.

    Attributes:
        made_by: the model that is to come.
        done: how many files have been looked at.
        files: how many the collection knows.
        place: what it has made so far; deleting it gives the re-indexing up.
    """

    made_by: Identity
    done: int
    files: int
    place: Path


@dataclass(frozen=True)
class Change:
    """What indexing a collection again with another model would do.

    Attributes:
        directory: the collection's.
        origin: what it is now.
        wanted: the model that is to come.
        images: how many it has.
        bytes: the size of what would be made, about, which for a time is there besides the old.
        unfinished: what has been done of it before, or what has been begun with another model, and would be given up.
    """

    directory: Path
    origin: Origin
    wanted: Identity
    images: int
    bytes: int
    unfinished: Unfinished | None

    def __str__(self) -> str:
        told = [
            f"{self.directory}: its {self.images:,} images were indexed with {self.origin.made_by}, whose vectors"
            f" cannot be compared with those of {self.wanted}.",
            f"To index them again with that, {manifest.how_to_reindex(self.directory, self.origin, self.wanted)}",
            f"- It takes {self.bytes / 1e6:,.1f} MB on the disk, about, besides what there is until it is done.",
            "- Until then searches go on as they are; ids, attributes and labels stay. It may be stopped at any time.",
        ]
        if self.wanted.precision:
            folder, options = shlex.quote(str(self.origin.folder)), manifest.options(self.origin, self.wanted)
            told.insert(3, f"- How long it takes: lookalike plan {folder} {options}")
        if self.unfinished:
            far = f"{self.unfinished.done:,} of {self.unfinished.files:,} files are done"
            fate = "" if self.unfinished.made_by == self.wanted else ", and would be given up"
            told.append(f"- It has been begun with {self.unfinished.made_by}: {far}{fate}.")
        return "\n".join(told)


def unfinished(directory: Path) -> Unfinished | None:
    """The re-indexing of a collection that was begun, or is under way; None where there is none.

    Raises:
        CorruptError: the collection's own files are damaged.
    """
    origin, then = manifest.read(directory), manifest.read_next(directory)
    if then is None or then.data != origin.next_data:
        return None
    files = _files(origin.place(directory))
    with suppress(LookalikeError):  # half of it is there
        return Unfinished(then.made_by, _files(then.place(directory)), files, then.place(directory))
    return None


def explain(
    path: str | os.PathLike[str],
    *,
    model: str | None = None,
    precision: str | None = None,
    encoder: Encoder | None = None,
) -> Change | None:
    """What indexing a collection again with another model would do; None where that model has made it.

    Raises:
        NoCollectionError: there is no collection.
        UsageError: there is no such model.
        IncompatibleError: no other model is named, and the collection's own is not to be had here.
        CorruptError: a file of the collection is damaged.
    """
    directory = directories.located(path)
    origin = manifest.read(directory)
    wanted = _wanted(directory, origin, model, precision, encoder)
    if wanted == origin.made_by:
        return None
    with closing(Catalog(origin.place(directory) / directories.CATALOG)) as catalog:
        totals, catalog_bytes = catalog.totals(), catalog.path.stat().st_size
    live = totals.vectors - totals.dead
    index = None if tuning.searches_exactly(wanted.dim, live) else tuning.specs(wanted.dim, live)[0]
    size = live * wanted.dim * 2 + catalog_bytes + (index.bytes(live) if index else 0)
    return Change(directory, origin, wanted, totals.images, size, unfinished(directory))


def reindex(
    path: str | os.PathLike[str],
    sources: Sequence[_Paths] | None = None,
    *,
    model: str | None = None,
    precision: str | None = None,
    encoder: Encoder | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    build_progress: Callable[[BuildProgress], None] | None = None,
) -> Report:
    """Indexes all images of a collection with another model, and then lets that serve.

    Images keep their ids, attributes and labels. A collection that has been open meanwhile has to be opened again:
    where it would need a file that is gone, it raises IncompatibleError.

    Args:
        path: the folder that was indexed, or the collection's directory itself.
        sources: the folders, files or lists of files that it is then brought up to date with; by default its folder.
        model: the network; by default the one of the same name, of which there is another version here.
        precision: what that computes with.
        encoder: a network of your own instead; `open` must be given it too.
        device: the processor for the network, as for `create`.
        threads: how many images to work on at once; by default one for each core.
        progress: called after each image; what it raises ends the run, and the next one carries on from there.
        build_progress: called while the new index is built, where there is one.

    Returns:
        What has changed against the collection as it was. Its images that are there again count as unchanged.

    Raises:
        NoCollectionError: there is no collection.
        UsageError: there is no such model or source, that model has made the collection, or images of it cannot be
            read now, although they may be there.
        IncompatibleError: no other model is named, and the collection's own is not to be had here.
        CorruptError: the collection's catalog is damaged.
        LockedError: another process is writing to the collection.
        StorageError: the disk is full or failing; unless the last step was done, the old model serves.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"threads={threads}: give at least 1")
    directory, start = directories.located(path), time.monotonic()
    with directories.locked(directory):
        origin = manifest.read(directory)
        wanted = _wanted(directory, origin, model, precision, encoder)
        if wanted == origin.made_by:
            raise UsageError(f"{directory}: its images are indexed with {wanted} already")
        directories.sweep(directory, origin)
        new = [source_of(each, base=origin.folder, leave_out=directory) for each in sources or [origin.folder]]
        count = threads or cores()
        with closing(Migration(directory, origin, wanted)) as reindexing:
            reindexing.check_all_are_there()
            network = encoder or encoders.load(wanted.model, precision=wanted.precision, threads=count, device=device)
            reports = reindexing.encode(network, new, threads or encoders.threads_for(network, cores()), progress)
            reindexing.check_none_is_lost()
            reindexing.build(build_progress)
            report = reindexing.carry_over(reports)
        manifest.switch(directory)
        directories.sweep(directory, reindexing.then)
    return replace(report, seconds=time.monotonic() - start)


def _wanted(
    directory: Path, origin: Origin, model: str | None, precision: str | None, encoder: Encoder | None
) -> Identity:
    if encoder is not None:
        return manifest.of_encoder(encoder)
    return manifest.now(directory, origin, model=model, precision=precision)


def _files(place: Path) -> int:
    """How many files a catalog knows."""
    with closing(Catalog(place / directories.CATALOG)) as catalog:
        totals = catalog.totals()
        return totals.images + totals.skipped

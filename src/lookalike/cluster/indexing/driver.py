"""Divides what is to be indexed among the workers of a cluster, and makes one collection of theirs."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from lookalike import arguments
from lookalike.cluster.combining import combine
from lookalike.cluster.indexing.fleet import Fleet, Outcome, Resources, workers
from lookalike.cluster.indexing.parts import FILES, Part, parts_of
from lookalike.cluster.indexing.session import LOCAL, connected
from lookalike.cluster.indexing.worker import Job, remove_begun
from lookalike.collection import compatibility
from lookalike.collection.encoder_choice import EncoderChoice
from lookalike.errors import UsageError
from lookalike.ingest.pipeline import Report, combined
from lookalike.sources import keys
from lookalike.sources.lists import FileList
from lookalike.storage import layout, lock
from lookalike.system import durable


@dataclass(frozen=True)
class FailedPart:
    """An archive, or a part of a list, that did not become a collection, and why."""

    source: str
    reason: str


@dataclass(frozen=True)
class ClusterReport:
    """What a run on a cluster has done.

    Attributes:
        report: of all parts together.
        parts: the number of parts.
        failed: those of them that have to be done again.
        workers: how many there were.
        seconds: how long it took; those of `report` are of all workers together.
    """

    report: Report
    parts: int
    failed: tuple[FailedPart, ...]
    workers: int
    seconds: float


@dataclass(frozen=True)
class ClusterProgress:
    """How far a run is: parts that are done, all parts, and files done, those of parts under way included."""

    done: int
    parts: int
    files: int


def index_on_cluster(
    sources: Iterable[str | os.PathLike[str] | FileList],
    directory: str | os.PathLike[str],
    *,
    address: str = LOCAL,
    folder: str | os.PathLike[str] | None = None,
    cpus: int = 1,
    gpus: float = 0.0,
    files: int = FILES,
    progress: Callable[[ClusterProgress], None] | None = None,
    **choice: Unpack[EncoderChoice],
) -> ClusterReport:
    """Indexes archives and lists on a Ray cluster: each archive becomes a collection, and all are one.

    It may be stopped at any time, and done again: what is finished stays, and is only brought up to date. `directory`
    and the sources are at the same paths on all machines, as on a network drive or behind URLs.

    Args:
        sources: archives (.tar, .tar.gz, .parquet) by paths or URLs, and lists of files.
        directory: that the collections are made in; `lookalike.open` takes it.
        address: of the cluster, or "local" for one on this machine that ends with the run.
        folder: what the keys of the images are relative to, by default the folder that all sources are in.
        cpus: cores for each worker.
        gpus: GPUs for each worker, also a share of one.
        files: how many files of a list become a collection.
        progress: called now and then; an exception that it raises ends the run.
        choice: `model`, `precision`, `device` and `max_pixels`, see `EncoderChoice`.

    Raises:
        UsageError: a source is none, Ray is missing, or no cluster at the address lets us in.
        LockedError: another run is under way.
        StorageError: the directory cannot be written to.
    """
    top, resources = _made(arguments.path(directory, "directory")), _resources(cpus, gpus)
    if choice.get("encoder") is not None:
        raise UsageError("encoder: workers load a model by its name; import it on all machines, and give model=")
    start = time.monotonic()
    compatibility.new_identity(choice)  # a model that is not there is no error of each part
    with lock.locked(top):
        remove_begun(top)
        parts = parts_of(sources, top, arguments.whole(files, "files", least=1))
        base = _folder(parts) if folder is None else arguments.path(folder, "folder").resolve()
        job = Job(top, base, choice, threads=resources.cpus)
        with connected(arguments.text(address, "address")) as ray:
            count = workers(ray, resources, len(parts))
            if not count:
                raise UsageError(f"{address}: the cluster has no room for a worker of {cpus} cores and {gpus:g} GPUs")
            told = arguments.callback(progress, "progress") or (lambda _: None)
            outcomes = _followed(Fleet(ray, job, resources, count), parts, told)
        remove_begun(top)
        _combine(top)
    return _report(outcomes, count, time.monotonic() - start)


def _followed(fleet: Fleet, parts: Sequence[Part], progress: Callable[[ClusterProgress], None]) -> list[Outcome]:
    done: list[Outcome] = []

    def files() -> int:
        return sum(_files(each.report) for each in done if each.report)

    for outcome in fleet.outcomes(
        parts, lambda under_way: progress(ClusterProgress(len(done), len(parts), files() + under_way))
    ):
        done.append(outcome)
        progress(ClusterProgress(len(done), len(parts), files()))
    return done


def _files(report: Report) -> int:
    counts = report.added, report.updated, report.renamed, report.returned, report.unchanged, report.skipped_before
    return sum(counts) + len(report.skipped)


def _report(outcomes: Sequence[Outcome], count: int, seconds: float) -> ClusterReport:
    reports = [each.report for each in outcomes if each.report]
    failed = tuple(FailedPart(each.part.said, each.reason) for each in outcomes if each.report is None)
    whole = combined(reports) if reports else Report()
    return ClusterReport(whole, len(outcomes), failed, count, seconds)


def _combine(top: Path) -> None:
    """Makes one collection of all that are there, also of those of earlier runs."""
    there = sorted(place for entry in os.scandir(top) if (place := layout.find(Path(entry))))
    if there:
        combine(top, there).close()


def _resources(cpus: int, gpus: float) -> Resources:
    share = arguments.number(gpus, "gpus")
    if share < 0:
        raise UsageError(f"gpus={gpus}: give 0 or more")
    return Resources(arguments.whole(cpus, "cpus", least=1), share)


def _made(directory: Path) -> Path:
    with durable.storage_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
    if found := layout.find(directory):
        raise UsageError(f"{found}: a collection; give a directory of its own, for many collections")
    return directory.resolve()


def _folder(parts: Sequence[Part]) -> Path:
    """The folder that all archives are in; the current one if there are only URLs and lists."""
    archives = [part.source for part in parts if isinstance(part.source, str) and not keys.is_url(part.source)]
    here = [Path(archive).parent for archive in archives]
    return Path(os.path.commonpath(here)) if here else Path.cwd()

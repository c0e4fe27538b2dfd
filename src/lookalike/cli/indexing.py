"""The commands that make a collection and its index: index, plan, build."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import lookalike
from lookalike.cli import exit_codes, locate, nested, options, output, progress, reindexing, reports
from lookalike.cli.lists import NamedSources, named_sources
from lookalike.cli.on_cluster import index_on_cluster
from lookalike.display.text import safe_text
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.collection.collection import Collection
    from lookalike.collection.reindex import ReindexEstimate
    from lookalike.ingest.pipeline import Report


_HEADINGS = {
    "What is indexed": ("--from-file", "--null", "--exclude", "--include", "--trust", "--take-over"),
    "How": (
        "--model",
        "--precision",
        "--reindex",
        "--device",
        "--threads",
        "--max-pixels",
        "--regions",
        "--region-count",
        "--ray",
        "--ray-gpus",
    ),
    "Outcome": ("--skip-duplicates", "--prune", "--strict", "--json"),
}


@click.command(cls=options.GroupedCommand, headings=_HEADINGS)
@click.argument("paths", nargs=-1, metavar="[FOLDER | FILE]...", type=options.FilePath(allow_dash=True))
@click.option(
    "--from-file",
    "lists",
    multiple=True,
    metavar="LIST",
    type=options.FilePath(dir_okay=False, allow_dash=True),
    help="Index the files and folders that LIST names, one a line; - reads standard input. Repeatable.",
)
@click.option("-0", "--null", is_flag=True, help="The paths in lists end with NUL characters, as of find -print0.")
@options.exclude
@click.option("--include", multiple=True, metavar="GLOB", help="Drop an earlier --exclude, or a default; repeatable.")
@click.option("--trust", is_flag=True, help="Read what a collection of somebody else's names outside of its folder.")
@click.option(
    "--take-over/--no-take-over",
    default=None,
    help="Take vectors and attributes over from collections below instead of starting anew (default: ask).",
)
@options.model
@options.precision
@click.option("--reindex", is_flag=True, help="Index again with another --model, then switch over.")
@options.device
@options.threads
@options.max_pixels
@options.regions
@options.region_count
@click.option("--ray", metavar="ADDRESS", help="Index archives on a Ray cluster, each into a collection; or local.")
@click.option("--ray-gpus", default=0.0, metavar="SHARE", help="GPUs for each worker of the cluster, such as 0.25.")
@click.option("--skip-duplicates", is_flag=True, help="Leave out new images that are copies, edited or not.")
@click.option("--prune", is_flag=True, help="Forget missing images, unless a drive may be away.")
@click.option("--strict", is_flag=True, help="Exit code 3 if any file was left out.")
@options.as_json
@options.collection
def index(
    paths: Sequence[str],
    directory: str | None,
    lists: Sequence[str],
    null: bool,
    exclude: Sequence[str],
    include: Sequence[str],
    reindex: bool,
    take_over: bool | None,
    regions: bool | None,
    region_count: str | None,
    skip_duplicates: bool,
    prune: bool,
    strict: bool,
    trust: bool,
    threads: int | None,
    ray: str | None,
    ray_gpus: float,
    as_json: bool,
    **choice: Any,
) -> int:
    """Make a folder searchable, or bring it up to date.

    Only new and changed files are processed; the files themselves stay as they are. A run may be stopped at any time:
    the next one carries on. The collection is kept in FOLDER/.lookalike, unless a folder above has one, which FOLDER
    then becomes part of. It remembers what it was made of: without FOLDER, all of that is brought up to date.

    Files that cannot be used are named, and the rest goes on. An image whose file is gone is missing: it is not found,
    but kept until the file is back, under whatever name, or the image is pruned.

    Left out are hidden files and folders, symbolic links to folders, thumbnails and waste of network drives and systems
    (@eaDir, #recycle, $RECYCLE.BIN, lost+found and the like), Lookalike's own contact sheets, and what --exclude names,
    now or earlier.

    A FILE may be an archive of images: a tar file (.tar, .tar.gz) as WebDataset writes it, or a Parquet file as Hugging
    Face's datasets write it. Its images are read where they are. FOLDER and FILE may be behind a URL, such as
    s3://bucket/{000..127}.tar. A LIST may be a table (.csv, .tsv, .jsonl, .parquet): other columns are attributes.

    With --ray, workers of a Ray cluster make a collection of each archive, or of 10,000 files of a list, in the
    directory that -c names, and these are searched as one. A run that was stopped is carried on by the same command.
    """
    named = named_sources(paths, lists, null=null)
    if ray is not None:
        refused = {
            "--exclude": exclude,
            "--include": include,
            "--trust": trust,
            "--take-over": take_over,
            "--reindex": reindex,
            "--regions": regions or region_count,
            "--skip-duplicates": skip_duplicates,
            "--prune": prune,
        }
        how: dict[str, Any] = {"threads": threads, "gpus": ray_gpus, "as_json": as_json, "strict": strict}
        return index_on_cluster(ray, named, directory, refused, **how, **choice)
    place = locate.place_to_index(named.paths, directory, has_lists=named.has_lists)
    change = _change_of_model(place, named, choice, reindex=reindex) if place else None
    parts = _region_count(regions, region_count)
    run = _Run(named, (exclude, include), take_over, threads, parts, skip_duplicates, trust=trust, as_json=as_json)
    if place and change:
        collection, report = run.reindex(place, change, choice)
    else:
        collection = locate.collection_to_index(place, named, directory, **choice)
        report = run.index(collection, is_new=place is None)
    _finish(collection, report, prune=prune, maintain=not change, as_json=as_json)
    return _exit_code(report, strict=strict)


@dataclass(frozen=True)
class _Run:
    """How to bring a collection up to date.

    Attributes:
        named: what with; nothing stands for what it was made of.
        patterns: what the collection leaves out from now on, and what not any more.
        take_over: whether to take vectors over from the collections below; None asks.
        threads: the number of images to process at once, or None.
        regions: how many parts of each image to encode, too; 0 for none, None for as many as before.
        skip_duplicates: whether to leave out new images that are copies of others.
        trust: whether it may read whatever the collection names.
        as_json: print JSON.
    """

    named: NamedSources
    patterns: tuple[Sequence[str], Sequence[str]]
    take_over: bool | None
    threads: int | None
    regions: int | None
    skip_duplicates: bool
    trust: bool
    as_json: bool

    def index(self, collection: "Collection", *, is_new: bool) -> "Report":
        """Adds what is named, and prints a report of each source."""
        from lookalike.ingest.pipeline import combined

        _leave_out(collection, *self.patterns)
        if self.regions is not None:
            collection.keep_regions(self.regions)
        folders = self.named.all_folders or [str(collection.folder)]
        others = nested.to_take_over(collection, folders, self.take_over, is_new=is_new)
        given: dict[str, Any] = {
            "take_over": others,
            "threads": self.threads,
            "skip_duplicates": self.skip_duplicates,
        }
        done = []
        for source in self.named.sources or [None]:
            with progress.indexing() as shown:
                if source is None:
                    again = partial(collection.update, **given, progress=shown)
                    report = nested.asking_to_trust(again, collection.directory, trust=self.trust)
                else:
                    report = collection.add(source, **given, progress=shown)
            reports.print_report(report, collection, as_json=self.as_json)
            done.append(report)
        return combined(done)

    def reindex(self, place: Path, change: "ReindexEstimate", choice: dict[str, Any]) -> "tuple[Collection, Report]":
        """Indexes again with another model, and says what that has done; returns the collection as it is then."""
        from lookalike.collection.sources import change_what_is_left_out

        if self.take_over:
            output.note("--take-over has no effect with --reindex.")
        if self.skip_duplicates:
            output.note("--skip-duplicates has no effect with --reindex.")
        if self.regions is not None:
            with lookalike.open(place) as before:
                before.keep_regions(self.regions)
        if any(self.patterns):
            exclude, include = self.patterns
            change_what_is_left_out(place, exclude=exclude, include=include)
        again = partial(reindexing.reindexed, change, self.named.sources, self.threads, choice)
        report = nested.asking_to_trust(again, place, trust=self.trust)
        collection = lookalike.open(place)
        reports.print_report(report, collection, as_json=self.as_json)
        reindexing.print_change(change, report, as_json=self.as_json)
        return collection, report


@click.command()
@click.argument("folder", metavar="FOLDER", type=options.FilePath())
@options.collection
@options.model
@options.precision
@options.max_pixels
@click.option("--sample", default=200, show_default=True, type=click.IntRange(1), help="Number of files to try.")
@options.regions
@options.region_count
@options.as_json
def plan(
    folder: str,
    directory: str | None,
    sample: int,
    regions: bool | None,
    region_count: str | None,
    as_json: bool,
    **choice: Any,
) -> None:
    """Estimate what indexing FOLDER would take.

    The estimate covers the time, the disk, the memory, and which index there would be. All files are counted, and a
    sample of them is tried. Nothing is written.
    """
    from lookalike.collection.plan import plan as estimate

    with progress.planning() as report_progress:
        choice |= {"sample": sample, "regions": _region_count(regions, region_count)}
        found = estimate(folder, directory=directory, progress=report_progress, **choice)
    reports.print_plan(found, as_json=as_json)


@click.command()
@options.folder
@options.collection
@click.option("--recall", default=0.98, show_default=True, type=options.RECALL, help="Target recall of the 10 nearest.")
@click.option("--memory", metavar="SIZE", help="The most memory that the index may take, such as 500MB.")
@click.option("--spec", metavar="FACTORY", help="FAISS index factory string, such as IVF4096,PQ320x4fs or HNSW32,SQ8.")
@click.option("--augment/--no-augment", default=None, help="Keep augmented vectors for search --refine.")
@options.as_json
def build(
    folder: str | None,
    directory: str | None,
    recall: float,
    memory: str | None,
    spec: str | None,
    augment: bool | None,
    as_json: bool,
) -> None:
    """Build an index that makes searching fast.

    The vectors stay as they are, on the disk; the index takes a fraction of their size, and proposes candidates that
    the vectors then rank. `lookalike index` builds one by itself once there are so many images that comparing with all
    of them takes long, and keeps it current.

    The recall is measured on the collection's own images, and searches keep to it. If no index can reach the target,
    a warning says so, and the best one is kept.

    With --augment, each image gets a second vector, of what it has in common with its nearest. The order of search
    --refine then goes by these, which finds more where there are hundreds of images of a kind. They take as much disk
    as the vectors.
    """
    collection = locate.open_collection(directory, folder=folder)
    if augment is not None:
        with progress.building() as report_progress:
            collection.keep_augmented(augment, progress=report_progress)
    with progress.building() as report_progress:
        index = collection.build(recall=recall, memory=memory, spec=spec, progress=report_progress)
    reports.print_index(index, collection, as_json=as_json)


def _change_of_model(
    place: Path, named: NamedSources, choice: dict[str, Any], *, reindex: bool
) -> "ReindexEstimate | None":
    """The change of model that is asked for, or None; raises ExplainedError if that is not by --reindex."""
    if len(named.paths) == 1:
        _follow(place, named.paths[0])
    change = reindexing.change_of_model(place, choice, reindex=reindex)
    if change and not reindex:
        raise output.ExplainedError(reindexing.explanation(change))
    return change


def _follow(place: Path, folder: str) -> None:
    """Tells a collection that its images are below a folder now, if their contents leave no doubt."""
    from lookalike.collection import relocation

    if os.path.isdir(folder) and (old := relocation.moved_folder(place, folder)):
        lookalike.relocate(place, old, folder)
        output.note(f"The images of {safe_text(old)} are in {safe_text(folder)} now.")


def _region_count(regions: bool | None, count: str | None) -> int | None:
    """How many parts of each image are to be encoded; 0 for none, None for as many as before."""
    if regions is False:
        if count is not None:
            raise UsageError("--no-regions and --region-count: give one of them")
        return 0
    return int(count) if count else 9 if regions else None


def _leave_out(collection: "Collection", exclude: Sequence[str], include: Sequence[str]) -> None:
    """Changes what a collection leaves out."""
    if include:
        collection.include(include)
    if exclude:
        collection.exclude(exclude)


def _finish(collection: "Collection", report: "Report", *, prune: bool, maintain: bool, as_json: bool) -> None:
    """Does what is left once the images are there."""
    if prune:
        _prune(collection, spare=report.misses_many, as_json=as_json)
    if maintain:
        with progress.building() as report_build:
            done = collection.maintain(progress=report_build)
        reports.print_maintenance(done, collection, as_json=as_json)
    locate.mention_nested(collection)


def _prune(collection: "Collection", *, spare: bool, as_json: bool) -> None:
    """Forgets the missing images, unless a drive may be away, now or since an earlier run."""
    from lookalike.ingest.pipeline import are_many

    info = collection.info()
    if spare or are_many(info.missing, info.images):
        are = "is" if info.missing == 1 else "are"
        output.note(f"{output.counted(info.missing, 'missing image')} {are} kept, since a drive may be away.")
    else:
        reports.print_pruned(collection.prune(), as_json=as_json)


def _exit_code(report: "Report", *, strict: bool) -> int:
    """Tells nothing that could be read, or many missing images, from success; with `strict`, any file left out."""
    left_out = len(report.skipped) + report.skipped_before
    there = report.added + report.updated + report.renamed + report.returned + report.unchanged
    is_serious = report.misses_many or (left_out and (strict or not there))
    return exit_codes.INCOMPLETE if is_serious else 0

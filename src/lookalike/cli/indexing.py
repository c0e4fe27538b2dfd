"""The commands that make a collection and its index: index, plan, build."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike import errors
from lookalike.cli import locate, options, output, progress, reports
from lookalike.cli.hints import as_command, command_for
from lookalike.display.text import is_harmless, safe_text

if TYPE_CHECKING:
    from lookalike.collection.collection import Collection
    from lookalike.collection.reindex import ReindexEstimate
    from lookalike.ingest.pipeline import Report

_SKIPPED = 3  # the exit code when some images were skipped, or many are missing


@click.command()
@click.argument("paths", nargs=-1, metavar="[FOLDER | FILE]...", type=options.FilePath())
@options.collection
@options.model
@options.precision
@click.option("--reindex", is_flag=True, help="Index again with another --model, then switch over.")
@click.option("--prune", is_flag=True, help="Forget missing images, unless a drive may be away.")
@options.device
@options.max_pixels
@options.threads
@options.as_json
def index(
    paths: Sequence[str],
    directory: str | None,
    reindex: bool,
    prune: bool,
    threads: int | None,
    as_json: bool,
    **choice: Any,
) -> int:
    """Make a folder searchable, or bring it up to date.

    Only new and changed files are processed. An image whose file is gone is missing: it is not found any more, but kept
    until the file is back, under whatever name, or the image is pruned. A run may be stopped at any time: the next one
    carries on. Hidden files and folders are left out, and so are contact sheets that Lookalike wrote; symbolic links to
    folders are not followed.

    The collection is kept in FOLDER/.lookalike, unless a folder above has one, which FOLDER then becomes part of. No
    image is changed. Without FOLDER, the nearest collection is brought up to date.
    """
    place = locate.place_to_index(paths, directory)
    if place and len(paths) == 1:
        _follow(place, paths[0])
    sources: list[Any] = [path for path in paths if os.path.isdir(path)]
    if files := [path for path in paths if not os.path.isdir(path)]:
        sources.append(files)
    if place and (change := _change_of_model(place, choice, reindex=reindex)):
        if not reindex:
            raise output.ExplainedError(_explanation(change))
        return _reindex(place, sources, threads, choice, prune=prune, as_json=as_json)
    collection = locate.collection_to_index(place, paths, directory, **choice)
    code, misses_many = 0, False
    for source in sources or [_folder_of(collection)]:
        with progress.indexing() as report_progress:
            report = collection.add(source, threads=threads, progress=report_progress)
        reports.print_report(report, collection, as_json=as_json)
        code, misses_many = _code(report) or code, misses_many or report.misses_many
    if prune:
        _prune(collection, spare=misses_many, as_json=as_json)
    with progress.building() as report_build:
        done = collection.maintain(progress=report_build)
    reports.print_maintenance(done, collection, as_json=as_json)
    return code


@click.command()
@click.argument("folder", metavar="FOLDER", type=options.FilePath())
@options.collection
@options.model
@options.precision
@options.max_pixels
@click.option("--sample", default=200, show_default=True, type=click.IntRange(1), help="Number of files to try.")
@options.as_json
def plan(folder: str, directory: str | None, sample: int, as_json: bool, **choice: Any) -> None:
    """Estimate what indexing FOLDER would take.

    The estimate covers the time, the disk, the memory, and which index there would be. All files are counted, and a
    sample of them is tried. Nothing is written.
    """
    from lookalike.collection.plan import plan as estimate

    with progress.planning() as report_progress:
        found = estimate(folder, directory=directory, sample=sample, progress=report_progress, **choice)
    reports.print_plan(found, as_json=as_json)


@click.command()
@options.collection
@click.option("--recall", default=0.98, show_default=True, type=options.RECALL, help="Target recall of the 10 nearest.")
@click.option("--memory", metavar="SIZE", help="The most memory that the index may take, such as 500MB.")
@click.option("--spec", metavar="FACTORY", help="FAISS index factory string, such as IVF4096,PQ320x4fs or HNSW32,SQ8.")
@options.as_json
def build(directory: str | None, recall: float, memory: str | None, spec: str | None, as_json: bool) -> None:
    """Build an index that makes searching fast.

    The vectors stay as they are, on the disk; the index takes a fraction of their size, and proposes candidates that
    the vectors then rank. `lookalike index` builds one by itself once there are so many images that comparing with all
    of them takes long, and keeps it current.

    The recall is measured on the collection's own images, and searches keep to it. If no index can reach the target,
    a warning says so, and the best one is kept.
    """
    collection = locate.open_collection(directory)
    with progress.building() as report_progress:
        index = collection.build(recall=recall, memory=memory, spec=spec, progress=report_progress)
    reports.print_index(index, collection, as_json=as_json)


def _folder_of(collection: "Collection") -> Path:
    """The folder of a collection; raises UsageError if there is none any more."""
    if os.path.isdir(collection.folder):
        return collection.folder
    command = command_for("relocate", "-c", collection.directory, collection.folder, "NEW")
    raise errors.UsageError(f"{collection.folder}: there is no such folder any more; if it is elsewhere now: {command}")


def _follow(place: Path, folder: str) -> None:
    """Tells a collection that its images are below a folder now, if their contents leave no doubt."""
    import lookalike
    from lookalike.collection import relocation

    if os.path.isdir(folder) and (old := relocation.moved_folder(place, folder)):
        lookalike.relocate(place, old, folder)
        output.note(f"The images of {safe_text(old)} are in {safe_text(folder)} now.")


def _change_of_model(place: Path, choice: dict[str, Any], *, reindex: bool) -> "ReindexEstimate | None":
    """What indexing with the given model would change, if one is given and it is not the collection's own."""
    from lookalike.collection.reindex import estimate_reindex
    from lookalike.storage import manifest as manifests

    wanted = {name: choice[name] for name in ("model", "precision")}
    if not reindex and not any(wanted.values()):
        return None
    change = estimate_reindex(place, **wanted)
    if reindex and change is None:
        output.note(f"The collection is already indexed with {manifests.read(place).made_by}; --reindex has no effect.")
    return change


def _reindex(
    place: Path, sources: Sequence[Any], threads: int | None, choice: dict[str, Any], *, prune: bool, as_json: bool
) -> int:
    import lookalike

    with progress.indexing() as report_progress, progress.building() as report_build:
        report = lookalike.reindex(
            place, sources or None, threads=threads, progress=report_progress, build_progress=report_build, **choice
        )
    collection = lookalike.open(place)
    reports.print_report(report, collection, as_json=as_json)
    if prune:
        _prune(collection, spare=report.misses_many, as_json=as_json)
    return _code(report)


def _prune(collection: "Collection", *, spare: bool, as_json: bool) -> None:
    """Forgets the missing images, unless a drive may be away, now or since an earlier run."""
    from lookalike.ingest.pipeline import are_many

    info = collection.info()
    if spare or are_many(info.missing, info.images):
        are = "is" if info.missing == 1 else "are"
        output.note(f"{output.counted(info.missing, 'missing image')} {are} kept, since a drive may be away.")
    else:
        reports.print_pruned(collection.prune(), as_json=as_json)


def _code(report: "Report") -> int:
    return _SKIPPED if report.skipped or report.skipped_before or report.misses_many else 0


def _explanation(change: "ReindexEstimate") -> str:
    """What indexing again with another model would do, line by line."""
    from lookalike.collection.compatibility import model_options, reindex_hint

    manifest, wanted = change.manifest, change.wanted
    command = as_command(reindex_hint(change.directory, manifest, wanted))
    plan = command_for("plan", str(manifest.folder), **model_options(manifest, wanted))
    lines = [
        f"{change.directory}: its {output.counted(change.images, 'image')} were indexed with {manifest.made_by},"
        f" whose vectors cannot be compared with those of {wanted}.",
        f"To re-index with {wanted}, run: {command}" if command else "",
        f"- It needs about {change.bytes / 1e6:,.1f} MB on the disk, besides the present data until it finishes.",
        f"- To estimate the time, run: {plan}" if is_harmless(plan) else "",
        "- Searches use the present data until then. Ids, attributes and labels stay. It may be stopped at any time.",
    ]
    if change.unfinished:
        done = f"{change.unfinished.done:,} of {change.unfinished.files:,} files are done"
        fate = "" if change.unfinished.made_by == wanted else ", which would be discarded"
        lines.append(f"- It has begun with {change.unfinished.made_by}: {done}{fate}.")
    return "\n".join(filter(None, lines))

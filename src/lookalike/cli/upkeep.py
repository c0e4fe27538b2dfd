"""The commands that look after a collection: evaluate, info, check, remove."""

from collections.abc import Sequence
from pathlib import Path

import click

from lookalike import errors
from lookalike.cli import exit_codes, locate, options, output, progress, quality, reports
from lookalike.cli.hints import as_command
from lookalike.display.text import safe_text


@click.command()
@options.folder
@options.collection
@click.option("--queries", default=1000, show_default=True, type=click.IntRange(1), help="Number of queries.")
@click.option("--html", type=options.OUTPUT_FILE, help="Write a report with thumbnails.")
@options.overwrite
@options.as_json
def evaluate(
    folder: str | None, directory: str | None, queries: int, html: Path | None, overwrite: bool, as_json: bool
) -> None:
    """Measure how good the search is.

    The queries are images of the collection, each left out of its own matches. Recall is the share of the ten nearest
    images that a search finds; precision is the share of matches that have the label of the query; mAP is the mean
    average precision over exact rankings. The order by score and that of --refine are compared, also by edited copies
    of some images ("copy first": the original is the first match). How probable it is that a match has the query's
    label is learned as well, and told by later searches; "off by" is by how much that differs from the share that has
    it, AUROC how well right first matches are told from wrong ones. The label of an image is the folder that it is in,
    unless a table gives it another one.
    """
    files = output.OutputFiles(html, overwrite=overwrite)
    output.check_files(files)
    collection = locate.open_collection(directory, folder=folder)
    with progress.steps("Searching") as report_progress:
        evaluation = collection.evaluate(queries=queries, progress=report_progress)
    quality.print_evaluation(evaluation, files, as_json=as_json)


@click.command()
@options.folder
@options.collection
@click.option(
    "--skipped",
    is_flag=True,
    help="List the images that were left out, with the reasons, and count all other files.",
)
@click.option("--missing", is_flag=True, help="List the images whose files are gone or cannot be used.")
@options.as_json
def info(folder: str | None, directory: str | None, skipped: bool, missing: bool, as_json: bool) -> None:
    """Show what a collection is and holds."""
    collection = locate.open_collection(directory, folder=folder, partial=True)
    if missing:
        reports.print_missing(collection.missing(), as_json=as_json)
    if skipped:
        reports.print_skipped(collection.skipped(), collection.other_files(), as_json=as_json)
    if not (skipped or missing):
        reports.print_info(collection.info(), as_json=as_json)


@click.command()
@options.folder
@options.collection
@options.as_json
def check(folder: str | None, directory: str | None, as_json: bool) -> int:
    """Read everything that is stored, and name what is damaged."""
    collection = locate.open_collection(directory, folder=folder, partial=True)
    damages = collection.find_damage()
    sentences = [errors.with_hints(damage.message, damage.hints, as_command) for damage in damages]
    if as_json:
        output.print_json({"damages": sentences})
    else:
        for sentence in sentences:
            output.say(sentence)
        if not damages:
            output.say(f"No damage found: {output.counted(len(collection), 'image')}, all checksums match.")
        elif not (collection.info().shards or all(damage.hints for damage in damages)):  # an index can be built again
            output.note(
                f"To rebuild the collection, delete {safe_text(collection.directory)} and index the folder again."
                " Then import your attribute tables again."
            )
    return exit_codes.CORRUPT if damages else 0


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="[IMAGE | FOLDER]...", type=options.FilePath())
@options.collection
@click.option("--all", "everything", is_flag=True, help="Do not ask before every image is removed.")
@options.as_json
def remove(paths: Sequence[str], directory: str | None, everything: bool, as_json: bool) -> None:
    """Remove images or whole folders from the collection.

    The files are not deleted; the next `lookalike index` adds them back if they are still there. If no image would be
    left, a person at a terminal is asked, and anything else has to say --all. A list, or a folder outside of the
    collection's own, is not indexed again by a `lookalike index` that names nothing.
    """
    collection = locate.open_collection(directory, near=paths)
    before = collection.made_of
    for path in paths:
        if collection.is_source(path):
            output.note(f"{safe_text(path)}: not indexed again by itself from now on")
        elif not collection.named([path]):
            output.note(f"{safe_text(path)}: not in the collection")
    if not everything and collection.named(paths) >= len(collection) > 1:
        _confirm_emptying(len(collection))
    removed = collection.remove(paths)
    if not removed and collection.made_of == before:
        raise errors.UsageError("nothing was removed; give paths as they are on the disk")
    if as_json:
        output.print_json({"removed": removed})
    else:
        output.say(f"Removed {output.counted(removed, 'image')}.")


def _confirm_emptying(images: int) -> None:
    """Asks at a terminal whether all images are to be removed; raises UsageError elsewhere, and Abort if not."""
    if not output.is_with_a_person():
        raise errors.UsageError(f"this would remove all {images:,} images of the collection; if it should, add --all")
    click.confirm(f"Remove all {images:,} images of the collection?", abort=True, err=True)

"""The commands that take collections to other programs and back: export, import, merge, split."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli import exit_codes, locate, options, output, progress
from lookalike.display.text import safe_text

if TYPE_CHECKING:
    from lookalike.exchange.import_embeddings import ImportReport

_new_collection = click.option(
    "-c",
    "--collection",
    "directory",
    metavar="DIR",
    required=True,
    type=options.FilePath(file_okay=False),
    help="The directory of the new collection.",
)


def _to_directory(help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option that names a new directory."""
    kind = options.FilePath(file_okay=False)
    return click.option("--to", metavar="DIR", required=True, type=kind, help=help_text)


@click.command()
@options.folder
@options.collection
@click.option(
    "--to",
    "paths",
    multiple=True,
    required=True,
    type=options.OUTPUT_FILE,
    help="The file to write: .npy, .parquet, .csv, .faiss or .index; repeatable.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32"]),
    default="float16",
    show_default=True,
    help="Precision of the vectors in .npy and .parquet files.",
)
@click.option("--no-vectors", is_flag=True, help="Write the catalog alone to a .parquet file.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@options.as_json
def export(
    folder: str | None, directory: str | None, paths: tuple[Path, ...], no_vectors: bool, as_json: bool, **given: Any
) -> None:
    """Write vectors and catalog to files of other programs.

    The suffix says what is written. Row n is of the same image in all files of one call: there is one for each image
    that can be found, in the order of the ids.

    \b
      .npy      the vectors, as numpy.load reads them
      .parquet  the catalog, and the vectors as the column embedding
      .csv      the catalog
      .faiss    an exact FAISS index whose ids are those of the images
    """
    collection = locate.open_collection(directory, folder=folder)
    with progress.steps("Exporting") as report_progress:
        report = collection.export(paths, vectors=not no_vectors, progress=report_progress, **given)
    if as_json:
        output.print_json({"images": report.images, "files": {str(path): size for path, size in report.files}})
        return
    for path, size in report.files:
        output.say(f"{safe_text(path)}: {output.counted(report.images, 'image')}, {output.bytes_text(size)}")


@click.command(name="import")
@click.argument("embeddings", nargs=-1, required=True, type=options.FilePath(exists=True))
@_new_collection
@click.option(
    "--folder",
    metavar="FOLDER",
    type=options.FilePath(exists=True, file_okay=False),
    help="What relative paths are relative to (default: the folder that DIR is in).",
)
@click.option("--model", metavar="NAME", help="The model that made them, if it is here, see: lookalike models list.")
@options.precision
@click.option("--made-by", metavar="NAME", help="The name of the model that made them, if it is not here.")
@click.option(
    "--key", metavar="COLUMN", help="The column that names the images (default: image_path, url or the like)."
)
@click.option("--hash-files", is_flag=True, help="Read the files of the images that are there, so that they are shown.")
@options.as_json
def import_(embeddings: tuple[str, ...], as_json: bool, **given: Any) -> int:
    """Make a collection of embeddings that were made elsewhere.

    EMBEDDINGS are .npy files with .parquet files that describe their rows, as clip-retrieval writes them, or a folder
    of such files; .parquet files with a column of embeddings; or a FAISS index that holds the vectors themselves. The
    column that names the images gives their paths or URLs, the others become attributes.

    With --model, searches by image and by text work; else those by id and by vector. An image is shown if its file has
    the SHA-256 that a column sha256 says, or the one that it has now, with --hash-files.
    """
    import lookalike

    with progress.steps("Importing") as report_progress:
        report = lookalike.import_embeddings(embeddings, progress=report_progress, **given)
    if as_json:
        output.print_json(asdict(report))
    else:
        _print_import(report)
    return 0 if report.images else exit_codes.INCOMPLETE


def _print_import(report: "ImportReport") -> None:
    place, model = safe_text(report.directory), safe_text(report.model)
    output.say(f"{place}: {output.counted(report.images, 'image')} with vectors of {model}")
    column = f"by column '{safe_text(report.column)}'" if report.column else "by file and row"
    names = ", ".join(map(safe_text, report.attributes))
    output.say(f"Named {column}" + (f", with: {names}" if names else ""))
    for name, reason in report.left_out:
        output.note(f"column '{safe_text(name)}' is left out: {safe_text(reason)}")
    for reason, count in report.skipped.items():
        output.note(f"{output.counted(count, 'row')} left out: {reason}")
    for row in report.first_skipped:
        output.note(f"row {row.row:,} ({safe_text(row.name)}): {row.reason}")
    if unknown := report.images - report.verified:
        output.note(f"{output.counted(unknown, 'image')} without a SHA-256 of the file: not shown; see --hash-files")


@click.command()
@click.argument("collections", nargs=-1, required=True, metavar="COLLECTION...", type=options.FilePath())
@_to_directory("The directory of the new collection.")
@click.option(
    "--folder",
    metavar="FOLDER",
    type=options.FilePath(exists=True, file_okay=False),
    help="What its paths are relative to (default: the folder that DIR is in).",
)
@options.as_json
def merge(collections: tuple[str, ...], to: str, folder: str | None, as_json: bool) -> None:
    """Make one collection of several of the same model.

    Each COLLECTION is the folder that was indexed, or the collection's own directory. Nothing is encoded again, and the
    collections stay as they are. The images keep their labels and attributes and get new ids; of images at the same
    path, the first stays.
    """
    import lookalike

    with progress.steps("Merging") as report_progress:
        report = lookalike.merge(collections, directory=to, folder=folder, progress=report_progress)
    if as_json:
        output.print_json(asdict(report))
        return
    output.say(f"{safe_text(report.directory)}: {output.counted(report.images, 'image')}")
    if report.repeated:
        output.note(f"{output.counted(report.repeated, 'image')} of more than one of them: the first stays")
    _note_missing(report.missing)


@click.command()
@options.folder
@options.collection
@_to_directory("The new directory, which will have a directory for each part.")
@click.option("--parts", type=click.IntRange(1), help="How many parts.")
@click.option("--images", type=click.IntRange(1), help="Or how many images in each, but for the last.")
@options.as_json
def split(
    folder: str | None, directory: str | None, to: str, parts: int | None, images: int | None, as_json: bool
) -> None:
    """Make several collections of one, in the order of the ids.

    Nothing is encoded again, and the collection stays as it is. The images keep their paths, labels and attributes and
    get new ids in each part.
    """
    import lookalike

    path = locate.open_collection(directory, folder=folder).directory
    with progress.steps("Splitting") as report_progress:
        report = lookalike.split(path, directory=to, parts=parts, images=images, progress=report_progress)
    if as_json:
        output.print_json(asdict(report))
        return
    for place, count in zip(report.directories, report.images, strict=True):
        output.say(f"{safe_text(place)}: {output.counted(count, 'image')}")
    _note_missing(report.missing)


def _note_missing(images: int) -> None:
    if images:
        output.note(f"{output.counted(images, 'missing image')} left out")

"""The commands that take collections to other programs and back: export, import, merge, split."""

from pathlib import Path
from typing import Any

import click

from lookalike.cli import locate, options, output, progress
from lookalike.display.text import safe_text


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
    """Write the vectors and the catalog to files of other programs.

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

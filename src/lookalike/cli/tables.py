"""The command that imports attributes from a table."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli import exit_codes, locate, options, output
from lookalike.display.text import safe_text

if TYPE_CHECKING:
    from lookalike.attributes.apply import AttributesReport

_SHOWN_CELL = 40  # characters


@click.command()
@click.argument("table", type=options.FilePath(dir_okay=False))
@options.folder
@options.collection
@options.as_json
def attributes(table: str, folder: str | None, directory: str | None, as_json: bool) -> int:
    """Import attributes of images, to filter searches by.

    TABLE is a CSV, TSV or Parquet file, as spreadsheets, exiftool or pandas write it. One of its columns names the
    images: the one whose cells are paths of most of them, relative to TABLE or else to the collection's folder. If none
    has paths, names of files will do, with or without their suffixes, where only one image can be meant. The other
    columns are attributes; one named label becomes the image's label. An empty cell, or one that says NA, NaN or None,
    removes an attribute; what TABLE does not mention stays.
    """
    report = locate.open_collection(directory, near=[table], folder=folder).annotate(table)
    if as_json:
        output.print_json(asdict(report))
    else:
        print_attributes(report)
    return 0 if report.images else exit_codes.INCOMPLETE


def print_attributes(report: "AttributesReport") -> None:
    """Prints what a table has given to which images, and what in it may not be as its owner thinks."""
    names = ", ".join(safe_text(name) for name in report.names)
    column = f"column '{safe_text(report.column)}'" if report.column else "a column without a name"
    output.say(f"{output.counted(report.images, 'image')}, named by {column}, now with: {names}")
    if report.by_name:
        output.note(f"{report.by_name:,} of them by the names of their files alone, with or without the suffix")
    if report.nameless:
        output.note(f"{output.counted(report.nameless, 'row')} without a path in {column}: left out")
    if report.no_value:
        output.note(f"{output.counted(report.no_value, 'cell')} with NA, NaN, None or the like: taken as empty")
    for each in report.not_numbers:
        name, cell = safe_text(each.column), safe_text(each.cell[:_SHOWN_CELL])
        output.note(f"{name} is text, since line {each.line} has '{cell}': a filter like \"{name}>=1\" leaves it out")
    for path in report.first_unknown:
        output.note(f"{safe_text(path)}: not in the collection")
    if report.unknown > len(report.first_unknown):
        output.note(f"and {report.unknown - len(report.first_unknown):,} more that are not in the collection")
    for ambiguous in report.first_ambiguous:
        taken, other = safe_text(ambiguous.taken), safe_text(ambiguous.other)
        output.note(f"{safe_text(ambiguous.path)}: {taken}, beside the table, is taken; {other} is an image, too")
    if report.ambiguous > len(report.first_ambiguous):
        output.note(f"and {report.ambiguous - len(report.first_ambiguous):,} more that name two images")

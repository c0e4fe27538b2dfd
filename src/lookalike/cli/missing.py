"""The commands for images whose files are gone or elsewhere: prune and relocate."""

import contextlib
import re
from datetime import timedelta

import click

from lookalike import errors
from lookalike.cli import locate, options, output, reports
from lookalike.display.text import safe_text

_AGE = re.compile(r"([0-9]{1,9})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@click.command()
@options.folder
@options.collection
@click.option("--missing-for", metavar="AGE", help="Only those missing for so long: 12h, 30d or 4w (default: all).")
@options.as_json
def prune(folder: str | None, directory: str | None, missing_for: str | None, as_json: bool) -> None:
    """Forget the images whose files are missing.

    An image is missing when its file is gone or cannot be used: it is not found any more, but keeps its id, its
    attributes and its vector, and is as before when the file is back. This forgets such images for good. To see which
    they are: lookalike info --missing
    """
    age = timedelta() if missing_for is None else _age(missing_for)
    collection = locate.open_collection(directory, folder=folder)
    reports.print_pruned(collection.prune(missing_for=age), as_json=as_json)


@click.command()
@click.argument("old", metavar="OLD", type=options.FilePath())
@click.argument("new", metavar="NEW", type=options.FilePath())
@options.collection
@options.as_json
def relocate(old: str, new: str, directory: str | None, as_json: bool) -> None:
    """Follow the images of a folder to another place.

    OLD is the folder as it was named when it was indexed, and NEW is where it is now: a drive may have another mount
    point, or a folder another name. Ids, attributes and vectors stay; no image is read. A collection in the folder of
    its images moves with it and needs no command.
    """
    import lookalike

    images = lookalike.relocate(locate.open_collection(directory).directory, old, new)
    if as_json:
        output.print_json({"relocated": images})
    else:
        output.say(f"{output.counted(images, 'file')} of the collection, now in {safe_text(new)}")


def _age(text: str) -> timedelta:
    if found := _AGE.fullmatch(text):
        with contextlib.suppress(OverflowError):
            return int(found[1]) * _UNITS[found[2]]
    raise errors.UsageError(f"--missing-for {safe_text(text)}: give a number of hours, days or weeks: 12h, 30d or 4w")

"""The command for images whose files are gone: prune."""

import contextlib
import re
from datetime import timedelta

import click

from lookalike import errors
from lookalike.cli import locate, options, reports
from lookalike.display.text import safe_text

_AGE = re.compile(r"([0-9]{1,9})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@click.command()
@options.collection
@click.option("--missing-for", metavar="AGE", help="Only those missing for so long: 12h, 30d or 4w (default: all).")
@options.as_json
def prune(directory: str | None, missing_for: str | None, as_json: bool) -> None:
    """Forget the images whose files are missing.

    An image is missing when its file is gone or cannot be used: it is not found any more, but keeps its id, its
    attributes and its vector, and is as before when the file is back. This forgets such images for good. To see which
    they are: lookalike info --missing
    """
    age = timedelta() if missing_for is None else _age(missing_for)
    collection = locate.open_collection(directory)
    reports.print_pruned(collection.prune(missing_for=age), as_json=as_json)


def _age(text: str) -> timedelta:
    if found := _AGE.fullmatch(text):
        with contextlib.suppress(OverflowError):
            return int(found[1]) * _UNITS[found[2]]
    raise errors.UsageError(f"--missing-for {safe_text(text)}: give a number of hours, days or weeks: 12h, 30d or 4w")

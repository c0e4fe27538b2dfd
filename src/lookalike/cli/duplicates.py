"""The command that finds copies."""

from typing import TYPE_CHECKING, Any

import click

from lookalike.cli import acting, exit_codes, locate, options, output, progress
from lookalike.cli.hints import as_command
from lookalike.display.copies_text import totals_text
from lookalike.display.json import copies_as_dict, copy_group_as_dict
from lookalike.display.text import safe_text
from lookalike.duplicates.names import ACTIONS, GRADES
from lookalike.errors import Hint

if TYPE_CHECKING:
    from lookalike.collection.collection import Collection
    from lookalike.duplicates.results import Duplicates

_SHOWN_UNREAD = 20
_MANY_UNREAD = 0.2  # the share of images from which on something is wrong with the folder, as when indexing
_WORDS = {grade.replace(" ", "-"): grade for grade in GRADES}
_HEADINGS = {
    "What counts as a copy": ("--grade", "--against", "--nearest"),
    "What to show": ("--limit", "--html", "--open", "--csv", "--overwrite", "--json"),
    "What to do": ("--mark", "--apply", "--to", "--yes", "--undo", "--trust"),
}


@click.command(cls=options.GroupedCommand, headings=_HEADINGS)
@options.folder
@options.collection
@click.option(
    "--grade",
    type=click.Choice([*_WORDS]),
    default="edited-copy",
    show_default=True,
    help="The loosest grade that counts.",
)
@click.option(
    "--against", metavar="FOLDER", type=options.FilePath(), help="Only copies of the images of another collection."
)
@click.option(
    "--nearest",
    type=click.IntRange(1),
    help="Nearest images of each that are compared with it (default: 10, or 5 of more than 20,000).",
)
@click.option("--processes", type=click.IntRange(1), help="Processes that compare at once (default: one a core).")
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="Most groups in a terminal and on the page."
)
@click.option("--html", type=options.OUTPUT_FILE, help="Write a page that shows the groups, with what differs marked.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@click.option("--csv", type=options.OUTPUT_FILE, help="Write a table for spreadsheets, with a row for each image.")
@options.overwrite
@options.as_json
@click.option("--mark", is_flag=True, help="Mark all copies that are found, but those that were decided to be kept.")
@click.option("--apply", "action", type=click.Choice(ACTIONS), help="Act on the copies that are marked.")
@click.option("--to", metavar="DIR", type=options.FilePath(), help="The folder that --apply move moves files to.")
@click.option("--yes", is_flag=True, help="Do not ask before files are touched.")
@click.option(
    "--undo",
    type=click.IntRange(0),
    is_flag=False,
    flag_value=0,
    help="Restore the files of the last run, or of RUN.",
    metavar="[RUN]",
)
@click.option("--trust", is_flag=True, help="Undo a run that somebody else has done: its log may name any file.")
def duplicates(folder: str | None, directory: str | None, against: str | None, as_json: bool, **given: Any) -> int:
    """Find the images that are copies of one another.

    Copies are told in groups, each with the image that is suggested to be kept, and why. No file is touched without
    --apply, which acts only on what is marked, never on the last copy, and can be undone. Copies are marked with --mark
    or one by one on the page of lookalike serve --writable, at /review. A run may be stopped at any time: the next one
    carries on, and compares only what is new.

    \b
    The grades, from the strictest to the loosest:
      same-bytes    the same file
      same-pixels   another file that shows exactly the same
      edited-copy   compressed, resized, cropped, turned, mirrored, recoloured, framed, written on
      same-scene    another photograph of the same, such as one of a burst
      alike         looks like it

    \b
    Examples:
      lookalike duplicates photos/ --open
      lookalike duplicates photos/ --grade same-pixels --csv copies.csv
      lookalike duplicates train/ --against test/ --json
      lookalike duplicates photos/ --mark --apply move --to elsewhere/
      lookalike duplicates photos/ --undo

    With --json, there is one object for each group, and a last one with the totals. Through a pipe, there is one line
    for each image: group, grade, id, score, size, path and reason, separated by tabs.
    """
    wanted = {"grade": _WORDS[given["grade"]], **{name: given[name] for name in ("nearest", "processes")}}
    if given["undo"] is not None:
        collection = locate.open_collection(directory, folder=folder)
        return acting.undo(collection, given["undo"] or None, trust=given["trust"], as_json=as_json)
    files = output.OutputFiles(given["html"], csv=given["csv"], overwrite=given["overwrite"])
    output.check_files(files)
    collection = locate.open_collection(directory, folder=folder)
    other = None if against is None else locate.open_other(against, collection)
    with progress.comparing() as report_progress:
        found = collection.duplicates(against=other, progress=report_progress, **wanted)
    _print(found, given["limit"], as_json=as_json)
    _write(found, collection, files, given["limit"], open_page=given["open_page"])
    if found.groups and not (files.html or given["open_page"] or as_json) and output.is_with_a_person():
        output.note("To see them side by side, with what differs marked, add: --open")
    _name_unread(found, collection)
    if given["mark"]:
        acting.mark(collection, found)
    if given["action"]:
        return acting.apply(collection, found, given["action"], given["to"], sure=given["yes"], as_json=as_json)
    return exit_codes.INCOMPLETE if len(found.unread) > _MANY_UNREAD * found.images else 0


def _print(found: "Duplicates", limit: int, *, as_json: bool) -> None:
    if as_json:
        for group in found.groups:
            output.print_json(copy_group_as_dict(group))
        output.print_json(copies_as_dict(found))
        return
    from rich.console import Console

    from lookalike.display.copies_table import print_duplicates

    print_duplicates(found, Console(), limit=limit)
    output.note(totals_text(found))


def _write(
    found: "Duplicates", collection: "Collection", files: output.OutputFiles, limit: int, *, open_page: bool
) -> None:
    if files.csv:
        from lookalike.display.copies_csv import write_table

        write_table(found, files.csv, overwrite=files.overwrite)
        output.note(f"Wrote {safe_text(files.csv)}")
    if files.html or open_page:
        from lookalike.display.copies_page import write_page

        path = files.html or output.temporary_file("copies.html")
        title = _title(found, collection)
        with progress.steps("Drawing") as report_progress:
            write_page(found, path, title=title, limit=limit, overwrite=files.overwrite, progress=report_progress)
        output.note(f"Wrote {safe_text(path)}")
        if open_page:
            output.open_in_browser(path)


def _title(found: "Duplicates", collection: "Collection") -> str:
    if found.against is not None:
        return f"Images of {found.against.name} in {collection.folder.name}"
    return f"Copies in {collection.folder.name}"


def _name_unread(found: "Duplicates", collection: "Collection") -> None:
    """Says which images could not be compared, and what to do."""
    for image in found.unread[:_SHOWN_UNREAD]:
        output.note(f"not compared: {safe_text(image.path or image.key)}")
    if (more := len(found.unread) - _SHOWN_UNREAD) > 0:
        output.note(f"and {more:,} more that were not compared")
    if found.unread:
        from lookalike.storage import layout

        place = collection.folder if layout.find(collection.folder) == collection.directory else collection.directory
        command = as_command(Hint("maintain", {"path": str(place)}))
        then = f" To bring the collection up to date: {command}" if command else ""
        output.note(f"Their files are gone, have changed since they were indexed, or cannot be used.{then}")

"""Writes groups of copies as a table for spreadsheets and other programs: CSV, a row for each image."""

import csv
import io
import os
from collections.abc import Iterator

from lookalike import arguments
from lookalike.display import write_file
from lookalike.display.copies_text import file_bytes, role_text
from lookalike.display.csv_cells import BYTE_ORDER_MARK, cell, name
from lookalike.display.text import score_text
from lookalike.duplicates.results import Copy, Duplicates
from lookalike.results import IndexedImage

HEAD = ("group", "role", "grade", "score", "reason", "id", "key", "path", "width", "height", "bytes", "probability")


def table(duplicates: Duplicates) -> str:
    """Returns a table as CSV (RFC 4180), with a row for each image of each group, the one to keep first.

    Its role is "keep", or "reference" if it is one of another collection, and its reason is why it is kept; the others
    have the role "copy". A text that a spreadsheet would take for a formula has an apostrophe before it. A name is as
    it is, unless it has control characters or the like, which are escaped (`safe_text`).
    """
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(HEAD)
    writer.writerows(map(cell, row) for row in _rows(duplicates))
    return written.getvalue()


def write_table(duplicates: Duplicates, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Writes `table(duplicates)` to a file in UTF-8 with a byte order mark, whole or not at all.

    Raises:
        UsageError: no file can be written at that path, or there is one already, without `overwrite`: even an earlier
            table, since somebody may have edited it.
        StorageError: the disk is full or failing.
    """
    checked = write_file.checked_arguments(path, overwrite=overwrite)
    arguments.instance(duplicates, Duplicates, "duplicates", "what Collection.duplicates returns")
    write_file.write(checked, (BYTE_ORDER_MARK + table(duplicates)).encode("utf-8"), overwrite=overwrite)


def _rows(duplicates: Duplicates) -> Iterator[tuple[str | int | None, ...]]:
    role = role_text(duplicates)
    for number, group in enumerate(duplicates.groups, 1):
        yield number, role, "", "", name(group.why), *_facts(group.keep), None
        for copy in group.copies:
            yield number, "copy", *_likeness(copy), *_facts(copy.image), _probability(copy)


def _likeness(copy: Copy) -> tuple[str, str, str]:
    return copy.grade, score_text(copy.score), name(copy.reason)


def _probability(copy: Copy) -> str:
    return "" if copy.probability is None else f"{copy.probability:.4f}"


def _facts(image: IndexedImage) -> tuple[str | int | None, ...]:
    path = None if image.path is None else name(os.fspath(image.path))
    return image.id, name(image.key), path, image.width or None, image.height or None, file_bytes(image)

"""The images of a collection whose files are gone or cannot be used."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lookalike import arguments
from lookalike.errors import UsageError
from lookalike.sources import places
from lookalike.storage.catalog import Catalog


@dataclass(frozen=True)
class Missing:
    """A missing image. It is not found, and kept until it is pruned or its file is back.

    Attributes:
        id: its number.
        path: where its file was.
        since: when it was missed first, in UTC.
        excluded: whether its file is left out, by its name or as no list names it any more; it may be there.
    """

    id: int
    path: Path
    since: datetime
    excluded: bool = False


def missing_images(catalog: Catalog, folder: Path, leaves_out: Callable[[str], bool]) -> list[Missing]:
    """The missing images, by path.

    Args:
        catalog: of the collection.
        folder: the one that the keys are relative to.
        leaves_out: says of a key whether its file is left out.
    """
    return [
        Missing(
            image.id,
            places.place_of(folder, image.key),
            datetime.fromtimestamp(image.since_ns / 1e9, UTC),
            excluded=leaves_out(image.key),
        )
        for image in catalog.missing()
    ]


def prune(catalog: Catalog, missing_for: timedelta | float) -> int:
    """Forgets the images that have been missing for that long, and returns their number.

    Raises:
        UsageError: the time is negative.
        StorageError: the disk is full or failing.
    """
    seconds = missing_for.total_seconds() if isinstance(missing_for, timedelta) else missing_for
    if (seconds := arguments.number(seconds, "missing_for")) < 0:
        raise UsageError(f"missing_for={seconds:g}: give a time of at least 0 seconds")
    with catalog.writing() as transaction:
        return transaction.missing.forget(until_ns=time.time_ns() - round(seconds * 1e9))

"""Collections whose images are told apart by a note: the key that each had at first, whatever became of its file."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lookalike import Collection, Report
from tests.support.file_history import in_small_steps
from tests.support.pictures import draw, everything
from tests.support.reindexing import stop_after


def add_noted(photos: Collection, *names: str) -> None:
    """Draws a picture of its own for each name, adds them, and notes the names as attributes."""
    for seed, name in enumerate(names, 1):
        draw(photos.folder / name, seed)
    photos.add(photos.folder, threads=1)
    with photos._catalog.writing() as transaction:
        for name in names:
            assert transaction.set_attributes(name, {"note": name})


def notes(photos: Collection) -> dict[str, str | None]:
    """The note of each image by its key; None if the image is new."""
    found = everything(photos).items()
    return {key: str(match.attributes["note"]) if match.attributes else None for key, match in found}


def notes_of_missing(photos: Collection) -> list[str]:
    """The notes of the missing images, in their order."""
    with photos._catalog._database.connection() as connection:
        return [note for (note,) in connection.execute("SELECT value FROM missing_attributes ORDER BY value")]


def add_with_stops(photos: Collection) -> Report:
    """Brings a collection up to date, file by file, in a run that is stopped after each file."""
    with in_small_steps(1, 1):
        for done in range(1, 1 + sum(1 for _ in files(photos.folder))):
            with suppress(KeyboardInterrupt):
                photos.add(photos.folder, threads=1, progress=stop_after(done))
        return photos.add(photos.folder, threads=1)


def files(folder: Path) -> Iterator[Path]:
    return folder.rglob("*.png")

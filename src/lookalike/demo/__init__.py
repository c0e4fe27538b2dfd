"""Draws a small gallery of pictures, so that Lookalike can be tried anywhere.

`write_gallery(Path("gallery"))` writes `gallery/balloon/balloon-01.jpg` and so on, 25 pictures of each of the twelve
kinds; `draw("clock", np.random.default_rng(7))` draws one. To add a kind, write a function in `outdoors`, `indoors` or
`nature` and name it in `kinds`.
"""

import re
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.demo.canvas import Pen
from lookalike.demo.kinds import KINDS, Kind
from lookalike.errors import StorageError, UsageError
from lookalike.images import marks
from lookalike.images.reading import read_start

__all__ = ["KINDS", "Kind", "draw", "holds_others", "write_gallery"]

QUALITY = 88  # of a JPEG, on Pillow's scale up to 95
# Widths and heights, as shares of the longer side.
FORMATS = ((1.0, 0.75), (1.0, 1.0), (0.75, 1.0), (1.0, 0.85), (0.85, 1.0))
# Other names that a gallery may contain: its collection, and the files of file managers.
TOLERATED = frozenset({".lookalike", ".DS_Store", "Thumbs.db", "desktop.ini"})


def draw(kind: str, rng: np.random.Generator, side: int = 320) -> Image.Image:
    """Draws a picture of a kind, which the generator varies; the same state of the generator gives the same picture.

    Args:
        kind: one of `KINDS`.
        rng: the random numbers that choose the shape, the colours and everything else.
        side: the longer side in pixels, at least 32.

    Returns:
        An RGB image in one of `FORMATS`.

    Raises:
        UsageError: the kind does not exist, or the side is too small.
    """
    if kind not in KINDS:
        raise UsageError(f"kind {kind!r}: there is no such kind of picture; choose one of {', '.join(KINDS)}")
    if side < 32:
        raise UsageError(f"side {side}: too small to draw anything; choose 32 or more")
    wide, high = FORMATS[int(rng.integers(len(FORMATS)))]
    pen = Pen.on(round(side * wide), round(side * high))
    KINDS[kind](pen, rng)
    return pen.finish(rng)


def write_gallery(
    folder: Path, *, per_kind: int = 25, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> list[Path]:
    """Writes `per_kind` JPEG files of each kind, `folder/<kind>/<kind>-01.jpg` and so on; returns their paths.

    The same seed gives the same files, and a smaller gallery is a part of a larger one. An earlier gallery in the
    folder is replaced completely. `progress` is called with the number of files that are written, and their total.

    Raises:
        UsageError: the folder contains other files, which are left as they are, or an option is out of range.
        StorageError: a file cannot be written.
    """
    if per_kind < 1:
        raise UsageError(f"per_kind {per_kind}: a gallery needs at least one picture of each kind")
    if seed < 0:
        raise UsageError(f"seed {seed}: choose 0 or more")
    try:
        return _write(folder, per_kind, seed, progress or (lambda _done, _total: None))
    except OSError as error:
        raise StorageError(
            f"{error.filename or folder}: {error.strerror}; free some space or choose another folder"
        ) from error


def holds_others(folder: Path) -> bool:
    """Whether a folder holds anything but a gallery, so that none can be written into it."""
    try:
        _own_files(folder)
    except UsageError:
        return folder.is_dir()
    return False


def _write(folder: Path, per_kind: int, seed: int, progress: Callable[[int, int], None]) -> list[Path]:
    earlier = _own_files(folder)
    mark = marks.image_options("JPEG", marks.DRAWING)  # which other files of the same names do not have
    paths = []
    for kind in KINDS:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(1, per_kind + 1):
            # Each picture has a generator of its own, so that adding a kind or a picture changes no other.
            rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), number])
            path = folder / kind / f"{kind}-{number:02d}.jpg"
            draw(kind, rng).save(path, "JPEG", quality=QUALITY, **mark)
            paths.append(path)
            progress(len(paths), per_kind * len(KINDS))
    for path in sorted(earlier.difference(paths)):
        path.unlink()
    return paths


def _own_files(folder: Path) -> set[Path]:
    """Returns the files of an earlier gallery in the folder; raises a UsageError if there are any others."""
    if not folder.exists() and not folder.is_symlink():
        return set()
    if not folder.is_dir():
        raise UsageError(f"{folder}: not a folder; choose another name for the gallery")
    own = set()
    for subfolder in _entries(folder):
        if subfolder.name not in KINDS or subfolder.is_symlink() or not subfolder.is_dir():
            raise _foreign(folder, subfolder)
        for path in _entries(subfolder):
            if not _is_own(path):
                raise _foreign(folder, path)
            own.add(path)
    return own


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name not in TOLERATED)


def _is_own(path: Path) -> bool:
    named = re.fullmatch(rf"{path.parent.name}-\d{{2,}}\.jpg", path.name)
    if not named or path.is_symlink() or not path.is_file():
        return False
    start = read_start(path, marks.START)
    return marks.has_mark(start, marks.DRAWING) or not start  # a full disk leaves an empty file


def _foreign(folder: Path, path: Path) -> UsageError:
    return UsageError(
        f"{folder}: holds {path.relative_to(folder)}, which is not a picture of the gallery; "
        "choose an empty folder or one that does not exist yet"
    )

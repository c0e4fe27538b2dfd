"""Draws a small gallery of pictures, so that the program can be tried anywhere.

`write_gallery(Path("gallery"))` writes `gallery/balloon/balloon-01.jpg` and so on, 25 pictures of each of the dozen
kinds; `draw("clock", np.random.default_rng(7))` draws one. A new kind is a function in `afar`, `indoors` or `nature`,
named in `kinds`.
"""

import re
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.demo.canvas import Pen
from lookalike.demo.kinds import KINDS, Kind
from lookalike.errors import StorageError, UsageError

__all__ = ["KINDS", "Kind", "draw", "write_gallery"]

QUALITY = 88
# Width and height as shares of the longer side.
FORMATS = ((1.0, 0.75), (1.0, 1.0), (0.75, 1.0), (1.0, 0.85), (0.85, 1.0))
# Written into every file, so that a gallery knows its own pictures from a file that merely has the same name.
SIGNATURE = b"Drawn by lookalike.demo"
# What a gallery may hold besides: the collection made from it, and what file managers leave behind.
TOLERATED = frozenset({".lookalike", ".DS_Store", "Thumbs.db", "desktop.ini"})


def draw(kind: str, rng: np.random.Generator, side: int = 320) -> Image.Image:
    """Draw one picture of a kind; everything about it but the kind is up to the generator.

    `kind` is one of `KINDS`; `side` is the longer side in pixels, at least 32. Returns an RGB picture,
    upright, wide or square. The same state of the generator gives the same picture. Raises UsageError
    for a kind that does not exist and a side that is too small.
    """
    if kind not in KINDS:
        raise UsageError(f"kind {kind!r}: there is no such kind of picture; choose one of {', '.join(KINDS)}")
    if side < 32:
        raise UsageError(f"side {side}: too small to draw anything; choose 32 or more")
    wide, high = FORMATS[int(rng.integers(len(FORMATS)))]
    pen = Pen.on(round(side * wide), round(side * high))
    KINDS[kind](pen, rng)
    return pen.finish(rng)


def write_gallery(folder: Path, *, per_kind: int = 25, seed: int = 0) -> list[Path]:
    """Write `per_kind` JPEG files of each kind, `folder/<kind>/<kind>-01.jpg` and so on; return their paths.

    The same seed gives the same files, and a smaller gallery is a part of a larger one. An earlier gallery in
    the folder is replaced as a whole. Raises UsageError, before anything is touched, if the folder holds
    anything else, and StorageError if a file cannot be written.
    """
    if per_kind < 1:
        raise UsageError(f"per_kind {per_kind}: a gallery needs at least one picture of each kind")
    if seed < 0:
        raise UsageError(f"seed {seed}: choose 0 or more")
    try:
        return _write(folder, per_kind, seed)
    except OSError as error:
        raise StorageError(
            f"{error.filename or folder}: {error.strerror}; free some space or choose another folder"
        ) from error


def _write(folder: Path, per_kind: int, seed: int) -> list[Path]:
    earlier = _own_files(folder)
    paths = []
    for kind in KINDS:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(1, per_kind + 1):
            # One generator a picture: adding a kind or a picture leaves all the others as they are.
            rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), number])
            path = folder / kind / f"{kind}-{number:02d}.jpg"
            draw(kind, rng).save(path, "JPEG", quality=QUALITY, comment=SIGNATURE)
            paths.append(path)
    for path in sorted(earlier.difference(paths)):
        path.unlink()
    return paths


def _own_files(folder: Path) -> set[Path]:
    """The pictures of an earlier gallery in the folder; UsageError if there is anything else."""
    if not folder.exists() and not folder.is_symlink():
        return set()
    if not folder.is_dir():
        raise UsageError(f"{folder}: not a folder; choose another name for the gallery")
    own = set()
    for place in _entries(folder):
        if place.name not in KINDS or place.is_symlink() or not place.is_dir():
            raise _foreign(folder, place)
        for path in _entries(place):
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
    # The comment stands near the start of the file, before the picture itself.
    with path.open("rb") as file:
        start = file.read(256)
    return SIGNATURE in start or not start  # an empty file is what a full disk leaves of a picture


def _foreign(folder: Path, path: Path) -> UsageError:
    return UsageError(
        f"{folder}: holds {path.relative_to(folder)}, which is no picture of the gallery; "
        "choose an empty folder or one that does not exist yet"
    )

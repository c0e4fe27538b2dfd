"""Writes groups of copies as one HTML file: side by side, the one to keep first, with what differs marked."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike import arguments
from lookalike.copies.differences import Differences, differences
from lookalike.display import write_file
from lookalike.display.copies_text import file_bytes, grade_text, reason_text, role_text, totals_text
from lookalike.display.html import Tile, mark_uri, origin_text, render, tile
from lookalike.display.text import bytes_text, safe_text, score_text, size_text
from lookalike.display.thumbnail import Thumbnail, thumbnails
from lookalike.duplicates.results import Copy, CopyGroup, Duplicates
from lookalike.results import IndexedImage
from lookalike.system.blas import one_thread
from lookalike.system.resources import cores

_SIDE = 320  # pixels: sharp at the width of a card
_LIMIT = 100  # groups
_MOST_COPIES = 11  # of a group that are shown
_COMPARED = ("edited copy", "same scene")  # grades of which it is marked what differs
_COLOUR, _OPACITY = (255, 0, 102), 0.55  # of what differs; few photographs have that colour


def page(
    duplicates: Duplicates,
    *,
    title: str | None = None,
    limit: int = _LIMIT,
    path: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Returns a complete HTML page of the first `limit` groups, each with the image to keep and its copies.

    Where a copy shows something else than the image to keep, it is tinted; where a crop was cut out, or what a copy has
    around the image to keep, is outlined. Thumbnails are embedded; the page runs no script and loads nothing. Links are
    relative to the page if `path` says where it will be written and that is near the images (`html.address`).
    `progress` is called with the number of groups that are drawn, and their total.
    """
    shown = duplicates.groups[:limit]
    with ThreadPoolExecutor(cores()) as pool:
        groups = list[_Group]()
        for number, group in enumerate(shown, 1):
            groups.append(_group(number, group, pool, path))
            if progress:
                progress(number, len(shown))
    return render(
        "copies.html",
        title="Copies" if title is None else safe_text(title),
        summary=totals_text(duplicates),
        role=role_text(duplicates),
        groups=groups,
        left=len(duplicates.groups) - len(groups),
        is_marked=any(group.is_marked for group in groups),
        unread=[safe_text(image.key) for image in duplicates.unread[:_LIMIT]],
        unread_left=max(0, len(duplicates.unread) - _LIMIT),
        origin=origin_text(duplicates.origin),
    )


def write_page(
    duplicates: Duplicates,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    limit: int = _LIMIT,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes `page(duplicates)` to a file, whole or not at all.

    Raises:
        UsageError: no file can be written at that path, or one that Lookalike has not written would be replaced
            without `overwrite`.
        StorageError: the disk is full or failing.
    """
    checked = write_file.checked_arguments(path, title=title, overwrite=overwrite)
    arguments.instance(duplicates, Duplicates, "duplicates", "what Collection.duplicates returns")
    limit = arguments.whole(limit, "limit", least=1)
    text = page(duplicates, title=title, limit=limit, path=checked, progress=progress)
    write_file.write(checked, text.encode("utf-8"), overwrite=overwrite)


@dataclass(frozen=True)
class _Outline:
    """A quadrilateral on an image, whose sides have length 1, for SVG.

    Attributes:
        points: its corners, as "x,y x,y x,y x,y".
        left: of its first corner within the image, in percent.
        top: likewise.
        number: of the copy that it is of.
    """

    points: str
    left: float
    top: float
    number: int


@dataclass(frozen=True)
class _ImageTile(Tile):
    """An image of a group as the templates show it. Every text is safe.

    Attributes:
        id: of the image in the collection.
        size: width and height.
        bytes: the size of its file, or "".
        outlines: what is drawn over it.
    """

    id: int
    size: str
    bytes: str
    outlines: Sequence[_Outline]


@dataclass(frozen=True)
class _CopyTile(_ImageTile):
    """A copy as the templates show it.

    Attributes:
        number: in its group, from 1.
        grade: how close it is.
        score: with three decimals.
        why: in what it differs, or "".
        mark: what differs, as a `data:` URI, or "".
    """

    number: int
    grade: str
    score: str
    why: str
    mark: str


@dataclass(frozen=True)
class _Group:
    """A group as the templates show it: `more` copies are left out."""

    number: int
    count: int
    keep: _ImageTile
    why: str
    copies: Sequence[_CopyTile]
    more: int

    @property
    def is_marked(self) -> bool:
        """Whether anything is drawn over its images."""
        return bool(self.keep.outlines) or any(copy.mark or copy.outlines for copy in self.copies)


def _group(number: int, group: CopyGroup, pool: ThreadPoolExecutor, page: str | os.PathLike[str] | None) -> _Group:
    copies = group.copies[:_MOST_COPIES]
    kept, *others = thumbnails([group.keep, *(copy.image for copy in copies)], _SIDE)
    found = list(pool.map(lambda copy, shown: _differences(copy, kept, shown), copies, others))
    outlines = [
        _outline(each.on_original, place)
        for place, each in enumerate(found, 1)
        if each and each.on_original is not None
    ]
    tiles = [
        _copy(place, copy, group.keep, tile(shown, page), each)
        for place, (copy, shown, each) in enumerate(zip(copies, others, found, strict=True), 1)
    ]
    keep = _ImageTile(**vars(tile(kept, page)), **_facts(group.keep), outlines=outlines)
    return _Group(number, len(group.copies), keep, safe_text(group.why), tiles, len(group.copies) - len(copies))


def _differences(copy: Copy, kept: Thumbnail, shown: Thumbnail) -> Differences | None:
    if copy.grade not in _COMPARED or kept.image is None or shown.image is None:
        return None
    with one_thread():
        return differences(np.asarray(kept.image), np.asarray(shown.image))


def _copy(number: int, copy: Copy, keep: IndexedImage, shown: Tile, found: Differences | None) -> _CopyTile:
    outlines = [] if found is None or found.on_copy is None else [_outline(found.on_copy, number)]
    return _CopyTile(
        **vars(shown),
        **_facts(copy.image),
        outlines=outlines,
        number=number,
        grade=grade_text(copy),
        score=score_text(copy.score),
        why=reason_text(copy, keep),
        mark=mark_uri(found.changed, _COLOUR, _OPACITY) if found and found.changed.any() else "",
    )


def _facts(image: IndexedImage) -> dict[str, Any]:
    size = file_bytes(image)
    return {
        "id": image.id,
        "size": size_text(image).replace("x", " \N{MULTIPLICATION SIGN} "),
        "bytes": "" if size is None else bytes_text(size),
    }


def _outline(corners: NDArray[np.float64], number: int) -> _Outline:
    points = " ".join(f"{x:.4f},{y:.4f}" for x, y in corners)
    left, top = (100 * np.clip(corners.min(axis=0), 0, 1)).round(1)
    return _Outline(points, float(left), float(top), number)

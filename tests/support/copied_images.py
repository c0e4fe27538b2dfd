"""What a search for copies may have found, made of files that are drawn here."""

import hashlib
import itertools
from pathlib import Path

from PIL import Image

from lookalike.copies.changes import Changes, Extent
from lookalike.duplicates.results import Copy, CopyGroup, Duplicates
from lookalike.results import IndexedImage
from tests.support.edited_pictures import logo, part, scene

HOSTILE = (
    "<script>window.hacked=1</script>.png",
    '"><img src="/stolen.png" onerror="window.hacked=1">.png',
    "=1+1.png",
    "a\nb\tc.png",
    "exe.\u202egnp.png",
    "b\udcff\udcfe.png",
    "{{ 7 * 7 }}{% raw %}.png",
    "\x1b[31mred.png",
    "[red]not markup[/red].png",
)


def stored(number: int, path: Path, folder: Path, size: tuple[int, int] | None = None) -> IndexedImage:
    """An image of a collection of that folder; of a file that is not there, the size has to be given."""
    if size is None:
        with Image.open(path) as image:
            size = image.size
    data = path.read_bytes() if path.exists() else b""
    key = path.relative_to(folder).as_posix()
    return IndexedImage(number, key, path, None, *size, {}, hashlib.sha256(data).digest())


def changes(extent: Extent, *, mirrored: bool = False, tone: str = "") -> Changes:
    """What was done to make a copy."""
    return Changes(extent, mirrored=mirrored, angle=0.0, stretched=False, tone=tone)


def edited_group(folder: Path) -> Duplicates:
    """A scene, the same file twice, a crop of it, and one with a logo."""
    original = scene(5)
    pictures = {"scene.png": original, "sub/crop.png": part(original, 0.3, 0.4, 0.8, 0.9), "logo.png": logo(original)}
    for name, picture in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder / name)
    (folder / "twice.png").write_bytes((folder / "scene.png").read_bytes())
    keep = stored(4, folder / "scene.png", folder)
    copies = (
        Copy(stored(7, folder / "twice.png", folder), "same bytes", 1.0, keep),
        Copy(
            stored(2, folder / "logo.png", folder),
            "edited copy",
            0.9534,
            keep,
            changes("same"),
            0.9999,
        ),
        Copy(stored(11, folder / "sub/crop.png", folder), "edited copy", 0.8, keep, changes("crop")),
    )
    return Duplicates((CopyGroup(keep, "the most pixels", copies),), images=20, compared=31)


def hostile_groups(folder: Path) -> Duplicates:
    """Groups in which every text is an attack; there are no files."""
    names = [*HOSTILE, "plain.png"]
    images = [IndexedImage(number, name, folder / name, name, 40, 30, {}, b"") for number, name in enumerate(names, 1)]
    groups = [
        CopyGroup(keep, f"like {keep.key}", (Copy(copy, "edited copy", 0.75, keep, changes("same", mirrored=True)),))
        for keep, copy in itertools.pairwise(images)
    ]
    return Duplicates(tuple(groups), len(images), 9, unread=(images[0],))

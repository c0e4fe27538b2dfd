"""Only the files that were indexed are shown: a collection of a stranger's may name any others."""

import hashlib
from pathlib import Path

from lookalike import Collection
from lookalike.display.thumbnail import thumbnails
from lookalike.results import Match
from tests.support.pictures import draw, picture


def test_a_file_that_is_not_the_one_that_was_indexed_is_not_shown(photos: Collection, folder: Path) -> None:
    before = {match.key: match for match in photos.search(picture(0), k=12)}
    draw(folder / "cats" / "01.png", 50)
    (folder / "dogs" / "02.png").unlink()
    (folder / "dogs" / "02.png").symlink_to(draw(folder.parent / "private.png", 51))
    for key in ("cats/01.png", "dogs/02.png"):
        [shown] = thumbnails([before[key]], 16)
        assert (shown.image, shown.reason) == (None, "changed since it was indexed")
    [shown] = thumbnails([before["00.png"]], 16)
    assert shown.image is not None
    assert shown.image.getpixel((0, 0)) == tuple(picture(0)[0, 0])


def test_a_match_that_is_made_by_hand_is_shown(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png", 1)
    sha256 = hashlib.sha256(path.read_bytes()).digest()
    for match in (Match(1, "a.png", path, 1.0), Match(1, "a.png", path, 1.0, sha256=sha256)):
        assert thumbnails([match], 16)[0].image is not None

"""Only the files that were indexed are shown: a collection of a stranger's may name any others."""

import hashlib
from pathlib import Path

import lookalike
from lookalike import Collection
from lookalike.display.page import page
from lookalike.display.thumbnail import thumbnails
from lookalike.results import Match
from tests.support.pictures import ColourEncoder, draw, picture


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


def test_an_image_over_the_limit_is_shown_if_the_collections_is_raised(photos: Collection) -> None:
    found = photos.search(picture(0), k=12)
    assert found.max_pixels == found[:3].max_pixels == 178_000_000
    assert found[:1].queries == found.queries
    with lookalike.open(photos.directory, encoder=ColourEncoder(), max_pixels=100) as limited:
        few = limited.search_id(found[0].id, k=1)
        assert few.max_pixels == 100
        assert "is over the limit of 0.0001 million" in page(few)
    assert "is over the limit" not in page(found)
    assert thumbnails([found[0]], 16, max_pixels=100)[0].image is None
    assert thumbnails([found[0]], 16, max_pixels=10_000)[0].image is not None

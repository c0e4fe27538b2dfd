"""What is found while copies are grouped is known at once, and kept many at a time."""

from pathlib import Path

import pytest

from lookalike.duplicates import pixel_hashes
from lookalike.duplicates.pixel_hashes import PixelHashes
from lookalike.storage.kept_pictures import KeptPictures


def test_hashes_are_known_at_once_and_kept_at_the_end(tmp_path: Path) -> None:
    with KeptPictures(tmp_path / "pictures.sqlite", 1) as kept:
        one, other = kept.numbers([b"one", b"other"])
        kept.keep_pixels({other: b"same"})
        found = PixelHashes(kept)
        found.add(one, b"pixels")
        assert (found.of(one), found.of(other)) == (b"pixels", b"same")
        assert kept.all_pixels() == {other: b"same"}
        found.keep()
        assert kept.all_pixels() == {one: b"pixels", other: b"same"}


def test_many_hashes_are_kept_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_hashes, "_MANY", 3)
    with KeptPictures(tmp_path / "pictures.sqlite", 1) as kept:
        numbers = kept.numbers([b"1", b"2", b"3", b"4"])
        found = PixelHashes(kept)
        for count, number in enumerate(numbers, 1):
            found.add(number, b"%d" % number)
            assert len(kept.all_pixels()) == (0 if count < 3 else 3)

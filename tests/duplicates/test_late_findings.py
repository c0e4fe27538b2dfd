"""What is found while copies are grouped is known at once, and kept many at a time."""

from pathlib import Path

import pytest

from lookalike.duplicates import late_findings
from lookalike.duplicates.late_findings import LateFindings
from lookalike.storage.kept_pictures import ComparedPair, KeptPictures


def test_findings_are_known_at_once_and_kept_at_the_end(tmp_path: Path) -> None:
    with KeptPictures(tmp_path / "pictures.sqlite", 1) as kept:
        one, other = kept.numbers([b"one", b"other"])
        kept.keep_pixels({other: b"same"})
        found = LateFindings(kept)
        found.add_pixels(one, b"pixels")
        pair = ComparedPair(one, other, 0.5, 0.75, "found")
        assert found.add_pair((one, other, 0.75, "found"), 0.5) == pair
        assert (found.pixels(one), found.pixels(other), found.pair(other, one)) == (b"pixels", b"same", pair)
        assert (kept.all_pixels(), kept.pair(one, other)) == ({other: b"same"}, None)
        found.keep()
        assert (kept.all_pixels(), kept.pair(one, other)) == ({one: b"pixels", other: b"same"}, pair)
        assert found.pair(one, other) == pair


def test_many_findings_are_kept_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_findings, "_MANY", 3)
    with KeptPictures(tmp_path / "pictures.sqlite", 1) as kept:
        numbers = kept.numbers([b"1", b"2", b"3", b"4"])
        found = LateFindings(kept)
        for count, number in enumerate(numbers, 1):
            found.add_pixels(number, b"%d" % number)
            assert len(kept.all_pixels()) == (0 if count < 3 else 3)

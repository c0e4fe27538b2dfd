"""A sample of the matrix of image files, compared with independent decoders."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from tests.support.optional_packages import needs

needs("pyvips", "tifffile", "imagecodecs")

from tests.campaigns import images
from tests.campaigns.images import Comparison, matrix
from tests.support.other_files import others
from tests.support.shown_pictures import ImageFile
from tests.support.tiff_files import CHANNELS, NUMBERS, tiffs


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return Comparison()


def test_no_file_of_a_sample_looks_as_another_image(comparison: Comparison) -> None:
    outcomes = [comparison.outcome(file) for file in matrix(60, seed=2)]
    assert not [outcome for outcome in outcomes if outcome.is_wrong]
    assert sum(not outcome.reason for outcome in outcomes) >= 55
    assert {outcome.reference for outcome in outcomes} >= {"by_libvips", "by_tifffile"}
    assert f"TIFF{sum(outcome.kind == 'TIFF' for outcome in outcomes):11}" in images.summary(outcomes)


def test_a_wrong_or_refused_file_is_noticed(comparison: Comparison) -> None:
    file = next(matrix(3, seed=1))
    other = dataclasses.replace(file, data=inverted().data)
    found, expected = comparison._vector(other.data), comparison._vector(file.picture)
    assert images.Outcome("", "", float(found @ expected), "", "").is_wrong
    refused = comparison.outcome(dataclasses.replace(file, data=b"no image"))
    assert (refused.reason, refused.cosine, refused.is_wrong) == ("not an image", None, False)


def inverted() -> ImageFile:
    """A TIFF that shows a negative of what was drawn."""
    [write] = [write for name, write in tiffs() if name == "white is zero 8 bits < none 1 one strip"]
    file = write(3)
    return dataclasses.replace(
        file, data=file.data.replace(b"\x06\x01\x03\0\x01\0\0\0\0", b"\x06\x01\x03\0\x01\0\0\0\1")
    )


def test_a_campaign_that_finds_a_wrong_file_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(_count: int, _seed: int) -> Iterator[ImageFile]:
        yield inverted()

    monkeypatch.setattr(images, "matrix", wrong)
    monkeypatch.setattr(images, "REFERENCES", {"TIFF": (images.as_drawn,)})
    monkeypatch.setattr("sys.argv", ["images"])
    assert images.main() == 1
    assert "1 files, 1 wrong" in capsys.readouterr().out


def test_the_matrix_has_every_value_of_every_axis() -> None:
    names = [name for name, _ in tiffs()]
    assert len(names) == len(set(names)) > 20_000
    assert all(any(numbers in name for name in names) for numbers in NUMBERS)
    assert all(any(name.startswith(f"{channels} ") for name in names) for channels in CHANNELS)
    kinds = {kind for kind, _, _ in others()}
    assert kinds == {"AVIF", "BMP", "GIF", "JPEG", "PNG", "TIFF", "WebP"}


def test_the_references_read_what_was_drawn() -> None:
    [write] = [write for name, write in tiffs() if name == "RGB, alpha 16 bits > lzw 2 strips planar"]
    file = write(4)
    for reference in (images.by_libvips, images.by_tifffile):
        assert np.abs(reference(file).astype(int) - file.picture).max() <= 1

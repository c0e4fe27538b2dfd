"""Searches for many images at once, which are encoded on all cores."""

import io
from pathlib import Path

import pytest
from PIL import Image

import lookalike
from lookalike import Collection
from lookalike.collection import encoder
from lookalike.errors import ImageError
from tests.support.pictures import ColourEncoder, draw, picture

IMAGES = 90


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Collection:
    """A collection of 90 pictures, on a machine with four cores."""
    monkeypatch.setattr("lookalike.system.threads.cores", lambda: 4)
    for seed in range(IMAGES):
        draw(tmp_path / "photos" / f"{seed:02}.png", seed)
    collection = lookalike.create(tmp_path / "photos", encoder=ColourEncoder())
    collection.add(tmp_path / "photos")
    return collection


@pytest.mark.parametrize("count", [1, 2, IMAGES])
def test_each_answer_is_that_of_a_search_by_itself(photos: Collection, count: int) -> None:
    paths = sorted(photos.folder.glob("*.png"))[:count]
    for path, matches in zip(paths, photos.search_many(paths, k=5), strict=True):
        assert matches[0].path == path
        assert matches[0].is_query
        alone = photos.search(path, k=5)
        assert [match.id for match in matches] == [match.id for match in alone]
        assert [match.score for match in matches] == pytest.approx([match.score for match in alone], abs=1e-6)


def test_the_error_names_the_first_image_that_cannot_be_used(photos: Collection) -> None:
    queries = sorted(photos.folder.glob("*.png"))
    for number in (7, 8, 40):
        queries[number] = queries[number].with_name(f"broken-{number}.png")
        queries[number].write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match=r"broken-7\.png"):
        photos.search_many(queries)


def test_an_object_that_is_named_many_times_is_read_once(photos: Collection) -> None:
    saved = io.BytesIO()
    Image.fromarray(picture(5)).save(saved, "PNG")
    for query in (io.BytesIO(saved.getvalue()), Image.open(io.BytesIO(saved.getvalue())), picture(5)):
        found = photos.search_many([query] * 40, k=1)
        assert [match.key for [match] in found] == ["05.png"] * 40


def test_an_encoder_for_all_cores_is_loaded_for_many_images_only(
    photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, own = list[int](), ColourEncoder()

    def for_queries(_: encoder.CollectionEncoder, threads: int = 1) -> ColourEncoder:
        asked.append(threads)
        return own

    monkeypatch.setattr(encoder, "cores", lambda: 4)
    monkeypatch.setattr(encoder.CollectionEncoder, "for_queries", for_queries)
    photos.search_many([picture(seed) for seed in range(3)])
    assert {*asked} == {1}
    photos.search_many([picture(seed) for seed in range(IMAGES)])
    assert {*asked} == {1, 4}

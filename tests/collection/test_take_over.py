"""A collection takes over the vectors and attributes that other collections have."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import lookalike
from lookalike import Collection
from lookalike.collection.below import collections_below
from lookalike.errors import CollectionError, NoCollectionError
from tests.support.pictures import ColourEncoder, draw
from tests.support.reindexing import CoarseEncoder


class CountingEncoder(ColourEncoder):
    """Counts the images that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.count += len(pixels)
        return super().encode(pixels)


@pytest.fixture
def inner(folder: Path, encoder: ColourEncoder) -> Collection:
    """The collection of the four pictures in photos/cats, with a table of attributes."""
    table = folder.parent / "table.csv"
    table.write_text("path,stars,label\n01.png,5,tiger\n04.png,3,\n")
    collection = lookalike.create(folder / "cats", encoder=encoder)
    collection.add(folder / "cats")
    collection.annotate(table)
    return collection


def answers(collection: Collection, query: Path) -> list[tuple[str, float, str | None, dict[str, object]]]:
    return [(m.key, m.score, m.label, dict(m.attributes)) for m in collection.search(query, k=100)]


def test_vectors_are_taken_over_bit_for_bit_and_not_made_again(folder: Path, inner: Collection) -> None:
    encoder = CountingEncoder()
    with lookalike.create(folder, encoder=encoder) as photos:
        report = photos.add(folder, take_over=[folder / "cats"])
        assert (report.added, report.taken_over, encoder.count) == (12, 4, 8)
        found = answers(photos, folder / "00.png")
    shutil.rmtree(folder / ".lookalike")
    with lookalike.create(folder, encoder=ColourEncoder()) as photos:
        photos.add(folder)
        assert [(key, score) for key, score, *_ in answers(photos, folder / "00.png")] == [
            (key, score) for key, score, *_ in found
        ]


def test_attributes_follow_to_the_same_path_with_the_same_contents(folder: Path, inner: Collection) -> None:
    shutil.copy(folder / "cats" / "01.png", folder / "copy.png")
    draw(folder / "cats" / "04.png", 99)
    with lookalike.create(folder, encoder=ColourEncoder()) as photos:
        photos.add(folder, take_over=[inner.directory])
        known = {m.key: (m.label, dict(m.attributes)) for m in photos.search(folder / "00.png", k=100)}
    assert known["cats/01.png"] == ("tiger", {"stars": 5, "label": "tiger"})
    assert known["copy.png"] == (None, {})
    assert known["cats/04.png"] == ("cats", {})
    assert known["cats/07.png"] == ("cats", {})


def test_what_an_image_has_already_stays(folder: Path, inner: Collection) -> None:
    table = folder.parent / "other.csv"
    table.write_text("path,stars\ncats/01.png,1\n")
    with lookalike.create(folder, encoder=ColourEncoder()) as photos:
        photos.add(folder)
        photos.annotate(table)
        photos.add(folder, take_over=[folder / "cats"])
        known = {m.key: dict(m.attributes) for m in photos.search(folder / "00.png", k=100)}
        assert known["cats/01.png"] == {"stars": 1, "label": "tiger"}
        assert known["cats/04.png"] == {"stars": 3}
        assert photos.check() == []


def test_the_other_collection_is_left_as_it_is(folder: Path, inner: Collection) -> None:
    before = answers(inner, folder / "00.png")
    with lookalike.create(folder, encoder=ColourEncoder()) as photos:
        photos.add(folder, take_over=[folder / "cats"])
        assert photos.made_of.inner == ("cats",)
    assert answers(inner, folder / "00.png") == before
    assert inner.check() == []


def test_another_models_vectors_are_refused(folder: Path, inner: Collection) -> None:
    with lookalike.create(folder, encoder=CoarseEncoder()) as photos:
        with pytest.raises(CollectionError, match="made by"):
            photos.add(folder, take_over=[folder / "cats"])
        with pytest.raises(NoCollectionError):
            photos.add(folder, take_over=[folder / "dogs"])
        assert len(photos) == 0


def test_a_damaged_vector_is_made_again(folder: Path, inner: Collection) -> None:
    path = inner.directory / "vectors.faiss"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with lookalike.create(folder, encoder=ColourEncoder()) as photos:
        report = photos.add(folder, take_over=[folder / "cats"])
        assert (report.added, report.taken_over) == (12, 3)
        vectors = photos.search_vector(np.eye(photos.made_by.dim)[0], k=100)
        assert len(vectors) == 12
        assert photos.check() == []


def test_collections_below_are_found_but_for_hidden_and_damaged_ones(folder: Path, inner: Collection) -> None:
    for name in (".hidden", "@eaDir", "dogs"):
        shutil.copytree(folder / "cats", folder / name / "cats")
    (folder / "dogs" / "cats" / ".lookalike" / "catalog.sqlite").write_bytes(b"")
    with lookalike.create(folder, encoder=ColourEncoder()):
        (found,) = collections_below(folder)
    assert (found.directory, found.folder) == (inner.directory, folder / "cats")
    assert (found.images, found.made_by) == (4, inner.made_by)


def test_collections_inside_are_noticed_until_they_are_gone(folder: Path, photos: Collection) -> None:
    def noticed_by(part: Path) -> list[str]:
        photos.add(part)
        return [*photos.made_of.inner]

    assert noticed_by(folder) == []
    lookalike.create(folder / "cats", encoder=ColourEncoder()).close()
    assert noticed_by(folder) == ["cats"]
    assert noticed_by(folder / "dogs") == ["cats"]
    shutil.rmtree(folder / "cats" / ".lookalike")
    assert noticed_by(folder / "cats") == []

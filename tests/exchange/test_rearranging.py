"""Collections that are merged and split: every image is there once, with its vector and all that is known of it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lookalike
from lookalike import Collection, IndexedImage
from lookalike.errors import CorruptError, IncompatibleError, NoCollectionError, UsageError
from lookalike.exchange import blocks
from lookalike.storage import layout
from tests.exchange.conftest import DIM
from tests.support.pictures import ColourEncoder, counts, draw, picture, stored_vectors
from tests.support.vector_collections import clustered, create, drop, keys_of, put, reopened

ENCODER = ColourEncoder()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_IMAGES", 7)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with two folders of 12 and 9 pictures, both indexed; five of the pictures are in both."""
    home = tmp_path.resolve() / "home"
    for name, seeds in (("one", range(12)), ("two", range(7, 16))):
        for seed in seeds:
            draw(home / name / f"kind {seed % 3}" / f"{seed}.png", seed)
        with lookalike.create(home / name, encoder=ENCODER) as collection:
            collection.add(home / name)
    with lookalike.open(home / "one", encoder=ENCODER) as one:
        one.remove(["kind 0/0.png"])
        with one._catalog.writing() as transaction:
            transaction.set_attributes("kind 1/1.png", {"stars": 5, "weight": 0.5, "label": "given"})
    return home


def opened(path: Path) -> Collection:
    collection = lookalike.open(path, encoder=ENCODER)
    assert collection.check() == []
    return collection


def known(image: IndexedImage) -> tuple[object, ...]:
    return image.label, image.width, image.height, image.sha256, image.attributes


def facts(collection: Collection) -> dict[str, object]:
    """What is known of each image, by its path, with the bits of its vector."""
    vectors = stored_vectors(collection.directory)
    return {str(image.path): (*known(image), vectors[image.key].tobytes()) for image in collection.images(limit=10**6)}


def test_a_merged_collection_has_the_images_of_all_with_all_that_is_known(home: Path) -> None:
    report = lookalike.merge([home / "one", home / "two"], directory=home / "all")
    assert (report.images, report.vectors, report.repeated) == (20, 15, 0)
    merged = opened(home / "all")
    assert facts(merged) == facts(opened(home / "one")) | facts(opened(home / "two"))
    assert [image.id for image in merged.images()] == list(range(1, 21))
    assert merged.folder == home
    assert merged.images()[0].key == "one/kind 0/3.png"
    both = merged.search(picture(8), k=2)
    assert {match.key for match in both} == {"one/kind 2/8.png", "two/kind 2/8.png"}
    assert merged.original(1).data == (home / "one" / "kind 0" / "3.png").read_bytes()


def test_a_merged_collection_is_brought_up_to_date_as_those_that_it_is_of(home: Path) -> None:
    """Nothing is encoded again but what has been removed, or is new."""
    lookalike.merge([home / "one", home / "two"], directory=home / "all")
    merged = opened(home / "all")
    draw(home / "two" / "new.png", 99)
    (home / "two" / "kind 0" / "9.png").unlink()
    assert counts(merged.update()) == {"added": 2, "unchanged": 19, "missing": 1}


def test_images_outside_of_the_folder_keep_absolute_paths(home: Path) -> None:
    lookalike.merge([home / "one", home / "two"], directory=home / "all", folder=home / "two")
    merged = opened(home / "all")
    assert {image.key for image in merged.images() if image.key.startswith("/")} == {
        str(image.path) for image in opened(home / "one").images()
    }
    assert facts(merged) == facts(opened(home / "one")) | facts(opened(home / "two"))


def test_of_images_at_the_same_path_the_first_stays(home: Path) -> None:
    lookalike.merge([home / "one"], directory=home / "again")
    report = lookalike.merge([home / "again", home / "two", home / "one"], directory=home / "all")
    assert (report.images, report.repeated) == (20, 11)
    assert facts(opened(home / "all")) == facts(opened(home / "one")) | facts(opened(home / "two"))


def test_missing_images_are_counted_and_left_out(home: Path) -> None:
    (home / "one" / "kind 1" / "1.png").unlink()
    opened(home / "one").update()
    report = lookalike.merge([home / "one"], directory=home / "all")
    assert (report.missing, report.images) == (1, 11 - 1 + 1)


def test_collections_of_two_models_are_not_merged(home: Path) -> None:
    draw(home / "three" / "a.png", 1)
    lookalike.create(home / "three", encoder=ColourEncoder("other")).close()
    with pytest.raises(IncompatibleError, match="cannot be compared"):
        lookalike.merge([home / "one", home / "three"], directory=home / "all")
    with pytest.raises(NoCollectionError):
        lookalike.merge([home / "one", home / "none"], directory=home / "all")
    with pytest.raises(UsageError, match="there is a collection already"):
        lookalike.merge([home / "one"], directory=home / "two" / ".lookalike")
    assert not (home / "all").exists()


def test_names_that_are_not_utf8_and_odd_attributes_come_along(tmp_path: Path) -> None:
    collection = create(tmp_path / "photos", DIM)
    put(collection, clustered(3, DIM, seed=1), ["a.jpg", "b/c.jpg", "d.jpg"])
    odd = os.fsdecode(b"\xff/\xfe.jpg")
    with collection._catalog.writing() as transaction:
        image = transaction.image_at("a.jpg")
        assert image
        transaction.move(image, odd, image.row, image.status)
        transaction.set_attributes(odd, {"big": 2**62, "text": "7", "number": 7, "float": 7.0, "name\n'": "x"})
    report = lookalike.merge([tmp_path / "photos"], directory=tmp_path / "merged", folder=tmp_path / "photos")
    merged = lookalike.open(report.directory)
    assert merged.check() == []
    first = merged.image(1)
    assert (first.key, first.label) == (odd, os.fsdecode(b"\xff"))
    assert {name: repr(value) for name, value in first.attributes.items()} == {
        name: repr(value) for name, value in collection.image(1).attributes.items()
    }


@pytest.mark.parametrize(
    ("how", "sizes"),
    [
        ({"parts": 1}, [290]),
        ({"parts": 3}, [97, 97, 96]),
        ({"parts": 290}, [1] * 290),
        ({"parts": 900}, [1] * 290),
        ({"images": 100}, [100, 100, 90]),
        ({"images": 145}, [145, 145]),
        ({"images": 1000}, [290]),
    ],
)
def test_parts_have_the_images_in_the_order_of_their_ids(
    filled: Collection, folder: Path, how: dict[str, Any], sizes: list[int]
) -> None:
    report = lookalike.split(filled.directory, directory=folder / "parts", **how)
    assert list(report.images) == sizes
    assert [path.name for path in report.directories] == [f"{number:03}" for number in range(len(sizes))]
    found = dict[str, object]()
    for path in report.directories[:: max(1, len(sizes) // 10)]:
        with lookalike.open(path) as part:
            assert part.check() == []
            assert part.folder == filled.folder
            found |= facts(part)
    assert found.items() <= facts(filled).items()
    keys = [image.key for image in lookalike.open(report.directories[0]).images(limit=1000)]
    assert keys == keys_of(sizes[0], 10)


def test_parts_that_are_merged_again_are_what_was_split(filled: Collection, folder: Path) -> None:
    parts = lookalike.split(filled.directory, directory=folder / "parts", parts=4).directories
    lookalike.merge(parts, directory=folder / "merged", folder=filled.folder)
    merged = lookalike.open(folder / "merged")
    assert merged.check() == []
    assert list(facts(merged).items()) == list(facts(filled).items())
    query = clustered(1, DIM, seed=5)[0]
    found = [[(match.key, match.score) for match in each.search_vector(query, k=20)] for each in (merged, filled)]
    assert found[0] == found[1]
    merged.build()


@pytest.mark.parametrize("how", [{}, {"parts": 2, "images": 3}, {"parts": 0}, {"images": -1}])
def test_a_split_takes_one_way(filled: Collection, folder: Path, how: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"parts|images"):
        lookalike.split(filled.directory, directory=folder / "parts", **how)
    drop(filled, keys_of(290, 10))
    with pytest.raises(UsageError, match="no images to split"):
        lookalike.split(filled.directory, directory=folder / "parts", parts=2)
    assert not list(folder.iterdir())


def test_a_damaged_vector_ends_the_work_and_nothing_is_made(filled: Collection, folder: Path) -> None:
    with (filled.directory / "vectors.faiss").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x12")
    works: list[Callable[[], object]] = [
        lambda: lookalike.merge([filled.directory], directory=folder / "made"),
        lambda: lookalike.split(filled.directory, directory=folder / "made", parts=2),
    ]
    for work in works:
        with pytest.raises(CorruptError, match="row 299 is damaged"):
            work()
    assert not list(folder.iterdir())


KILLED = """
import os, signal, sys
import lookalike
from lookalike.exchange import blocks

def kill(done, total):
    if done > 200:
        os.kill(os.getpid(), signal.SIGKILL)

blocks._IMAGES = 7
if sys.argv[1] == "merge":
    lookalike.merge([sys.argv[2]], directory=sys.argv[3], progress=kill)
else:
    lookalike.split(sys.argv[2], directory=sys.argv[3], parts=3, progress=kill)
"""


@pytest.mark.parametrize("work", ["merge", "split"])
def test_a_process_that_is_killed_leaves_nothing_in_place(filled: Collection, folder: Path, work: str) -> None:
    directory = folder / "made"
    command = [sys.executable, "-c", KILLED, work, str(filled.directory), str(directory)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not directory.exists()
    assert not any(map(layout.find, folder.iterdir()))
    lookalike.merge([filled.directory], directory=directory)
    assert [path.name for path in folder.iterdir()] == ["made"]
    assert len(reopened(filled)) == len(lookalike.open(directory)) == 290
    first, second = (np.stack([*stored_vectors(path).values()]) for path in (filled.directory, directory))
    assert np.array_equal(first, second)

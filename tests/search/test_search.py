"""Searching a collection: the images that brute force would give, whatever the query."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike import Collection, Report
from lookalike.errors import (
    ImageError,
    UsageError,
)
from lookalike.ingest import pipeline
from tests.support.pictures import (
    ColourEncoder,
    assert_best,
    cosines_ready,
    draw,
    everything,
    picture,
    stored_vectors,
    unit_of,
)


@pytest.mark.parametrize("k", [0, -1, -(10**30)])
def test_k_has_to_be_positive(photos: Collection, k: int) -> None:
    searches: list[Callable[[], Any]] = [
        lambda: photos.search(picture(0), k=k),
        lambda: photos.search_many([picture(0)], k=k),
        lambda: photos.search_id(1, k=k),
        lambda: photos.search_vector(np.ones(25), k=k),
    ]
    for search in searches:
        with pytest.raises(UsageError, match=f"k={k}"):
            search()


@pytest.mark.parametrize("k", [12, 13, 1000, sys.maxsize, 10**30])
def test_where_there_are_fewer_than_k_all_come_back(photos: Collection, k: int) -> None:
    assert len(photos.search(picture(0), k=k)) == len(photos.search_many([picture(0)], k=k)[0]) == 12
    assert len(photos.search_id(1, k=k)) == 11


def test_an_empty_collection_gives_empty_answers(tmp_path: Path, encoder: ColourEncoder) -> None:
    with lookalike.create(tmp_path, encoder=encoder) as photos:
        assert photos.search(picture(0)) == photos.search_vector(np.ones(25)) == []
        assert photos.search_many([picture(0), picture(1)]) == [[], []]
        assert photos.add(tmp_path) == Report(seconds=mock.ANY)
        assert photos.check() == []
        with pytest.raises(UsageError, match="no image with the id 1"):
            photos.search_id(1)


def test_the_answer_to_an_image_of_the_collection_leaves_it_out(photos: Collection) -> None:
    for key, image in everything(photos).items():
        found = photos.search_id(image.id, k=4)
        with_itself = photos.search(picture(int(key[-6:-4])), k=5)
        assert [match.key for match in found] == [match.key for match in with_itself[1:]]
        assert found.queries[0].key == key


def test_several_queries_at_once_get_the_answers_of_each(photos: Collection) -> None:
    queries = [picture(seed) for seed in range(30)]
    together = photos.search_many(queries, k=6)
    for query, found in zip(queries, together, strict=True):
        alone = photos.search(query, k=6)
        assert [match.key for match in found] == [match.key for match in alone]
        assert [match.score for match in found] == pytest.approx([match.score for match in alone], abs=1e-6)
    assert photos.search_many([]) == []


def test_queries_are_added_up_and_taken_away(photos: Collection) -> None:
    vectors = {key: vector.astype(np.float64) for key, vector in stored_vectors(photos.directory).items()}
    mean = cosines_ready(unit_of(1) + unit_of(40))
    assert_best(photos.search(picture(1), plus=[picture(40)]), mean, vectors, 10)
    less = cosines_ready(unit_of(1) + unit_of(40) - unit_of(41) - unit_of(42))
    found = photos.search(picture(1), plus=[picture(40)], minus=[picture(41), picture(42)])
    assert_best(found, less, vectors, 10)
    assert [query.weight for query in found.queries] == [1, 1, -1, -1]
    with pytest.raises(UsageError, match="cancel each other"):
        photos.search(picture(1), minus=[picture(1)])


@pytest.mark.parametrize("min_score", [-1.0, 0.0, 0.2, 0.999, 2.0])
def test_min_score_leaves_out_what_scores_less(photos: Collection, min_score: float) -> None:
    unlimited = photos.search(picture(3), k=12)
    expected = [match for match in unlimited if match.score >= min_score]
    assert photos.search(picture(3), k=12, min_score=min_score) == expected
    assert photos.search_many([picture(3)], k=12, min_score=min_score) == [expected]


@pytest.mark.parametrize("shape", [(24,), (26,), (2, 25), (1, 1, 25), (25, 1), (), (0,)])
def test_a_vector_of_another_shape_is_refused(photos: Collection, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="25 dimensions"):
        photos.search_vector(np.ones(shape))


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_vector_without_a_direction_is_refused(photos: Collection, value: float) -> None:
    with pytest.raises(UsageError, match="finite and not zero"):
        photos.search_vector(np.full(25, value))


def test_a_vector_of_any_length_is_searched_for_by_its_direction(photos: Collection) -> None:
    expected = photos.search(picture(20), k=12)
    for scale in (1e-300, 1, 1e300):
        found = photos.search_vector((unit_of(20) * scale).tolist(), k=12)
        assert [match.key for match in found] == [match.key for match in expected]


def test_a_query_may_be_a_path_bytes_a_file_a_picture_or_an_array(photos: Collection, folder: Path) -> None:
    path = folder / "cats" / "04.png"
    with path.open("rb") as file:
        for query in (path, str(path), path.read_bytes(), file, Image.open(path), picture(4)):
            assert [match.key for match in photos.search(query, k=1)] == ["cats/04.png"]


@pytest.mark.parametrize("query", [b"text", "nowhere.png", b""])
def test_a_query_that_is_no_image_is_refused(photos: Collection, query: Any) -> None:
    with pytest.raises(ImageError):
        photos.search(query)


def test_a_file_that_was_read_is_read_from_its_start(photos: Collection, folder: Path) -> None:
    with (folder / "00.png").open("rb") as file:
        file.read()
        assert photos.search(file, k=1)[0].key == photos.search_many([file], k=1)[0][0].key == "00.png"


def test_a_query_that_is_text_is_refused(photos: Collection, folder: Path) -> None:
    with (folder / "00.png").open(encoding="latin-1") as file, pytest.raises(UsageError, match="binary"):
        photos.search(file)  # type: ignore[arg-type]


def test_threads_search_while_another_adds_and_removes(photos: Collection, folder: Path) -> None:
    """What stays is always found, with the right score; what is gone never is, once it was removed."""
    for seed in range(100, 160):
        draw(folder / "more" / f"{seed}.png", seed)
    done, errors = threading.Event(), []

    def search(seed: int) -> None:
        key = ("", "cats/", "dogs/")[seed % 3] + f"{seed:02}.png"
        try:
            while not done.is_set():
                [best] = photos.search(picture(seed), k=1)
                assert (best.key, round(best.score, 2)) == (key, 1)
        except BaseException as error:
            errors.append(error)

    searching = [threading.Thread(target=search, args=(seed,)) for seed in range(4)]
    with mock.patch.object(pipeline, "_COMMIT_IMAGES", 7):
        for thread in searching:
            thread.start()
        for _ in range(3):
            assert photos.add(folder, threads=2).added == 60
            assert photos.remove([f"more/{seed}.png" for seed in range(100, 160)]) == 60
            assert len(photos.search(picture(0), k=1000)) == 12
        done.set()
        for thread in searching:
            thread.join()
    assert errors == []


def test_a_collection_that_is_open_elsewhere_sees_each_commit(
    photos: Collection, folder: Path, encoder: ColourEncoder
) -> None:
    with lookalike.open(folder, encoder=encoder) as other:
        assert other.search(picture(0), k=1)[0].key == "00.png"
        draw(folder / "new.png", 50)
        photos.add(folder)
        assert other.search(picture(50), k=1)[0].key == "new.png"
        photos.remove(["new.png"])
        assert other.search(picture(50), k=1)[0].key != "new.png"

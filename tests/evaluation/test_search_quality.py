"""`Collection.evaluate`, against brute force, and while the collection changes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lookalike import Collection
from lookalike.errors import CorruptError, UsageError
from lookalike.index.generation import Generation
from tests.support.small_policies import quick_policies
from tests.support.vector_collections import clustered, create, drop, keys_of, one_thread, put, reopened

ROWS, DIM = 400, 16
SPEC = "IVF8,PQ4x4fs"


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Collection]:
    """Images in folders that have something to do with what they look like."""
    vectors = clustered(ROWS, DIM, seed=1)
    folders = np.where(vectors[:, 0] > 0.1, "left", np.where(vectors[:, 0] < -0.1, "right", "middle"))
    with create(tmp_path / "photos", DIM, quick_policies()) as collection:
        put(collection, vectors, [f"{folder}/{number:03}.jpg" for number, folder in enumerate(folders)])
        yield collection


def stored(collection: Collection) -> tuple[np.ndarray, np.ndarray]:
    """The scores of all images with each other, -1 with themselves, and their labels."""
    ids = range(1, len(collection) + 1)
    with collection._snapshots.current() as snapshot:
        vectors = snapshot.vectors.stored(np.arange(len(ids))).astype(np.float64)
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -1)
    return scores, np.array([match.label for match in map(collection._catalog.image, ids) if match])


def test_precision_and_map_are_those_of_brute_force(photos: Collection) -> None:
    scores, labels = stored(photos)
    order = np.argsort(-scores, axis=1)[:, :-1]
    right = labels[order] == labels[:, None]
    ranks = np.arange(1, right.shape[1] + 1)
    average = (right * right.cumsum(axis=1) / ranks).sum(axis=1) / right.sum(axis=1)
    found = photos.evaluate()
    assert (found.images, found.recall, found.recall_low) == (ROWS, 1.0, 1.0)
    assert found.precision_at_1 == pytest.approx(right[:, 0].mean())
    assert found.precision_at_10 == pytest.approx(right[:, :10].mean())
    assert found.mean_average_precision == pytest.approx(average.mean(), abs=1e-6)
    assert {quality.label: quality.images for quality in found.labels} == {
        label: int((labels == label).sum()) for label in ("left", "middle", "right")
    }
    of_left = next(quality for quality in found.labels if quality.label == "left")
    assert of_left.precision_at_1 == pytest.approx(right[labels == "left", 0].mean())
    worst = min(right[row, :10].mean() for row in range(ROWS))
    assert found.worst[0].precision == pytest.approx(worst)


def test_recall_is_what_searches_find_of_what_exact_ones_do(photos: Collection) -> None:
    made = photos.build(spec=SPEC, recall=0.8)
    found = photos.evaluate(queries=ROWS)
    shares = []
    for id_ in range(1, ROWS + 1):
        exact = {match.id for match in photos.search_id(id_, exact=True)}
        shares.append(len(exact & {match.id for match in photos.search_id(id_)}) / 10)
    assert made
    assert made.reached_recall >= 0.8
    assert found.recall == pytest.approx(np.mean(shares), abs=0.002)  # equal scores may change places
    assert found.recall_low < found.recall < 1
    assert found.points
    assert found.spec == SPEC


def test_a_compaction_meanwhile_does_not_change_what_is_measured(photos: Collection) -> None:
    """The snapshot that is measured keeps its own vectors; images that are removed meanwhile are not asked."""
    photos.build(spec=SPEC, recall=0.8)
    changed: list[Generation | None] = []

    def compact(_done: int, _total: int) -> None:
        if not changed:
            with reopened(photos) as other:
                drop(other, [key for key, *_ in labelled(other)][:100])
                changed.append(other.build(spec=SPEC, recall=0.8))

    found = photos.evaluate(progress=compact)
    assert len(changed) == 1
    assert found.images == ROWS
    assert sum(quality.queries for quality in found.labels) == ROWS - 100
    assert found.precision_at_1 is not None
    assert photos.evaluate().images == ROWS - 100


def labelled(collection: Collection) -> list[tuple[str]]:
    with collection._catalog._database.connection() as connection:
        return connection.execute("SELECT key FROM images ORDER BY key").fetchall()


def test_images_that_are_removed_meanwhile_are_not_asked(photos: Collection) -> None:
    gone = [key for key, *_ in labelled(photos)][:50]

    def remove(done: int, _total: int) -> None:
        if done == 1:
            with reopened(photos) as other:
                drop(other, gone)

    found = photos.evaluate(progress=remove)
    assert found.images == ROWS
    assert sum(quality.queries for quality in found.labels) == ROWS - 50
    assert not {each.query.key for each in found.worst} & set(gone)


def test_a_damaged_vector_is_an_error(photos: Collection) -> None:
    path = photos.directory / "vectors.faiss"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptError, match="row 399 is damaged"):
        photos.evaluate()


def test_what_cannot_be_evaluated_is_refused(photos: Collection, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="queries=0"):
        photos.evaluate(queries=0)
    with create(tmp_path / "few", DIM) as few:
        put(few, clustered(1, DIM, seed=3), keys_of(1))
        with pytest.raises(UsageError, match="fewer than two"):
            few.evaluate()

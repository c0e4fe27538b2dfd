"""Augmented vectors: what they are, the order by them, and when they are made anew."""

from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

import lookalike
from lookalike import BuildProgress, Collection, Match
from lookalike.errors import CorruptError
from lookalike.search.refinement import NEIGHBOURS, Centre
from lookalike.storage.vectors import Vectors, unit
from tests.support.pictures import ColourEncoder, draw
from tests.support.reindexing import CountingEncoder
from tests.support.vector_collections import clustered, create, drop, keys_of, put, reopened

_DIM, _ROWS = 24, 600


def _vectors(count: int = _ROWS, seed: int = 3) -> Vectors:
    return clustered(count, _DIM, seed=seed).astype(np.float16).astype(np.float32)


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Collection]:
    """600 vectors around twenty centres, without an index, and their augmented vectors."""
    with create(tmp_path / "photos", _DIM) as collection:
        put(collection, _vectors(), keys_of(_ROWS))
        collection.keep_augmented()
        yield collection


def _file(collection: Collection) -> Path:
    state = collection._catalog.state().augmented
    assert state
    return collection.directory / state.vectors


def _stored(collection: Collection) -> NDArray[np.float32]:
    index = faiss.read_index(str(_file(collection)))
    found: NDArray[np.float32] = index.reconstruct_n(0, index.ntotal)
    return found


def _augmented(vectors: Vectors, rows: list[int]) -> NDArray[np.float64]:
    """The augmented vectors by their definition, in double precision, of some rows among these."""
    centre = Centre(vectors[rows].astype(np.float16))._mean
    left = vectors.astype(np.float64) - centre
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    made = []
    for row in rows:
        nearest = sorted((other for other in rows if other != row), key=lambda other: -cosines[row, other])[:NEIGHBOURS]
        mean = left[row] + sum(max(float(left[row] @ left[other]), 0.0) ** 2 * left[other] for other in nearest)
        made.append(mean / np.linalg.norm(mean))
    return np.array(made)


def _rows(matches: list[Match]) -> list[int]:
    return [match.id - 1 for match in matches]


def test_each_is_the_mean_of_a_vector_and_its_nearest(many: Collection) -> None:
    assert _stored(many) == pytest.approx(_augmented(_vectors(), list(range(_ROWS))), abs=2e-3)
    assert many.info().augmented == _ROWS
    assert many.check() == []


def test_the_order_is_by_them_with_copies_first(many: Collection) -> None:
    vectors, query = _vectors(), unit(clustered(1, _DIM, seed=104))
    centre = Centre(vectors.astype(np.float16))._mean
    left, around = vectors.astype(np.float64) - centre, query[0].astype(np.float64) - centre
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    around /= np.linalg.norm(around)
    nearest = np.argsort(-(vectors @ query[0]))[:NEIGHBOURS]
    expanded = around + sum(max(float(left[row] @ around), 0.0) ** 2 * left[row] for row in nearest)
    scores = _augmented(vectors, list(range(_ROWS))) @ (expanded / np.linalg.norm(expanded))
    cosines = left @ around
    copies = [row for row in np.argsort(-cosines).tolist() if cosines[row] >= 0.8] or [int(cosines.argmax())]
    expected = [*copies, *(row for row in np.argsort(-scores).tolist() if row not in copies)]
    found = _rows(many.search_vector(query, k=_ROWS, refine=True))
    assert sorted(found) == list(range(_ROWS))
    assert found[:20] == expected[:20]
    assert np.mean(np.array(found) == expected) > 0.9  # others have scores that agree to half precision


def test_scores_stay_the_cosines(many: Collection) -> None:
    query = unit(clustered(1, _DIM, seed=7))
    cosine = dict(enumerate(_vectors() @ query[0]))
    for match in many.search_vector(query, k=_ROWS, refine=True):
        assert match.score == pytest.approx(cosine[match.id - 1], abs=1e-6)


def _kinds(count: int) -> tuple[Vectors, NDArray[np.int64]]:
    """Two broad kinds of more images than are refined without augmented vectors, and which each is of."""
    random = np.random.default_rng(5)
    kinds = np.arange(count) % 2
    walks = np.cumsum(random.normal(scale=0.35, size=(count // 2, 2, _DIM)), axis=0)  # each is like the one before
    return unit(walks.reshape(count, _DIM) + 2 * random.normal(size=(2, _DIM))[kinds]), kinds


def test_kinds_of_many_images_are_found_better(tmp_path: Path) -> None:
    vectors, kinds = _kinds(1600)
    with create(tmp_path / "photos", _DIM) as collection:
        put(collection, vectors, keys_of(1600))
        asked = range(0, 1600, 80)

        def shares() -> float:
            found = [_rows(collection.search_id(row + 1, k=800, refine=True)) for row in asked]
            return float(np.mean([np.mean(kinds[rows] == kinds[row]) for row, rows in zip(asked, found, strict=True)]))

        refined = shares()
        collection.keep_augmented()
        assert shares() > refined


# When they are made anew


def test_new_images_are_augmented_as_they_are_found(many: Collection) -> None:
    put(many, _vectors(20, seed=9), keys_of(20, first=_ROWS))
    assert not many.needs_maintenance()
    every = np.concatenate([_vectors(), _vectors(20, seed=9)])
    query = unit(clustered(1, _DIM, seed=11))
    found = _rows(many.search_vector(query, k=_ROWS + 20, refine=True))
    assert sorted(found) == list(range(_ROWS + 20))
    many.keep_augmented(False)
    many.keep_augmented()
    anew = _rows(many.search_vector(query, k=_ROWS + 20, refine=True))
    young = [row for row in anew if row >= _ROWS]
    assert np.mean([abs(found.index(row) - anew.index(row)) for row in young]) < 30  # of 620 places
    assert len(every) == len(_stored(many))


def test_they_are_made_anew_when_a_tenth_has_come_or_gone(many: Collection) -> None:
    first = _file(many)
    drop(many, keys_of(40))
    assert not many.needs_maintenance()
    assert many.maintain().augmented == 0
    put(many, _vectors(21, seed=9), keys_of(21, first=_ROWS))
    assert many.needs_maintenance()
    assert many.maintain().augmented == 581
    assert not first.exists()
    assert _file(many).name == "augmented.000003.faiss"
    assert _stored(many)[:40] == pytest.approx(np.zeros((40, _DIM)))  # of no image
    live = list(range(40, 621))
    every = np.concatenate([_vectors(), _vectors(21, seed=9)])
    assert _stored(many)[40:] == pytest.approx(_augmented(every, live), abs=2e-3)
    assert many.check() == []


def test_rows_of_other_numbers_have_none_until_they_are_made(many: Collection) -> None:
    drop(many, keys_of(200))
    done = many.maintain()
    assert (done.removed, done.augmented) == (200, 400)
    assert _stored(many) == pytest.approx(_augmented(_vectors()[200:], list(range(400))), abs=2e-3)


def test_they_go_when_they_are_not_wanted(many: Collection) -> None:
    path, query = _file(many), clustered(1, _DIM, seed=12)
    assert path.exists()
    by_them = _rows(many.search_vector(query, k=300, refine=True))
    many.keep_augmented(False)
    assert not path.exists()
    assert many.info().augmented is None
    assert _rows(many.search_vector(query, k=300, refine=True)) != by_them
    assert many.maintain().augmented == 0


def test_a_collection_without_images_has_none_yet(tmp_path: Path) -> None:
    with create(tmp_path / "photos", _DIM) as collection:
        collection.keep_augmented()
        assert (collection.info().augmented, collection.needs_maintenance()) == (0, False)
        assert collection.search_vector(np.ones(_DIM), refine=True) == []
        put(collection, _vectors(), keys_of(_ROWS))
        assert collection.needs_maintenance()
        assert collection.maintain().augmented == _ROWS


def test_what_is_stopped_leaves_those_that_there_were(many: Collection) -> None:
    put(many, _vectors(100, seed=9), keys_of(100, first=_ROWS))
    before, query = _file(many), clustered(1, _DIM, seed=13)
    expected = many.search_vector(query, refine=True)

    def stop(progress: BuildProgress) -> None:
        assert (progress.stage, progress.spec) == ("augmenting", "augmented vectors")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        many.maintain(progress=stop)
    assert _file(many) == before
    assert [path.name for path in many.directory.glob("augmented*")] == [before.name]
    assert many.search_vector(query, refine=True) == expected


def test_one_that_is_damaged_is_named(many: Collection) -> None:
    path = _file(many)
    content = bytearray(path.read_bytes())
    content[-_DIM * 2 * 10] ^= 1
    path.write_bytes(content)
    many.close()
    with reopened(many) as again:
        [damage] = again.find_damage()
        assert damage.message == f"{path}: the vector in row {_ROWS - 10} is damaged: checksum mismatch"
        with pytest.raises(CorruptError, match=f"row {_ROWS - 10} is damaged"):
            again.search_vector(clustered(1, _DIM, seed=1), k=_ROWS, refine=True)
        assert len(again.search_vector(clustered(1, _DIM, seed=1), k=_ROWS)) == _ROWS


def test_another_process_sees_them_at_once(many: Collection) -> None:
    query = clustered(1, _DIM, seed=14)
    by_them = _rows(many.search_vector(query, k=300, refine=True))
    many.keep_augmented(False)
    refined = _rows(many.search_vector(query, k=300, refine=True))
    with reopened(many) as other:
        other.keep_augmented()
    assert refined != by_them == _rows(many.search_vector(query, k=300, refine=True))


def test_another_model_makes_them_anew(folder: Path, coarse_encoder: CountingEncoder) -> None:
    for seed in range(20, 60):
        draw(folder / f"{seed}.png", seed)
    with lookalike.create(folder, encoder=ColourEncoder()) as photos:
        photos.add(folder)
        photos.keep_augmented()
    lookalike.reindex(folder, encoder=coarse_encoder)
    with lookalike.open(folder, encoder=coarse_encoder) as again:
        assert (again.info().augmented, again.check()) == (52, [])


@pytest.fixture
def coarse_encoder() -> CountingEncoder:
    return CountingEncoder()

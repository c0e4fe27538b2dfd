"""Which pairs are compared, against brute force over all cosines."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.duplicates import candidates
from lookalike.duplicates.candidates import LEAST_COSINE, Candidates
from lookalike.search.snapshot import Snapshot
from tests.support import vector_collections as of_vectors

DIM, COUNT = 24, 700
NEAREST = 7


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    collection = of_vectors.create(tmp_path_factory.mktemp("vectors") / "c", DIM)
    of_vectors.put(collection, of_vectors.clustered(COUNT, DIM, seed=1), of_vectors.keys_of(COUNT))
    of_vectors.drop(collection, of_vectors.keys_of(COUNT)[::50])
    with collection._snapshots.current() as current:
        return current


def cosines(snapshot: Snapshot) -> NDArray[np.float64]:
    """Of each live row as a query with all as they are stored, a row with itself left out."""
    stored = snapshot.vectors.stored(snapshot.live.rows()).astype(np.float64)
    table: NDArray[np.float64] = stored / np.linalg.norm(stored, axis=1, keepdims=True) @ stored.T
    np.fill_diagonal(table, -2)
    return table


def expected(snapshot: Snapshot) -> set[tuple[int, int]]:
    """Each pair of which one is among the nearest of the other."""
    rows = snapshot.live.rows()
    pairs = {
        (int(min(rows[i], rows[j])), int(max(rows[i], rows[j])))
        for i, line in enumerate(cosines(snapshot))
        for j in nearest_of(line)
    }
    assert pairs
    return pairs


def nearest_of(line: NDArray[np.float64]) -> list[int]:
    """The places of the largest cosines, if they are large enough."""
    return [int(place) for place in np.argsort(-line)[:NEAREST] if line[place] >= LEAST_COSINE]


def pairs_of(*found: Candidates) -> set[tuple[int, int]]:
    return {
        (min(first, second), max(first, second))
        for each in found
        for first, second in zip(each.first.tolist(), each.second.tolist(), strict=True)
    }


def test_each_image_is_compared_with_its_nearest(snapshot: Snapshot) -> None:
    done: list[int] = []
    found = candidates.nearest(snapshot, snapshot.live.rows(), NEAREST, done.append)
    assert pairs_of(found.pairs) == expected(snapshot)
    table, place = cosines(snapshot), {row: at for at, row in enumerate(snapshot.live.rows().tolist())}
    for first, second, cosine in zip(found.pairs.first, found.pairs.second, found.pairs.cosines, strict=True):
        assert cosine == pytest.approx(table[place[first], place[second]], abs=1e-5)
    tenth = np.sort(table, axis=1)[:, -NEAREST]
    assert [found.reaches[row] for row in place] == pytest.approx(tenth.tolist(), abs=1e-5)
    assert done[-1] == len(place)


def test_new_images_are_compared_as_if_all_were_new(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_BLOCK", 7)
    monkeypatch.setattr(candidates, "_COMPARED", 50)
    rows = snapshot.live.rows()
    new, older = rows[::9], np.setdiff1d(rows, rows[::9])
    table, at = cosines(snapshot), np.flatnonzero(~np.isin(rows, new))
    reaches = np.sort(table[np.ix_(at, at)], axis=1)[:, -NEAREST].astype(np.float32)
    found = candidates.nearest(snapshot, new, NEAREST, lambda _: None)
    nearer = candidates.nearer(snapshot, new, older, reaches)
    wanted = {pair for pair in expected(snapshot) if set(pair) & set(new.tolist())}
    assert wanted <= pairs_of(found.pairs, nearer)
    assert len(pairs_of(nearer)) < 3 * NEAREST * len(new)


def test_pairs_between_collections_are_found_both_ways(snapshot: Snapshot, tmp_path: Path) -> None:
    other = of_vectors.create(tmp_path / "other", DIM)
    of_vectors.put(other, of_vectors.clustered(90, DIM, seed=2), of_vectors.keys_of(90))
    with other._snapshots.current() as current:
        found = candidates.between(snapshot, current, NEAREST, lambda _: None)
    ours, theirs = (each.vectors.stored(each.live.rows()).astype(np.float64) for each in (snapshot, current))
    rows, there = snapshot.live.rows(), ours / np.linalg.norm(ours, axis=1, keepdims=True) @ theirs.T
    back = theirs / np.linalg.norm(theirs, axis=1, keepdims=True) @ ours.T
    near = {(int(rows[i]), int(j)) for i in range(len(there)) for j in nearest_of(there[i])}
    near |= {(int(rows[i]), j) for j in range(len(back)) for i in nearest_of(back[j])}
    assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) == near


def test_few_images_have_few_candidates(tmp_path: Path) -> None:
    collection = of_vectors.create(tmp_path / "few", DIM)
    of_vectors.put(collection, of_vectors.clustered(3, DIM, seed=3), of_vectors.keys_of(3))
    with collection._snapshots.current() as current:
        found = candidates.nearest(current, current.live.rows(), NEAREST, lambda _: None)
    assert pairs_of(found.pairs) <= {(0, 1), (0, 2), (1, 2)}
    assert set(found.reaches.values()) == {-1.0}

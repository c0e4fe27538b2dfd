"""A damaged index is found and built again; a damaged vector gets into no index."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike import Collection
from lookalike.errors import CorruptError
from tests.support.indexed_collections import DAMAGES, DIM, ROWS, assert_sound, built, content, flip
from tests.support.vector_collections import clustered, drop, keys_of, put


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("suffix", ["faiss", "json"])
def test_check_names_a_damaged_index_and_build_restores_it(
    photos: Collection, suffix: str, damage: Callable[[Path], object]
) -> None:
    built(photos)
    damage(photos.directory / "index" / f"000001.{suffix}")
    [found] = photos.check()
    assert re.search(rf"000001\.{suffix}: .*to build it again: lookalike\.open\(.*\)\.maintain\(\)", found)
    built(photos)
    assert_sound(photos)


@pytest.mark.parametrize(("suffix", "damage"), list(itertools.product(["json", "faiss"], DAMAGES)))
def test_maintain_builds_a_damaged_or_missing_index_again(photos: Collection, suffix: str, damage: str) -> None:
    built(photos)
    DAMAGES[damage](photos.directory / "index" / f"000001.{suffix}")
    is_seen = suffix == "json" or damage != "flipped"  # without reading the index
    assert (photos.info().index is None, photos.info().damage is not None) == (is_seen, is_seen)
    done = photos.maintain()
    assert photos.info().damage is None
    assert done.built is not None
    if suffix == "faiss":  # else what was asked for is lost
        assert (done.built.spec, done.built.target_recall) == ("IVF4,SQ8", 0.5)
    assert_sound(photos)


def test_no_vectors_join_a_damaged_index(photos: Collection) -> None:
    built(photos)
    put(photos, clustered(60, DIM, seed=5), keys_of(60, ROWS))
    flip(photos.directory / "index" / "000001.faiss")
    done = photos.maintain()
    assert done.built is not None
    assert (done.joined, done.built.rows, done.built.spec) == (0, ROWS + 60, "IVF4,SQ8")
    assert_sound(photos)


def flip_last_row(photos: Collection) -> None:
    path = photos.directory / "vectors.faiss"
    changed = bytearray(path.read_bytes())
    changed[-5] ^= 1
    path.write_bytes(changed)


@pytest.mark.parametrize("dead", [0, 100])
def test_a_damaged_vector_gets_into_no_index(photos: Collection, dead: int) -> None:
    built(photos)
    drop(photos, keys_of(dead))
    flip_last_row(photos)
    before = content(photos)
    with pytest.raises(CorruptError, match=rf"vectors\.faiss: the vector in row {ROWS - 1} is damaged"):
        photos.build()
    assert content(photos) == before
    [found] = photos.check()
    assert f"row {ROWS - 1}" in found
    drop(photos, keys_of(1, ROWS - 1))
    drop(photos, keys_of(100, 100))
    photos.build(spec="SQ8")  # without it all is well
    assert_sound(photos)


def test_a_damaged_vector_that_is_dead_is_removed_like_others(photos: Collection) -> None:
    flip_last_row(photos)
    drop(photos, keys_of(1, ROWS - 1))
    built(photos)
    assert photos.check() == []

"""Copies in an answer that are folded behind the first of them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import lookalike
from lookalike import Collection, Match
from lookalike.duplicates.folding import folded
from tests.support.edited_pictures import EDITED, DimEncoder, scene


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    folder = tmp_path / "scenes"
    folder.mkdir()
    for seed in range(6):
        scene(seed).save(folder / f"{seed}.png")
    for name in ("grey", "mirrored", "darker"):
        EDITED[name][0](scene(0)).save(folder / f"0-{name}.png")
    shutil.copy(folder / "1.png", folder / "1-again.png")
    with lookalike.create(folder, encoder=DimEncoder()) as created:
        created.add(folder)
        yield created


def keys(matches: list[Match]) -> list[tuple[str, list[str]]]:
    return [(match.key, sorted(copy.key for copy in match.copies)) for match in matches]


def test_files_of_the_same_bytes_are_folded_without_any_comparison(collection: Collection) -> None:
    plain, found = collection.search(scene(1), k=3), collection.search(scene(1), k=3, fold=True)
    assert {match.key for match in plain[:2]} == {"1.png", "1-again.png"}
    assert len(found) == 3
    assert keys(found)[0] in [("1.png", ["1-again.png"]), ("1-again.png", ["1.png"])]
    assert all(not match.copies for match in found[1:])


def test_edited_copies_are_folded_once_they_are_known(collection: Collection) -> None:
    of_zero = {"0.png", "0-grey.png", "0-mirrored.png", "0-darker.png"}
    assert len(of_zero & {match.key for match in collection.search(scene(0), k=20, fold=True)}) == 4
    collection.duplicates(nearest=9)
    found = collection.search(scene(0), k=20, fold=True)
    [first, *others] = [match for match in found if match.key in of_zero]
    assert {first.key, *(copy.key for copy in first.copies)} == of_zero
    assert not others
    assert len(found) == 6
    assert first.key == found[0].key == "0.png"
    assert [copy.score for copy in first.copies] == sorted((copy.score for copy in first.copies), reverse=True)


def test_as_many_others_are_found_as_are_wanted(collection: Collection) -> None:
    collection.duplicates(nearest=9)
    unfolded = [match.key for match in collection.search(scene(0), k=20)]
    assert len(unfolded) == 10
    for k in range(1, 7):
        assert len(collection.search(scene(0), k=k, fold=True)) == k
    assert len(collection.search(scene(0), k=7, fold=True)) == 6


def test_every_way_to_search_folds(collection: Collection) -> None:
    collection.duplicates(nearest=9)
    image_id = next(image.id for image in collection.images() if image.key == "0-grey.png")
    by_id = collection.search_id(image_id, k=20, fold=True)
    assert sorted(len(match.copies) for match in by_id) == [0, 0, 0, 0, 1, 2]
    [many] = collection.search_many([scene(0)], k=20, fold=True)
    by_vector = collection.search_vector(collection.embed(scene(0)), k=20, fold=True)
    assert keys(many) == keys(by_vector) == keys(collection.search(scene(0), k=20, fold=True))


def test_a_folded_query_is_marked(collection: Collection) -> None:
    collection.duplicates(nearest=9)
    path = collection.folder / "0-grey.png"
    found = collection.search(path, k=3, fold=True)
    marked = [each for match in found for each in (match, *match.copies) if each.is_query]
    assert [match.key for match in marked] == ["0-grey.png"]


def test_a_damaged_file_of_comparisons_folds_less(collection: Collection) -> None:
    collection.duplicates(nearest=9)
    path = collection.directory / "pictures.sqlite"
    path.write_bytes(b"damaged")
    assert len(collection.search(scene(0), k=20, fold=True)) == 9
    assert path.read_bytes() == b"damaged"  # a search replaces nothing


def test_folding_keeps_the_order_and_loses_nothing() -> None:
    matches = [Match(number, f"{number}", None, 1 - number / 10, sha256=bytes([number])) for number in range(6)]
    found = folded(matches, {bytes([3]): b"x", bytes([1]): b"x", bytes([5]): b"y"})
    assert keys(found) == [("0", []), ("1", ["3"]), ("2", []), ("4", []), ("5", [])]
    nameless = [Match(number, "a", None, 0.5) for number in range(3)]
    assert folded(nameless, {}) == nameless

"""Names in another spelling: the other composition of letters, backslashes, and what is meant by them."""

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lookalike.errors import UsageError
from lookalike.filters import Not, Where
from lookalike.storage.catalog import Catalog
from lookalike.storage.spellings import only, spellings
from tests.support.catalogs import fill, set_attributes


def composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """Images in a folder from a Mac, in one that was made here, and in two that look the same."""
    Catalog.create(tmp_path / "catalog.sqlite")
    with closing(Catalog(tmp_path / "catalog.sqlite")) as catalog:
        keys = [f"{decomposed('fête')}/a.jpg", f"{composed('über')}/b.jpg"]
        fill(catalog, [*keys, *(f"{form('né')}/{composed('é')}.jpg" for form in (composed, decomposed))])
        set_attributes(catalog, keys[0], {decomposed("größe"): 1, "ort": decomposed("Köln")})
        yield catalog


def test_each_part_of_a_path_is_composed_or_decomposed() -> None:
    assert list(spellings("a/b.jpg")) == []
    assert set(spellings(composed("é/ö"))) == {
        decomposed("é/ö"),
        composed("é/") + decomposed("ö"),
        decomposed("é/") + composed("ö"),
    }
    assert set(spellings(composed(r"a\é"))) == {decomposed(r"a\é"), composed("a/é"), decomposed("a/é")}
    assert list(spellings(r"a\b")) == ["a/b"]


def test_the_spellings_of_a_path_do_not_become_too_many() -> None:
    assert len(list(spellings("/".join(["é"] * 100)))) < 64
    assert list(spellings("é" * 5000)) == []


def test_what_was_found_counts_if_it_is_one() -> None:
    assert (only([]), only([1]), only([1, 1]), only([1, 2])) == (None, 1, 1, None)


@pytest.mark.parametrize("form", [composed, decomposed])
def test_labels_folders_and_attributes_are_found_in_either_spelling(
    catalog: Catalog, form: Callable[[str], str]
) -> None:
    wanted = [
        (Where(label=form("fête")), [0]),
        (Where(label=[form("fête"), form("über"), "none"]), [0, 1]),
        (Where(under=form("fête")), [0]),
        (Where(under=form("über/")), [1]),
        (Where(attributes={form("größe"): 1}), [0]),
        (Where(attributes={"ort": form("Köln")}), [0]),
        (Where(attributes={"ort": Not(form("Köln"))}), [1, 2, 3]),
        (Where(label=form("fête"), attributes={form("größe"): 1, "ort": [form("Köln"), "x"]}, ids=[1]), [0]),
    ]
    for where, rows in wanted:
        assert catalog.rows_where(where).tolist() == rows
        assert catalog.count_where(where) == len(rows)
        assert [image.row for image in catalog.images_of_rows(range(4), where=where)] == rows


def test_of_two_names_that_look_the_same_the_one_that_is_given_is_meant(catalog: Catalog) -> None:
    for row, form in ((2, composed), (3, decomposed)):
        assert catalog.rows_where(Where(label=form("né"))).tolist() == [row]
        assert catalog.rows_where(Where(under=form("né"))).tolist() == [row]


def test_a_name_in_no_spelling_is_none(catalog: Catalog) -> None:
    assert catalog.rows_where(Where(label="été")).tolist() == catalog.rows_where(Where(under="été")).tolist() == []
    with pytest.raises(UsageError, match="no image has an attribute 'höhe'"):
        catalog.rows_where(Where(attributes={"höhe": 1}))


def test_names_to_be_removed_are_found_in_the_only_other_spelling(catalog: Catalog) -> None:
    key = f"{decomposed('fête')}/a.jpg"
    for name in (key, composed(key), composed(key).replace("/", "\\"), composed("fête")):
        assert catalog.keys_named([name]) == [key]
    assert catalog.keys_named([composed("né/é.jpg")]) == [composed("né/é.jpg")]
    assert catalog.keys_named([decomposed("né/é.jpg")]) == []  # either of two
    assert catalog.keys_named(["nothing", composed(key)]) == [key]


def test_a_folder_of_windows_is_found(catalog: Catalog) -> None:
    fill(catalog, ["2024/trip/c.jpg"])
    assert catalog.rows_where(Where(under="2024\\trip")).tolist() == [4]

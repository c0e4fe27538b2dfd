"""Attributes of a table are set on the images that its paths name."""

import math
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lookalike.attributes import apply
from lookalike.attributes.apply import Ambiguous, AttributesReport
from lookalike.attributes.image_names import keys_of
from lookalike.errors import UsageError
from lookalike.filters import Where
from lookalike.storage.catalog import Catalog
from tests.support.attribute_tables import needs_pyarrow
from tests.support.catalogs import STATUS

Form = Callable[[str], str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def catalog(folder: Path) -> Iterator[Catalog]:
    """Four images, one of them outside the folder."""
    Catalog.create(folder / "catalog.sqlite")
    with closing(Catalog(folder / "catalog.sqlite")) as catalog:
        write(catalog, ["a.jpg", "2024/b.jpg", "2024/ü.jpg", f"{folder.parent}/elsewhere/c.jpg"])
        yield catalog


def write(catalog: Catalog, keys: Sequence[str], *, first: int = 0) -> None:
    """Adds an image for each key, with vectors from a row on."""
    with catalog.writing() as transaction:
        for row, key in enumerate(keys, first):
            transaction.add_vector(row, row.to_bytes(32, "big"), row, width=1, height=1)
            transaction.put_image(key, row, STATUS)


def stored(catalog: Catalog) -> dict[str, dict[str, Any]]:
    """Returns the attributes of all images that have any, by key."""
    images = [image for row in range(catalog.state().count) for image in catalog.images_of_rows([row])]
    return {image.key: dict(image.attributes) for image in images if image.attributes}


def test_the_rows_of_a_table_become_attributes_of_images(catalog: Catalog, folder: Path) -> None:
    path = folder / "table.csv"
    path.write_text("path,colour,price\na.jpg,red,7\n2024/b.jpg,,8.5\n2024/ü.jpg,blue,\nmissing.jpg,red,1\n")
    report = apply.apply(catalog, folder, path)
    assert report == AttributesReport(3, 1, ("missing.jpg",), ("colour", "price"), column="path")
    assert stored(catalog) == {
        "a.jpg": {"colour": "red", "price": 7.0},
        "2024/b.jpg": {"price": 8.5},
        "2024/ü.jpg": {"colour": "blue"},
    }


def test_another_table_changes_only_the_attributes_that_it_names(catalog: Catalog, folder: Path) -> None:
    path = folder / "table.csv"
    for text in ("path,colour,price\na.jpg,red,7\n2024/b.jpg,red,7\n", "path,price,size\na.jpg,,5\n"):
        path.write_text(text)
        apply.apply(catalog, folder, path)
    assert stored(catalog) == {"a.jpg": {"colour": "red", "size": 5}, "2024/b.jpg": {"colour": "red", "price": 7}}


@needs_pyarrow
def test_a_parquet_table_is_applied_like_a_csv_table(
    catalog: Catalog, folder: Path, parquet: Callable[..., Path]
) -> None:
    path = parquet({"file": [f"{folder}/a.jpg", "photos/2024/b.jpg"], "label": [7, 8], "rating": [0.5, math.nan]})
    assert apply.apply(catalog, folder, path) == AttributesReport(2, 0, (), ("label", "rating"), column="file")
    assert stored(catalog) == {"a.jpg": {"label": "7", "rating": 0.5}, "2024/b.jpg": {"label": "8"}}
    assert [catalog.count_where(Where(label=label)) for label in ("7", "8", "2024")] == [1, 1, 1]


def test_a_path_is_a_key_or_relative_to_the_table_or_absolute(catalog: Catalog, folder: Path) -> None:
    subfolder = folder / "2024"
    subfolder.mkdir()
    outside = f"{folder.parent}/elsewhere/c.jpg"
    names = ["b.jpg", "2024/b.jpg", "../a.jpg", "./../2024//b.jpg", f"{folder}/a.jpg", outside, "../../elsewhere/c.jpg"]
    expected = ["2024/b.jpg", "2024/b.jpg", "a.jpg", "2024/b.jpg", "a.jpg", outside, outside]
    path = subfolder / "table.csv"
    for name, key in zip(names, expected, strict=True):
        path.write_text(f"path,x\n{name},{name}\n")
        assert apply.apply(catalog, folder, path).images == 1, name
        assert stored(catalog)[key] == {"x": name}
        path.write_text(f"path,x\n{name},\n")
        apply.apply(catalog, folder, path)
    assert stored(catalog) == {}


def test_a_table_beside_images_names_those_beside_it_and_tells_others(catalog: Catalog, folder: Path) -> None:
    with catalog.writing() as transaction:
        transaction.put_image("2024/a.jpg", 1, STATUS)
    (folder / "2024").mkdir()
    path = folder / "2024" / "table.csv"
    path.write_text("path,x\na.jpg,1\nb.jpg,2\n")
    report = apply.apply(catalog, folder, path)
    assert (report.images, report.unknown, report.ambiguous) == (2, 0, 1)
    assert report.first_ambiguous == (Ambiguous("a.jpg", "2024/a.jpg", "a.jpg"),)
    assert stored(catalog) == {"2024/a.jpg": {"x": 1}, "2024/b.jpg": {"x": 2}}


@pytest.mark.parametrize("place", ["", "2024"])
def test_a_path_that_names_one_image_is_not_ambiguous(catalog: Catalog, folder: Path, place: str) -> None:
    (folder / "2024").mkdir()
    path = folder / place / "table.csv"
    path.write_text(f"path,x\na.jpg,1\n2024/b.jpg,2\n{folder}/2024/ü.jpg,3\n")
    report = apply.apply(catalog, folder, path)
    assert (report.images, report.ambiguous, report.first_ambiguous) == (3, 0, ())


def test_a_path_through_a_symlink_finds_the_image(catalog: Catalog, folder: Path) -> None:
    (folder.parent / "link").symlink_to(folder)
    path = folder.parent / "table.csv"
    path.write_text("path,x\nlink/a.jpg,1\n")
    assert apply.apply(catalog, folder, path).images == 1
    assert apply.apply(catalog, folder, folder.parent / "link" / ".." / "table.csv").images == 1


def test_impossible_paths_are_unknown(catalog: Catalog, folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    path = folder / "table.csv"
    path.write_text(
        "path,x\na\0b,1\na\0/b,1\nloop/a.jpg,1\n" + "x" * 5000 + ",1\n" + "y/" * 5000 + ",1\n../../../../../..,1\n"
    )
    report = apply.apply(catalog, folder, path)
    assert (report.images, report.unknown) == (0, 6)


def test_only_the_first_five_unknown_paths_are_named(catalog: Catalog, folder: Path) -> None:
    path = folder / "table.csv"
    path.write_text("path,x\n" + "".join(f"{number},1\n" for number in range(20)))
    report = apply.apply(catalog, folder, path)
    assert (report.images, report.unknown, report.first_unknown) == (0, 20, ("0", "1", "2", "3", "4"))


@needs_pyarrow
def test_a_table_with_an_invalid_row_changes_nothing(
    catalog: Catalog, folder: Path, parquet: Callable[..., Path]
) -> None:
    path = parquet({"path": ["a.jpg", "2024/b.jpg"], "x": [0.5, math.inf]})
    changes = catalog.state().changes
    with pytest.raises(
        UsageError, match=r"table.parquet: '2024/b.jpg': attribute 'x': inf is not finite; give a number"
    ):
        apply.apply(catalog, folder, path)
    assert stored(catalog) == {}
    assert catalog.state().changes == changes


def test_a_path_that_is_a_key_is_not_looked_up_on_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = keys_of("a.jpg", table_folder=folder / "2024", folder=folder)
    with monkeypatch.context() as patch:
        patch.setattr(apply, "absolute", None)
        assert [next(keys), next(keys)] == ["2024/a.jpg", "a.jpg"]
    assert list(keys) == []
    assert list(keys_of("a.jpg", table_folder=folder, folder=folder)) == ["a.jpg"]
    assert list(keys_of("../a.jpg", table_folder=folder / "2024", folder=folder)) == [
        "2024/../a.jpg",
        "../a.jpg",
        "a.jpg",
    ]
    elsewhere = folder.parent / "tables"
    assert list(keys_of("a.jpg", table_folder=elsewhere, folder=folder)) == [f"{elsewhere}/a.jpg", "a.jpg"]


# Names in another spelling


def composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize(
    "stored_form", [composed, decomposed, lambda text: f"{composed(text[:4])}{decomposed(text[4:])}"]
)
@pytest.mark.parametrize("given_form", [composed, decomposed])
@pytest.mark.parametrize("place", ["", "..", "é è"])
def test_a_name_is_found_whichever_way_its_letters_are_composed(
    catalog: Catalog, folder: Path, stored_form: Form, given_form: Form, place: str
) -> None:
    """Each part of a path may be composed in its own way: a folder that was made here, and a file from a Mac."""
    key = stored_form("é è/ö.jpg")
    write(catalog, [key], first=10)
    (folder / stored_form("é è")).mkdir()
    where = {"": folder, "..": folder.parent}.get(place, folder / stored_form("é è"))
    name = given_form({"": "é è/ö.jpg", "..": "photos/é è/ö.jpg"}.get(place, "ö.jpg"))
    (where / "table.csv").write_text(f"name,x\n{name},1\n")
    report = apply.apply(catalog, folder, where / "table.csv")
    assert (report.images, report.unknown, report.ambiguous) == (1, 0, 0)
    assert stored(catalog) == {key: {"x": 1}}


def test_a_name_that_is_there_as_it_is_given_is_that_one(catalog: Catalog, folder: Path) -> None:
    keys = [composed("é.jpg"), decomposed("é.jpg")]
    write(catalog, keys, first=10)
    (folder / "t.csv").write_text("path,x\n" + "".join(f"{key},{number}\n" for number, key in enumerate(keys)))
    assert apply.apply(catalog, folder, folder / "t.csv").images == 2
    assert stored(catalog) == {key: {"x": number} for number, key in enumerate(keys)}


def test_a_name_that_may_be_two_images_is_neither(catalog: Catalog, folder: Path) -> None:
    write(catalog, [composed("é/ö.jpg"), decomposed("é/ö.jpg")], first=10)
    name = f"{composed('é')}/{decomposed('ö')}.jpg"
    (folder / "t.csv").write_text(f"path,x\n{name},1\na.jpg,2\n")
    report = apply.apply(catalog, folder, folder / "t.csv")
    assert (report.images, report.first_unknown) == (1, (name,))


@pytest.mark.parametrize(
    "name", [r"2024\b.jpg", r".\2024\b.jpg", r"2024\ü.jpg", decomposed(r"2024\ü.jpg"), " 2024/b.jpg "]
)
def test_backslashes_and_spaces_may_be_those_of_another_system(catalog: Catalog, folder: Path, name: str) -> None:
    (folder / "t.csv").write_text(f"path,x\n{name},1\n")
    assert apply.apply(catalog, folder, folder / "t.csv").images == 1


def test_a_backslash_in_the_name_of_an_image_stays_one(catalog: Catalog, folder: Path) -> None:
    write(catalog, [r"2024\b.jpg"], first=10)
    (folder / "t.csv").write_text("path,x\n" + r"2024\b.jpg" + ",1\n")
    apply.apply(catalog, folder, folder / "t.csv")
    assert stored(catalog) == {r"2024\b.jpg": {"x": 1}}


def test_a_missing_image_and_one_that_is_skipped_too_get_attributes(catalog: Catalog, folder: Path) -> None:
    with catalog.writing() as transaction:
        transaction.put_skipped("2024/b.jpg", "truncated", STATUS, since_ns=1)
        transaction.put_skipped("nothing.jpg", "truncated", STATUS, since_ns=1)
    (folder / "t.csv").write_text("path,x\n2024/b.jpg,1\nnothing.jpg,2\n")
    report = apply.apply(catalog, folder, folder / "t.csv")
    assert (report.images, report.first_unknown) == (1, ("nothing.jpg",))


def test_unknown_names_take_time_in_proportion(catalog: Catalog, folder: Path) -> None:
    def seconds(count: int) -> float:
        (folder / "t.csv").write_text("path,x\n" + "".join(f"é/ö/ü/{number}.jpg,1\n" for number in range(count)))
        begun = time.process_time()
        assert apply.apply(catalog, folder, folder / "t.csv").unknown == count
        return time.process_time() - begun

    seconds(10)
    few = seconds(100)
    assert seconds(400) < 8 * few

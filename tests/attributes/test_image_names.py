"""Tables that have the names of files instead of paths, or numbers, or rows that name nothing."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lookalike.attributes import apply
from lookalike.attributes.apply import AttributesReport
from lookalike.attributes.image_names import ImageNames
from lookalike.errors import UsageError
from lookalike.filters import Where
from lookalike.storage.catalog import Catalog
from tests.support.attribute_tables import needs_pyarrow
from tests.support.catalogs import fill

KEYS = ["images/1163.jpg", "images/1164.jpg", "images/77.png", "a/1.jpg", "b/1.jpg", "a/no suffix", "/elsewhere/x.jpg"]


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    Catalog.create(tmp_path / "catalog.sqlite")
    with closing(Catalog(tmp_path / "catalog.sqlite")) as catalog:
        fill(catalog, KEYS)
        yield catalog


def applied(catalog: Catalog, table: Path) -> AttributesReport:
    return apply.apply(catalog, table.parent, table)


def with_value(catalog: Catalog, name: str, value: int | str) -> list[str]:
    rows = catalog.rows_where(Where(attributes={name: value}))
    return sorted(image.key for image in catalog.images_of_rows(rows))


@pytest.mark.parametrize(
    ("folder", "names", "expected"),
    [
        (".", {"1163", "1164.jpg", "no suffix"}, {"1163": KEYS[0], "1164.jpg": KEYS[1], "no suffix": KEYS[5]}),
        (".", {"1", "x", "77.jpg", "images/77", ""}, {"x": KEYS[6]}),
        ("a", {"1", "1.jpg", "77"}, {"1": "a/1.jpg", "1.jpg": "a/1.jpg", "77": KEYS[2]}),
        ("images", {"1"}, {}),
    ],
)
def test_a_name_is_that_of_the_only_image_or_of_the_only_one_beside_the_table(
    catalog: Catalog, tmp_path: Path, folder: str, names: set[str], expected: dict[str, str]
) -> None:
    assert ImageNames(catalog, tmp_path / folder, tmp_path).keys_by_name(names) == expected


def test_numbers_name_images_where_no_column_has_paths(catalog: Catalog, table: Callable[..., Path]) -> None:
    path = table("year,id,colour\n2012,1163,red\n2013,1164,blue\n2014,77,green\n2015,9999,grey\n")
    assert applied(catalog, path) == AttributesReport(3, 1, ("9999",), ("year", "colour"), column="id", by_name=3)
    assert with_value(catalog, "colour", "blue") == ["images/1164.jpg"]
    assert with_value(catalog, "year", 2014) == ["images/77.png"]


@needs_pyarrow
def test_numbers_of_a_parquet_file_name_images(catalog: Catalog, parquet: Callable[..., Path]) -> None:
    report = applied(catalog, parquet({"id": [1163, 1164, None], "x": [1, 2, 3]}))
    assert (report.images, report.nameless, report.by_name) == (2, 1, 2)
    assert with_value(catalog, "x", 2) == ["images/1164.jpg"]


def test_paths_go_before_names(catalog: Catalog, table: Callable[..., Path]) -> None:
    report = applied(catalog, table("id,file\n77,images/1163.jpg\n1164,gone.jpg\n"))
    assert (report.column, report.images, report.by_name) == ("file", 1, 0)
    assert with_value(catalog, "id", 77) == ["images/1163.jpg"]


def test_an_index_goes_after_a_column_with_a_name(catalog: Catalog, table: Callable[..., Path]) -> None:
    assert applied(catalog, table(",id,x\n1163,1163,a\n1164,1164,b\n")).column == "id"


def test_a_few_names_among_others_are_a_coincidence(catalog: Catalog, table: Callable[..., Path]) -> None:
    """Half of the first rows is not enough: the column is perhaps of something else."""
    report = applied(catalog, table("name,pieces\nx.jpg,77\ny.jpg,1163\nz.jpg,3\nw.jpg,4\n"))
    assert (report.column, report.images, report.by_name) == ("name", 0, 0)


def test_few_images_of_a_large_table_are_found_if_its_column_is_called_as_usual(
    catalog: Catalog, table: Callable[..., Path]
) -> None:
    lines = [f"{number},{number % 7}" for number in range(20_000, 0, -1)]
    report = applied(catalog, table("\n".join(["id,x", *lines])))
    assert (report.column, report.images, report.by_name) == ("id", 3, 3)
    assert with_value(catalog, "x", 1163 % 7) == ["images/1163.jpg"]
    assert applied(catalog, table("\n".join(["pieces,x", *lines]))).images == 0


def test_rows_without_a_path_are_left_out_and_counted(catalog: Catalog, table: Callable[..., Path]) -> None:
    path = table("path,x\nimages/77.png,1\n,2\n  ,3\nNA,4\ngone.jpg,5\n")
    report = applied(catalog, path)
    assert (report.images, report.nameless, report.unknown, report.first_unknown) == (1, 3, 1, ("gone.jpg",))
    assert [with_value(catalog, "x", number) for number in (1, 2, 3)] == [["images/77.png"], [], []]


@needs_pyarrow
def test_rows_of_a_parquet_file_without_a_path_are_left_out(catalog: Catalog, parquet: Callable[..., Path]) -> None:
    report = applied(catalog, parquet({"path": ["images/77.png", None, ""], "x": [1, 2, 3]}))
    assert (report.images, report.nameless) == (1, 2)


@needs_pyarrow
def test_a_column_of_paths_that_is_of_fractions_is_refused(catalog: Catalog, parquet: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match=r"row 1 has no path in the column 'path' but 5\.5"):
        applied(catalog, parquet({"path": [5.5, 6.5], "x": [1, 2]}))

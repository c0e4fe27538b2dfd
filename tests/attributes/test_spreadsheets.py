"""Tables of spreadsheets, exiftool, pandas and R: which column names images, what separates cells, what is empty."""

import csv
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lookalike.attributes.columns import ImageColumn, NotANumber
from lookalike.attributes.table import read_table
from lookalike.errors import UsageError
from lookalike.system.resources import peak_memory
from tests.support.attribute_tables import needs_pyarrow, rows, typed

IMAGES = {"photos/mug.jpg", "photos/fish.jpg", "mug.jpg", "7"}


def read(path: Path, images: set[str] = IMAGES) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    """The column that names the images, and the rows."""
    table = read_table(path, images.__contains__)
    return table.column, list(table.rows())


# What names the images


@pytest.mark.parametrize(
    ("header", "row", "column"),
    [
        ("SourceFile,FileName,Directory", "photos/mug.jpg,mug.jpg,photos", "SourceFile"),
        ("FileName,SourceFile,ISO", "mug.jpg,photos/mug.jpg,100", "SourceFile"),
        ("SourceFile,FileName,ISO", "/elsewhere/mug.jpg,mug.jpg,100", "FileName"),
        ("id,label,what I call it", "1,mug,photos/mug.jpg", "what I call it"),
        ("file,image_path", "mug.png,photos/mug.jpg", "image_path"),
        ("path,bild", "x,photos/mug.jpg", "bild"),
        ("image,file_name,filepath", "mug.jpg,mug.jpg,mug.jpg", "filepath"),
        ("b,a", "mug.jpg,mug.jpg", "b"),
        ("x,y", "7,8", "x"),
        ("stars,File Name", "8,mug.png", "File Name"),
        ("stars,x", "8,mug.png", "stars"),
    ],
)
def test_the_column_whose_cells_name_images_does(
    table: Callable[..., Path], header: str, row: str, column: str
) -> None:
    """Else the one with a usual name, else the first."""
    found, [(name, values)] = read(table(f"{header}\n{row}\n"))
    assert found == column
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    assert name == cells.pop(column)
    assert {key: str(value) for key, value in values.items()} == cells


def test_the_column_that_names_most_images_and_most_different_ones_does(table: Callable[..., Path]) -> None:
    images = {f"{number}.jpg" for number in range(10)}
    lines = [f"0.jpg,{number}.jpg,{number // 2}.jpg" for number in range(10)]
    assert read(table("\n".join(["path,second,third", *lines])), images)[0] == "second"
    assert read(table("\n".join(["a,b", "0.jpg,x", "y,1.jpg", "y,2.jpg"])), images)[0] == "b"


def test_images_that_only_few_rows_name_are_found_among_many(table: Callable[..., Path]) -> None:
    lines = [f"{number},/x/{number}.jpg" for number in range(20_000)]
    images = {f"/x/{number}.jpg" for number in range(0, 20_000, 20)}
    assert read(table("\n".join(["name,thing", *lines])), images)[0] == "thing"


def test_the_number_of_lookups_hardly_grows_with_the_table() -> None:
    for columns, count, most in ((2, 1_000, 500), (2, 100_000, 1200), (5000, 1000, 60_000)):
        asked = list[str]()
        found = ImageColumn(columns, lambda name, asked=asked: bool(asked.append(name)))  # type: ignore[misc]
        for row in range(count):
            found.add([f"{row} {column}" for column in range(columns if row < 100 or columns < 9 else 9)])
        assert 50 <= len(asked) <= most


# What separates cells, and the encoding


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt", "t.TAB"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_encodings_and_line_ends_are_recognised(
    table: Callable[..., Path], name: str, delimiter: str, encoding: str, end: str
) -> None:
    lines = [["path", "größe", "note"], ["photos/mug.jpg", "2", '"a\r\nb, c; d"'], ["", "", ""], ["photos/fish.jpg"]]
    path = table(end.join(delimiter.join(cells) for cells in lines).encode(encoding), name)
    expected = [
        ("photos/mug.jpg", {"größe": 2, "note": "a\r\nb, c; d"}),
        ("photos/fish.jpg", {"größe": None, "note": None}),
    ]
    assert read(path) == ("path", expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sep=;\r\npath;x\r\na;1\r\n", {"x": 1}),
        ("SEP=|\npath|x\na|1\n", {"x": 1}),
        ('"sep=,"\npath,x;y\na,1\n', {"x;y": 1}),
        ("\nsep=\t\npath\tx,y\na\t1\n", {"x,y": 1}),
        ("\ufeffsep=:\rpath:x\ra:1\r", {"x": 1}),
        ('path;"x, y, z"\na;1\n', {"x, y, z": 1}),
        ('path,"x; y; z"\na,1\n', {"x; y; z": 1}),
        ("path,x\ty\tz\na,1\n", {"x\ty\tz": 1}),
    ],
)
def test_the_delimiter_is_named_or_found(table: Callable[..., Path], text: str, expected: dict[str, Any]) -> None:
    assert read(table(text), {"a"})[1] == [("a", expected)]


def test_a_line_below_the_named_delimiter_keeps_its_number(table: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match=r"table.csv: line 3 has 3 cells, and there are 2 columns"):
        read_table(table("sep=;\npath;x\na;1;2\n"))


# Numbers, and what is empty


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["5", "NA"], [5, None]),
        (["NaN", "2.5", "nan"], [None, 2.5, None]),
        (["None", "null", "NULL", "<NA>", "N/A", "n/a", "#N/A", " NA ", "red"], [None] * 8 + ["red"]),
        (["NA", "NA"], [None, None]),
        (["Nathan", "nA", "NAN", "none", "-"], ["Nathan", "nA", "NAN", "none", "-"]),
        (['"NA"', "5"], [None, 5]),
    ],
)
def test_a_cell_that_says_it_has_no_value_is_empty(
    table: Callable[..., Path], cells: list[str], expected: list[Any]
) -> None:
    path = table("path,x\n" + "".join(f"{number},{cell}\n" for number, cell in enumerate(cells)))
    assert typed(rows(path)) == typed([(str(each), {"x": x}) for each, x in enumerate(expected)])
    empty = sum(
        cell.strip(' "') in {"NA", "NaN", "nan", "None", "null", "NULL", "<NA>", "N/A", "n/a", "#N/A"} for cell in cells
    )
    assert read_table(path).no_value == empty


def test_an_image_may_be_called_na(table: Callable[..., Path]) -> None:
    assert read(table("path,x\nNA,1\n"), {"NA"})[1] == [("NA", {"x": 1})]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1,5", "2"], [1.5, 2.0]),
        (["-0,25", "NA", "1000"], [-0.25, None, 1000.0]),
        (["1,5", "2.5"], ["1,5", "2.5"]),
        (["1.234,5", "1"], ["1.234,5", "1"]),
        (["1.5", "2"], [1.5, 2.0]),
        (["01,5", "1"], ["01,5", "1"]),
        (["1,", "1"], ["1,", "1"]),
        (["1,5", "red"], ["1,5", "red"]),
    ],
)
def test_numbers_between_semicolons_may_have_a_decimal_comma(
    table: Callable[..., Path], cells: list[str], expected: list[Any]
) -> None:
    path = table("path;x\n" + "".join(f"{number};{cell}\n" for number, cell in enumerate(cells)))
    assert typed(rows(path)) == typed([(str(each), {"x": x}) for each, x in enumerate(expected)])
    quoted = table("path,x\n" + "".join(f'{number},"{cell}"\n' for number, cell in enumerate(cells)))
    assert any(isinstance(values["x"], str) for _, values in rows(quoted)) == any("," in cell for cell in cells)


def test_the_cell_that_makes_a_column_of_numbers_text_is_named(table: Callable[..., Path]) -> None:
    path = table("path,x,y,z,label\n1,5,a,1,1\n2,6,b,2,2\n3,,3,3,3\n4,five\t,c,4,x\n5,many,5,,5\n6,7,,,5\n")
    assert read_table(path).not_numbers == (NotANumber("x", 5, "five"),)
    assert read_table(table("path,x\n1,1\n2,2\n3," + "y" * 500)).not_numbers == (NotANumber("x", 4, "y" * 100),)


# Columns without a name


@pytest.mark.parametrize(
    ("text", "column", "values"),
    [
        (",path,year\n0,photos/mug.jpg,2019\n", "path", {"year": 2019}),
        ('"","path","year"\n"1","photos/mug.jpg",2019\n', "path", {"year": 2019}),
        ("Unnamed: 0,path,year\n0,photos/mug.jpg,2019\n", "path", {"year": 2019}),
        ("Unnamed: 0.1,Unnamed: 0,path,year\n0,0,photos/mug.jpg,2019\n", "path", {"year": 2019}),
        (",year\nphotos/mug.jpg,2019\n", "", {"year": 2019}),
        ("path,year,,\nphotos/mug.jpg,2019,,\n", "path", {"year": 2019}),
        ("path,,year\nphotos/mug.jpg,,2019\n", "path", {"year": 2019}),
        (",x,year\n0,nothing,2019\n", "", {"x": "nothing", "year": 2019}),
        ("year,\n2019,photos/mug.jpg\n", "", {"year": 2019}),
    ],
)
def test_a_column_without_a_name_is_an_index_or_the_paths_or_empty(
    table: Callable[..., Path], text: str, column: str, values: dict[str, Any]
) -> None:
    found, [(_, read_values)] = read(table(text))
    assert (found, read_values) == (column, values)


@needs_pyarrow
@pytest.mark.parametrize(
    ("columns", "column", "values"),
    [
        (
            {"FileName": ["mug.jpg"], "SourceFile": ["photos/mug.jpg"], "ISO": [100]},
            "SourceFile",
            {"FileName": "mug.jpg", "ISO": 100},
        ),
        ({"path": ["nothing"], "picture": ["photos/mug.jpg"]}, "picture", {"path": "nothing"}),
        ({"year": [2019], "__index_level_0__": ["photos/mug.jpg"]}, "__index_level_0__", {"year": 2019}),
        ({"path": ["photos/mug.jpg"], "year": [2019], "__index_level_0__": [0]}, "path", {"year": 2019}),
        ({"path": ["photos/mug.jpg"], "country": ["NA"]}, "path", {"country": "NA"}),
    ],
)
def test_the_columns_of_a_parquet_file_are_told_by_their_values_too(
    parquet: Callable[..., Path], columns: dict[str, Any], column: str, values: dict[str, Any]
) -> None:
    """A Parquet file has empty cells of its own, so that the text NA in one is a text."""
    found, [(name, read_values)] = read(parquet(columns))
    assert (found, name, read_values) == (column, columns[column][0], values)


# Long cells, and what reading takes


def test_cells_of_a_million_characters_are_read_and_the_limit_stays(table: Callable[..., Path]) -> None:
    before = csv.field_size_limit()
    path = table("path,caption,x\na," + "x" * 1_000_000 + ",1\nb,short,2\n")
    assert [(name, len(str(values["caption"]))) for name, values in rows(path)] == [("a", 1_000_000), ("b", 5)]
    with pytest.raises(UsageError, match=r"line 2: ',' expected after"):
        rows(table('path,x\na,"' + "x" * 200_000 + '"y\n'))
    assert csv.field_size_limit() == before


def test_long_cells_are_read_by_several_threads_at_once(tmp_path: Path) -> None:
    failed = []

    def read_many(number: int) -> None:
        path = tmp_path / f"{number}.csv"
        path.write_text("path,caption\n" + f"a,{'x' * 150_000}\n" * 20)
        try:
            assert len(rows(path)) == 20
        except UsageError as error:
            failed.append(error)

    threads = [threading.Thread(target=read_many, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_reading_takes_time_and_memory_in_proportion(tmp_path: Path) -> None:
    """A table of 20 MB in many short rows takes little memory, and four times as long as a quarter of it."""
    draw = random.Random(0)

    def seconds(lines: int) -> float:
        path = tmp_path / f"{lines}.csv"
        with path.open("w") as file:
            file.write("path;x;caption\n")
            file.writelines(f"ö/{number}.jpg;{draw.random()};{'w' * 400}\n" for number in range(lines))
        begun = time.process_time()
        read_table(path, lambda name: name.endswith("7.jpg"))
        return time.process_time() - begun

    few = seconds(10_000)
    before = peak_memory()
    many = seconds(40_000)
    assert peak_memory() - before < 30e6
    assert many < 8 * few

"""Tables of attributes in CSV and TSV files: what is read, or which cell is invalid."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.attributes.columns import NO_VALUE
from lookalike.attributes.table import read_table
from lookalike.errors import UsageError
from lookalike.system.resources import peak_memory
from tests.support.attribute_tables import rows, typed


def test_each_row_of_a_csv_file_holds_a_path_and_its_attributes(table: Callable[..., Path]) -> None:
    path = table("path,colour,price\na.jpg,red,7\nb/c.jpg,,12\n")
    assert read_table(path).names == ("colour", "price")
    assert rows(path) == [("a.jpg", {"colour": "red", "price": 7}), ("b/c.jpg", {"colour": None, "price": 12})]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "", "-20", "0"], [1, None, -20, 0]),
        (["1", "2.5"], [1.0, 2.5]),
        (["2.5", "1", ".5", "-1.", "1e3", "2E-1"], [2.5, 1.0, 0.5, -1.0, 1000.0, 0.2]),
        (["1", "red"], ["1", "red"]),
        (["red", "1"], ["red", "1"]),
        (["2.5", "red"], ["2.5", "red"]),
        (["9223372036854775807", "-9223372036854775808"], [2**63 - 1, -(2**63)]),
        (["9223372036854775808", "1"], ["9223372036854775808", "1"]),
        (["1.5", "12345678901234567890"], ["1.5", "12345678901234567890"]),
        (["01234", "99999"], ["01234", "99999"]),
        (["01.5", "2.5"], ["01.5", "2.5"]),
        (["+1", "2"], ["+1", "2"]),
        (["1_000", "2"], ["1_000", "2"]),
        (["\u0661", "2"], ["\u0661", "2"]),
        (["inf", "1.5"], ["inf", "1.5"]),
        (["1e999", "1.5"], ["1e999", "1.5"]),
        ([".", "-", "e5", ".e5", "1e"], [".", "-", "e5", ".e5", "1e"]),
        (["9" * 5000, "1"], ["9" * 5000, "1"]),
        (["0x10", "1"], ["0x10", "1"]),
        (["True", "1"], ["True", "1"]),
        ([" 1", "2 ", "  "], [1, 2, None]),
        (["", ""], [None, None]),
    ],
)
def test_a_column_is_of_numbers_only_if_all_its_cells_are(
    table: Callable[..., Path], cells: list[str], expected: list[Any]
) -> None:
    path = table("path,x,y\n" + "".join(f"{number},{cell},z\n" for number, cell in enumerate(cells)))
    assert typed(rows(path)) == typed([(str(each), {"x": x, "y": "z"}) for each, x in enumerate(expected)])


@pytest.mark.parametrize("label", ["7", "7.0"])
def test_labels_are_text_even_if_all_look_like_numbers(table: Callable[..., Path], label: str) -> None:
    assert rows(table(f"path,label\na,{label}\n")) == [("a", {"label": label})]


def test_paths_are_text_even_if_they_look_like_numbers(table: Callable[..., Path]) -> None:
    assert rows(table("path,x\n7,1\n a ,2\n")) == [("7", {"x": 1}), (" a ", {"x": 2})]


@pytest.mark.parametrize(
    ("header", "path_column"),
    [
        ("id,x,y", 0),
        ("x,path,y", 1),
        ("x,y,file", 2),
        ("x,Filename,y", 1),
        ("x,y,IMAGE", 2),
        ("image,x,path", 2),
        ("x, path ,y", 1),
    ],
)
def test_the_column_of_paths_is_found_by_its_name_else_the_first(
    table: Callable[..., Path], header: str, path_column: int
) -> None:
    names = [name.strip() for name in header.split(",")]
    [(path, values)] = rows(table(f"{header}\nc0,c1,c2\n"))
    assert path == f"c{path_column}"
    assert values == {name: f"c{number}" for number, name in enumerate(names) if number != path_column}


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@settings(max_examples=100, deadline=None)
@given(cells=st.lists(st.tuples(TEXT.filter(str.strip), TEXT, TEXT), max_size=8), tabs=st.booleans())
def test_any_text_that_is_written_as_csv_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str, str]], tabs: bool
) -> None:
    """This includes commas, quotes and line breaks; only spaces around the cells of an attribute are lost, and NA."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter="\t" if tabs else ",")
    writer.writerows([("path", "a", "b"), ("always text", "x", "x"), *cells])
    path = tmp_path_factory.getbasetemp() / ("table.tsv" if tabs else "table.csv")
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    values = [(name, *(None if cell.strip() in NO_VALUE else cell.strip() for cell in pair)) for name, *pair in cells]
    expected = [(name, {"a": a, "b": b}) for name, a, b in values]
    assert rows(path)[1:] == expected


def test_irregular_csv_files_are_read(table: Callable[..., Path]) -> None:
    """A byte order mark, empty lines, short lines, and empty cells after the last column are allowed."""
    path = table(b"\xef\xbb\xbfpath,x,y\r\n\r\na,1,2,,\r\nb,3\r\nc\r\n,,\r\n  \r\n")
    assert rows(path) == [("a", {"x": 1, "y": 2}), ("b", {"x": 3, "y": None}), ("c", {"x": None, "y": None})]


def test_the_suffix_decides_the_kind_of_table_in_any_case(table: Callable[..., Path]) -> None:
    assert rows(table("path\tx\na,b\t1\n", "table.TSV")) == [("a,b", {"x": 1})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; its first line has to name the columns"),
        (b"\n\n", ": empty; its first line"),
        (b"path\na\n", "it needs a column of paths and one of attributes, and has only 'path'"),
        (b"path|x\na|1\n", "has only 'path|x'; commas, semicolons or tabs separate columns"),
        (b"path,,x\na,b,1\n", "column 2 has no name; name it, or remove it"),
        (b"path,x, \na,1,2\n", "column 3 has no name"),
        (b",path\n1,a\n", "it has a column of paths and none of attributes; add one, with a name"),
        (b"path,x,y,x\n", "two columns are named 'x'"),
        (b"path,x, x\n", "two columns are named 'x'"),
        (b"path,x\na,1\nb,1,2\n", "line 3 has 3 cells, and there are 2 columns"),
        (b'path,x\n"a\nb",1\nc,1,2\n', "line 4 has 3 cells"),
        (b"path,x\n\xff,1\n", "not UTF-8; save it with that encoding"),
        ("path,x\na,1\n".encode("utf-16")[:-1], ": not UTF-16; save it as UTF-8"),
        (
            "path,größe\na,1\n".encode("cp1252"),
            ": not UTF-8; save it with that encoding; in a spreadsheet as",
        ),
        (b'path,x\na,"1\n', "line 2: unexpected end of data"),
        (b'path,x\na,"1"2\n', "line 2: "),
        (
            b"path,x\na," + b"1" * 2_000_000 + b"\n",
            "line 2: 2,000,000 characters in the column 'x', and an",
        ),
    ],
)
def test_an_invalid_csv_file_is_refused_with_the_line_or_column(
    table: Callable[..., Path], content: bytes, message: str
) -> None:
    path = table(content)
    with pytest.raises(UsageError) as refused:
        rows(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert message in str(refused.value)


@pytest.mark.parametrize("kind", ["a line", "zeros", "a row of many lines"])
def test_a_csv_row_without_end_is_refused_before_it_is_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    if kind == "zeros":
        with path.open("wb") as file:
            file.truncate(2**31)
    else:
        path.write_text("path,x\n" + ("a,b," if kind == "a line" else '"a\n",') * 2_600_000)
    before = peak_memory()
    with pytest.raises(UsageError, match=r"table.csv: line \d+: more than 10 million characters in a row"):
        read_table(path)
    assert peak_memory() - before < 500e6


def test_many_columns_are_read_in_linear_time_and_too_many_refused(table: Callable[..., Path]) -> None:
    def wide(count: int) -> Path:
        names = "".join(f",c{number}" for number in range(count - 1))
        return table(f"path{names}\na{',1' * (count - 1)}\n")

    [(_, values)] = rows(wide(5000))
    assert len(values) == 4999
    with pytest.raises(UsageError, match=r"it has 200,000 columns; leave out some, so that there are 5,000"):
        read_table(wide(200_000))


def test_a_csv_file_that_changes_while_it_is_read_is_refused(table: Callable[..., Path]) -> None:
    read = read_table(table("path,x\na,1\n"))
    for content in ("path,x\na,red\n", "path,x\na,1,2\n"):
        table(content)
        with pytest.raises(UsageError, match=r"changed while it was read|line 2 has 3 cells"):
            list(read.rows())


@pytest.mark.parametrize("name", ["table.json", "table", "table.csv.gz", "table.xlsx"])
def test_a_file_of_another_kind_is_refused(table: Callable[..., Path], name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name}: attributes are read from .csv, .tsv, .jsonl and .parquet files"):
        read_table(table("path,x\na,1\n", name))


@pytest.mark.parametrize("name", ["missing.csv", "missing.parquet", "folder.csv"])
def test_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=rf"{name}: there is no such file"):
        read_table(tmp_path / name)


def test_a_csv_file_without_permission_is_refused(public_path: Path) -> None:
    path = public_path / "table.csv"
    path.write_text("path,x\n")
    path.chmod(0)
    with pytest.raises(UsageError, match=r"table.csv: permission denied"):
        read_table(path)

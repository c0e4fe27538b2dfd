"""Attributes from tables: what is in a file arrives at the images it names, or an error says which cell is wrong."""

import csv
import datetime as dt
import io
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.attributes import apply
from lookalike.attributes.apply import AttributesReport, keys_of
from lookalike.attributes.table import read_table
from lookalike.errors import UsageError
from lookalike.storage.catalog import Catalog

needs_pyarrow = pytest.mark.skipif(
    not find_spec("pyarrow") and os.environ.get("CI") != "true", reason="pyarrow is not installed"
)


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of text or bytes."""

    def write(content: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    return list(read_table(path).rows())


def typed(rows_: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, tuple[type, Any]]]]:
    return [(name, {key: (type(value), value) for key, value in values.items()}) for name, values in rows_]


# CSV


def test_a_csv_file_gives_each_path_its_attributes(table: Callable[..., Path]) -> None:
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
        (["nan", "1.5"], ["nan", "1.5"]),
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
def test_a_label_is_text_even_where_all_are_numbers(table: Callable[..., Path], label: str) -> None:
    assert rows(table(f"path,label\na,{label}\n")) == [("a", {"label": label})]


def test_a_path_is_text_even_where_all_are_numbers_and_keeps_its_spaces(table: Callable[..., Path]) -> None:
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
def test_the_column_of_paths_is_the_one_of_that_name_else_the_first(
    table: Callable[..., Path], header: str, path_column: int
) -> None:
    names = [name.strip() for name in header.split(",")]
    [(path, values)] = rows(table(f"{header}\nc0,c1,c2\n"))
    assert path == f"c{path_column}"
    assert values == {name: f"c{place}" for place, name in enumerate(names) if place != path_column}


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@settings(max_examples=100, deadline=None)
@given(cells=st.lists(st.tuples(TEXT.filter(str.strip), TEXT, TEXT), max_size=8), tabs=st.booleans())
def test_any_text_that_is_written_as_csv_comes_back(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str, str]], tabs: bool
) -> None:
    """Commas, quotes and line ends in cells included; only spaces around the cells of an attribute are lost."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter="\t" if tabs else ",")
    writer.writerows([("path", "a", "b"), ("always text", "x", "x"), *cells])
    path = tmp_path_factory.getbasetemp() / ("table.tsv" if tabs else "table.csv")
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    expected = [(name, {"a": a.strip() or None, "b": b.strip() or None}) for name, a, b in cells]
    assert rows(path)[1:] == expected


def test_a_byte_order_mark_empty_lines_short_lines_and_empty_cells_behind_the_last_column_do_no_harm(
    table: Callable[..., Path],
) -> None:
    path = table(b"\xef\xbb\xbfpath,x,y\r\n\r\na,1,2,,\r\nb,3\r\nc\r\n,,\r\n  \r\n")
    assert rows(path) == [("a", {"x": 1, "y": 2}), ("b", {"x": 3, "y": None}), ("c", {"x": None, "y": None})]


def test_the_suffix_says_what_kind_of_table_it_is_in_small_letters_or_capitals(table: Callable[..., Path]) -> None:
    assert rows(table("path\tx\na,b\t1\n", "table.TSV")) == [("a,b", {"x": 1})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty; its first line names the columns"),
        (b"\n\n", "it is empty"),
        (b"path\na\n", "it needs a column of paths and one of attributes, and has only 'path'"),
        (b"path;x\na;1\n", "has only 'path;x'"),
        (b"path,,x\n", "column 2 has no name"),
        (b"path,x, \n", "column 3 has no name"),
        (b"path,x,y,x\n", "two columns are named 'x'"),
        (b"path,x, x\n", "two columns are named 'x'"),
        (b"path,x\na,1\nb,1,2\n", "line 3 has 3 cells, and there are 2 columns"),
        (b'path,x\n"a\nb",1\nc,1,2\n', "line 4 has 3 cells"),
        (b"path,x\na,1\n,2\n", "line 3 has no path in the column 'path'"),
        (b"x,file\n1,a\n2, \n", "line 3 has no path in the column 'file'"),
        (b"path,x\n\xff,1\n", "it is not UTF-8; save it with that encoding"),
        ("path,x\na,1\n".encode("utf-16"), "it is not UTF-8"),
        (b'path,x\na,"1\n', "line 2: unexpected end of data"),
        (b'path,x\na,"1"2\n', "line 2: "),
        (b"path,x\na," + b"1" * 200_000 + b"\n", "line 2: field larger than field limit"),
    ],
)
def test_a_csv_file_that_is_not_as_it_should_be_is_named_with_the_place(
    table: Callable[..., Path], content: bytes, message: str
) -> None:
    path = table(content)
    with pytest.raises(UsageError) as refused:
        read_table(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert message in str(refused.value)


def test_a_csv_file_that_changes_while_it_is_read_is_refused(table: Callable[..., Path]) -> None:
    read = read_table(table("path,x\na,1\n"))
    for content in ("path,x\na,red\n", "path,x\na,1,2\n"):
        table(content)
        with pytest.raises(UsageError, match=r"changed while it was read|line 2 has 3 cells"):
            list(read.rows())


@pytest.mark.parametrize("name", ["table.txt", "table", "table.csv.gz", "table.xlsx"])
def test_a_file_of_another_kind_is_refused(table: Callable[..., Path], name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name}: attributes are read from .csv, .tsv and .parquet files"):
        read_table(table("path,x\na,1\n", name))


@pytest.mark.parametrize("name", ["missing.csv", "missing.parquet", "folder.csv"])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=rf"{name}: there is no such file"):
        read_table(tmp_path / name)


def test_a_csv_file_without_permission_is_refused(public_path: Path) -> None:
    path = public_path / "table.csv"
    path.write_text("path,x\n")
    path.chmod(0)
    with pytest.raises(UsageError, match=r"table.csv: permission denied"):
        read_table(path)


# Parquet


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[..., Path]:
    """Writes a Parquet file of columns by name, each a pyarrow array or a list."""

    def write(columns: dict[str, Any], **options: Any) -> Path:
        import pyarrow as pa
        import pyarrow.parquet

        path = tmp_path / "table.parquet"
        arrays = [values if isinstance(values, pa.Array) else pa.array(values) for values in columns.values()]
        pyarrow.parquet.write_table(pa.table(arrays, names=list(columns)), path, **options)
        return path

    return write


@needs_pyarrow
def test_a_parquet_file_gives_each_path_its_attributes(parquet: Callable[..., Path]) -> None:
    path = parquet({"price": [7, None], "path": ["a.jpg", "b.jpg"], "colour": ["red", "blue"]})
    assert read_table(path).names == ("price", "colour")
    assert rows(path) == [("a.jpg", {"price": 7, "colour": "red"}), ("b.jpg", {"price": None, "colour": "blue"})]


def columns_of_all_types() -> list[tuple[Any, list[Any]]]:
    if not find_spec("pyarrow"):
        return []
    import pyarrow as pa

    times = [dt.datetime(2024, 5, 6, 7, 8, 9, 120000), None]  # noqa: DTZ001
    zone = dt.timezone(dt.timedelta(hours=2))
    dates = [dt.date(2024, 5, 6), None]
    return [
        *((pa.array([5, None], kind), [5, None]) for kind in (pa.int8(), pa.uint16(), pa.int64(), pa.uint64())),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([True, None]), ["true", None]),
        (pa.array([Decimal("1.25"), None], pa.decimal128(5, 2)), [1.25, None]),
        (pa.array([dt.time(7, 8), None], pa.time64("us")), ["07:08:00", None]),
        (pa.array([dt.datetime(2024, 5, 6), dt.datetime(2024, 5, 6, 1)]), ["2024-05-06", "2024-05-06T01:00:00"]),  # noqa: DTZ001
        (pa.array([0.5, math.nan]), [0.5, None]),
        (pa.array([0.5, None], pa.float32()), [0.5, None]),
        (pa.array([0.5, None], pa.float16()), [0.5, None]),
        *((pa.array(["ü", None], kind), ["ü", None]) for kind in (pa.string(), pa.large_string(), pa.string_view())),
        (pa.array(["red", None]).dictionary_encode(), ["red", None]),
        (pa.array([7, 7]).dictionary_encode(), [7, 7]),
        (pa.array([None, None]), [None, None]),
        *((pa.array(dates, kind), ["2024-05-06", None]) for kind in (pa.date32(), pa.date64())),
        *((pa.array(times, pa.timestamp(unit)), ["2024-05-06T07:08:09.120000", None]) for unit in ("ms", "us", "ns")),
        (pa.array([t and t.replace(microsecond=0) for t in times], pa.timestamp("s")), ["2024-05-06T07:08:09", None]),
        (pa.array([1_714_979_289_120_000_789, None], pa.timestamp("ns")), ["2024-05-06T07:08:09.120000", None]),
        (
            pa.array([t and t.replace(tzinfo=zone) for t in times], pa.timestamp("us", "Europe/Berlin")),
            ["2024-05-06T05:08:09.120000+00:00", None],
        ),
    ]


@needs_pyarrow
@pytest.mark.parametrize(("column", "expected"), columns_of_all_types())
def test_a_parquet_column_becomes_text_and_numbers(
    parquet: Callable[..., Path], column: Any, expected: list[Any]
) -> None:
    assert typed(rows(parquet({"path": ["a", "b"], "x": column}))) == typed(
        [("a", {"x": expected[0]}), ("b", {"x": expected[1]})]
    )


@needs_pyarrow
@pytest.mark.parametrize("kind", ["list", "binary", "struct", "duration", "map"])
def test_a_parquet_column_of_another_type_is_refused_by_name(parquet: Callable[..., Path], kind: str) -> None:
    import pyarrow as pa

    columns = {
        "list": pa.array([[1]]),
        "binary": pa.array([b"a"]),
        "struct": pa.array([{"a": 1}]),
        "duration": pa.array([1], pa.duration("s")),
        "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
    }
    with pytest.raises(UsageError, match=rf"table.parquet: the column 'x y' is of the type {kind}.*; leave it out"):
        read_table(parquet({"path": ["a"], "x y": columns[kind]}))


@needs_pyarrow
def test_a_large_parquet_file_is_read_in_parts(parquet: Callable[..., Path]) -> None:
    count = 25_000
    path = parquet({"path": [f"{each}.jpg" for each in range(count)], "x": list(range(count))}, row_group_size=7000)
    assert rows(path) == [(f"{each}.jpg", {"x": each}) for each in range(count)]


@needs_pyarrow
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": ["a"]}, "has only 'path'"),
        ({"path": ["a"], "": [1]}, "column 2 has no name"),
        ({"path": ["a"], "x": [1], " x": [1]}, "two columns are named 'x'"),
        ({"path": ["a", None], "x": [1, 2]}, "row 2 has no path in the column 'path' but None"),
        ({"path": ["a", ""], "x": [1, 2]}, "row 2 has no path in the column 'path' but ''"),
        ({"path": [1, 2], "x": [1, 2]}, "row 1 has no path in the column 'path' but 1"),
    ],
)
def test_a_parquet_file_that_is_not_as_it_should_be_is_named_with_the_place(
    parquet: Callable[..., Path], columns: dict[str, list[Any]], message: str
) -> None:
    with pytest.raises(UsageError) as refused:
        rows(parquet(columns))
    assert "table.parquet: " in str(refused.value)
    assert message in str(refused.value)


@needs_pyarrow
def test_a_damaged_parquet_file_is_refused_wherever_it_ends(parquet: Callable[..., Path]) -> None:
    path = parquet({"path": [str(each) for each in range(1000)], "x": list(range(1000))})
    sound = path.read_bytes()
    for size in (0, 3, 10, len(sound) // 2, len(sound) - 1):
        path.write_bytes(sound[:size])
        with pytest.raises(UsageError, match=r"table.parquet: it cannot be read as Parquet: "):
            rows(path)
    path.write_bytes(sound[:4] + b"\xff" * (len(sound) // 2) + sound[4 + len(sound) // 2 :])
    with pytest.raises(UsageError, match=r"table.parquet: it cannot be read as Parquet: "):
        rows(path)


@needs_pyarrow
def test_text_in_a_parquet_file_that_is_not_utf_8_is_refused(parquet: Callable[..., Path]) -> None:
    import pyarrow as pa

    text = pa.StringArray.from_buffers(1, pa.array([0, 1], pa.int32()).buffers()[1], pa.py_buffer(b"\xff"))
    with pytest.raises(UsageError, match=r"table.parquet: it cannot be read as Parquet: .*utf-8"):
        rows(parquet({"path": ["a"], "x": text}))


def test_parquet_without_its_extra_names_it(table: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = table(b"PAR1", "table.parquet")
    with pytest.raises(UsageError, match=r'table.parquet: Parquet needs an extra: pip install "lookalike\[parquet\]"'):
        read_table(path)


# Onto the images of a collection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def catalog(folder: Path) -> Iterator[Catalog]:
    """Four images; one is outside of the folder."""
    Catalog.create(folder / "catalog.sqlite")
    with closing(Catalog(folder / "catalog.sqlite")) as catalog:
        write(catalog, ["a.jpg", "2024/b.jpg", "2024/ü.jpg", f"{folder.parent}/elsewhere/c.jpg"])
        yield catalog


def write(catalog: Catalog, keys: Sequence[str]) -> None:
    with catalog.writing() as transaction:
        for row, key in enumerate(keys):
            transaction.add_vector(row, row.to_bytes(32, "big"), row, width=1, height=1)
            transaction.put_image(key, row, size=1, changed_ns=1, label=None)


def stored(catalog: Catalog) -> dict[str, dict[str, Any]]:
    """The attributes of all images that have any, by key."""
    images = [image for row in range(catalog.count()) for image in catalog.images_of(row)]
    return {image.key: dict(image.attributes) for image in images if image.attributes}


def test_the_rows_of_a_table_become_attributes_of_the_images_they_name(catalog: Catalog, folder: Path) -> None:
    path = folder / "table.csv"
    path.write_text("path,colour,price\na.jpg,red,7\n2024/b.jpg,,8.5\n2024/ü.jpg,blue,\nmissing.jpg,red,1\n")
    report = apply.apply(catalog, folder, path)
    assert report == AttributesReport(3, 1, ("missing.jpg",), ("colour", "price"))
    assert stored(catalog) == {
        "a.jpg": {"colour": "red", "price": 7.0},
        "2024/b.jpg": {"price": 8.5},
        "2024/ü.jpg": {"colour": "blue"},
    }


def test_another_table_changes_what_it_names_and_leaves_the_rest(catalog: Catalog, folder: Path) -> None:
    path = folder / "table.csv"
    for text in ("path,colour,price\na.jpg,red,7\n2024/b.jpg,red,7\n", "path,price,size\na.jpg,,5\n"):
        path.write_text(text)
        apply.apply(catalog, folder, path)
    assert stored(catalog) == {"a.jpg": {"colour": "red", "size": 5}, "2024/b.jpg": {"colour": "red", "price": 7}}


@needs_pyarrow
def test_a_parquet_table_is_as_good_as_any(catalog: Catalog, folder: Path, parquet: Callable[..., Path]) -> None:
    path = parquet({"file": [f"{folder}/a.jpg", "photos/2024/b.jpg"], "label": [7, 8], "rating": [0.5, math.nan]})
    assert apply.apply(catalog, folder, path) == AttributesReport(2, 0, (), ("label", "rating"))
    assert stored(catalog) == {"a.jpg": {"label": "7", "rating": 0.5}, "2024/b.jpg": {"label": "8"}}
    assert catalog.labels() == [("7", 1), ("8", 1)]


def test_a_path_is_a_key_or_relative_to_the_tables_own_folder_or_absolute(catalog: Catalog, folder: Path) -> None:
    beside = folder / "2024"
    beside.mkdir()
    outside = f"{folder.parent}/elsewhere/c.jpg"
    names = ["b.jpg", "2024/b.jpg", "../a.jpg", "./../2024//b.jpg", f"{folder}/a.jpg", outside, "../../elsewhere/c.jpg"]
    expected = ["2024/b.jpg", "2024/b.jpg", "a.jpg", "2024/b.jpg", "a.jpg", outside, outside]
    path = beside / "table.csv"
    for name, key in zip(names, expected, strict=True):
        path.write_text(f"path,x\n{name},{name}\n")
        assert apply.apply(catalog, folder, path).images == 1, name
        assert stored(catalog)[key] == {"x": name}
        path.write_text(f"path,x\n{name},\n")
        apply.apply(catalog, folder, path)
    assert stored(catalog) == {}


def test_where_a_path_could_be_two_images_it_is_the_one_with_that_key(catalog: Catalog, folder: Path) -> None:
    with catalog.writing() as transaction:
        transaction.put_image("2024/a.jpg", 1, size=1, changed_ns=1, label=None)
    (folder / "2024").mkdir()
    path = folder / "2024" / "table.csv"
    path.write_text("path,x\na.jpg,1\n")
    apply.apply(catalog, folder, path)
    assert stored(catalog) == {"a.jpg": {"x": 1}}


def test_a_path_that_leads_through_a_link_finds_the_image(catalog: Catalog, folder: Path) -> None:
    (folder.parent / "link").symlink_to(folder)
    path = folder.parent / "table.csv"
    path.write_text("path,x\nlink/a.jpg,1\n")
    assert apply.apply(catalog, folder, path).images == 1
    assert apply.apply(catalog, folder, folder.parent / "link" / ".." / "table.csv").images == 1


def test_paths_that_no_file_can_have_are_unknown(catalog: Catalog, folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    path = folder / "table.csv"
    path.write_text(
        "path,x\na\0b,1\na\0/b,1\nloop/a.jpg,1\n" + "x" * 5000 + ",1\n" + "y/" * 5000 + ",1\n../../../../../..,1\n"
    )
    report = apply.apply(catalog, folder, path)
    assert (report.images, report.unknown) == (0, 6)


def test_only_the_first_few_unknown_paths_are_named(catalog: Catalog, folder: Path) -> None:
    path = folder / "table.csv"
    path.write_text("path,x\n" + "".join(f"{number},1\n" for number in range(20)))
    report = apply.apply(catalog, folder, path)
    assert (report.images, report.unknown, report.first_unknown) == (0, 20, ("0", "1", "2", "3", "4"))


@needs_pyarrow
def test_a_table_with_a_wrong_row_changes_nothing(catalog: Catalog, folder: Path, parquet: Callable[..., Path]) -> None:
    path = parquet({"path": ["a.jpg", "2024/b.jpg"], "x": [0.5, math.inf]})
    changes = catalog.changes()
    with pytest.raises(UsageError, match="x: inf is not finite"):
        apply.apply(catalog, folder, path)
    assert stored(catalog) == {}
    assert catalog.changes() == changes


def test_the_keys_of_a_path_are_looked_up_in_the_file_system_only_where_the_path_is_no_key(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = keys_of("a.jpg", beside=folder / "2024", folder=folder)
    with monkeypatch.context() as patch:
        patch.setattr(apply, "absolute", None)
        assert next(keys) == "a.jpg"
    assert list(keys) == ["2024/a.jpg"]
    assert list(keys_of("a.jpg", beside=folder, folder=folder)) == ["a.jpg"]

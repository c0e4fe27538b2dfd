"""Tables of attributes in Parquet files: how types are converted, and what is refused."""

import datetime as dt
import math
import sys
from collections.abc import Callable
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lookalike.attributes import parquet as reader
from lookalike.attributes import table
from lookalike.attributes.parquet import check
from lookalike.attributes.table import read_table
from lookalike.errors import UsageError
from lookalike.sources import arrow
from lookalike.system.resources import peak_memory
from tests.support import worker_tasks
from tests.support.attribute_tables import needs_pyarrow, rows, typed


@needs_pyarrow
def test_each_row_of_a_parquet_file_holds_a_path_and_its_attributes(parquet: Callable[..., Path]) -> None:
    path = parquet({"price": [7, None], "path": ["a.jpg", "b.jpg"], "colour": ["red", "blue"]})
    assert read_table(path).names == ("price", "colour")
    assert rows(path) == [("a.jpg", {"price": 7, "colour": "red"}), ("b.jpg", {"price": None, "colour": "blue"})]


def columns_of_all_types() -> list[tuple[Any, list[Any]]]:
    """Returns a column of two cells for each type, and the values that are read from it."""
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
def test_a_parquet_column_is_converted_to_text_or_numbers(
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
        ({"path": [1.5, 2.5], "x": [1, 2]}, "row 1 has no path in the column 'path' but 1.5"),
    ],
)
def test_an_invalid_parquet_file_is_refused_with_the_row_or_column(
    parquet: Callable[..., Path], columns: dict[str, list[Any]], message: str
) -> None:
    with pytest.raises(UsageError) as refused:
        rows(parquet(columns))
    assert "table.parquet: " in str(refused.value)
    assert message in str(refused.value)


@needs_pyarrow
def test_a_damaged_parquet_file_is_refused(parquet: Callable[..., Path]) -> None:
    path = parquet({"path": [str(each) for each in range(1000)], "x": list(range(1000))})
    data = path.read_bytes()
    for size in (0, 3, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(UsageError, match=r"table.parquet: cannot be read as Parquet: "):
            rows(path)
    path.write_bytes(data[:4] + b"\xff" * (len(data) // 2) + data[4 + len(data) // 2 :])
    with pytest.raises(UsageError, match=r"table.parquet: cannot be read as Parquet: "):
        rows(path)


@needs_pyarrow
def test_a_parquet_file_with_text_that_is_not_utf8_is_refused(parquet: Callable[..., Path]) -> None:
    import pyarrow as pa

    text = pa.StringArray.from_buffers(1, pa.array([0, 1], pa.int32()).buffers()[1], pa.py_buffer(b"\xff"))
    with pytest.raises(UsageError, match=r"table.parquet: cannot be read as Parquet: .*utf-8"):
        rows(parquet({"path": ["a"], "x": text}))


def test_without_pyarrow_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "check", check)
    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "table.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=r"table.parquet: .* not installed.*pip install \"lookalike\[parquet\]\""):
        read_table(path)


@needs_pyarrow
def test_a_small_file_that_takes_gigabytes_to_read_is_refused(
    parquet: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa

    monkeypatch.setattr(reader, "check", check)
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int8()), pa.array(["x" * 2**22]))
    path = parquet({"path": ["a"] * 2000, "x": long}, compression="zstd")
    assert path.stat().st_size < 3000
    before = peak_memory()
    with pytest.raises(UsageError, match=r"table.parquet: reading it takes more than 1.1 GB of memory"):
        read_table(path)
    assert peak_memory() - before < 200e6


@needs_pyarrow
def test_a_sound_file_passes_the_process_that_reads_it_first(
    parquet: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "check", check)
    assert rows(parquet({"path": ["a"], "x": [1]})) == [("a", {"x": 1})]


@needs_pyarrow
@pytest.mark.parametrize("work", [worker_tasks.crash, worker_tasks.sleep])
def test_a_file_that_ends_or_stops_its_process_is_refused(
    work: Callable[..., Any], parquet: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_read", work)
    monkeypatch.setattr(reader, "_SECONDS", 1.0 if work is worker_tasks.sleep else 60.0)
    with pytest.raises(UsageError, match=r"table.parquet: reading it takes more than .* or ends the process"):
        check(parquet({"path": ["a"], "x": [1]}))


@needs_pyarrow
def test_a_file_of_too_many_columns_is_refused_by_its_description(
    parquet: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = parquet({"path": ["a"]} | {f"c{number}": [1] for number in range(120)})
    monkeypatch.setattr(table, "_MAX_COLUMNS", 120)
    with pytest.raises(UsageError, match=r"table.parquet: it has 121 columns; leave out some, so that there are 120"):
        read_table(path)
    monkeypatch.setattr(arrow, "_DESCRIPTION", {"thrift_container_size_limit": 100})
    with pytest.raises(UsageError, match=r"table.parquet: cannot be read as Parquet: .*size limit"):
        read_table(path)

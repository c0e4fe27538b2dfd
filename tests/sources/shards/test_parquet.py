"""Parquet files of images: which column has them, what the others say, and what is wrong with bad ones."""

import datetime as dt
import random
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import ImageError, UsageError
from lookalike.sources.shards import parquet
from lookalike.sources.shards.base import DamagedShardError, Shard
from lookalike.sources.shards.opened import opened
from tests.support.shards import png, write_parquet

MOST = 10**7
pytestmark = pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not installed")


def shard(path: Path) -> Shard:
    return opened(path).shard


def names(path: Path) -> list[str]:
    return [member.name for member in shard(path).members()]


def structs(count: int) -> list[dict[str, Any]]:
    return [{"bytes": png(number), "path": f"some/{number}.png"} for number in range(count)]


@pytest.mark.parametrize("group", [1, 3, 8, 100])
@pytest.mark.parametrize("how", [{}, {"compression": "zstd"}, {"use_dictionary": False}, {"data_page_size": 100}])
def test_rows_are_read_in_any_order(tmp_path: Path, group: int, how: dict[str, Any]) -> None:
    path = write_parquet(tmp_path / "x.parquet", {"image": structs(20), "n": range(20)}, row_group_size=group, **how)
    found = shard(path)
    assert names(path) == [f"{number:08}" for number in range(20)]
    order = [*range(20), *random.Random(0).sample(range(20), 20)]
    assert [found.read(f"{number:08}", MOST) for number in order] == [png(number) for number in order]
    assert found.facts("00000007") == {"file_name": "some/7.png", "n": 7}


def test_rows_that_were_let_go_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_KEPT_BYTES", 1000)
    path = write_parquet(tmp_path / "x.parquet", {"image": structs(50)}, row_group_size=50)
    found = shard(path)
    assert found.read("00000049", MOST) == png(49)
    assert found.read("00000002", MOST) == png(2)
    assert found.read("00000030", MOST) == png(30)


def test_other_columns_become_attributes(tmp_path: Path) -> None:
    import pyarrow as pa

    columns = {
        "image": pa.array([png(0), png(1)], pa.large_binary()),
        "text": ["a cat", None],
        "whole": [1, None],
        "share": [0.5, float("nan")],
        "flag": [True, None],
        "when": [dt.datetime(2024, 5, 1, 12, 30, tzinfo=dt.UTC), None],
        "kind": pa.array(["x", "y"]).dictionary_encode(),
        "nested": [[1, 2], None],
        "struct": [{"a": 1}, None],
        "long": ["x" * 2**21, None],
        "thumbnail": [png(2), None],
    }
    found = shard(write_parquet(tmp_path / "x.parquet", columns))
    expected = {
        "text": "a cat",
        "whole": 1,
        "share": 0.5,
        "flag": "true",
        "when": "2024-05-01T12:30:00+00:00",
        "kind": "x",
    }
    assert found.facts("00000000") == expected
    assert found.facts("00000001") == {"kind": "y"}
    assert found.read("00000000", MOST) == png(0)


@pytest.mark.parametrize("label", ["label", "fine_label"])
def test_class_labels_have_their_names(tmp_path: Path, label: str) -> None:
    features = {
        "picture": {"_type": "Image"},
        "mask": {"_type": "Image"},
        label: {"_type": "ClassLabel", "names": ["cat", "dog"]},
    }
    columns = {"mask": structs(4), "picture": [{"bytes": png(9), "path": None}] * 4, label: [0, 1, -1, None]}
    found = shard(write_parquet(tmp_path / "x.parquet", columns, features=features))
    assert [found.facts(f"{number:08}").get("label") for number in range(4)] == ["cat", "dog", None, None]
    assert found.read("00000000", MOST) == png(9)


@pytest.mark.parametrize(
    ("columns", "image"),
    [
        ({"thumb": [png(1)], "image": [png(0)]}, 0),
        ({"a": [png(0)], "b": [png(1)]}, 0),
        ({"JPG": [png(0)], "a": [png(1)]}, 0),
        ({"id": ["x"], "content": [png(0)]}, 0),
    ],
)
def test_the_likeliest_column_has_the_images(tmp_path: Path, columns: dict[str, Any], image: int) -> None:
    assert shard(write_parquet(tmp_path / "x.parquet", columns)).read("00000000", MOST) == png(image)


@pytest.mark.parametrize(
    "columns",
    [
        {"path": ["a.png"], "n": [1]},
        {"image": [[png(0)]]},
        {"image": [{"bytes": "text", "path": "x"}]},
        {"image": [{"path": "x"}]},
    ],
)
def test_a_file_without_images_is_refused(tmp_path: Path, columns: dict[str, Any]) -> None:
    with pytest.raises(DamagedShardError, match="no column of images"):
        opened(write_parquet(tmp_path / "x.parquet", columns))


def test_rows_without_bytes_have_a_reason(tmp_path: Path) -> None:
    images = [
        {"bytes": png(0), "path": None},
        {"bytes": None, "path": "/etc/passwd"},
        {"bytes": b"", "path": None},
        None,
    ]
    found = shard(write_parquet(tmp_path / "x.parquet", {"image": images}))
    assert found.read("00000000", MOST) == png(0)
    for number in (1, 2, 3):
        with pytest.raises(ImageError, match="no bytes in this row"):
            found.read(f"{number:08}", MOST)
    with pytest.raises(ImageError, match="the limit for a file"):
        found.read("00000000", 10)


@pytest.mark.parametrize("name", ["00000002", "2", "-0000001", "0000000x", "\u0660" * 8, "", "000000001"])
def test_other_names_are_no_members(tmp_path: Path, name: str) -> None:
    found = shard(write_parquet(tmp_path / "x.parquet", {"image": structs(2)}))
    assert found.size_of(name) is None
    assert found.facts(name) == {}
    with pytest.raises(ImageError, match="not in the file"):
        found.read(name, MOST)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", png(0), b"PAR1\xff\xff\xff\x7fPAR1"])
def test_what_is_no_parquet_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(data)
    with pytest.raises(DamagedShardError, match="cannot be read as Parquet"):
        opened(path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", {"image": structs(20)})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DamagedShardError, match="cannot be read as Parquet"):
        opened(path)


def test_groups_beside_a_damaged_one_are_read(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = write_parquet(tmp_path / "x.parquet", {"image": structs(20)}, row_group_size=5)
    described = pq.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    start = described.dictionary_page_offset or described.data_page_offset
    data[start : start + described.total_compressed_size] = b"\xff" * described.total_compressed_size
    path.write_bytes(data)
    found = shard(path)
    for number in range(20):
        if 5 <= number < 10:
            with pytest.raises(ImageError, match="cannot be read: "):
                found.read(f"{number:08}", MOST)
        else:
            assert found.read(f"{number:08}", MOST) == png(number)


def test_any_bit_flip_gives_the_rows_or_a_reason(tmp_path: Path) -> None:
    data = write_parquet(tmp_path / "whole.parquet", {"image": structs(20)}, row_group_size=5).read_bytes()
    chance, path, reasons = random.Random(1), tmp_path / "flipped.parquet", set()
    for _ in range(150):
        flipped = bytearray(data)
        flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            found = shard(path)
        except DamagedShardError:
            continue
        for member in found.members():
            try:
                found.read(member.name, MOST)
            except ImageError as error:
                reasons.add(error.reason.partition(":")[0])
    assert reasons <= {"cannot be read", "no bytes in this row", "more than 9.53674 MB, the limit for a file"}


def test_a_group_that_says_it_unpacks_to_far_more_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"image": [bytes(10**6)] * 3}
    path = write_parquet(tmp_path / "x.parquet", columns, compression="zstd", use_dictionary=False)
    monkeypatch.setattr(parquet, "_FREE_BYTES", 10**6)
    with pytest.raises(ImageError, match="unpacks to far more"):
        shard(path).read("00000000", MOST)


def test_without_pyarrow_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet(tmp_path / "x.parquet", {"image": structs(2)})
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UsageError, match="packages that are not installed"):
        opened(path)

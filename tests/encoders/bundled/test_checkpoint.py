"""Reading weights from legacy PyTorch files, valid, damaged and hostile ones, which are written here byte by byte."""

import os
import pickle
import random
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.encoders import bundled
from lookalike.encoders.bundled.checkpoint import state_dict
from lookalike.errors import ModelError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
KINDS = {np.dtype(np.float32): "FloatStorage", np.dtype(np.int64): "LongStorage"}
EMPTY_DICT = b"ccollections\nOrderedDict\n)R"


def text(value: str) -> bytes:
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def number(value: int) -> bytes:
    """An integer as LONG1, of up to 255 bytes."""
    length = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([length]) + value.to_bytes(length, "little", signed=True)


def tuple_of(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def tensor(
    storage: str, *, size: int, offset: int = 0, shape: Sequence[int], strides: Sequence[int], kind: str
) -> bytes:
    """The instructions that rebuild a tensor: a view of a storage of `size` elements."""
    named = tuple_of(text("storage"), f"ctorch\n{kind}\n".encode(), text(storage), text("cpu"), number(size), b"N")
    dimensions = (tuple_of(*map(number, values)) for values in (shape, strides))
    view = tuple_of(named + b"Q", number(offset), *dimensions, b"\x89", EMPTY_DICT)
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + view + b"R"


def pickled(*instructions: bytes) -> bytes:
    return b"\x80\x02" + b"".join(instructions) + b"."


def legacy_file(tensors: bytes, storages: dict[str, bytes], *, itemsize: int = 4, count: int | None = None) -> bytes:
    """A file of pickled tensors and of storages by name, each of which declares `count` elements (default: its own)."""
    names = b"](" + b"".join(map(text, storages)) + b"e"
    counts = (len(raw) // itemsize if count is None else count for raw in storages.values())
    data = b"".join(count.to_bytes(8, "little") + raw for count, raw in zip(counts, storages.values(), strict=True))
    start = pickled(number(MAGIC_NUMBER)) + pickled(number(1001)) + pickled(b"}(", text("little_endian"), b"\x88u")
    return start + pickled(tensors) + pickled(names) + data


def state_of(*items: bytes) -> bytes:
    """A state dict with its attributes."""
    attributes = b"}" + text("_metadata") + EMPTY_DICT + b"s"
    return EMPTY_DICT + b"(" + b"".join(items) + b"u" + attributes + b"b"


def file_of(array: NDArray[Any], **changes: Any) -> bytes:
    """A file with one tensor, "weight"; `changes` replace its true description."""
    facts: dict[str, Any] = {
        "size": array.size,
        "shape": array.shape,
        "strides": [stride // array.itemsize for stride in array.strides],
        "kind": KINDS[array.dtype],
    }
    state = state_of(text("weight"), tensor("1", **{**facts, **changes}))
    return legacy_file(state, {"1": array.tobytes()}, itemsize=array.itemsize)


ONE = file_of(np.arange(6, dtype=np.float32).reshape(2, 3))


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 3), (2, 3, 4, 5)])
def test_a_tensor_is_read_as_it_was_written(shape: tuple[int, ...], dtype: type) -> None:
    array: NDArray[Any] = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    read = state_dict(file_of(array), "weights")
    assert list(read) == ["weight"]
    assert read["weight"].dtype == dtype
    np.testing.assert_array_equal(read["weight"], array, strict=True)


def test_tensors_may_be_any_views_of_a_shared_storage() -> None:
    numbers = np.arange(24, dtype=np.float32)
    views = {
        "transposed": (numbers.reshape(4, 6).T, 0),
        "every other": (numbers[1::2], 1),
        "inner": (numbers.reshape(4, 6)[1:3, 2:5], 8),
    }
    items = [
        text(name)
        + tensor(
            "1", size=24, offset=offset, shape=view.shape, strides=[s // 4 for s in view.strides], kind="FloatStorage"
        )
        for name, (view, offset) in views.items()
    ]
    read = state_dict(legacy_file(state_of(*items), {"1": numbers.tobytes()}), "weights")
    assert list(read) == list(views)
    for name, (view, _) in views.items():
        np.testing.assert_array_equal(read[name], view)


def test_the_published_weights_can_be_read() -> None:
    state = state_dict(*bundled.weights())
    assert len(state) == 296
    assert sum(array.size for array in state.values()) == 4_694_073
    assert all(np.isfinite(array).all() for array in state.values())


def refused(data: bytes) -> str:
    """Checks that a file is refused, with little memory, and returns the message."""
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match=r"^hostile\.pth: refused as a weights file: .") as caught:
            state_dict(data, "hostile.pth")
        assert tracemalloc.get_traced_memory()[1] < 2**20 + 400 * len(data)
    finally:
        tracemalloc.stop()
    return str(caught.value)


class Runs:
    """An object whose unpickling calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("position", range(5))
def test_no_code_in_a_file_is_executed(tmp_path: Path, position: int, protocol: int) -> None:
    """Neither from any of the five pickles, nor in any version of the pickle format."""
    marker = tmp_path / "executed"
    for hostile in (
        Runs(os.system, f"touch {marker}"),
        Runs(eval, f"open({str(marker)!r}, 'w')"),
        Runs(exec, f"open({str(marker)!r}, 'w')"),
        Runs(getattr, marker, "touch"),
        Runs(os.mkdir, str(marker)),
    ):
        pickles = [pickled(number(MAGIC_NUMBER)), pickled(number(1001)), pickled(b"}"), pickled(b"}"), pickled(b"]")]
        pickles[position] = pickle.dumps(hostile, protocol)
        refused(b"".join(pickles))
        assert not marker.exists()


def test_a_forbidden_global_is_named() -> None:
    asks = legacy_file(b"cos\nsystem\n" + tuple_of(text("true")) + b"R", {})
    assert "it asks for os.system" in refused(asks)


@pytest.mark.parametrize(
    "lie",
    [
        {"offset": 1},
        {"offset": -1},
        {"offset": 2**70},
        {"shape": (2, 4)},
        {"shape": (-2, 3)},
        {"shape": (2**40, 3), "strides": (0, 1)},
        {"shape": (2**31,), "strides": (0,)},
        {"strides": (3, 2)},
        {"strides": (-3, 1), "offset": 3},
        {"strides": (2**62, 2**62)},
        {"strides": (2**100, 1), "shape": (1, 3)},
        {"strides": (1,)},
        {"shape": (1,) * 70, "strides": (1,) * 70},
        {"size": 5},
        {"size": 2**60},
        {"size": 2**64},
        {"size": -1},
        {"kind": "LongStorage"},
        {"kind": "DoubleStorage"},
    ],
    ids=str,
)
def test_a_tensor_beyond_its_storage_is_refused(lie: dict[str, Any]) -> None:
    refused(file_of(np.arange(6, dtype=np.float32).reshape(2, 3), **lie))


@pytest.mark.parametrize("size", [7, 2**31, 2**60, 2**62, 2**64 - 1])
def test_a_storage_that_is_shorter_than_declared_is_refused(size: int) -> None:
    """No memory is allocated for data that the file does not have."""
    tensors = state_of(text("weight"), tensor("1", size=size, shape=(1,), strides=(1,), kind="FloatStorage"))
    assert "truncated" in refused(legacy_file(tensors, {"1": bytes(24)}, count=size))


def test_a_large_index_into_the_memo_costs_no_memory() -> None:
    """Python's unpickler would allocate a memo table of 34 GB."""
    assert refused(legacy_file(b"}r\xff\xff\xff\x7f0", {}))


@pytest.mark.parametrize(
    "state",
    [
        b"})" + b"\x85" * 300_000 + b"K\x00s",  # a key whose hash is computed 300,000 calls deep
        b"}" + b"\x8d" + b"\xff" * 7 + b"\x7f",  # a text of 2**63 bytes
        b"}" + b"\x96" + b"\xff" * 4 + b"\0" * 4,  # a byte array of 4 GB
        b"}" * 10 + b"0" * 20,
        b"}" + b"(" * 1000 + b"t" * 1001,
        b"h\x07",
        text("no dictionary"),
        b"}" + text("weight") + b"Ns",
        b"}" + text("weight") + EMPTY_DICT + b"s",
        b"}NNs",
        b"}(" + text("weight") + b"u",
        text("text") + b")R",
        b"ctorch\nFloatStorage\n)R",
        b"ctorch\nFloatStorage\n" + tuple_of(number(3), text(">")) + b"b",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R",
        tuple_of(text("storage"), b"N", text("1"), text("cpu"), number(6), b"N") + b"Q",
        tuple_of(text("storage"), b"ctorch\nFloatStorage\n", b")" + b"\x85" * 300_000, b"N", number(6), b"N") + b"Q",
    ],
    ids=range(17),
)
def test_a_malformed_pickle_is_refused(state: bytes) -> None:
    refused(legacy_file(state, {}))


def test_a_tensor_without_its_storage_is_refused() -> None:
    tensors = state_of(text("weight"), tensor("1", size=6, shape=(6,), strides=(1,), kind="FloatStorage"))
    refused(legacy_file(tensors, {}))
    refused(legacy_file(tensors, {"2": bytes(24)}))


@pytest.mark.parametrize("data", [b"", b"\x80", b"PK\x03\x04", b"not a pickle", b"\x80\x02N.", pickled(number(1))])
def test_a_file_of_another_format_is_refused(data: bytes) -> None:
    refused(data)


def test_another_magic_number_or_version_is_refused() -> None:
    for first, second in ((MAGIC_NUMBER + 1, 1001), (MAGIC_NUMBER, 1002)):
        start = pickled(number(first)) + pickled(number(second))
        assert "not a legacy PyTorch file" in refused(start + pickled(b"}") + pickled(b"}") + pickled(b"]"))


def test_a_file_truncated_anywhere_is_refused() -> None:
    for length in range(len(ONE)):
        refused(ONE[:length])


def test_the_published_file_is_refused_if_truncated() -> None:
    data, name = bundled.weights()
    for length in (15, 1000, 42_480, 60_000, 10_000_000, len(data) - 1):
        with pytest.raises(ModelError, match="refused as a weights file"):
            state_dict(data[:length], name)


def reads_or_refuses(data: bytes) -> None:
    """Checks that a file is refused, or read as arrays that lie within its data."""
    try:
        read = state_dict(data, "mutated.pth")
    except ModelError:
        return
    for name, array in read.items():
        assert isinstance(name, str)
        assert isinstance(array, np.ndarray)
        assert array.dtype in KINDS
        assert array.size <= len(data)
        array.tobytes()  # reads every element


@settings(max_examples=500, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(ONE) - 1), st.binary(max_size=6), st.integers(0, 6)), max_size=4),
    protocol=st.sampled_from([b"", b"\x80\x02", b"\x80\x04"]),
)
def test_a_changed_file_is_read_or_refused(changes: list[tuple[int, bytes, int]], protocol: bytes) -> None:
    """Bytes are replaced, inserted and deleted, a few at a time."""
    data = ONE
    for position, inserted, deleted in changes:
        data = data[:position] + inserted + data[position + deleted :]
    reads_or_refuses(protocol + data)


def test_single_bytes_changed_at_random_are_read_or_refused() -> None:
    """At each position, random bytes and those of the most common instructions."""
    rng = random.Random(0)
    for position in range(len(ONE)):
        for byte in {*rng.sample(range(256), 24), *b"(.0123RQbctur\x85\x8a\x8d\x96"}:
            reads_or_refuses(ONE[:position] + bytes([byte]) + ONE[position + 1 :])

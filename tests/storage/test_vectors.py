"""The file of vectors as FAISS lays it out, and unit vectors."""

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from lookalike.errors import StorageError, UsageError
from lookalike.storage import vectors
from lookalike.storage.vectors import unit
from tests.support.vector_files import HEADER, random_units, write

DIMS = [1, 7, 25, 383, 1280]


# The layout of the file


def test_half_precision_is_read_as_numpy_reads_it() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    stored = np.repeat(every[:, None], 3, axis=1)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(vectors.single(stored), stored.astype(np.float32))
        np.testing.assert_array_equal(vectors.single(stored[::2, ::2]), stored[::2, ::2].astype(np.float32))
    assert vectors.single(np.empty((0, 3), np.float16)).shape == (0, 3)


@pytest.mark.parametrize("dim", DIMS)
def test_the_file_is_byte_for_byte_the_one_that_faiss_writes(tmp_path: Path, dim: int) -> None:
    stored = write(tmp_path / "ours.faiss", random_units(9, dim))
    index = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    index.add(stored.astype(np.float32))
    faiss.write_index(index, str(tmp_path / "theirs.faiss"))
    ours, theirs = ((tmp_path / name).read_bytes() for name in ("ours.faiss", "theirs.faiss"))
    committed = slice(16, 32)  # which FAISS reads over
    assert int.from_bytes(ours[committed][:8], "little") == 9
    assert ours[: committed.start] + ours[committed.stop :] == theirs[: committed.start] + theirs[committed.stop :]


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("count", [0, 1, 300])
def test_the_size_and_the_header_of_a_file_follow_from_its_count(tmp_path: Path, dim: int, count: int) -> None:
    write(path := tmp_path / "v.faiss", random_units(count, dim))
    content = path.read_bytes()
    assert len(content) == vectors.file_size(dim, count) == HEADER + count * dim * 2
    assert content[:HEADER] == vectors.header(dim, count)
    assert vectors.header_count(content[:HEADER]) == count
    assert len(vectors.empty_header(dim)) == HEADER


def test_leftovers_are_bytes_behind_the_committed_rows(tmp_path: Path) -> None:
    write(path := tmp_path / "v.faiss", random_units(3, 7))
    assert [vectors.has_leftovers(path, 7, count) for count in (2, 3, 4)] == [True, False, False]
    with path.open("ab") as file:
        file.write(b"\0")
    assert vectors.has_leftovers(path, 7, 3)
    assert not vectors.has_leftovers(tmp_path / "missing.faiss", 7, 0)


def test_a_folder_where_no_file_can_be_made_is_a_fault_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"v\.faiss"):
        vectors.create(tmp_path / "missing" / "v.faiss", 7)
    write(path := tmp_path / "v.faiss", random_units(3, 7))
    with pytest.raises(StorageError, match=r"v\.faiss"):
        vectors.create(path, 7)  # what is there is never overwritten
    assert faiss.read_index(str(path)).ntotal == 3


def test_a_faiss_of_another_layout_is_refused_when_a_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is then not made."""
    empty = vectors.empty_index
    monkeypatch.setattr(faiss, "deserialize_index", lambda _: empty(7))
    with pytest.raises(StorageError, match="lays out its files in a way that is not known here"):
        vectors.create(tmp_path / "v.faiss", 7)
    assert not (tmp_path / "v.faiss").exists()


# Unit vectors


@given(
    arrays.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.uint8, np.int64]),
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
    )
)
def test_unit_gives_length_1_and_the_same_direction_or_refuses(rows: NDArray[Any]) -> None:
    wide = rows.astype(np.longdouble)
    if not (np.isfinite(wide).all() and (wide != 0).any(axis=1).all()):
        with pytest.raises(UsageError, match="finite and not zero"):
            unit(rows)
        return
    units = unit(rows)
    assert (units.dtype.name, units.shape, units.flags.c_contiguous) == ("float32", rows.shape, True)
    np.testing.assert_allclose(np.linalg.norm(units.astype(np.float64), axis=1), 1, atol=1e-6)
    scaled = wide / np.abs(wide).max(axis=1, keepdims=True)
    expected = scaled / np.sqrt((scaled**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(units, expected.astype(np.float64), atol=1e-6)


@pytest.mark.parametrize(
    "row",
    [
        [1e308, -1e308],
        [5e-324, 0],
        [1e-200, 1e200],
        [3, 4],
        np.array([3e38, 3e38], np.float32),
        np.array([1e-45, 1e-45], np.float32),
        np.array([60000, 60000], np.float16),
        np.array([-(2**63), 2**63 - 1]),
        np.array([255, 1], np.uint8),
    ],
    ids=str,
)
def test_neither_huge_nor_tiny_numbers_lose_their_direction(row: Any) -> None:
    exact = np.asarray(row, np.longdouble)
    np.testing.assert_allclose(unit(row)[0], (exact / np.sqrt((exact**2).sum())).astype(np.float64), atol=1e-7)


@pytest.mark.parametrize(
    "rows", [[[0, 0]], [[1, 0], [0, 0]], [[np.nan, 1]], [[np.inf, 1]], [[1, -np.inf]], [[np.nan, np.inf]]], ids=str
)
def test_zero_and_what_is_not_finite_is_refused(rows: Any) -> None:
    with pytest.raises(UsageError, match="finite and not zero"):
        unit(rows)


@pytest.mark.parametrize("rows", [["a", "b"], [1j, 1], [None, 1]], ids=str)
def test_what_is_not_a_real_number_is_refused(rows: Any) -> None:
    with pytest.raises(UsageError, match="real numbers"):
        unit(rows)


def test_unit_leaves_its_argument_as_it_is() -> None:
    rows = np.array([[3.0, 4.0]])
    assert unit(rows).tolist() == [[np.float32(0.6), np.float32(0.8)]]
    assert rows.tolist() == [[3, 4]]
    row = np.array([1, 0], np.float32)  # already of length 1
    assert not np.shares_memory(unit(row), row)

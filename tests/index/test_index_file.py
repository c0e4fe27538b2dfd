"""An index as a file: damage, another kind of index, and a full disk."""

from pathlib import Path

import faiss
import numpy as np
import pytest

from lookalike.errors import CorruptError
from lookalike.index.faiss_index import Index
from lookalike.index.spec import IndexSpec
from lookalike.storage.rows import RowSet
from tests.support.built_indexes import EXHAUSTIVE, ROWS, both, search, serialized


@pytest.mark.parametrize("factory", ["Flat", "IVF8,PQ8x4fs", "HNSW16,SQ8", "PCA16,IVF8,SQ8"])
def test_a_truncated_file_is_damaged(factory: str, tmp_path: Path) -> None:
    index, _ = both(factory, 32)
    whole, path = serialized(index), tmp_path / "i.faiss"
    for size in {0, 1, 3, 4, 8, 40, len(whole) // 3, len(whole) // 2, len(whole) - 1}:
        path.write_bytes(whole[:size])
        with path.open("rb") as file, pytest.raises(CorruptError, match=r"i\.faiss"):
            Index.read(index.spec, file)


@pytest.mark.parametrize("content", [b"", b"text" * 100, bytes(1000), b"\xff" * 1000, b"IxFI" + b"\xff" * 100])
def test_a_file_that_is_no_index_is_damaged(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "i.faiss").write_bytes(content)
    with (tmp_path / "i.faiss").open("rb") as file, pytest.raises(CorruptError, match=r"i\.faiss"):
        Index.read(IndexSpec("Flat", 32), file)


@pytest.mark.parametrize(
    ("written", "factory", "dim"),
    [
        (("Flat", 32), "Flat", 33),
        (("Flat", 32), "SQ8", 32),
        (("IVF8,Flat", 32), "IVF4,Flat", 32),
        (("IVF8,PQ8x4fs", 32), "IVF8,PQ16x4fs", 32),
        (("IVF8,PQ8x4fs", 32), "IVF8,PQ8x4", 32),
        (("PCA16,IVF8,SQ8", 32), "IVF8,SQ8", 32),
        (("IVF8,SQ8", 383), "IVF8,SQ8", 32),
    ],
)
def test_an_index_of_another_kind_is_damaged(written: tuple[str, int], factory: str, dim: int, tmp_path: Path) -> None:
    (tmp_path / "i.faiss").write_bytes(serialized(both(*written)[0]))
    with (tmp_path / "i.faiss").open("rb") as file, pytest.raises(CorruptError, match="it is not"):
        Index.read(IndexSpec(factory, dim), file)


def test_a_file_is_read_from_its_start_whatever_its_name(tmp_path: Path) -> None:
    index, _ = both("IVF8,SQ8", 32)
    path = tmp_path / "caf\udce9 \udcff.faiss"
    path.write_bytes(serialized(index))
    with path.open("rb") as file:
        file.read()
        again = Index.read(index.spec, file)
    found, expected = (search(each, EXHAUSTIVE, RowSet(ROWS))[1] for each in (again, index))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("damaged", [False, True])
def test_faiss_reads_no_more_than_the_file_and_gets_its_limit_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    index, _ = both("IVF8,SQ8", 32)
    content = serialized(index)
    path = tmp_path / "i.faiss"
    path.write_bytes(content[: len(content) // 2] if damaged else content)
    limits, read_index = [], faiss.read_index

    def watched(*given: object) -> object:
        limits.append(faiss.get_deserialization_vector_byte_limit())
        return read_index(*given)

    monkeypatch.setattr(faiss, "read_index", watched)
    before = faiss.get_deserialization_vector_byte_limit()
    faiss.set_deserialization_vector_byte_limit(12_345_678)
    try:
        with path.open("rb") as file:
            if damaged:
                with pytest.raises(CorruptError):
                    Index.read(index.spec, file)
            else:
                Index.read(index.spec, file)
        assert limits == [path.stat().st_size]
        assert faiss.get_deserialization_vector_byte_limit() == 12_345_678
    finally:
        faiss.set_deserialization_vector_byte_limit(before)


def test_a_file_that_claims_to_be_huge_is_damaged(tmp_path: Path) -> None:
    """It takes no memory."""
    content = bytearray(serialized(both("SQ8", 32)[0]))
    offset = content.index((ROWS * 32).to_bytes(8, "little"))  # of the number of bytes of codes
    content[offset : offset + 8] = (2**40).to_bytes(8, "little")
    (tmp_path / "i.faiss").write_bytes(content)
    with (tmp_path / "i.faiss").open("rb") as file, pytest.raises(CorruptError, match="limit"):
        Index.read(IndexSpec("SQ8", 32), file)


@pytest.mark.parametrize("size", [0, 1, 100, 10_000])
def test_a_full_disk_is_reported_by_its_own_error(size: int) -> None:
    """FAISS's own writer can report success."""
    taken = 0

    def take(piece: bytes) -> int:
        nonlocal taken
        if taken + len(piece) > size:
            raise OSError(28, "No space left on device")
        taken += len(piece)
        return len(piece)

    with pytest.raises(OSError, match="No space left"):
        both("IVF8,SQ8", 32)[0].write(take)

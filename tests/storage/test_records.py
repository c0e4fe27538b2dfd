"""Records of the catalog are what Lookalike writes, or they are refused."""

from dataclasses import replace
from typing import Any

import pytest

from lookalike.images.reading import FileStatus
from lookalike.storage.records import (
    FiledImage,
    FileKind,
    InvalidRecordError,
    KnownFile,
    MissingImage,
    State,
    StoredGeneration,
    StoredImage,
    checked_count,
    checked_hash,
    is_key,
)

IMAGE = StoredImage(1, "cats/1.png", 0, "cats", 4, 3, b"hash", {"price": 7, "colour": "red"})
GENERATION = StoredGeneration(1, 2, b"index", b"card")
STATE = State(3, 2, "vectors.faiss", GENERATION)
FILE = KnownFile("/elsewhere/1.png", FileStatus(5, 6, 7), FileKind.IMAGE)
FILED = FiledImage(1, "cats/1.png", 0, FileStatus(5, 6, 7))
MISSING = MissingImage(1, "cats/1.png", b"hash", None, FileStatus(5, 6, None), 8)
TEXTS: Any = ("5", "6", "7")
INVALID: list[tuple[Any, dict[str, Any]]] = [
    *((IMAGE, {"id": value}) for value in (0, -1, "1", None, 2**63)),
    *((IMAGE, {"row": value}) for value in (-1, 2**62, "0", None)),
    *((IMAGE, {"key": value}) for value in ("../1.png", "a/../../1.png", "/a/..", "..", "a\0.png", "", None, b"a", 7)),
    *((IMAGE, {"width": value}) for value in (-1, 2**31, None, "4")),
    *((IMAGE, {"label": value}) for value in (7, b"cats", "x" * 2**21)),
    *((IMAGE, {"sha256": value}) for value in (None, "hash")),
    *((IMAGE, {"attributes": value}) for value in ({"a": None}, {"a": b"x"}, {None: 1}, {"a": "x" * 2**21})),
    *((GENERATION, {name: value}) for name in ("number", "rows") for value in (-1, 2**62, None, "1")),
    *((GENERATION, {name: "text"}) for name in ("index_sha256", "card_sha256")),
    *((STATE, {"vectors": value}) for value in ("../vectors.faiss", "/etc/passwd", "catalog.sqlite", None, b"", 1)),
    *((STATE, {"vectors": f"vectors.{number}.faiss"}) for number in ("1", "\u0661" * 6, "0000001")),
    *((STATE, {"count": value}) for value in (1, -1, 2.0**63, None)),  # of one row, an index cannot cover two
    (STATE, {"changes": None}),
    *((each, {"id": value}) for each in (FILED, MISSING) for value in (0, "1", None)),
    *((each, {"row": value}) for each in (FILED, MISSING) for value in (-1, 2**62, "0")),
    *((each, {"key": "../1.png"}) for each in (FILED, MISSING)),
    *((each, {"status": FileStatus(*TEXTS)}) for each in (FILED, MISSING)),
    *((MISSING, {"hash": value}) for value in (None, "hash", 7)),
    *((FILED, {"row": None}), (MISSING, {"since_ns": "now"})),
    *((FILE, {"key": "../1.png"}), (FILE, {"status": FileStatus(*TEXTS)})),
]


@pytest.mark.parametrize(("record", "change"), INVALID)
def test_what_lookalike_does_not_write_is_refused(record: Any, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecordError, match=type(record).__name__):
        replace(record, **change)


@pytest.mark.parametrize("key", ["1.png", "..png", "a/..b/c..", "/elsewhere/1.png", "a b\n\x1b", "\udcff"])
def test_any_name_that_a_file_may_have_is_a_key(key: str) -> None:
    assert is_key(key)


def test_a_hash_is_of_bytes() -> None:
    assert checked_hash(b"hash") == b"hash"
    for value in (None, "hash", 5_000_000_000, -1, 2.5):
        with pytest.raises(InvalidRecordError, match="invalid hash"):
            checked_hash(value)


@pytest.mark.parametrize("value", [None, "7", b"\xff", -1, 2**48, 1.0])
def test_a_count_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(InvalidRecordError, match="a row is no number"):
        checked_count(value, "a row")


def test_a_count_is_returned() -> None:
    assert [checked_count(value, "a row") for value in (0, 7, 2**48 - 1)] == [0, 7, 2**48 - 1]

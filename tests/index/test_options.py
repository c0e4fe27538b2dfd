"""What may be asked of an index: a recall, a memory size, a factory string."""

from dataclasses import replace

import pytest

from lookalike.errors import UsageError
from lookalike.index.options import BuildOptions, memory_bytes
from lookalike.index.policies import checked_recall


@pytest.mark.parametrize("recall", [0, -0.1, 1.0001, 2, float("nan"), float("inf")])
def test_a_recall_out_of_range_is_refused(recall: float) -> None:
    with pytest.raises(UsageError, match="recall="):
        checked_recall(recall)


def test_a_recall_may_be_1() -> None:
    assert [checked_recall(recall) for recall in (1, 1.0, 0.5)] == [1.0, 1.0, 0.5]


def test_build_options_with_a_recall_out_of_range_are_refused() -> None:
    with pytest.raises(UsageError, match="recall=2"):
        BuildOptions(recall=2)
    assert replace(BuildOptions(), recall=1).recall == 1


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500MB", 500 * 10**6),
        ("500 MB", 500 * 10**6),
        (" 2gb ", 2 * 10**9),
        ("2GB", 2 * 10**9),
        ("1.5GiB", 3 * 2**29),
        ("10k", 10_000),
        ("10 kB", 10_000),
        ("3T", 3 * 10**12),
        ("4096", 4096),
        ("4096B", 4096),
        (4096, 4096),
        ("1KiB", 1024),
    ],
)
def test_a_size_is_a_number_of_bytes_with_or_without_a_unit(text: str | int, size: int) -> None:
    assert memory_bytes(text) == size


@pytest.mark.parametrize("text", ["", "MB", "0", "0MB", "-1", "1e6", "1.GB", "5 XB", "5MBB", True, "lots", "1,000"])
def test_a_text_that_is_no_size_is_refused(text: str | int) -> None:
    with pytest.raises(UsageError, match=r"memory=.*: give a size"):
        memory_bytes(text)

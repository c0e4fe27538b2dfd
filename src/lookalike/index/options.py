"""What somebody wants of an index, and which indexes that leaves to try."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lookalike.errors import UsageError
from lookalike.index import tuning
from lookalike.index.spec import IndexSpec


@dataclass(frozen=True)
class Wish:
    """What an index is to be like.

    Attributes:
        recall: the share of the 10 nearest that a search is to find, above 0 and at most 1.
        memory: how many bytes it may take at most, or None.
        spec: its FAISS index factory string, or None for the default.

    Raises:
        UsageError: the recall is no share.
    """

    recall: float = tuning.RECALL
    memory: int | None = None
    spec: str | None = None

    def __post_init__(self) -> None:
        tuning.check_recall(self.recall)

    def specs(self, dim: int, rows: int) -> Sequence[IndexSpec]:
        """The indexes to try one after the other for so many vectors, or none where there is no need of any.

        Raises:
            UsageError: there can be no such index, or it would take more memory than it may.
        """
        if self.spec is not None:
            spec = IndexSpec(self.spec.replace(" ", ""), dim)
            spec.check(rows)
            if self.memory is not None and spec.bytes(rows) > self.memory:
                size = f"takes {spec.bytes(rows):,} bytes for {rows:,} vectors, and may take {self.memory:,}"
                raise UsageError(f"{self.spec}: it {size}")
            return [spec] if rows else []
        if tuning.searches_exactly(dim, rows):
            return []
        if self.memory is None:
            return tuning.specs(dim, rows)
        small = [spec for spec in tuning.smallest_specs(dim, rows) if spec.bytes(rows) <= self.memory]
        if not small:
            least = min(spec.bytes(rows) for spec in tuning.smallest_specs(dim, rows))
            raise UsageError(
                f"memory={self.memory:,} bytes: an index of {rows:,} vectors takes {least:,} at least;"
                " give it more, or leave the vectors without one"
            )
        return small


def memory_bytes(size: str | int) -> int:
    """The number of bytes that "500MB", "2 GB", "1.5GiB" or a number stands for.

    Raises:
        UsageError: it is no size.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kKmMgGtT]?)(i?)[bB]?\s*", str(size))
    if isinstance(size, bool) or not found or not float(found[1]):
        raise UsageError(f"memory={size!r}: give a size, such as 500MB or 2GB")
    number, prefix, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " KMGT".index(prefix.upper() or " "))

"""What is asked of an index, and which indexes meet it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lookalike import arguments
from lookalike.errors import UsageError
from lookalike.index import defaults
from lookalike.index.policies import TARGET_RECALL, TuningPolicy, checked_recall
from lookalike.index.spec import IndexSpec


@dataclass(frozen=True)
class BuildOptions:
    """What is asked of an index.

    Attributes:
        recall: the target recall: the share of the 10 nearest neighbours to find, above 0 and at most 1.
        memory: the most bytes that it may take, or None.
        spec: its FAISS index factory string, or None for the default.

    Raises:
        UsageError: the recall is out of range, or the string is none.
    """

    recall: float = TARGET_RECALL
    memory: int | None = None
    spec: str | None = None

    def __post_init__(self) -> None:
        checked_recall(self.recall)
        if self.spec is not None and not arguments.text(self.spec, "spec").isascii():
            raise UsageError(f"spec={self.spec!r}: give a FAISS index factory string")

    def specs(self, dim: int, rows: int, policy: TuningPolicy, *, is_part: bool = False) -> Sequence[IndexSpec]:
        """The indexes to try for that many vectors, one after the other; none if no index is needed.

        If each is a part of a whole, it is sized for that.

        Raises:
            UsageError: the index is impossible, or would take more memory than it may.
        """
        if self.spec is not None:
            spec = IndexSpec(self.spec.replace(" ", ""), dim)
            spec.check(rows)
            if self.memory is not None and spec.bytes(rows) > self.memory:
                raise UsageError(
                    f"{self.spec}: it takes {spec.bytes(rows):,} bytes for {rows:,} vectors, and may take"
                    f" {self.memory:,}"
                )
            return [spec] if rows else []
        if policy.searches_exactly(dim, rows):
            return []
        if self.memory is None:
            return defaults.specs(dim, rows, is_part=is_part)
        candidates = defaults.small_specs(dim, rows, is_part=is_part)
        small = [spec for spec in candidates if spec.bytes(rows) <= self.memory]
        if not small:
            raise UsageError(
                f"memory={self.memory:,} bytes: an index of {rows:,} vectors takes"
                f" {min(spec.bytes(rows) for spec in candidates):,} at least; raise the limit, or search without"
                " an index"
            )
        return small


def memory_bytes(size: str | int) -> int:
    """The number of bytes that "500MB", "2 GB", "1.5GiB" or a number stands for.

    Raises:
        UsageError: it is not a size.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kKmMgGtT]?)(i?)[bB]?\s*", str(size))
    if isinstance(size, bool) or not found or not float(found[1]):
        raise UsageError(f"memory={size!r}: give a size, such as 500MB or 2GB")
    number, prefix, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " KMGT".index(prefix.upper() or " "))

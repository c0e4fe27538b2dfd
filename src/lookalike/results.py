"""What comes back: matches, and the images that were left out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, SupportsIndex, overload


@dataclass(frozen=True)
class Match:
    """One image that was found.

    Attributes:
        id: the image's number in its collection, at least 1, never used again.
        key: the name that it is stored under, relative to the collection's folder (`2024/cat.jpg`).
        path: where the file is, absolute.
        score: the cosine similarity to the query, in [-1, 1], higher is more alike.
        label: the name of the folder that holds it, or None for the top folder.
        width: in pixels, as it is seen (after its orientation was applied).
        height: in pixels, as it is seen.
        attributes: what else the collection knows of it, by name.
    """

    id: int
    key: str
    path: Path | None
    score: float
    label: str | None = None
    width: int = 0
    height: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Matches(list[Match]):
    """Matches, best first: a list that a notebook shows as pictures.

    `queries` are the pictures that were asked about, as they were given, for showing next to the answer.
    """

    def __init__(self, matches: Iterable[Match] = (), *, queries: Iterable[Any] = ()) -> None:
        super().__init__(matches)
        self.queries = tuple(queries)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Match: ...
    @overload
    def __getitem__(self, index: slice) -> "Matches": ...
    def __getitem__(self, index: SupportsIndex | slice) -> "Match | Matches":
        """One match, or some of them with the same queries."""
        if isinstance(index, slice):
            return Matches(super().__getitem__(index), queries=self.queries)
        return super().__getitem__(index)

    def _repr_html_(self) -> str:
        from lookalike.display.page import fragment  # only a notebook asks for this, and it draws thumbnails

        return fragment(self)


@dataclass(frozen=True)
class Skipped:
    """An image that was left out, and why: `reason` is a short phrase such as "truncated"."""

    path: Path
    reason: str

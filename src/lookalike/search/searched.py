"""What a search needs of the vectors that it searches, whether they are of one collection or of several."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from lookalike.errors import Hint
from lookalike.filters import Where
from lookalike.index.generation import Generation
from lookalike.index.policies import TuningPolicy
from lookalike.search.augmentation import AugmentedVectors
from lookalike.search.chance import Judged
from lookalike.search.options import SearchOptions
from lookalike.search.refinement import Centre
from lookalike.search.regions import SearchableRegions
from lookalike.storage.mapped_vectors import ExactVectors
from lookalike.storage.records import CommittedState, MissingImage, NamedRows, StoredImage
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import StoredVectors, Vectors


class SearchedCatalog(Protocol):
    """Knows the images of rows."""

    def reading(self) -> AbstractContextManager[object]:
        """Whatever this thread reads within belongs to one committed state."""

    def named(self, rows: Sequence[int], *, where: Where | None, limit: int) -> NamedRows:
        """The images of rows and the checksums of their vectors, in one committed state."""

    def image(self, id_: int, /) -> StoredImage | None:
        """The image of that number, or None."""

    def live_images(self) -> Iterable[tuple[int, int, str | None]]:
        """(id, row, label) of the images, by id."""

    def missing(self, id_: int, /) -> list[MissingImage]:
        """The missing image of that number, if there is one."""


class Searched(Protocol):
    """One committed state, opened; see `Snapshot`, which is that of a collection."""

    @property
    def vectors(self) -> ExactVectors:
        """The vectors."""

    @property
    def live(self) -> RowSet:
        """The rows that may be found."""

    @property
    def policy(self) -> TuningPolicy:
        """Decides which row sets are small enough for exact search."""

    @property
    def card(self) -> Generation | None:
        """What is known of the index; None if there is none."""

    @property
    def state(self) -> CommittedState:
        """What the catalog says of the files."""

    @property
    def catalog(self) -> SearchedCatalog:
        """Knows the images of the rows."""

    @property
    def regions(self) -> SearchableRegions | None:
        """The vectors of parts of the images, if there are any and a search has asked for them."""

    @property
    def regions_hint(self) -> Hint:
        """What to do if there are none."""

    @property
    def augmented(self) -> AugmentedVectors | None:
        """The augmented vectors, likewise."""

    def search(
        self, queries: Vectors, options: SearchOptions, row_set: RowSet, *, extra: int = 0
    ) -> tuple[Vectors, Rows]:
        """Finds the rows nearest to each query, best first; see `SearchableVectors.search`."""

    def searches_exactly(self, k: int) -> bool:
        """Whether a search for k rows compares with every vector."""

    def row_set(self, where: Where) -> RowSet:
        """The live rows that a filter admits."""

    def centre(self) -> Centre:
        """The mean of the live rows, as far as a sample of them tells."""

    def judged(self, query: Vectors, rows: Rows, *, without: Rows | None = None) -> Judged:
        """Judges by a sample of the live rows how near some rows are to a query."""

    def read_checked(self, rows: Rows) -> StoredVectors:
        """The vectors of rows, half precision (n, dim); raises CorruptError for one that is damaged."""

    def check_rows(self, crc32s: Mapping[int, int]) -> None:
        """Raises CorruptError unless the checksums of rows are the expected ones."""

    def part_crc32s(self, part_rows: Rows) -> dict[int, int]:
        """The checksums of rows of parts, by row; -1 is none."""


class SearchedStates(Protocol):
    """Gives the newest committed state; see `Snapshots`."""

    def current(self, *, regions: bool = False, augmented: bool = False) -> AbstractContextManager[Searched]:
        """The newest state; what is read from its catalog within belongs to it."""

    def last(self, *, regions: bool = False, augmented: bool = False) -> Searched | None:
        """The state that was used last, if its files are open; it need not be the newest one."""

    def held(self) -> AbstractContextManager[bool]:
        """Keeps writers from committing, and tells whether the files of the newest state are open."""

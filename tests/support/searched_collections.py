"""A collection of 900 synthetic vectors with an index, of which some are deleted and some younger than the index."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lookalike import Collection, Policies
from lookalike.filters import Between, Where
from lookalike.index.operating_point import SearchParameters
from lookalike.storage.vectors import Vectors
from tests.support.small_policies import quick_policies
from tests.support.vector_collections import Exact, clustered, create, drop, keys_of, put

ROWS, DIM = 900, 24
QUERIES = clustered(6, DIM, seed=2)
SPEC = "IVF16,PQ6x4fs"
SPECS = [SPEC, "IVF16,Flat", "HNSW8,SQ8", "RaBitQ", "PCA8,IVF8,SQ8", "Flat"]
# Filters that admit few images are searched exactly by the first, and by the index by the second.
QUICK = quick_policies()
BY_INDEX = quick_policies(exact=1, dim=1)

# Each filter, and whether it admits a key.
FILTERS: list[tuple[Where | None, Callable[[str], bool]]] = [
    (None, lambda key: True),
    (Where(label="a"), lambda key: key.startswith("a/")),
    (Where(label=["c", "d"]), lambda key: key[0] in "cd"),
    (Where(under="b"), lambda key: key.startswith("b/")),
    (Where(label="a", under="b"), lambda key: False),
    (Where(attributes={"price": Between(3, 12)}), lambda key: key in keys_of(10, 203)),
    (Where(attributes={"price": Between(20, None)}), lambda key: key in keys_of(5, ROWS)),  # all of them young
    (Where(label="nobody"), lambda key: False),
]


def stock(collection: Collection, spec: str = SPEC) -> None:
    """Leaves 900 images: 810 in the index, 90 younger ones; 50 dead vectors are still in the file."""
    put(collection, clustered(ROWS, DIM, seed=1), keys_of(ROWS))
    drop(collection, keys_of(50, 20))
    collection.build(spec=spec, recall=0.95)
    put(collection, clustered(100, DIM, seed=3), keys_of(100, ROWS))
    drop(collection, keys_of(40, 100) + keys_of(10, ROWS + 20))
    with collection._catalog.writing() as transaction:
        for number, key in enumerate(keys_of(20, 200) + keys_of(5, ROWS)):
            transaction.set_attributes(key, {"price": number})


def stocked(folder: Path, spec: str = SPEC, policies: Policies = QUICK) -> Collection:
    """Makes such a collection."""
    collection = create(folder, DIM, policies)
    stock(collection, spec)
    return collection


def vector_of(exact: Exact, key: str) -> Vectors:
    """The stored vector of an image, float32 (dim,)."""
    vector: Vectors = exact.vectors[exact.keys.index(key)].astype(np.float32)
    return vector


@dataclass
class RecordedSearches:
    """The parameters of all searches of an index, in their order; empty if all searches were exact."""

    parameters: list[SearchParameters] = field(default_factory=list)

    def of(self, search: Callable[[], object]) -> list[SearchParameters]:
        """Those of the searches of one call."""
        self.parameters.clear()
        search()
        return list(self.parameters)

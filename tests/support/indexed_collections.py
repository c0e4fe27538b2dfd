"""Collections of some hundred synthetic vectors that are large enough for an index, and their files."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lookalike import Collection, MaintenancePolicy, Policies
from lookalike.filters import Where
from lookalike.index.generation import Generation
from tests.support.small_policies import quick_policies
from tests.support.vector_collections import Exact, assert_exact, assert_true, clustered, create, keys_of, put

ROWS, DIM = 400, 24
QUERIES = clustered(5, DIM, seed=2)
# An index is due from 300 vectors on, and takes in 50 young ones; it is measured with few queries.
POLICIES = Policies(quick_policies(exact=300, dim=DIM).tuning, MaintenancePolicy(young_rows=50, check_queries=20))


def stocked(folder: Path, rows: int = ROWS, policies: Policies = POLICIES) -> Collection:
    """A collection of that many vectors, without an index."""
    photos = create(folder, DIM, policies)
    if rows:
        put(photos, clustered(rows, DIM, seed=1), keys_of(rows))
    return photos


def built(photos: Collection, spec: str | None = "IVF4,SQ8") -> Generation:
    """Builds an index with a target recall that any index reaches."""
    made = photos.build(spec=spec, recall=0.5)
    assert made is not None
    return made


def files(photos: Collection) -> set[str]:
    """The names of all files but the manifest, the sources, the lock and those of SQLite."""
    names = (path.relative_to(photos.directory).as_posix() for path in photos.directory.rglob("*") if path.is_file())
    return {
        name for name in names if not name.startswith(("catalog.sqlite", "lock", "collection.json", "sources.json"))
    }


def content(photos: Collection) -> dict[str, bytes]:
    """The same files with what is in them."""
    return {name: (photos.directory / name).read_bytes() for name in files(photos)}


def images(photos: Collection) -> list[tuple[Any, ...]]:
    """Everything that the catalog holds of each image except the row, and its vector."""
    found = photos._catalog.images_of_rows(list(range(photos._catalog.state().count)))
    stored = Exact(photos)
    by_key = dict(zip(stored.keys, stored.vectors.tolist(), strict=True))
    in_order = sorted(found, key=lambda image: image.key)
    return [(i.id, i.key, i.label, i.width, dict(i.attributes), by_key[i.key]) for i in in_order]


def assert_sound(photos: Collection) -> None:
    """Nothing is damaged, every answer is true, and exact searches are exact."""
    assert photos.check() == []
    exact = Exact(photos)
    for query in QUERIES:
        true = exact.scores(query)
        assert_exact(photos.search_vector(query, exact=True), true, 10)
        assert_true(photos.search_vector(query), true, 10)
        in_a = exact.scores(query, admitted=lambda key: key.startswith("a/"))
        assert_true(photos.search_vector(query, where=Where(label="a")), in_a, 10)


def flip(path: Path) -> None:
    """Flips a bit in the middle of a file."""
    content_ = bytearray(path.read_bytes())
    content_[len(content_) // 2] ^= 1
    path.write_bytes(content_)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": flip,
    "truncated": lambda path: os.truncate(path, path.stat().st_size - 1),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
}

"""The same synthetic vectors in one collection and in many shards."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import lookalike
from lookalike import Collection, Matches, Policies, ShardedCollection
from lookalike.storage.vectors import Vectors
from tests.support.small_policies import small_policies
from tests.support.vector_collections import OfDimension, clustered, drop, keys_of, put

DIM, ROWS, SHARDS = 24, 1600, 16
QUERIES = clustered(12, DIM, seed=2)
POLICIES = small_policies(exact=10**9, dim=DIM)  # an index only if one is asked for


@dataclass(frozen=True)
class Both:
    """One collection and a sharded one of the same images.

    Attributes:
        one: the single collection.
        whole: the sharded one.
        shards: its shards, opened by themselves, to change them.
    """

    one: Collection
    whole: ShardedCollection
    shards: list[Collection]

    def put(self, vectors: Vectors, keys: list[str]) -> None:
        """Adds images to the one collection, and deals them out to the shards."""
        put(self.one, vectors, keys)
        for number, shard in enumerate(self.shards):
            put(shard, vectors[number :: len(self.shards)], keys[number :: len(self.shards)])

    def drop(self, keys: list[str]) -> None:
        """Removes images from both."""
        drop(self.one, keys)
        for shard in self.shards:
            drop(shard, [key for key in keys if shard._catalog.image_at(key)])

    def annotate(self, folder: Path) -> None:
        """Gives both the same attributes; `rare` is in one shard only."""
        table = folder / "table.csv"
        lines = [f"{key},{number % 7},{'x' if number == 5 else ''}" for number, key in enumerate(keys_of(ROWS))]
        table.write_text("\n".join(["path,number,rare", *lines]) + "\n")
        for collection in (self.one, *self.shards):
            collection.annotate(table)

    def close(self) -> None:
        """Closes all."""
        self.whole.close()
        for collection in (self.one, *self.shards):
            collection.close()


def made(folder: Path, rows: int = ROWS, shards: int = SHARDS, policies: Policies = POLICIES) -> Both:
    """A folder with both; the keys of both are relative to it."""
    encoder = OfDimension(DIM)
    big = folder / "big"
    big.mkdir()
    places = [folder / "one", *(big / f"{number:02}" for number in range(shards))]
    one, *parts = (lookalike.create(folder, directory=place, encoder=encoder, policies=policies) for place in places)
    whole = lookalike.combine(big, encoder=encoder, policies=policies)
    both = Both(one, whole, parts)
    both.put(clustered(rows, DIM, seed=1), keys_of(rows))
    return both


def reopened(both: Both, *, partial: bool = False) -> ShardedCollection:
    """The sharded collection, opened once more."""
    opened = lookalike.open(both.whole.directory, encoder=OfDimension(DIM), policies=POLICIES, partial=partial)
    return cast("ShardedCollection", opened)


def told(matches: Matches) -> list[tuple[str, float]]:
    """The keys of matches, and their scores to three places and a little."""
    return [(match.key, round(match.score, 4)) for match in matches]

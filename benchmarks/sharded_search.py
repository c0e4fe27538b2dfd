"""Compares a search over many shards with one over a single collection of the same vectors, on the same cores.

    python benchmarks/sharded_search.py                                # 100,000 vectors of 256 dimensions, 16 shards
    python benchmarks/sharded_search.py --count 1000000 --dim 1280     # needs 6 GB of disk

The vectors are synthetic, see search_vectors.py. Both are asked the same queries in turn, one at a time; what a search
takes includes looking up its images. The recall is against exact search, by NumPy.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

import lookalike
import search_vectors
from lookalike import Collection, Policies, Preprocessing, TuningPolicy
from lookalike.images.reading import FileStatus
from lookalike.storage import layout
from lookalike.storage.catalog import Catalog
from lookalike.storage.checksums import crc32s
from lookalike.storage.vectors import Vectors, VectorWriter
from search_contenders import K

_BLOCK = 10_000  # vectors written at a time


class Given:
    """Stands for the encoder of vectors that are there already."""

    name, fingerprint = "synthetic", "5ba6ded0"
    preprocessing = Preprocessing(size=8, crop=1.0)

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise NotImplementedError


@click.command()
@click.option("--count", default=100_000, show_default=True, help="Number of vectors.")
@click.option("--dim", default=256, show_default=True, help="Their dimension.")
@click.option("--shards", default=16, show_default=True, help="Number of shards.")
@click.option("--queries", default=500, show_default=True, help="Number of queries.")
@click.option("--recall", default=0.98, show_default=True, help="Target recall.")
@click.option("--exact", is_flag=True, help="Compare exact searches instead of searches by an index.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(count: int, dim: int, shards: int, queries: int, recall: float, exact: bool, as_json: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        search_vectors.draw(top, count, dim, queries, seed=1)
        right = search_vectors.nearest(top)
        one, whole = made(top, shards, Policies(TuningPolicy(exact_values=2**62 if exact else 0)))
        facts: dict[str, Any] = {"count": count, "dim": dim, "shards": shards, "queries": queries}
        for name, collection in (("one", one), ("sharded", whole)):
            begun = time.perf_counter()
            built = collection.build(recall=recall)
            facts[f"{name}_build_s"] = round(time.perf_counter() - begun, 1)
            facts[f"{name}_index"] = built.spec if built else "exact"
            facts[f"{name}_chosen"] = str(built.chosen.parameters) if built and built.chosen else None
        facts |= compared(one, whole, np.load(top / "queries.npy"), right)
        one.close()
        whole.close()
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        click.echo(f"{name:<20}{value}")


def made(top: Path, shards: int, policies: Policies) -> tuple[Collection, Collection]:
    """A collection of all vectors, and one of as many shards, to which they are dealt out."""
    stored = np.load(top / "vectors.npy", mmap_mode="r")
    encoder = Given(stored.shape[1])
    numbers = np.arange(len(stored))
    (top / "big").mkdir()
    places = [(top / "one", numbers)]
    places += [(top / "big" / f"{shard:04}", numbers[shard::shards]) for shard in range(shards)]
    for place, own in places:
        lookalike.create(top, directory=place, encoder=encoder).close()
        fill(place, stored, own)
    whole = lookalike.combine(top / "big", policies=policies, encoder=encoder)
    whole.close()
    one, opened = (lookalike.open(top / name, policies=policies, encoder=encoder) for name in ("one", "big"))
    return one, opened


def fill(directory: Path, stored: NDArray[np.float16], numbers: NDArray[np.int64]) -> None:
    """Adds an image for each of these vectors to an empty collection."""
    catalog = Catalog(directory / layout.CATALOG)
    with closing(catalog), closing(VectorWriter(directory / layout.VECTORS, stored.shape[1], 0)) as writer:
        for start in range(0, len(numbers), _BLOCK):
            own = numbers[start : start + _BLOCK]
            vectors = np.ascontiguousarray(stored[own])
            writer.append(vectors)
            with catalog.writing() as transaction:
                for row, (number, crc32) in enumerate(zip(own.tolist(), crc32s(vectors), strict=True), start):
                    transaction.add_vector(row, number.to_bytes(32, "big"), crc32, width=400, height=533)
                    transaction.put_image(f"{number:09}.jpg", row, FileStatus(30_000, 0, 0))


def compared(one: Collection, whole: Collection, queries: Vectors, right: NDArray[np.int64]) -> dict[str, Any]:
    """The median milliseconds and the recall of both, asked in turn."""
    searches: dict[str, Callable[..., lookalike.Matches]] = {"one": one.search_vector, "sharded": whole.search_vector}
    seconds = {name: list[float]() for name in searches}
    found = {name: list[int]() for name in searches}
    for query in queries[:20]:  # opens the files
        for search in searches.values():
            search(query, k=K)
    for query, best in zip(queries, right.tolist(), strict=True):
        for name, search in searches.items():
            begun = time.perf_counter()
            matches = search(query, k=K)
            seconds[name].append(time.perf_counter() - begun)
            found[name].append(len({int(match.key.removesuffix(".jpg")) for match in matches} & set(best)))
    medians = {name: statistics.median(each) * 1e3 for name, each in seconds.items()}
    recalls = {f"{name}_recall": round(sum(each) / (K * len(queries)), 4) for name, each in found.items()}
    times = {f"{name}_ms": round(median, 3) for name, median in medians.items()}
    return {**times, **recalls, "ratio": round(medians["sharded"] / medians["one"], 2)}


if __name__ == "__main__":
    main()

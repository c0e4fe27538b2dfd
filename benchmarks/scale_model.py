"""Predicts what many images take, on one machine and on a cluster, and compares its predictions with runs.

    python benchmarks/scale_model.py check                      # 10,000, 100,000 and 1,000,000 vectors, on this machine
    python benchmarks/scale_model.py cluster --images 1e9       # what a billion images take on sixteen machines

Sizes, build times and search times are those that `lookalike plan` estimates (`collection/estimates.py`). `check` makes
collections of synthetic vectors (search_vectors.py), builds their indexes and searches them. Sizes are to agree as they
are; of times, which are another machine's, only how they grow: they are set right at 100,000 vectors. All get an index,
also those that are searched exactly by default. `cluster` simulates the rest: parts of unequal length are dealt out to
workers of which some are lost, and a search ends when the last machine has answered.
"""

import heapq
import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import lookalike
import search_vectors
from lookalike.collection import estimates
from lookalike.index.policies import Policies, TuningPolicy
from lookalike.storage import files, layout
from search_contenders import K
from sharded_search import Given, fill

_POLICIES = Policies(TuningPolicy(exact_values=0))
_REFERENCE = 100_000  # vectors, at which the estimates are set right
_KEY = len(f"{0:09}.jpg")  # bytes of a key
_UNEQUAL = 0.15  # the standard deviation of the logarithm of a part's time, and of a shard's time for a query
_SHARD_MS, _NAMING_MS = 0.03, 0.1  # to ask a shard besides searching it, and to look up images in one
_SIMULATED = 2000  # queries
_GB, _TB, _HOUR = 1e9, 1e12, 3600.0


@click.group()
def main() -> None:
    """Predicts what many images take."""


# On one machine


@dataclass(frozen=True)
class Measured:
    """What a collection of so many vectors takes, or is predicted to take.

    Attributes:
        spec: of the index, "" without one.
        vector_bytes: on the disk.
        catalog_bytes: on the disk.
        index_bytes: on the disk and in memory.
        build_seconds: of the index.
        milliseconds: of a search for ten, without looking up the images.
    """

    spec: str
    vector_bytes: float
    catalog_bytes: float
    index_bytes: float
    build_seconds: float
    milliseconds: float


def predicted(count: int, dim: int) -> Measured:
    """What the estimates of `lookalike plan` say."""
    found = estimates.search_estimate(dim, count, count, None, _POLICIES)
    catalog = estimates.EMPTY_CATALOG + estimates.catalog_growth(count, count * _KEY)
    sizes = count * dim * 2, catalog, found.index_bytes
    return Measured(found.spec or "", *sizes, found.build_seconds, found.milliseconds)


def measured(count: int, dim: int, queries: int) -> Measured:
    """The same of a collection of synthetic vectors, made here."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        search_vectors.draw(top, count, dim, queries, seed=1)
        lookalike.create(top, directory=top / "made", encoder=Given(dim)).close()
        fill(top / "made", np.load(top / "vectors.npy", mmap_mode="r"), np.arange(count))
        with lookalike.open(top / "made", encoder=Given(dim), policies=_POLICIES) as collection:
            begun = time.perf_counter()
            built = collection.build()
            seconds = time.perf_counter() - begun
            milliseconds = _searched_ms(collection, np.load(top / "queries.npy"))
            vectors, catalog = (files.size(collection.directory / name) for name in (layout.VECTORS, layout.CATALOG))
            index = sum(path.stat().st_size for path in (collection.directory / "index").glob("*.faiss"))
            spec = built.spec if built else ""
            return Measured(spec, vectors, catalog, index, seconds if built else 0.0, milliseconds)


def _searched_ms(collection: lookalike.Collection, queries: np.ndarray) -> float:
    """The median time of a search by one vector, whose images are not looked up."""
    with collection._snapshots.current() as snapshot:
        pass
    options, taken = lookalike.SearchOptions(K), []
    for query in [*queries[:20], *queries]:
        begun = time.perf_counter()
        snapshot.search(query[None], options, snapshot.live)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[20:]) * 1e3


@main.command()
@click.option("--counts", default="10000,100000,1000000", show_default=True, help="Numbers of vectors.")
@click.option("--dim", default=256, show_default=True, help="Their dimension.")
@click.option("--queries", default=500, show_default=True, help="Number of queries.")
def check(counts: str, dim: int, queries: int) -> None:
    """Compares predictions with runs on this machine."""
    table = Table("vectors", "index", "vectors, MB", "catalog, MB", "index, MB", "build, s", "search, ms")
    numbers = [int(count) for count in counts.split(",")]
    rows = {count: (predicted(count, dim), measured(count, dim, queries)) for count in numbers}
    reference = rows[min(numbers, key=lambda count: abs(count - _REFERENCE))]
    slower = [getattr(reference[1], name) / getattr(reference[0], name) for name in ("build_seconds", "milliseconds")]
    for count, (said, found) in rows.items():
        times = said.build_seconds * slower[0], said.milliseconds * slower[1]
        table.add_row(
            f"{count:,}",
            found.spec if found.spec == said.spec else f"{found.spec} ({said.spec or 'none'})",
            *(
                _both(getattr(found, name) / 1e6, getattr(said, name) / 1e6)
                for name in ("vector_bytes", "catalog_bytes", "index_bytes")
            ),
            _both(found.build_seconds, times[0]),
            _both(found.milliseconds, times[1]),
        )
    Console(width=160).print(table)
    click.echo("Each: measured (predicted).")


def _both(found: float, said: float) -> str:
    return f"{found:,.3g} ({said:,.3g})" if found or said else ""


# On a cluster


@dataclass(frozen=True)
class Cluster:
    """A cluster, and what it indexes.

    Attributes:
        images: how many.
        shard: images of a shard.
        machines: how many.
        cores: of each machine.
        losses: workers that are lost in an hour, of each thousand.
        image_ms: of a core, to read, decode and encode an image.
        image_bytes: of a file.
    """

    images: int
    shard: int
    machines: int
    cores: int
    losses: float
    image_ms: float
    image_bytes: float

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return math.ceil(self.images / self.shard)

    @property
    def workers(self) -> int:
        """How many index at the same time, with a core each."""
        return self.machines * self.cores


def indexing_hours(cluster: Cluster, rng: np.random.Generator) -> float:
    """Hours until the last part is done, each part by the worker that is idle first; a lost part is done again."""
    usual = cluster.shard * cluster.image_ms / 1e3 / _HOUR
    waiting = list(usual * _unequal(rng, cluster.shards))
    workers = [0.0] * cluster.workers
    last = 0.0
    while waiting:
        hours, begun = waiting.pop(), heapq.heappop(workers)
        lost_after = rng.exponential(1000 / cluster.losses) if cluster.losses else math.inf
        if lost_after < hours:
            waiting.append(hours)
        last = max(last, begun + min(hours, lost_after))
        heapq.heappush(workers, begun + min(hours, lost_after))
    return last


def search_ms(cluster: Cluster, milliseconds: float, network_ms: float, rng: np.random.Generator) -> np.ndarray:
    """Milliseconds of simulated queries, of which each waits for the last of all machines.

    Args:
        cluster: whose shards are dealt out evenly.
        milliseconds: of a search in one shard.
        network_ms: to a machine and back.
        rng: draws how long each shard takes.
    """
    own = math.ceil(cluster.shards / cluster.machines)
    threads = min(cluster.cores, own)
    machines = min(cluster.machines, cluster.shards)
    taken = milliseconds * _unequal(rng, (_SIMULATED, machines, math.ceil(own / threads), threads))
    slowest: np.ndarray = taken.sum(axis=2).max(axis=(1, 2))
    slowest += own * _SHARD_MS + min(K, own) * _NAMING_MS + network_ms
    return slowest


def _unequal(rng: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
    """Factors around 1."""
    return rng.lognormal(-(_UNEQUAL**2) / 2, _UNEQUAL, shape)


@main.command()
@click.option("--images", default=1e9, show_default=True, help="Number of images.")
@click.option("--dim", default=1280, show_default=True, help="Dimension of their vectors.")
@click.option("--shard", default=1e6, show_default=True, help="Images of a shard.")
@click.option("--machines", default=16, show_default=True)
@click.option("--cores", default=32, show_default=True, help="Of each machine.")
@click.option("--losses", default=1.0, show_default=True, help="Workers lost in an hour, of each thousand.")
@click.option("--image-ms", default=4.0, show_default=True, help="Of a core, for an image: see index_speed.py.")
@click.option("--image-bytes", default=100e3, show_default=True, help="Of a file.")
@click.option("--slower", default=1.0, show_default=True, help="Than the estimates: see check.")
@click.option("--network-ms", default=0.5, show_default=True, help="To a machine and back.")
def cluster(
    images: float,
    dim: int,
    shard: float,
    machines: int,
    cores: int,
    losses: float,
    image_ms: float,
    image_bytes: float,
    slower: float,
    network_ms: float,
) -> None:
    """Says what so many images take on a cluster."""
    given = Cluster(int(images), int(shard), machines, cores, losses, image_ms, image_bytes)
    table = Table("", "of all", "of a machine", show_header=True)
    for row in _rows(given, dim, slower, network_ms):
        table.add_row(*row)
    Console(width=110).print(table)


def _rows(given: Cluster, dim: int, slower: float, network_ms: float) -> Iterator[tuple[str, str, str]]:
    rng = np.random.default_rng(1)
    own = predicted(given.shard, dim)
    each = given.shards / given.machines
    disk = own.vector_bytes + own.catalog_bytes + own.index_bytes
    encoding = given.images * given.image_ms / 1e3 / _HOUR
    building = given.shards * own.build_seconds * slower / _HOUR
    hours = indexing_hours(given, rng)
    found = search_ms(given, own.milliseconds * slower, network_ms, rng)
    busy_ms = given.shards * (own.milliseconds * slower + _SHARD_MS) / given.workers
    rate = given.images * given.image_bytes / (hours * _HOUR)
    yield "shards", f"{given.shards:,}", f"{each:,.1f}"
    yield "index of a shard", own.spec or "none", ""
    yield "encoding, hours of cores", f"{encoding:,.0f}", f"{encoding / given.machines:,.0f}"
    yield "encoding, hours", f"{hours:,.1f}", f"{encoding / given.workers:,.1f} without waiting"
    yield "reading meanwhile, MB/s", f"{rate / 1e6:,.0f}", f"{rate / given.machines / 1e6:,.0f}"
    yield "building indexes, hours", f"{building:,.1f}", f"{building / given.machines:,.1f}"
    yield "disk, TB", f"{given.shards * disk / _TB:,.2f}", f"{each * disk / _TB:,.2f}"
    yield (
        "memory for indexes, GB",
        f"{given.shards * own.index_bytes / _GB:,.0f}",
        f"{each * own.index_bytes / _GB:,.1f}",
    )
    half, most = np.percentile(found, (50, 99))
    yield "a search, ms", f"{half:,.1f} (99 of 100: {most:,.1f})", ""
    yield "searches a second", f"{1e3 / busy_ms:,.0f}", ""


if __name__ == "__main__":
    main()

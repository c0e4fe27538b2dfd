"""Measures search by vector: the recall, time, memory and build time of Lookalike and of other installed libraries.

    python benchmarks/search_speed.py [VECTORS.npy]
    python benchmarks/search_speed.py --vectors 1000000 --only lookalike,numpy
    pip install hnswlib usearch autofaiss        # those that are missing are left out

The queries are drawn like the vectors and are not among those that are searched. Recall is the share of the ten
nearest, by exact comparison of the same half-precision vectors, that is found. Lookalike chooses its search parameters
by its own target recall; hnswlib and usearch get the smallest ef that reaches the same recall with these queries (or
0.99 if Lookalike's search is exact). Each is built in one process and loaded in another; "memory" is by how much the
anonymous memory of the latter has grown after it has loaded and searched a hundred times. What Lookalike maps from the
disk comes on top of that, in the system's file cache.

Single queries run on one thread, including the BLAS below NumPy. Batches give all queries at once to all cores.
"""

import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from rich.console import Console
from rich.table import Column, Table

from lookalike.storage.rows import Rows
from lookalike.storage.vectors import Vectors
from search_contenders import CORES, Built, Contender, K, contenders
from search_vectors import draw, nearest, take

_SINGLES_S = 20.0  # seconds after which no more single queries are measured
_EXACT_TARGET = 0.99  # recall that others have to reach if Lookalike's is 1
_BLAS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Measured:
    """The measurements of one contender.

    Attributes:
        name: of the contender.
        settings: what it was given, and what it has chosen.
        recall: the mean share of the ten nearest that it finds.
        recall_within: the same for queries that are in the collection, each left out of its own answer.
        milliseconds: the median time of a query, one at a time on one thread.
        queries_per_second: in batches, on all cores.
        memory_bytes: the anonymous memory for each vector; None if the system does not report it.
        mapped_bytes: the size of mapped files for each vector.
        process_bytes: the anonymous memory of the whole process that searches; None if the system does not report it.
        build_seconds: on all cores.
    """

    name: str
    settings: str
    recall: float
    recall_within: float | None
    milliseconds: float
    queries_per_second: float
    memory_bytes: float | None
    mapped_bytes: float
    process_bytes: int | None
    build_seconds: float


@click.command()
@click.argument("vectors", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--vectors", "count", default=180_000, show_default=True, help="Number of vectors to search.")
@click.option("--dim", default=1280, show_default=True, help="Dimension of the vectors, if they are drawn.")
@click.option("--queries", default=1000, show_default=True, help="Number of queries.")
@click.option("--seed", default=0, show_default=True, help="Seed of what is drawn.")
@click.option("--spec", help="FAISS index factory string of Lookalike's index [default: its own choice].")
@click.option(
    "--only", help="First letters of the contenders, such as lookalike,numpy [default: all that are installed]."
)
@click.option(
    "--place", type=click.Path(exists=True, file_okay=False), help="Folder for large files [default: temporary]."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
def main(
    vectors: Path | None,
    count: int,
    dim: int,
    queries: int,
    seed: int,
    spec: str | None,
    only: str | None,
    place: str | None,
    as_json: bool,
) -> None:
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name)
        size = take(vectors, folder, count, queries, seed) if vectors else draw(folder, count, dim, queries, seed)
        results: list[Measured] = []
        for contender in chosen(spec, only):
            try:
                results.append(measured(contender, folder, results[0] if results else None))
            except Exception as error:
                if not results:  # Lookalike sets the recall for the others
                    raise
                click.echo(f"{contender.name} fails, so it is left out: {error}", err=True)
            else:
                show(results[-1], as_json=as_json)
    if not as_json:
        print_table(results, *size, queries)


def chosen(spec: str | None, only: str | None) -> list[Contender]:
    """The contenders that were asked for and are installed; Lookalike, which sets the recall for the others, always."""
    first, *others = contenders(spec)
    wanted = tuple(only.lower().split(",")) if only else ("",)
    others = [contender for contender in others if contender.name.lower().startswith(wanted)]
    for library in sorted({each.library for each in others if not find_spec(each.library)}):
        click.echo(f"{library} is not installed, so it is left out", err=True)
    return [first, *(contender for contender in others if find_spec(contender.library))]


# Measuring


def measured(contender: Contender, folder: Path, reference: Measured | None) -> Measured:
    """Builds in one process, and searches in another; `reference` sets the recall that has to be reached."""
    if not (folder / "nearest.npy").exists():
        np.save(folder / "nearest.npy", in_a_process(nearest, folder))
    built = in_a_process(build, contender, folder)
    target = 0.0 if reference is None else reference.recall if reference.recall < 1 - 1e-3 else _EXACT_TARGET
    return in_a_process(search, contender, folder, built, target, blas_threads=1)


def in_a_process(work: Callable[..., _Result], *arguments: object, blas_threads: int | None = None) -> _Result:
    """Does some work in a new process, with at most that many threads for BLAS."""
    before = {name: os.environ.get(name) for name in _BLAS}
    if blas_threads:
        os.environ.update(dict.fromkeys(_BLAS, str(blas_threads)))
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            return pool.submit(work, *arguments).result()
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def build(contender: Contender, folder: Path) -> Built:
    """Builds from the vectors in a folder."""
    return contender.build(np.load(folder / "vectors.npy", mmap_mode="r"), folder)


def search(contender: Contender, folder: Path, built: Built, target: float) -> Measured:
    """Loads what has been built, and measures it at the smallest ef that reaches the target recall."""
    queries, truth = np.load(folder / "queries.npy"), np.load(folder / "nearest.npy")
    count = len(np.load(folder / "vectors.npy", mmap_mode="r"))
    before = anonymous_bytes()
    contender.load(folder)
    for query in queries[:100]:
        contender.search(query[None], contender.efs[0], 1)
    after = anonymous_bytes()
    ef, recall = smallest_ef(contender, queries, truth, target)
    milliseconds = median_ms(lambda query: contender.search(query, ef, 1), queries)
    return Measured(
        name=contender.name,
        settings=built.settings + (f", ef {ef}" if len(contender.efs) > 1 else ""),
        recall=recall,
        recall_within=built.recall_within,
        milliseconds=milliseconds,
        queries_per_second=rate(lambda: contender.search(queries, ef, CORES), len(queries)),
        memory_bytes=(after - before) / count if after and before else None,
        mapped_bytes=built.mapped_bytes / count,
        process_bytes=after,
        build_seconds=built.seconds,
    )


def smallest_ef(contender: Contender, queries: Vectors, truth: Rows, target: float) -> tuple[int, float]:
    """The smallest ef that reaches the target recall, or else the largest one, and the recall that it reaches."""
    ef, recall = 0, 0.0
    for ef in contender.efs:
        found = np.concatenate([contender.search(query[None], ef, 1) for query in queries])
        recall = float(np.mean([len(set(near) & set(true)) / K for near, true in zip(found, truth, strict=True)]))
        if recall >= target:
            break
    return ef, recall


def median_ms(work: Callable[[Vectors], object], queries: Vectors) -> float:
    """The median time of a query, one at a time."""
    seconds: list[float] = []
    began = time.perf_counter()
    for query in queries:
        start = time.perf_counter()
        work(query[None])
        seconds.append(time.perf_counter() - start)
        if time.perf_counter() - began > _SINGLES_S:
            break
    return statistics.median(seconds) * 1e3


def rate(work: Callable[[], object], queries: int) -> float:
    """Queries per second, the best of three runs."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return queries / min(seconds)


def anonymous_bytes() -> int | None:
    """The memory of this process that maps no file; None if the system does not report it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), None)


# Output


def show(result: Measured, *, as_json: bool) -> None:
    """Prints the measurements as JSON, or else the settings, which the table leaves out."""
    if as_json:
        click.echo(json.dumps(asdict(result)))
    else:
        within = (
            "" if result.recall_within is None else f"; recall of queries in the collection {result.recall_within:.3f}"
        )
        click.echo(f"{result.name}: {result.settings}{within}")


def print_table(results: list[Measured], count: int, dim: int, queries: int) -> None:
    """Prints a line for each contender."""
    table = Table(Column("", no_wrap=True), title=f"{count:,} x {dim}, {queries:,} queries, {CORES} cores")
    columns = ("recall@10", "ms a query", "queries/s", "bytes a vector", "mapped", "process, MB", "build, s")
    for column in columns:
        table.add_column(column, justify="right")
    for result in results:
        table.add_row(result.name, *cells(result))
    Console(width=120).print(table)


def cells(result: Measured) -> list[str]:
    """The cells of a contender's line."""

    def known(value: Any, text: str) -> str:
        return "" if value is None else text.format(value)

    return [
        f"{result.recall:.3f}",
        f"{result.milliseconds:.2f}",
        f"{result.queries_per_second:,.0f}",
        known(result.memory_bytes, "{:,.0f}"),
        f"{result.mapped_bytes:,.0f}",
        known(result.process_bytes and result.process_bytes / 1e6, "{:,.0f}"),
        f"{result.build_seconds:.1f}",
    ]


if __name__ == "__main__":
    main()

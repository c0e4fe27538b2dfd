"""Measures how long a search takes: in a new process, in a running one, and as a collection grows.

    python benchmarks/search_latency.py [FOLDER_OF_PHOTOS]
    python benchmarks/search_latency.py --largest 10000000        # needs 2.6 GB of disk for each million

Images are searched by path: decode, encode, compare, look up. The large collections hold random vectors, written as
they are stored; they are only opened, and one of them is searched by the id of an image.
"""

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import faiss
import numpy as np
from rich.console import Console
from rich.table import Table

import lookalike
from lookalike import Collection, demo
from lookalike.images.reading import FileStatus
from lookalike.storage import layout
from lookalike.storage.catalog import Catalog
from lookalike.storage.checksums import crc32s
from lookalike.storage.vectors import VectorWriter

DIM = 1280
SIZES = (0, 10_000, 100_000, 1_000_000)
EXACT_ROWS = 100_000
BLOCK = 10_000  # vectors at a time


@dataclass(frozen=True)
class Measured:
    """The times of repeated runs, in milliseconds."""

    name: str
    milliseconds: list[float]

    def facts(self) -> dict[str, Any]:
        """The number of runs, the median and the 95th percentile, for JSON."""
        median, high = np.percentile(self.milliseconds, [50, 95])
        return {"name": self.name, "runs": len(self.milliseconds), "median_ms": float(median), "p95_ms": float(high)}


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--largest", default=SIZES[-1], show_default=True, help="Rows of the largest collection to open.")
@click.option(
    "--place", type=click.Path(exists=True, file_okay=False), help="Folder for collections [default: temporary]."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(folder: Path | None, largest: int, place: str | None, as_json: bool) -> None:
    with tempfile.TemporaryDirectory(dir=place) as directory:
        results = [*of_images(folder, Path(directory)), *of_rows(Path(directory), largest)]
    if as_json:
        for result in results:
            click.echo(json.dumps(result.facts()))
        return
    table = Table("")
    for column in ("runs", "median, ms", "95th percentile, ms"):
        table.add_column(column, justify="right")
    for facts in (result.facts() for result in results):
        table.add_row(facts["name"], str(facts["runs"]), f"{facts['median_ms']:.1f}", f"{facts['p95_ms']:.1f}")
    Console().print(table)


def repeated(name: str, work: Callable[[], object], *, runs: int) -> Measured:
    """Measures some work that many times."""
    milliseconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        milliseconds.append((time.perf_counter() - start) * 1e3)
    return Measured(name, milliseconds)


def of_images(folder: Path | None, root: Path) -> Iterator[Measured]:
    """Searches by the path of an image, in new processes and in this one."""
    if folder is None:
        folder = root / "gallery"
        demo.write_gallery(folder)
    with lookalike.create(folder, directory=root / "images") as collection:
        collection.add(folder)
        paths = [match.path for match in collection.search_id(1, k=200) if match.path]
        queries = itertools.cycle(paths)
        query = [sys.executable, "-m", "lookalike", "search", str(paths[0]), "-c", str(collection.directory), "--json"]
        yield repeated(
            f"lookalike search, a new process, {len(collection)} images",
            lambda: subprocess.run(query, check=True, stdout=subprocess.DEVNULL),
            runs=11,
        )
        collection.search(paths[0])
        yield repeated(f"search(path), {len(collection)} images", lambda: collection.search(next(queries)), runs=200)


def of_rows(root: Path, largest: int) -> Iterator[Measured]:
    """Opens collections of growing size, and searches one of them."""
    collection = root / "rows"
    lookalike.create(root, directory=collection, precision="f32").close()
    held = 0
    for size in sorted({*(size for size in SIZES if size < largest), largest}):
        fill(collection, held, size)
        held = size
        yield repeated(f"open, {size:,} rows", lambda: lookalike.open(collection).close(), runs=21)
        with lookalike.open(collection) as opened:
            if size == EXACT_ROWS:
                yield exact_search(opened, size)


def exact_search(collection: Collection, size: int) -> Measured:
    """Searches for neighbours of images of the collection, on one thread."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    ids = iter(np.random.default_rng(1).integers(1, size + 1, 101).tolist())
    collection.search_id(next(ids))
    result = repeated(f"search_id, exact, {size:,} rows, one thread", lambda: collection.search_id(next(ids)), runs=100)
    faiss.omp_set_num_threads(threads)
    return result


def fill(directory: Path, held: int, size: int) -> None:
    """Adds images with a random vector each to a collection of `held` images until there are `size` of them."""
    rng = np.random.default_rng(size)
    catalog = Catalog(directory / layout.CATALOG)
    with closing(catalog), closing(VectorWriter(directory / layout.VECTORS, DIM, held)) as writer:
        for start in range(held, size, BLOCK):
            vectors = rng.standard_normal((min(BLOCK, size - start), DIM), np.float32)
            stored = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
            writer.append(stored)
            with catalog.writing() as transaction:
                for row, crc32 in enumerate(crc32s(stored), start):
                    transaction.add_vector(row, row.to_bytes(32, "big"), crc32, width=400, height=533)
                    transaction.put_image(f"{row:09}.jpg", row, FileStatus(30_000, 0, 0))


if __name__ == "__main__":
    main()

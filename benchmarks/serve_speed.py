"""Measures a service beside the same calls in Python: by id, by vector and by upload, with 1, 8 and 64 clients.

    python benchmarks/serve_speed.py [FOLDER_OF_PHOTOS] [--seconds 5] [--json]

`lookalike serve` runs as a process of its own, with its usual settings; this process is its clients. Their CPU time is
printed, since clients and service share the machine: `taskset -c 0,1` gives both together two cores. In Python, as many
threads as there are cores make the calls; "embed" is an image decoded and encoded without a search, "encode" the model
alone on decoded images. HTTP and Python take turns, and each figure is the median of the rounds.
"""

import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import lookalike
from lookalike import Collection, demo, encoders
from lookalike.images.decode import decode
from lookalike.system.resources import cores

sys.path.append(str(Path(__file__).parents[1]))
from tests.support.http_load import load, request
from tests.support.service_process import ServiceProcess, serving

CLIENTS = (1, 8, 64)
ENCODED = 256  # decoded images that the model alone is given
K = 10

Call = Callable[[], object]


@dataclass(frozen=True)
class Measured:
    """A figure: what was called how, by how many, and how long it took.

    Attributes:
        call: "by id", "by vector", "by upload", "embed", "encode".
        way: "HTTP" or "Python".
        clients: the number of connections or threads.
        p50_ms, p99_ms: the times of one call in milliseconds.
        per_second: the rate of all together.
        cpu_ms: the CPU time of one call in milliseconds: of the service, or of this process. It does not depend on what
            else the machine does.
        client_cpu_ms: likewise, that of the clients.
        failed: the number of answers that were none.
    """

    call: str
    way: str
    clients: int
    p50_ms: float
    p99_ms: float
    per_second: float
    cpu_ms: float
    client_cpu_ms: float = 0.0
    failed: int = 0


@dataclass(frozen=True)
class Queries:
    """What is searched for, once as requests and once as calls; each gives the next one."""

    requests: dict[str, Callable[[], bytes]]
    calls: dict[str, Call]

    @classmethod
    def of(cls, collection: Collection, files: Sequence[bytes]) -> "Queries":
        """Queries of the images of a collection, and of these files."""
        ids = [image.id for image in collection.images(limit=len(collection))]
        vectors = [collection.embed(data)[0] for data in files[:64]]
        texts = [json.dumps([round(float(value), 6) for value in vector]) for vector in vectors]
        kind = "application/json"
        by_id = [request("POST", "/v1/search", kind, b'{"positive":[{"id":%d}],"k":%d}' % (each, K)) for each in ids]
        by_vector = [
            request("POST", "/v1/search", kind, f'{{"positive":[{{"vector":{text}}}],"k":{K}}}'.encode())
            for text in texts
        ]
        by_upload = [request("POST", f"/v1/search?k={K}", "image/jpeg", data) for data in files]
        return cls(
            {"by id": _cycle(by_id), "by vector": _cycle(by_vector), "by upload": _cycle(by_upload)},
            {
                "by id": _calls(partial(collection.search_id, k=K), ids),
                "by vector": _calls(partial(collection.search_vector, k=K), vectors),
                "by upload": _calls(partial(collection.search, k=K), files),
                "embed": _calls(collection.embed, files),
            },
        )


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--seconds", default=5.0, show_default=True, help="For each figure of a round.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(folder: Path | None, seconds: float, rounds: int, as_json: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        results = list(measured(folder, Path(place), seconds=seconds, rounds=rounds))
    if as_json:
        for result in results:
            click.echo(json.dumps(vars(result)))
        return
    show(results)


def measured(folder: Path | None, place: Path, *, seconds: float, rounds: int) -> Iterator[Measured]:
    """Makes a collection of a folder, or of drawn images, serves it, and measures both."""
    if folder is None:
        folder = place / "gallery"
        demo.write_gallery(folder)
    with lookalike.create(folder, directory=place / "collection") as collection:
        collection.add(folder)
        collection.warm_up(threads=cores())
        images = collection.images(limit=len(collection))
        queries = Queries.of(collection, [image.path.read_bytes() for image in images[:ENCODED]])
        encoder = encoders.load(threads=cores())
        pixels = [decode(image.path.read_bytes(), encoder.preprocessing).pixels[None] for image in images[:ENCODED]]
        encode = _calls(encoder.encode, pixels)
        with serving("-c", place / "collection", log=place / "log") as service:
            list(_round(service, queries, encode, 0.5))  # warm
            figures = [list(_round(service, queries, encode, seconds)) for _ in range(rounds)]
    for same in zip(*figures, strict=True):
        yield _median(same)


def _round(service: ServiceProcess, queries: Queries, encode: Call, seconds: float) -> Iterator[Measured]:
    for call, next_request in queries.requests.items():
        for clients in CLIENTS:
            yield over_http(service, call, next_request, clients, seconds)
        for threads in sorted({1, cores()}):
            yield in_python(call, queries.calls[call], threads, seconds)
    for name, work in (("embed", queries.calls["embed"]), ("encode", encode)):
        yield in_python(name, work, cores(), seconds)


def over_http(
    service: ServiceProcess, call: str, next_request: Callable[[], bytes], clients: int, seconds: float
) -> Measured:
    """Has so many clients send requests, each the next one when it has its answer."""
    cpu_s = service.cpu_seconds()
    made = asyncio.run(load(service.port, next_request, clients=clients, seconds=seconds))
    count = made.statuses.total()
    cpu_ms, own_ms = (each / count * 1e3 for each in (service.cpu_seconds() - cpu_s, made.own_cpu_s))
    p50, p99 = (made.milliseconds(share) for share in (0.5, 0.99))
    return Measured(call, "HTTP", clients, p50, p99, made.rate(), cpu_ms, own_ms, count - made.statuses[200])


def in_python(call: str, work: Call, threads: int, seconds: float) -> Measured:
    """Has so many threads make calls."""
    begun, cpu_s = time.perf_counter(), time.process_time()
    until = begun + seconds

    def run(_: int) -> list[float]:
        times = []
        while (start := time.perf_counter()) < until:
            work()
            times.append(time.perf_counter() - start)
        return times

    with ThreadPoolExecutor(threads) as pool:
        times = list(itertools.chain.from_iterable(pool.map(run, range(threads))))
    took_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu_s
    p50, p99 = (float(np.quantile(times, share)) * 1e3 for share in (0.5, 0.99))
    return Measured(call, "Python", threads, p50, p99, len(times) / took_s, cpu_s / len(times) * 1e3)


def _median(figures: Sequence[Measured]) -> Measured:
    names = ("p50_ms", "p99_ms", "per_second", "cpu_ms", "client_cpu_ms")
    middle = {name: float(np.median([getattr(figure, name) for figure in figures])) for name in names}
    first = figures[0]
    return Measured(first.call, first.way, first.clients, failed=sum(each.failed for each in figures), **middle)


def _cycle(requests: Sequence[bytes]) -> Callable[[], bytes]:
    return itertools.cycle(requests).__next__


def _calls(call: Callable[[Any], object], queries: Sequence[Any]) -> Call:
    given = itertools.cycle(queries)
    return lambda: call(next(given))


def show(results: Sequence[Measured]) -> None:
    """Prints a table, and what the service reaches of what is asked of it."""
    table = Table("call", "way")
    for column in ("clients", "p50 ms", "p99 ms", "a second", "CPU ms", "clients' CPU ms", "failed"):
        table.add_column(column, justify="right")
    for each in results:
        times = f"{each.p50_ms:.2f}", f"{each.p99_ms:.2f}", f"{each.per_second:.0f}"
        cpu = f"{each.cpu_ms:.2f}", f"{each.client_cpu_ms:.2f}" if each.way == "HTTP" else ""
        table.add_row(each.call, each.way, str(each.clients), *times, *cpu, str(each.failed))
    Console().print(table)
    by = {(each.call, each.way, each.clients): each for each in results}
    layer = by["by id", "HTTP", 1].p50_ms - by["by id", "Python", 1].p50_ms
    uploads = max(by["by upload", "HTTP", clients].per_second for clients in CLIENTS)
    click.echo(f"By id, HTTP takes {layer:.2f} ms more at the median.")
    for name in ("embed", "encode"):
        click.echo(f"Uploads reach {uploads / by[name, 'Python', cores()].per_second:.2f} of {name} alone.")


if __name__ == "__main__":
    main()

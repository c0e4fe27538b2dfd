"""Measures how long it takes to find the copies among many images, and again after some have come.

    python benchmarks/copies_speed.py FOLDER [--images 100000] [--more 100]

Pictures are drawn into the folder, and three of ten of them are edited copies of others, each in one of the ways of
`copy_edits.py`; what is there from an earlier run stays. They are indexed, and all copies are found, then more
pictures are drawn and indexed, and copies are found again. Each step runs in a process of its own. Of each, the
seconds, the processor time of it and of the processes it starts, and the memory that it and the largest of these took
at their most are printed.
"""

import io
import random
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np

import lookalike
from copy_edits import EDITS
from lookalike.demo import KINDS, draw
from lookalike.system.resources import cores

_SIDE = 224
_EDITED = 0.3  # of the pictures are copies of others
_IN_FOLDER = 1000
_MIB = 2**20


@dataclass(frozen=True)
class Measured:
    """What a step took."""

    said: str
    seconds: float
    cpu_s: float
    own_bytes: int
    child_bytes: int

    def __str__(self) -> str:
        memory = f"{self.own_bytes / _MIB:,.0f} MiB, its largest process {self.child_bytes / _MIB:,.0f}"
        return f"{self.said}: {self.seconds:,.1f} s, {self.cpu_s:,.1f} s of processors; {memory}"


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--images", default=100_000, show_default=True, help="Pictures in the folder, copies included.")
@click.option("--more", default=100, show_default=True, help="Pictures that come after that.")
def main(folder: Path, images: int, more: int) -> None:
    click.echo(_in_process(_draw, folder, range(images)))
    click.echo(_in_process(_index, folder))
    click.echo(_in_process(_duplicates, folder))
    click.echo(_in_process(_draw, folder, range(images, images + more)))
    click.echo(_in_process(_index, folder))
    click.echo(_in_process(_duplicates, folder))


def _in_process(step: Callable[..., str], *given: object) -> Measured:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # in a forked process, FAISS has one thread
        return pool.submit(_measured, step, given).result()


def _measured(step: Callable[..., str], given: Sequence[object]) -> Measured:
    begun = time.perf_counter()
    said = step(*given)
    seconds = time.perf_counter() - begun
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return Measured(said, seconds, cpu_s, own.ru_maxrss * 1024, children.ru_maxrss * 1024)


def _draw(folder: Path, numbers: range) -> str:
    missing = [number for number in numbers if not _path(folder, number).exists()]
    for name in {_path(folder, number).parent for number in missing}:
        name.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(cores()) as pool:
        for _ in pool.map(_write, [folder] * len(missing), missing, chunksize=200):
            pass
    return f"{len(missing)} pictures drawn"


def _write(folder: Path, number: int) -> None:
    """Writes a picture of its own, or an edited copy of an earlier one that is not itself a copy."""
    chance = random.Random(number)
    edited = number % 10 < _EDITED * 10 and number >= 10
    original = 10 * chance.randrange(number // 10) + chance.randrange(int(_EDITED * 10), 10) if edited else number
    rng = np.random.default_rng(original)
    image = draw(sorted(KINDS)[original % len(KINDS)], rng, _SIDE)
    if edited:
        image = EDITS[chance.choice(list(EDITS))](image, chance).convert("RGB")
    data = io.BytesIO()
    image.save(data, "JPEG", quality=88)
    _path(folder, number).write_bytes(data.getvalue())


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number // _IN_FOLDER:03}" / f"{number:06}.jpg"


def _index(folder: Path) -> str:
    with lookalike.create(folder) if not (folder / ".lookalike").exists() else lookalike.open(folder) as collection:
        report = collection.add(folder)
        collection.maintain()
        return f"indexed: {report.added:,} new images"


def _duplicates(folder: Path) -> str:
    with lookalike.open(folder) as collection:
        found = collection.duplicates()
        groups = f"{found.copies:,} copies in {len(found.groups):,} groups"
        return f"looked through {found.images:,} images: {found.compared:,} pairs compared, {groups}"


if __name__ == "__main__":
    main()

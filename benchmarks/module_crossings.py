"""Counts how often a search and an `add` move from one module of Lookalike's to another.

    python benchmarks/module_crossings.py [--trace]

A crossing is a call of a function in one module of Lookalike's by a function in another one; whatever libraries run in
between does not count. Calls are counted in all threads.
"""

import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click
import numpy as np
from PIL import Image

import lookalike

PACKAGE = str(Path(lookalike.__file__).parent)


def module_of(frame: FrameType | None) -> str | None:
    """The innermost module of Lookalike's that this frame or one of its callers belongs to."""
    while frame:
        if frame.f_code.co_filename.startswith(PACKAGE):
            return Path(frame.f_code.co_filename).relative_to(PACKAGE).as_posix()
        frame = frame.f_back
    return None


@contextmanager
def crossings() -> Iterator[Counter[tuple[str, str, str]]]:
    """Counts (calling module, called module, function) while it is open."""
    counted: Counter[tuple[str, str, str]] = Counter()

    def count(frame: FrameType, event: str, _argument: Any) -> None:
        if event != "call" or not frame.f_code.co_filename.startswith(PACKAGE):
            return
        if frame.f_code.co_code[frame.f_lasti + 1] != 0:  # the argument of RESUME: a generator goes on
            return
        caller, called = module_of(frame.f_back), module_of(frame)
        if caller and called and caller != called:
            counted[caller, called, frame.f_code.co_qualname] += 1

    threading.setprofile(count)
    sys.setprofile(count)
    try:
        yield counted
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def draw(path: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    Image.fromarray(pixels).save(path)
    return path


def report(name: str, work: Callable[[], object], *, trace: bool) -> None:
    with crossings() as counted:
        work()
    print(f"{name}: {counted.total()} crossings")
    if trace:
        for (caller, called, function), times in counted.most_common():
            print(f"  {times:>3}  {caller} -> {called}: {function}")


@click.command()
@click.option("--trace", is_flag=True, help="List the crossings.")
def main(trace: bool) -> None:
    """Count crossings between modules."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        paths = [draw(folder / f"{seed}.png", seed) for seed in range(12)]
        photos = lookalike.create(folder)
        photos.add(folder, threads=1)
        photos.search(paths[0])
        report("search(path), warm, no index", lambda: photos.search(paths[1]), trace=trace)
        new = [draw(folder / f"new-{seed}.png", 100 + seed) for seed in range(4)]
        report("add(4 files)", lambda: photos.add(new, threads=1), trace=trace)


if __name__ == "__main__":
    main()

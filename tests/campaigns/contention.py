"""A writer in a process of its own, beside threads and processes that search without a pause.

    python -m tests.campaigns.contention --seconds 60 --threads 16 --processes 4

Neither may hold the other up: the writer adds images one commit each, and no search waits for more than two seconds or
fails. The number of images added with no searcher, and with all of them, is printed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import lookalike
from lookalike import Collection
from lookalike.storage import sqlite
from tests.support.pictures import ColourEncoder, draw, picture
from tests.support.project import environment

IMAGES = 300
LONGEST_WAIT_S = 2.0


@dataclass
class Tally:
    """What the searchers have met.

    Attributes:
        searches: the number of searches.
        longest_s: the longest that one took.
        failures: the errors.
    """

    searches: int = 0
    longest_s: float = 0.0
    failures: list[str] = field(default_factory=list)

    def search(self, photos: Collection, seed: int) -> None:
        """Searches once, and notes how long it took."""
        begun = time.monotonic()
        try:
            photos.search(picture(seed % IMAGES), k=10)
        except Exception as error:
            self.failures.append(f"{type(error).__name__}: {error}")
        self.searches += 1
        self.longest_s = max(self.longest_s, time.monotonic() - begun)

    def __add__(self, other: "Tally") -> "Tally":
        longest = max(self.longest_s, other.longest_s)
        return Tally(self.searches + other.searches, longest, self.failures + other.failures)


@dataclass
class Outcome:
    """The number of images that the writer has added, and what the searchers have met."""

    added: int
    tally: Tally

    def __str__(self) -> str:
        tally = self.tally
        return (
            f"{self.added} images added, {tally.searches} searches, the longest {tally.longest_s:.2f} s,"
            f" {len(tally.failures)} failures {tally.failures[:3]}"
        )


def run(root: Path, *, seconds: float, threads: int, processes: int, wal: bool = False) -> Outcome:
    """Writes and searches for that many seconds; `wal` decides what kind of journal the catalog keeps."""
    folder = root / f"photos-{threads}-{processes}"
    for seed in range(IMAGES):
        draw(folder / f"{seed:04}.png", seed)
    with mock.patch.object(sqlite, "_WAL_IS_SAFE", wal):
        photos = lookalike.create(folder, encoder=ColourEncoder())
    with photos:
        photos.add(folder)
        tallies = [Tally() for _ in range(threads)]
        with searching_threads(photos, tallies), others(folder, "search", seconds, processes) as found:
            added = json.loads(subprocess.run(command(folder, "write", seconds), **OPTIONS).stdout)  # type: ignore[call-overload]
        return Outcome(added, sum([*tallies, *found], Tally()))


OPTIONS = {"env": environment(), "stdout": subprocess.PIPE, "text": True, "check": True}


def command(folder: Path, role: str, seconds: float) -> list[str]:
    """The command of a process that writes or searches."""
    return [sys.executable, "-m", "tests.campaigns.contention", "--role", role, str(folder), "--seconds", str(seconds)]


@contextmanager
def searching_threads(photos: Collection, tallies: list[Tally]) -> Iterator[None]:
    """One thread for each tally, which searches without a pause."""
    ended = threading.Event()

    def search(tally: Tally, number: int) -> None:
        while not ended.is_set():
            tally.search(photos, number + tally.searches)

    threads = [threading.Thread(target=search, args=pair) for pair in zip(tallies, range(len(tallies)), strict=True)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@contextmanager
def others(folder: Path, role: str, seconds: float, count: int) -> Iterator[list[Tally]]:
    """Processes that search, and what they have met, which is known at the end."""
    started = [subprocess.Popen(command(folder, role, seconds), stdout=subprocess.PIPE, text=True, env=environment())
               for _ in range(count)]  # fmt: skip
    found: list[Tally] = []
    yield found
    for process in started:
        output, _ = process.communicate()
        found.append(Tally(**json.loads(output)))


def write(folder: Path, seconds: float) -> int:
    """Adds and removes one image after the other, each in a commit of its own; returns the number added."""
    until, added = time.monotonic() + seconds, 0
    with lookalike.open(folder, encoder=ColourEncoder()) as photos:
        while time.monotonic() < until:
            path = draw(folder / "new.png", IMAGES + added)
            added += photos.add([path], threads=1).added
            photos.remove([path])
    return added


def search(folder: Path, seconds: float) -> Tally:
    """Searches without a pause."""
    until, tally = time.monotonic() + seconds, Tally()
    with lookalike.open(folder, encoder=ColourEncoder()) as photos:
        while time.monotonic() < until:
            tally.search(photos, tally.searches)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--role", choices=["write", "search"], help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--wal", action="store_true", help="the catalog keeps a write-ahead log")
    options = parser.parse_args()
    if options.role == "write":
        print(json.dumps(write(options.folder, options.seconds)))
    elif options.role == "search":
        print(json.dumps(vars(search(options.folder, options.seconds))))
    else:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name).resolve()
            print("alone:", run(root, seconds=options.seconds, threads=0, processes=0, wal=options.wal))
            counts = {"threads": options.threads, "processes": options.processes}
            print(counts, run(root, seconds=options.seconds, **counts, wal=options.wal))


if __name__ == "__main__":
    main()

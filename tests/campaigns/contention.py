"""A writer in a process of its own, beside threads and processes that search without a pause.

    python -m tests.campaigns.contention --seconds 60

Neither may hold the other up: the writer adds and removes images, one commit each; nobody waits for more than two
seconds, no search fails, and beside the threads of one process the writer keeps a third of its speed. Each number of
searchers is tried with a rollback journal and with a write-ahead log; then with a searcher that is stopped (SIGSTOP),
and with searches for 10,000 images at once.

The searchers also take the processor from the writer, as any other work would. So each number is tried once more with
searchers of another collection, which share nothing with the writer but the processor.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import lookalike
from lookalike import Collection
from lookalike.storage import sqlite
from tests.support.pictures import ColourEncoder, draw, picture
from tests.support.project import environment
from tests.support.threads import working

IMAGES = 300
LONG_SEARCH = 10_000  # images
LONGEST_WAIT_S = 2.0
LEAST_SHARE = 1 / 3  # of the images that are added beside nobody, beside the threads of one process


@dataclass(frozen=True)
class Searchers:
    """How many search at once.

    Attributes:
        threads: in the process that has opened the collection first.
        processes: of their own.
        stopped: one of those is stopped while it searches.
        long: one more thread searches for many images at once.
        elsewhere: they search another collection.
    """

    threads: int = 0
    processes: int = 0
    stopped: bool = False
    long: bool = False
    elsewhere: bool = False

    def __str__(self) -> str:
        kinds = {"one stopped": self.stopped, "a long search": self.long, "of another collection": self.elsewhere}
        chosen = [kind for kind, is_so in kinds.items() if is_so]
        return ", ".join([f"{self.threads} threads and {self.processes} processes", *chosen])


ALL = (
    *(Searchers(threads) for threads in (0, 1, 4, 16)),
    Searchers(16, 4),
    Searchers(16, 4, elsewhere=True),
    Searchers(1, 1, stopped=True),
    Searchers(1, long=True),
)


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

    def search(self, photos: Collection) -> None:
        """Searches once, and notes how long it took."""
        begun = time.monotonic()
        try:
            photos.search(picture(self.searches % IMAGES), k=10)
        except Exception as error:
            self.failures.append(f"{type(error).__name__}: {error}")
        self.searches += 1
        self.longest_s = max(self.longest_s, time.monotonic() - begun)

    def search_until(self, photos: Collection, ended: threading.Event) -> None:
        """Searches without a pause."""
        while not ended.is_set():
            self.search(photos)

    def search_many(self, photos: Collection, ended: threading.Event) -> None:
        """Does one search after the other, each for so many images that it takes a quarter of a minute or more."""
        while not ended.is_set():
            self.searches += len(photos.search_many([picture(0)] * LONG_SEARCH, k=10)) > 0

    def __add__(self, other: "Tally") -> "Tally":
        longest = max(self.longest_s, other.longest_s)
        return Tally(self.searches + other.searches, longest, self.failures + other.failures)


@dataclass
class Written:
    """What the writer has done: the images that it added, its longest commit, and the processor's time that it got."""

    added: int
    longest_s: float
    processor_s: float


@dataclass
class Outcome:
    """What the writer has done, and what the searchers have met."""

    written: Written
    tally: Tally

    @property
    def problems(self) -> list[str]:
        """The failures, and who waited too long."""
        waits = {"a search": self.tally.longest_s, "the writer": self.written.longest_s}
        late = [f"{who} waited for {wait:.1f} s" for who, wait in waits.items() if wait > LONGEST_WAIT_S]
        return self.tally.failures + late

    def __str__(self) -> str:
        written, tally = self.written, self.tally
        return (
            f"{written.added} images added in {written.processor_s:.1f} s of the processor, the longest wait"
            f" {written.longest_s:.2f} s; {tally.searches} searches, the longest {tally.longest_s:.2f} s;"
            f" {len(tally.failures)} failures {tally.failures[:3]}"
        )


def run(root: Path, searchers: Searchers, *, seconds: float, wal: bool) -> Outcome:
    """Writes and searches for that many seconds; `wal` decides what kind of journal the catalog keeps."""
    folder, other = root / "photos", root / "other"
    with mock.patch.object(sqlite, "_WAL_IS_SAFE", wal), lay_out(folder) as own, lay_out(other) as elsewhere:
        photos = elsewhere if searchers.elsewhere else own
        tallies = [Tally() for _ in range(searchers.threads + searchers.long)]
        works = [partial(tally.search_until, photos) for tally in tallies[: searchers.threads]]
        works += [partial(tally.search_many, photos) for tally in tallies[searchers.threads :]]
        with working(works), searching_processes(photos.folder, searchers) as found:
            written = Written(**answer(started(folder, "write", seconds)))
    shutil.rmtree(folder)
    shutil.rmtree(other)
    return Outcome(written, sum([*tallies, *found], Tally()))


@contextmanager
def lay_out(folder: Path) -> Iterator[Collection]:
    """A collection of some images."""
    for seed in range(IMAGES):
        draw(folder / f"{seed:04}.png", seed)
    with lookalike.create(folder, encoder=ColourEncoder()) as photos:
        photos.add(folder)
        yield photos


# Processes


def started(folder: Path, role: str, *arguments: object) -> "subprocess.Popen[str]":
    """A process that writes or searches."""
    command = [sys.executable, "-m", "tests.campaigns.contention", role, str(folder), *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment())


def answer(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What a process prints at its end, which the end of its standard input may bring about."""
    output, _ = process.communicate()
    facts: dict[str, Any] = json.loads(output.splitlines()[-1])
    return facts


@contextmanager
def searching_processes(folder: Path, searchers: Searchers) -> Iterator[list[Tally]]:
    """Processes that search, and what they have met, which is known at the end."""
    found: list[Tally] = []
    with ExitStack() as ends:
        processes = [ends.enter_context(started(folder, "search")) for _ in range(searchers.processes)]
        for process in processes:
            assert process.stdout
            process.stdout.readline()
        if searchers.stopped:
            processes[0].send_signal(signal.SIGSTOP)
        yield found
        for process in processes:
            process.send_signal(signal.SIGCONT)
            found.append(Tally(**answer(process)))
        if searchers.stopped:
            found[0].longest_s = 0.0  # it was not the writer that it waited for


def write(folder: Path, seconds: float) -> Written:
    """Adds and removes one image after the other, each in a commit of its own."""
    written, processor = Written(0, 0.0, 0.0), time.process_time()
    with lookalike.open(folder, encoder=ColourEncoder()) as photos:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            path = draw(folder / "new.png", IMAGES + written.added)
            for act in (partial(photos.add, [path], threads=1), partial(photos.remove, [path])):
                _do(act, written)
            written.added += 1
    written.processor_s = time.process_time() - processor
    return written


def _do(act: Callable[[], object], written: Written) -> None:
    begun = time.monotonic()
    act()
    written.longest_s = max(written.longest_s, time.monotonic() - begun)


def search(folder: Path) -> Tally:
    """Searches without a pause until standard input ends."""
    tally = Tally()
    with lookalike.open(folder, encoder=ColourEncoder()) as photos, working([partial(tally.search_until, photos)]):
        print("ready", flush=True)
        sys.stdin.read()
    return tally


def main() -> int:
    """Reads the command line; returns the exit code."""
    match sys.argv[1:]:
        case ["write", folder, seconds]:
            print(json.dumps(vars(write(Path(folder), float(seconds)))))
            return 0
        case ["search", folder]:
            print(json.dumps(vars(search(Path(folder)))))
            return 0
        case _:
            return run_campaign()


def run_campaign() -> int:
    """Tries all numbers of searchers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="for each number of searchers (default: 60)")
    options, problems = parser.parse_args(), list[str]()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        for wal in (False, True):
            alone = 0
            for searchers in ALL:
                outcome = run(Path(name).resolve(), searchers, seconds=options.seconds, wal=wal)
                print(f"{'write-ahead log' if wal else 'rollback journal'}, {searchers}: {outcome}", flush=True)
                alone = alone or outcome.written.added
                if not searchers.processes and outcome.written.added < LEAST_SHARE * alone:
                    problems.append(f"{searchers}: only {outcome.written.added / alone:.0%} of the images were added")
                problems += outcome.problems
    print(*problems or ["no problems"], sep="\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())

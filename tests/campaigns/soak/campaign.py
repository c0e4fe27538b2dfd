"""Runs the writer and all readers at once."""

import json
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import lookalike
from lookalike.ingest import pipeline
from lookalike.search import searcher
from lookalike.storage import sqlite
from tests.campaigns.soak.history import History, HistoryWriter
from tests.campaigns.soak.reader import Reader, Tally
from tests.campaigns.soak.writer import Work, Writer
from tests.support.pictures import ColourEncoder
from tests.support.project import environment
from tests.support.small_policies import small_policies
from tests.support.threads import working

THREADS, PROCESSES = 8, 4
LEAST_RECALL = 0.8  # on average, of searches with an index; each index is built for 0.9 at least
END_S = 60  # the time limit for a process to end once it has to
POLICIES = small_policies()


@dataclass
class Outcome:
    """What the writer and the readers have done."""

    work: Work
    threads: Tally
    processes: Tally

    @property
    def wrong(self) -> list[str]:
        """What was wrong with the answers."""
        return self.threads.wrong + self.processes.wrong

    def __str__(self) -> str:
        done = ", ".join(f"{name} {count}" for name, count in sorted(self.work.done.items()))
        lines = [f"{self.work.commits} commits, {self.work.compactions} compactions: {done}"]
        for name, tally in (("threads", self.threads), ("processes", self.processes)):
            kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(tally.kinds.items()))
            lines.append(
                f"{name}: {tally.searches} answers ({tally.during_writes} during a write), recall {tally.recall:.3f},"
                f" {tally.gone} for what was gone; {kinds}; {len(tally.wrong)} wrong"
            )
        return "\n".join(lines)


def run(
    root: Path, *, seconds: float, least: int = 0, processes: int = PROCESSES, seed: int = 0, wal: bool = False
) -> Outcome:
    """Writes and searches for that many seconds.

    Args:
        root: an empty folder.
        seconds: how long.
        least: the number of operations of the writer that it takes, however slow the machine is.
        processes: the number of processes that search, besides the threads.
        seed: of everything random but the timing.
        wal: the catalog keeps a write-ahead log, whatever the version of SQLite.

    Raises:
        AssertionError: an answer was wrong, or the contents at the end are.
    """
    folder, path = root / "photos", root / "history"
    folder.mkdir()
    with (
        prepared(wal=wal),
        lookalike.create(folder, encoder=ColourEncoder(), policies=POLICIES) as photos,
        closing(HistoryWriter(path)) as written,
        closing(History(path)) as history,
    ):
        writer = Writer(photos, written, seed)
        readers = [Reader(photos, history, seed * 1000 + number, alone=False) for number in range(THREADS)]
        with (
            working([reader.search_until for reader in readers]),
            reading_processes(folder, path, seed, processes) as found,
        ):
            until = time.monotonic() + seconds
            while time.monotonic() < until or writer.work.done.total() < least:
                writer.write_once()
                if any(reader.tally.wrong for reader in readers):
                    break
        outcome = Outcome(writer.work, sum((reader.tally for reader in readers), Tally()), found)
        assert not outcome.wrong, "\n\n".join([str(outcome), *outcome.wrong[:5]])
        writer.check_end()
    assert outcome.threads.recall > LEAST_RECALL, str(outcome)
    assert outcome.processes.recall > LEAST_RECALL, str(outcome)
    return outcome


def read(folder: Path, path: Path, seed: int) -> None:
    """Searches in a process of its own until standard input ends, and then prints its tally."""
    with (
        prepared(wal=False),  # which only matters where a catalog is made
        lookalike.open(folder, encoder=ColourEncoder(), policies=POLICIES) as photos,
        closing(History(path)) as history,
    ):
        reader = Reader(photos, history, seed, alone=True)
        with working([reader.search_until]):
            print("ready", flush=True)
            sys.stdin.read()  # which ends when the parent process does, however it ends
    print(json.dumps(vars(reader.tally)))


@contextmanager
def prepared(*, wal: bool) -> Iterator[None]:
    """Each run of `add` commits once, warnings are errors, and threads take turns often.

    Also on a machine that is busy with something else, a search is short enough to be of one state.
    """
    interval = sys.getswitchinterval()
    with (
        mock.patch.object(pipeline, "_COMMIT_SECONDS", 1e9),
        mock.patch.object(pipeline, "_COMMIT_IMAGES", 10**6),
        mock.patch.object(sqlite, "_WAL_IS_SAFE", wal),
        mock.patch.object(searcher, "_HELD_S", END_S),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")
        sys.setswitchinterval(1e-4)
        try:
            yield
        finally:
            sys.setswitchinterval(interval)


@contextmanager
def reading_processes(folder: Path, history: Path, seed: int, count: int) -> Iterator[Tally]:
    """Processes that search; their tally is complete once they have ended."""
    tally = Tally()
    command = [sys.executable, "-m", "tests.campaigns.soak", "read", str(folder), str(history)]
    pipe = subprocess.PIPE
    with ExitStack() as children:
        started = [
            children.enter_context(
                subprocess.Popen(
                    [*command, str(seed * 1000 + 500 + number)], stdin=pipe, stdout=pipe, text=True, env=environment()
                )
            )
            for number in range(count)
        ]
        for child in started:
            assert child.stdout
            child.stdout.readline()
        try:
            yield tally
        finally:
            for child in started:
                tally += _tally_of(child)


def _tally_of(child: "subprocess.Popen[str]") -> Tally:
    try:
        output = child.communicate(timeout=END_S)[0]
    except subprocess.TimeoutExpired:
        child.kill()
        output = child.communicate()[0]
    if child.returncode:
        return Tally(wrong=[f"a process ended with {child.returncode}: {output}"])
    facts = json.loads(output)
    return Tally(**{**facts, "kinds": Counter(facts["kinds"])})

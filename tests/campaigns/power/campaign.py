"""Records processes, loses the power at random instants, and examines what is left."""

import os
import pickle
import random
import shutil
import sqlite3
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from lookalike.errors import LookalikeError
from lookalike.storage import sqlite
from tests.campaigns.power import record, trial
from tests.campaigns.power.disk import ALL, PASSING, Disk
from tests.campaigns.power.record import Operation
from tests.campaigns.power.state import State
from tests.campaigns.power.victim import COLLECTION, COMMITTED, DISK, IMAGES
from tests.campaigns.reindex_faults import only_foreign_keys
from tests.support.project import environment


@dataclass
class Report:
    """What a campaign has found.

    Attributes:
        trials: the number of losses of power, by what was going on.
        journals: the same by the journal that the catalog kept.
        lost: what was lost or torn, and where.
    """

    trials: Counter[str] = field(default_factory=Counter)
    journals: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        losses = f"{self.trials.total()} losses of power"
        return f"{losses} during {_listed(self.trials)}\nwith {_listed(self.journals)}\n{len(self.lost)} lost"


@dataclass(frozen=True)
class Recording:
    """What a process did, the states that it committed, and the images at its end."""

    root: Path
    operations: list[Operation]
    states: list[State]


def run(root: Path, *, count: int, seed: int = 0, per_record: int = 50, steps: int = 16) -> Report:
    """Loses the power `count` times.

    Args:
        root: an empty folder.
        count: the number of losses of power.
        seed: of everything random.
        per_record: how many of them belong to one process; the next one keeps the other kind of journal.
        steps: what each process does.
    """
    report, library = Report(), record.recorder(root)
    with mock.patch.object(os, "fsync"), mock.patch.object(sqlite, "_set_durability", only_foreign_keys):
        for number, first in enumerate(range(0, count, per_record)):
            folder, wal, times = root / f"record {number}", number % 2 == 1, min(per_record, count - first)
            recording = recorded(folder, library, seed=seed + number, wal=wal, steps=steps)
            lose_power(recording, times, random.Random(seed + number), report)
            report.journals["a write-ahead log" if wal else "a rollback journal"] += times
            shutil.rmtree(folder)
    return report


def recorded(root: Path, library: Path, *, seed: int, wal: bool, steps: int) -> Recording:
    """Records a process."""
    for name in (IMAGES, DISK):
        (root / name).mkdir(parents=True)
    variables = record.variables(library, root / DISK, root / "record")
    arguments = ["record", str(root), str(seed), str(int(wal)), str(steps)]
    command = [sys.executable, "-m", "tests.campaigns.power", *arguments]
    subprocess.run(command, env=environment(OPENBLAS_NUM_THREADS="1", **variables), check=True)
    recording = Recording(root, list(record.read(root / "record")), pickle.loads((root / "states").read_bytes()))
    check_is_complete(recording)
    return recording


def check_is_complete(recording: Recording) -> None:
    """Makes sure that nothing was done to the collection that is not in the record."""
    disk, copy = Disk(recording.root / DISK), recording.root / "copy"
    for operation in recording.operations:
        disk.do(operation)
    copy.mkdir()
    disk.write(copy, ALL)
    assert contents(copy) == contents(recording.root / DISK)
    shutil.rmtree(copy)


def contents(folder: Path) -> dict[str, bytes]:
    """All files in a folder, by their paths."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(PASSING)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def lose_power(recording: Recording, count: int, chance: random.Random, report: Report) -> None:
    """Loses the power at that many instants."""
    instants = Counter(chance.randrange(len(recording.operations)) for _ in range(count))
    disk, committed, step = Disk(recording.root / DISK), 0, "create"
    for instant, operation in enumerate(recording.operations):
        for _ in range(instants[instant]):
            report.trials[step] += 1
            possible = recording.states[committed : committed + 2]
            if problem := examine(recording.root, disk, possible, chance):
                report.lost.append(f"{recording.root.name}, at {instant} of {len(recording.operations)}: {problem}")
        disk.do(operation)
        if operation.kind == "note":
            what, value = operation.data.decode().split()
            committed, step = (int(value), step) if what == COMMITTED else (committed, value)


def examine(root: Path, disk: Disk, possible: Sequence[State], chance: random.Random) -> str:
    """Loses the power once; returns what is wrong with what is left, or ""."""
    folder = root / f"{chance.getrandbits(64):x}"  # a new one each time: nothing that is cached by path is of use
    folder.mkdir()
    luck = disk.luck(chance)
    disk.write(folder, luck)
    try:
        trial.Trial(root / IMAGES, folder / COLLECTION).examine(possible, reindexed=chance.random() < 0.2)
    except (AssertionError, LookalikeError, OSError, sqlite3.Error):
        return f"{luck}\n{traceback.format_exc()}"
    finally:
        shutil.rmtree(folder)
    return ""


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())

"""Runs trials in a process into which the disk is loaded, and sums up what they have found."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from lookalike.storage import sqlite
from tests.campaigns.copies import disk, trial, worker
from tests.support.project import environment
from tests.support.unsynced import set_little_durability


@dataclass
class Report:
    """What a campaign has found.

    Attributes:
        trials: the number of trials.
        counts: what happened in them.
        lost: what was lost.
    """

    trials: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    def total(self, word: str) -> int:
        """How often something happened that has this word in it."""
        return sum(count for what, count in self.counts.items() if word in what)

    def __str__(self) -> str:
        lines = [f"{count:6,} {what}" for what, count in sorted(self.counts.items())]
        ends = f"{self.total('killed')} processes killed, {self.total('full')} on a full disk"
        return "\n".join([*lines, f"{self.trials} trials, {ends}: {len(self.lost)} lost"])


def run(root: Path, *, count: int, seed: int = 0) -> Report:
    """Runs trials.

    Args:
        root: an empty folder.
        count: the number of trials.
        seed: of everything random.
    """
    variables = {"LD_PRELOAD": str(disk.library(root)), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.campaigns.copies", "trials", str(root), str(count), str(seed)]
    report = Report()
    with subprocess.Popen(command, env=environment(**variables), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            counts, problem = json.loads(line)
            report.trials += 1
            report.counts.update(counts)
            report.lost += [problem] if problem else []
    assert process.returncode == 0
    return report


def trials(root: Path, *, count: int, seed: int) -> Iterator[tuple[Counter[str], str]]:
    """Runs trials in this process, and tells of each."""
    template = worker.Place(root / "template")
    template.photos.mkdir(parents=True)
    with mock.patch.object(sqlite, "_set_durability", set_little_durability):
        worker.make(template)
        for number in range(count):
            yield trial.attempt(template.root, root / f"trial {number}", seed + number)

"""Tries many damaged files, in worker processes that may die."""

import faulthandler
import json
import os
import resource
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lookalike.storage import mapped_vectors, sqlite
from tests.campaigns.corrupt import originals
from tests.campaigns.corrupt.damages import WEIGHTS, case
from tests.campaigns.corrupt.questions import Truth
from tests.campaigns.corrupt.trial import Trial
from tests.support.project import environment

MEMORY = 6 * 2**30  # bytes of address space of a worker
CASE_S = 120  # the time limit for one case, on a machine that may be busy with something else


@dataclass
class Report:
    """The outcomes of a campaign.

    Attributes:
        outcomes: the number of cases by kind of file, damage, and how it was noticed.
        problems: what went wrong, by the number of the case.
        deaths: the numbers of the cases at which a process died.
    """

    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    problems: dict[int, str] = field(default_factory=dict)
    deaths: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        lines = []
        for kind in WEIGHTS:
            counts: Counter[str] = Counter()
            by_damage: Counter[str] = Counter()
            for (file, damage, outcome), count in self.outcomes.items():
                if file == kind:
                    counts[outcome] += count
                    by_damage[damage] += count
            lines.append(f"{kind}: {counts.total()} ({_listed(by_damage)})")
            lines.append(f"    {_listed(counts)}")
        lines.append(f"{self.outcomes.total()} damaged, {len(self.problems)} problems, {len(self.deaths)} deaths")
        return "\n".join(lines)

    def update(self, other: "Report") -> None:
        """Adds the outcomes of other cases."""
        self.outcomes += other.outcomes
        self.problems |= other.problems
        self.deaths += other.deaths


def run(root: Path, *, count: int, seed: int = 0, only: str = "", processes: int = 2) -> Report:
    """Damages that many files, of every kind or `only` one kind."""
    originals.make(root)
    parts = [range(first, count, processes) for first in range(processes)]
    whole = Report()
    with ThreadPoolExecutor(processes) as pool:
        for report in pool.map(lambda numbers: _supervise(root, seed, numbers, only), parts):
            whole.update(report)
    return whole


def work(root: Path, seed: int, numbers: range, only: str) -> None:
    """Tries the cases of these numbers in a worker process, and reports each before and after it."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for module, name in ((os, "fsync"), (sqlite, "_set_durability")):
        setattr(module, name, lambda _: None)  # nothing here loses power
    mapped_vectors._BETWEEN_ATTEMPTS_S = 0  # nobody writes meanwhile
    directory = root / f"work {numbers.start} {os.getpid()}"
    pairs = originals.read_pairs(root)
    truths = {original.spec: Truth(original, directory) for original, _ in pairs}
    for number in numbers:
        damaged = case(seed, number, pairs, only)
        _send({"begun": number})
        faulthandler.dump_traceback_later(CASE_S, exit=True)
        trial = Trial(damaged, directory, truths[damaged.original.spec])
        trial.run()
        faulthandler.cancel_dump_traceback_later()
        problem = "\n".join(trial.problems[:3])
        _send({"done": [damaged.kind, damaged.damage, trial.outcome], "problem": problem[:3000]})


def _send(facts: dict[str, Any]) -> None:
    print(json.dumps(facts), flush=True)


def _supervise(root: Path, seed: int, numbers: range, only: str) -> Report:
    """Has the cases of these numbers tried, by another process whenever one has died."""
    report, begun = Report(), -1
    while numbers:
        bounds = (str(bound) for bound in (numbers.start, numbers.stop, numbers.step))
        command = [sys.executable, "-m", "tests.campaigns.corrupt", "work", str(root), str(seed), *bounds, only]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
            assert process.stdout
            for line in process.stdout:
                facts = json.loads(line)
                begun = facts.get("begun", begun)
                if "done" in facts:
                    kind, damage, outcome = facts["done"]
                    report.outcomes[kind, damage, outcome] += 1
                    if facts["problem"]:
                        report.problems[begun] = f"{kind} {damage}: {facts['problem']}"
        if process.returncode == 0:
            break
        if begun < numbers.start:
            raise RuntimeError(f"a worker does not start: it ends with {process.returncode}")
        report.deaths.append(begun)
        report.problems[begun] = f"the process ended with {process.returncode}"
        numbers = range(begun + numbers.step, numbers.stop, numbers.step)
    return report


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())

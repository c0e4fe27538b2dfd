"""Crafts collections, does everything with them in worker processes, and compares what is outside before and after."""

import contextlib
import faulthandler
import hashlib
import io
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import lookalike
from lookalike import Collection
from lookalike.cli import main, output
from lookalike.display.page import write_page
from lookalike.duplicates.results import Copy, CopyGroup, Duplicates
from lookalike.errors import LookalikeError, UsageError
from lookalike.filters import Where
from lookalike.storage import mapped_vectors, sqlite
from tests.campaigns.hostile.attacks import ATTACKS, Attack
from tests.support.catalogs import STATUS
from tests.support.pictures import ColourEncoder, draw
from tests.support.project import environment
from tests.support.small_policies import small_policies

IMAGES = 60
POLICIES = small_policies(exact=40)
LONGEST_S = 10.0  # that an operation may take
OPERATIONS = 20  # that are done with each collection
MEMORY = 2**30  # bytes that a case may add to the address space
ESCAPES = {"\x1b", "\x07", "\x9b", "\u202e"}


def make(root: Path) -> None:
    """Makes the collection of which every case crafts a copy: with an index, younger images and dead vectors."""
    photos = root / "original" / "photos"
    for seed in range(IMAGES):
        draw(photos / ("cats" if seed % 2 else "dogs") / f"{seed:02}.png", seed)
    with lookalike.create(photos, encoder=ColourEncoder(), policies=POLICIES) as collection:
        collection.add(photos, threads=1)
        collection.build(spec="IVF4,SQ8", recall=0.5)
        collection.remove([photos / "cats" / "01.png"])
        with collection._catalog.writing() as transaction:
            transaction.set_attributes("dogs/00.png", {"price": 7, "colour": "red"})
            transaction.put_skipped("bad.png", "truncated", STATUS, since_ns=1)


@dataclass
class Report:
    """What has come of the cases: how often an operation ended how, and what is wrong, by number."""

    outcomes: Counter[str] = field(default_factory=Counter)
    problems: dict[int, str] = field(default_factory=dict)

    def __str__(self) -> str:
        counts = "\n".join(f"{name}: {count}" for name, count in sorted(self.outcomes.items()))
        return f"{counts}\n{len(self.problems)} problems"

    def update(self, other: "Report") -> None:
        """Adds the outcomes of other cases."""
        self.outcomes += other.outcomes
        self.problems |= other.problems


def attack_of(seed: int, number: int, only: str) -> tuple[random.Random, Attack]:
    """The attack of this number, of any kind or `only` one, and what it draws its random numbers from."""
    rng = random.Random(f"{seed}-{number}")
    return rng, rng.choice([attack for attack in ATTACKS if only in ("", attack.__name__)])


class Trial:
    """One crafted collection, and everything that is done with it."""

    def __init__(self, root: Path, work: Path) -> None:
        self._original, self._work = root / "original", work
        self.folder, self.canaries = work / "photos", work / "canaries"
        self.outcomes: Counter[str] = Counter()
        self.problems: list[str] = []

    def run(self, rng: random.Random, attack: Attack) -> None:
        """Crafts the collection, does everything, and looks at what is outside."""
        self._prepare()
        attack(rng, self.folder / ".lookalike", self.canaries)
        before = self._outside()
        for name, operation in self._operations():
            start = time.monotonic()
            self._attempt(name, operation)
            if (seconds := time.monotonic() - start) > LONGEST_S:
                self.problems.append(f"{name}: it took {seconds:.0f} s")
        if self._outside() != before:
            self.problems.append("something outside of the collection has changed")

    def _prepare(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        shutil.copytree(self._original / "photos", self.folder)
        (self.canaries / "folder").mkdir(parents=True)
        for name in ("canary.faiss", "canary.json", "canary.sqlite", "folder/000001.faiss", "folder/catalog.sqlite"):
            (self.canaries / name).write_bytes(b"canary " * 1000)
        shutil.copy(self._original / "photos" / ".lookalike" / "vectors.faiss", self.canaries / "canary.faiss")
        shutil.copy(self._original / "photos" / ".lookalike" / "catalog.sqlite", self.canaries / "canary.sqlite")
        draw(self.canaries / "private.png", 5000)
        draw(self._work / "query.png", 3)

    def _outside(self) -> dict[str, str]:
        """The files beside the collection's directory, with the SHA-256 of each."""
        inside = self.folder / ".lookalike"
        files = (path for path in self._work.rglob("*") if inside not in (path, *path.parents) and path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.name != "page.html"}

    def _operations(self) -> Iterator[tuple[str, Callable[[], object]]]:
        query = np.linspace(-1, 1, ColourEncoder.dim)
        page, work = self._work / "page.html", self._work / "query.png"

        def opened(operation: Callable[[Collection], object]) -> Callable[[], object]:
            def act() -> object:
                with lookalike.open(self.folder, encoder=ColourEncoder(), policies=POLICIES) as photos:
                    return operation(photos)

            return act

        yield "info", opened(lambda photos: (photos.info(), len(photos), photos.skipped()))
        yield "search", opened(lambda photos: self._shown(photos.search_vector(query, k=20), page))
        yield "search_id", opened(lambda photos: photos.search_id(7, k=5))
        yield (
            "search_where",
            opened(lambda photos: photos.search_vector(query, where=Where(label="cats", under="cats"))),
        )
        yield "check", opened(lambda photos: photos.check())
        yield "update", opened(self._update)
        for command in (
            ["info"],
            ["info", "--skipped"],
            ["search", "--id", "3"],
            ["search", "--id", "3", "--json"],
            ["check"],
        ):
            yield f"$ {' '.join(command)}", lambda command=command: self._command([*command, "-c", str(self.folder)])  # type: ignore[misc]
        yield "add", opened(lambda photos: photos.add([work], threads=1))
        yield "evaluate", opened(lambda photos: photos.evaluate(queries=5))
        yield "act", opened(self._act)
        yield "remove", opened(lambda photos: photos.remove([work, "dogs"]))
        yield "maintain", opened(lambda photos: photos.maintain())
        yield "add folder", opened(lambda photos: photos.add(self.folder, threads=1))
        yield "build", opened(lambda photos: photos.build(spec="IVF4,SQ8", recall=0.5))
        yield (
            "reindex",
            lambda: lookalike.reindex(self.folder, encoder=ColourEncoder("c0105002"), policies=POLICIES, threads=1),
        )
        yield "create", lambda: lookalike.create(self.folder, encoder=ColourEncoder())

    def _update(self, photos: Collection) -> None:
        photos.update(threads=1)
        if photos.named([self.canaries / "private.png"]):
            self.problems.append("an image outside was indexed, which only the collection has named")

    def _act(self, photos: Collection) -> None:
        """Undoes what the collection says was done, moves some images away, and undoes that."""
        with contextlib.suppress(UsageError):
            photos.undo_action()
        keep, *images = photos.images(limit=4)
        photos.mark_copies([image.id for image in images])
        copies = tuple(Copy(image, "edited copy", 1.0, keep) for image in images)
        found = Duplicates((CopyGroup(keep, "it is the first one", copies),), 4, 0)
        report = photos.act_on_copies(photos.plan_action(found, "move", to=self._work / "away"))
        if report.run:
            photos.undo_action(report.run)

    def _shown(self, matches: Any, page: Path) -> None:
        write_page(matches, page, overwrite=True)
        text = page.read_text()
        if ESCAPES & set(text) or "<script" in text:
            self.problems.append("the page has what it should have escaped")

    def _command(self, arguments: list[str]) -> None:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            try:
                warnings.showwarning = output.show_warning
                main.cli(arguments, standalone_mode=False)
            except BaseException as error:
                main._failed(error)
                raise
            finally:
                if found := ESCAPES & set(out.getvalue() + err.getvalue()):
                    self.problems.append(f"{arguments} prints {found}")

    def _attempt(self, name: str, operation: Callable[[], object]) -> None:
        try:
            operation()
            outcome = "done"
        except LookalikeError as error:
            outcome = type(error).__name__
        except MemoryError:
            outcome = "MemoryError"
            self.problems.append(f"{name}: it needs too much memory")
        except BaseException as error:
            import traceback

            outcome = type(error).__name__
            last = traceback.extract_tb(error.__traceback__)[-3:]
            self.problems.append(
                f"{name}: {type(error).__name__}: {str(error)[:200]} {[(f.name, f.lineno) for f in last]}"
            )
        self.outcomes[f"{name}: {outcome}"] += 1


def run(root: Path, *, count: int, seed: int = 0, only: str = "", processes: int = 2) -> Report:
    """Crafts that many collections, by every attack or `only` one."""
    make(root)
    whole = Report()
    with ThreadPoolExecutor(processes) as pool:
        parts = [range(first, count, processes) for first in range(processes)]
        for report in pool.map(lambda numbers: _supervise(root, seed, numbers, only), parts):
            whole.update(report)
    return whole


def work(root: Path, seed: int, numbers: range, only: str) -> None:
    """Tries the cases of these numbers in a worker process, and reports each before and after it."""
    faulthandler.enable()
    warnings.simplefilter("ignore")
    os.fsync = lambda fd: None  # nothing here loses power
    sqlite._set_durability = lambda connection: connection.execute("PRAGMA foreign_keys = ON")  # type: ignore[assignment]
    mapped_vectors._BETWEEN_ATTEMPTS_S = 0  # nobody writes meanwhile
    directory = root / f"work {numbers.start} {os.getpid()}"
    _warm_up(root, directory)
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number in numbers:
        rng, attack = attack_of(seed, number, only)
        _send({"begun": number, "attack": attack.__name__})
        faulthandler.dump_traceback_later(6 * LONGEST_S, exit=True)
        trial = Trial(root, directory)
        trial.run(rng, attack)
        faulthandler.cancel_dump_traceback_later()
        _send({"done": trial.outcomes, "problems": trial.problems[:4]})
    shutil.rmtree(directory, ignore_errors=True)


def _warm_up(root: Path, directory: Path) -> None:
    """Loads everything, so that the limit of memory counts what a case needs, and makes sure that a sound one works."""
    trial = Trial(root, directory)
    trial.run(random.Random(0), lambda *_: None)
    failed = [name for name in trial.outcomes if not name.endswith((": done", "create: UsageError"))]
    assert not failed, failed
    assert not trial.problems, trial.problems


def _send(facts: dict[str, Any]) -> None:
    print(json.dumps(facts), flush=True)


def _supervise(root: Path, seed: int, numbers: range, only: str) -> Report:
    """Has the cases of these numbers tried, by another process whenever one has died."""
    report, begun, attack = Report(), -1, ""
    while numbers:
        bounds = (str(bound) for bound in (numbers.start, numbers.stop, numbers.step))
        command = [sys.executable, "-m", "tests.campaigns.hostile", "work", str(root), str(seed), *bounds, only]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
            assert process.stdout
            for line in process.stdout:
                facts = json.loads(line)
                begun, attack = facts.get("begun", begun), facts.get("attack", attack)
                report.outcomes.update(facts.get("done", {}))
                if facts.get("problems"):
                    report.problems[begun] = f"{attack}: {facts['problems']}"
        if process.returncode == 0:
            break
        if begun < numbers.start:
            raise RuntimeError(f"a worker does not start: it ends with {process.returncode}")
        report.problems[begun] = f"{attack}: the process ended with {process.returncode}"
        numbers = range(begun + numbers.step, numbers.stop, numbers.step)
    return report

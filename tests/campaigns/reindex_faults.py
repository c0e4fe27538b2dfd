"""Kills, failing disks and readers while a collection is indexed again with another model.

    python -m tests.campaigns.reindex_faults kills NUMBER ROOT [SEED]

Afterwards the old model or the new one serves, complete, and the next run completes. ROOT is a new folder.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import lookalike
from lookalike import Collection
from lookalike.collection import trust
from lookalike.collection.reindex import reindex
from lookalike.errors import DamagedIndexWarning, IncompatibleError
from lookalike.images.decode import prepare
from lookalike.ingest import embedding, pipeline
from lookalike.ingest.embedding import embed
from lookalike.storage import made_of, manifest, sqlite
from tests.support.failing_disk import Say, attempt_all, numbers
from tests.support.pictures import ColourEncoder, draw, stored_vectors
from tests.support.project import THOROUGH, environment
from tests.support.reindexing import CoarseEncoder
from tests.support.small_policies import small_policies

EVERY = 1 if THOROUGH else 45  # every so many calls that write, one fails
PICTURES = 20
POLICIES = small_policies(exact=16, young=3, growth=10)
Facts = dict[str, tuple[int, str | None, dict[str, Any]]]

MODELS = {"colours": ColourEncoder(), "coarse": CoarseEncoder()}


# The collection, and what it has to be


@contextmanager
def damaged_index_errors() -> Iterator[None]:
    """Makes a damaged index an error instead of a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DamagedIndexWarning)
        yield


def lay_out(folder: Path) -> None:
    """Makes a collection with an index, attributes, an image from elsewhere, a skipped file, and dead vectors."""
    for seed in range(PICTURES):
        draw(folder / ("", "cats", "dogs")[seed % 3] / f"{seed}.png", seed)
    elsewhere = draw(folder.parent / "elsewhere" / "x.png", PICTURES)
    (folder / "text.png").write_text("text")
    table = folder.parent / "table.csv"
    table.write_text("path,price,label\ncats/1.png,5,lions\ndogs/2.png,7,\n")
    with damaged_index_errors(), lookalike.create(folder, encoder=ColourEncoder(), policies=POLICIES) as photos:
        photos.add(folder, threads=1)
        photos.add([elsewhere], threads=1)
        photos.annotate(table)
        photos.build(spec="IVF2,SQ8", recall=0.9)
        (folder / "dogs" / "5.png").unlink()
        photos.add(folder, threads=1)


def trust_copy(folder: Path) -> None:
    """Notes that a copied collection is one's own, which may read the image from elsewhere again."""
    directory = folder / ".lookalike"
    trust.trust(directory, manifest.read(directory), made_of.read(directory))


def facts_of(photos: Collection) -> Facts:
    """The id, label and attributes of each image, by key."""
    found = photos.search_vector(np.ones(photos.made_by.dim), k=1000)
    return {match.key: (match.id, match.label, dict(match.attributes)) for match in found}


def assert_is_whole(folder: Path, template: Path) -> str:
    """Checks that everything is of one model; returns its name."""
    directory = folder / ".lookalike"
    with (
        damaged_index_errors(),
        lookalike.open(template, policies=POLICIES) as before,
        lookalike.open(folder, policies=POLICIES) as photos,
    ):
        assert photos.check() == []
        facts = facts_of(photos)
        assert facts == facts_of(before)
        assert [skipped.path.name for skipped in photos.skipped()] == ["text.png"]
        model = photos.made_by.model
        assert (model, photos.made_by.dim) == (MODELS[model].name, MODELS[model].dim)
        assert photos.info().damage is None
    vectors = stored_vectors(manifest.read(directory).data_directory(directory))
    assert vectors.keys() == facts.keys()
    for key, vector in vectors.items():
        expected = embed(MODELS[model], prepare(folder / key, MODELS[model].preprocessing))[0]
        np.testing.assert_allclose(vector, expected, atol=1e-3)
    return model


def complete(folder: Path, template: Path) -> None:
    """Indexes it again, to the end, and checks that only the new model is left."""
    with damaged_index_errors():
        if assert_is_whole(folder, template) == "colours":
            trust_copy(folder)
            reindex(folder, encoder=CoarseEncoder(), policies=POLICIES, threads=1)
        with lookalike.open(folder, encoder=CoarseEncoder(), policies=POLICIES) as photos:
            photos.maintain()  # which removes what was left over
        assert assert_is_whole(folder, template) == "coarse"
    left = {path.name for path in (folder / ".lookalike").iterdir()}
    assert left == {"collection.json", "sources.json", "lock", "data.000001"}


# Failing disks


def scenario(folder: Path, say: Say) -> None:
    """Indexes a collection again, with commits of six images."""
    trust_copy(folder)
    with damaged_index_errors(), mock.patch.object(pipeline, "_COMMIT_IMAGES", 6):
        reindex(folder, encoder=CoarseEncoder(), policies=POLICIES, threads=1)
    say("reindexed")


def attempts(shim: Path, root: Path, kind: int) -> Iterator[tuple[Path, Path, list[str]]]:
    """The folder of each attempt, the collection that it began with, and what it reported."""
    template = root / "template" / "photos"
    lay_out(template)
    command = [sys.executable, "-m", "tests.campaigns.reindex_faults", "faults", str(root), str(kind), str(template)]
    subprocess.run(command, env=environment(LD_PRELOAD=str(shim), OPENBLAS_NUM_THREADS="1"), check=True)
    calls = int((root / "0" / "calls").read_text())
    assert (root / "0" / "said").read_text().splitlines() == ["reindexed", "done"]
    for number in numbers(kind, EVERY, calls):
        yield root / str(number) / "photos", template, (root / str(number) / "said").read_text().splitlines()


# Kills


def run_kills(root: Path, kills: int) -> dict[str, int]:
    """Kills that many processes, and counts what they left behind.

    Raises:
        AssertionError: it was neither the old model nor the new one.
    """
    command = [sys.executable, "-m", "tests.campaigns.reindex_faults", "kills", str(kills), str(root)]
    done = subprocess.run(command, env=environment(OMP_NUM_THREADS="1"), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    tally: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return tally


def kill_many(root: Path, kills: int, seed: int) -> Counter[str]:
    """Kills processes that are forked from this one, which has imported everything and starts no thread."""
    random, tally = np.random.default_rng(seed), Counter[str]()
    template, folder = root / "template" / "photos", root / "photos"
    in_child(lambda: lay_out(template))
    renew(folder, template)
    events, _ = run_and_kill(folder, None)
    while tally["kills"] < kills:
        if random.random() < 0.5:
            renew(folder, template)
        # Half of them within the last steps, since few things happen there.
        last = random.random() < 0.5
        instant = int(random.integers(events - 25, events + 1) if last else random.integers(events))
        _, killed = run_and_kill(folder, instant, random.random() * (0.002 if last else 0.02))
        tally["kills" if killed else "finished"] += 1
        model = manifest.read(folder / ".lookalike").made_by.model
        tally[f"leaving {model}"] += killed
        tally["leaving both"] += killed and both_are_there(folder)
        in_child(lambda: assert_is_whole(folder, template))
        if model == "coarse" or random.random() < 0.3:
            in_child(lambda: complete(folder, template))
            tally["completed"] += 1
            renew(folder, template)
    return tally


def both_are_there(folder: Path) -> bool:
    """Whether the data of both models are there."""
    return all((folder / ".lookalike" / name).exists() for name in ("catalog.sqlite", "data.000001/catalog.sqlite"))


def renew(folder: Path, template: Path) -> None:
    """Begins again with a copy of the template."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)


def in_child(act: Callable[[], object]) -> None:
    """Does something in a process of its own."""
    child = os.fork()
    if not child:
        try:
            act()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def run_and_kill(folder: Path, instant: int | None, then: float = 0.0) -> tuple[int, bool]:
    """Kills a process that indexes again, `then` seconds after `instant` events.

    Returns the number of events, and whether it was killed before its end.
    """
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        try:
            sys.addaudithook(EventReporter(folder, writes))
            be_killed(folder, lambda _: report(writes))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writes)
    count = 0
    while instant is None or count < instant:
        events = len(os.read(reads, 1))
        if not events:
            break
        count += events
    time.sleep(then)
    os.kill(child, signal.SIGKILL)
    code = os.waitpid(child, 0)[1]
    os.close(reads)
    assert code in (0, signal.SIGKILL), "it ended by itself"
    return count, code != 0


def be_killed(folder: Path, progress: Callable[[Any], None]) -> None:
    """Indexes a collection again, with a commit for each image, unless that has been done."""
    with (
        damaged_index_errors(),
        mock.patch.object(pipeline, "_COMMIT_SECONDS", 0),
        mock.patch.object(embedding, "GROUP", 3),
    ):
        if manifest.read(folder / ".lookalike").made_by.model == "colours":
            trust_copy(folder)
            reindex(folder, encoder=CoarseEncoder(), policies=POLICIES, threads=2, progress=progress)


def report(pipe: int) -> None:
    """Reports an event."""
    os.write(pipe, b".")


class EventReporter:
    """An audit hook that reports whenever a file is about to be opened, renamed, made or removed."""

    EVENTS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "sqlite3.connect")

    def __init__(self, folder: Path, pipe: int) -> None:
        self._folder, self._pipe = str(folder), pipe

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in self.EVENTS or (event == "open" and str(arguments[0]).startswith(self._folder)):
            report(self._pipe)


# Readers

Answer = dict[str, float]


def answer(photos: Collection) -> Answer:
    """The score of every image for one query."""
    found = photos.search_vector(np.arange(1, photos.made_by.dim + 1), k=1000, exact=True)
    assert len({match.id for match in found}) == len(found)
    return {match.key: round(match.score, 3) for match in found}


def read_on(folder: Path) -> None:
    """Searches forever, opens the collection again when an error asks for it, and prints each new answer."""
    printed, photos = set[str](), lookalike.open(folder)
    while True:
        try:
            line = json.dumps([photos.made_by.model, answer(photos)])
        except IncompatibleError:
            photos.close()
            photos = lookalike.open(folder)
            continue
        if line not in printed:
            print(line, flush=True)
            printed.add(line)


def answers_meanwhile(folder: Path, act: Callable[[], object], readers: int = 2) -> list[list[tuple[str, Answer]]]:
    """The answers of processes that search before, during and after something."""
    command = [sys.executable, "-m", "tests.campaigns.reindex_faults", "read", str(folder)]
    pipe = subprocess.PIPE
    started = [
        subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment()) for _ in range(readers)
    ]
    answers: list[list[tuple[str, Answer]]] = []
    try:
        first = [next(process.stdout or iter(())) for process in started]
        act()
        for process, line in zip(started, first, strict=True):
            answers.append([tuple(json.loads(line))])
            while answers[-1][-1][0] != "coarse":
                answers[-1].append(tuple(json.loads(next(process.stdout or iter(())))))
    finally:
        for process in started:
            process.kill()
            errors = process.communicate()[1]
            assert not errors, errors
    return answers


def only_foreign_keys(connection: sqlite3.Connection) -> None:
    """Takes the place of what makes commits durable."""
    connection.execute("PRAGMA foreign_keys = ON")


def main() -> None:
    """Kills processes, or is a process that this module starts."""
    if sys.argv[1] != "faults":  # a process that is killed loses nothing that it has written, so syncing is not needed
        os.fsync = lambda fd: None
        sqlite._set_durability = only_foreign_keys
    os.environ.setdefault("LOOKALIKE_TRUST", tempfile.mkdtemp())  # and not the user's own
    match sys.argv[1:]:
        case ["faults", root, kind, template]:
            attempt_all(Path(root), int(kind), scenario, Path(template), EVERY)
        case ["read", folder]:
            read_on(Path(folder))
        case ["kills", kills, root, *seed]:
            chosen = int(seed[0]) if seed else int(time.time())
            print(f"seed {chosen}")
            print(json.dumps(kill_many(Path(root).resolve(), int(kills), chosen)))


if __name__ == "__main__":
    main()

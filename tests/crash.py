"""Kills a process that indexes, at random instants, and looks at what it leaves behind.

    python tests/crash.py --kills 1000

What the process said to be committed has to be there, once; nothing may be torn; and the next run has to end as
an undisturbed one does.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lookalike
from conftest import ColourEncoder, draw, picture, stored_vectors
from lookalike import Collection, Progress, embedding, encoders, ingest
from lookalike.errors import NoCollectionError
from lookalike.images import prepare

PICTURES = 25  # in the folder, more or less
COMMIT_S = 0.02  # how long one takes, more or less
CREATION_S = 0.05
FUTURE = 4 * 10**18  # in nanoseconds: later than the time that the system gives files, so that these count


@dataclass
class Tally:
    """What was tried.

    Attributes:
        kills: of processes that were at work.
        while_creating: kills before there was a collection.
        while_committing: kills that left a journal, or vectors that no commit had named.
        finished: processes that were faster than their end.
        acknowledged: files that were said to be committed by processes that were then killed.
        completed: runs after a kill that went through, and ended as an undisturbed one did.
        searches: by a reader at the same time.
    """

    kills: int = 0
    while_creating: int = 0
    while_committing: int = 0
    finished: int = 0
    acknowledged: int = 0
    completed: int = 0
    searches: int = 0


@dataclass(frozen=True)
class State:
    """What a collection holds: of each image its id, stamp and vector, and of each skipped file its stamp."""

    ids: dict[str, int]
    stamps: dict[str, tuple[int, int]]
    vectors: dict[str, NDArray[np.float32]]


EMPTY = State({}, {}, {})


# The process that is killed


def be_killed(folder: Path, encoder: str) -> None:
    """Brings a folder's collection up to date, with a commit for each image, and says how far it is."""
    ingest._COMMIT_SECONDS, embedding.GROUP = 0, 3
    say("started")
    try:
        photos = lookalike.open(folder, encoder=encoder_of(encoder))
    except NoCollectionError:
        photos = lookalike.create(folder, encoder=encoder_of(encoder))
    say("open")
    photos.add(folder, threads=2, progress=acknowledge)
    say("done")


def acknowledge(progress: Progress) -> None:
    say(f"committed {progress.committed}")


def say(line: str) -> None:
    print(line, flush=True)


def encoder_of(name: str) -> ColourEncoder | None:
    return ColourEncoder() if name == "colours" else None


# The one who kills


class Killer:
    """A folder whose pictures change, and whose collection is brought up to date by processes that do not live long."""

    def __init__(self, folder: Path, encoder: str, seed: int) -> None:
        self.folder, self.encoder = folder, encoder
        self.directory = folder / ".lookalike"
        self.random = np.random.default_rng(seed)
        self.tally = Tally()
        self.pictures: dict[str, int | None] = {}  # which one is in each file; None for what is no image
        self.time = FUTURE
        self.network = encoder_of(encoder) or encoders.load(threads=2)
        self.expected: dict[int, NDArray[np.float32]] = {}
        while len(self.pictures) < PICTURES:
            self._write()

    def kill_once(self) -> None:
        """One process, one kill, and a look at what is left."""
        if self.random.random() < 0.3:
            shutil.rmtree(self.directory, ignore_errors=True)  # the next one has to make it, too
        before = self._state()
        for _ in range(self.random.integers(8)):
            self._change_a_file()
        waiting = sorted((key for key in self.pictures if before.stamps.get(key) != self._stamp(key)), key=os.fsencode)
        with self._reader() if before.stamps and self.random.random() < 0.4 else contextlib.nullcontext():
            said = self._run_and_kill(len(waiting))
        committed = max((int(line.split()[1]) for line in said if line.startswith("committed")), default=0)
        done = "done" in said
        if "open" in said or (self.directory / "collection.json").exists():
            with self._open() as photos:
                assert photos.check() == []
                assert_each_is_found_once(photos)
        self._assert_nothing_is_lost(before, self._state(), len(waiting) if done else committed, waiting, done=done)
        self.tally.acknowledged += 0 if done else committed
        if self.random.random() < 0.3:
            self._complete()

    # The folder

    def _write(self) -> None:
        folders, names = ("", "a", "a.b", "b/c"), range(3 * PICTURES)
        key = f"{self.random.choice(folders)}/{self.random.choice(names)}.png".lstrip("/")
        seed = int(self.random.integers(40))
        draw(self.folder / key, seed)
        self._set_time(key)
        self.pictures[key] = seed

    def _change_a_file(self) -> None:
        key = str(self.random.choice(sorted(self.pictures)))
        match self.random.choice(["write", "spoil", "delete", "rename"]):
            case "write":
                self._write()
            case "spoil":
                (self.folder / key).write_bytes(b"text")
                self._set_time(key)
                self.pictures[key] = None
            case "delete" if len(self.pictures) > PICTURES // 2:
                (self.folder / key).unlink()
                del self.pictures[key]
            case _:
                self.time += 1
                new = f"renamed {self.time}.png"
                (self.folder / key).rename(self.folder / new)
                self.pictures[new] = self.pictures.pop(key)

    def _set_time(self, key: str) -> None:
        self.time += 1
        os.utime(self.folder / key, ns=(self.time, self.time))

    def _stamp(self, key: str) -> tuple[int, int]:
        status = (self.folder / key).stat()
        return status.st_size, status.st_mtime_ns

    # The process

    def _run_and_kill(self, waiting: int) -> list[str]:
        """What it said before its end came, which is at any time of its life, or close to a commit."""
        command = [sys.executable, __file__, "be-killed", str(self.folder), self.encoder]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
            assert process.stdout
            assert process.stderr
            last, life = self._instant(waiting)
            said = []
            for line in process.stdout:
                said.append(line.strip())
                if said[-1] == last:
                    break
            time.sleep(self.random.random() * life)
            process.kill()
            said += process.stdout.read().splitlines()
            errors = process.stderr.read()
        if process.returncode not in (0, -signal.SIGKILL):
            raise AssertionError(f"it ended by itself:\n{errors}")
        self._count(said, process.returncode)
        return said

    def _instant(self, waiting: int) -> tuple[str, float]:
        """After which word, and within how many seconds from there, the end comes."""
        if not self.directory.exists() and self.random.random() < 0.3:
            return "started", CREATION_S
        if self.random.random() < 0.4:
            return "started", CREATION_S + waiting * COMMIT_S + (0 if self.encoder == "colours" else 0.4)
        return f"committed {self.random.integers(max(waiting, 1))}", COMMIT_S

    def _count(self, said: list[str], code: int) -> None:
        if code == 0:
            self.tally.finished += 1
            return
        self.tally.kills += 1
        if "open" not in said:
            self.tally.while_creating += 1
        elif self._is_between_two_states():
            self.tally.while_committing += 1

    def _is_between_two_states(self) -> bool:
        vectors = self.directory / "vectors.faiss"
        connection = sqlite3.connect(f"file:{self.directory / 'catalog.sqlite'}?mode=ro&immutable=1", uri=True)
        try:
            (rows,) = connection.execute("SELECT COUNT(*) FROM vectors").fetchone()
        except sqlite3.DatabaseError:
            return True
        finally:
            connection.close()
        dim = 25 if self.encoder == "colours" else 1280
        return (self.directory / "catalog.sqlite-journal").exists() or vectors.stat().st_size > 81 + rows * dim * 2

    # What is left

    def _open(self) -> Collection:
        return self._with_network(lookalike.open(self.folder, encoder=encoder_of(self.encoder)))

    def _with_network(self, photos: Collection) -> Collection:
        photos._loaded = 2, self.network  # once for all of them
        return photos

    def _state(self) -> State:
        if not (self.directory / "collection.json").exists():
            return EMPTY
        connection = sqlite3.connect(self.directory / "catalog.sqlite")
        try:
            images = connection.execute("SELECT key, id, size, changed_ns FROM images").fetchall()
            skipped = connection.execute("SELECT key, size, changed_ns FROM skipped").fetchall()
        finally:
            connection.close()
        stamps = {key: (size, time) for key, *_, size, time in (*images, *skipped)}
        assert len(stamps) == len(images) + len(skipped)
        return State({key: id_ for key, id_, *_ in images}, stamps, stored_vectors(self.directory))

    def _assert_nothing_is_lost(
        self, before: State, after: State, committed: int, waiting: list[str], *, done: bool
    ) -> None:
        for place, key in enumerate(waiting):
            old, new, now = before.vectors.get(key), self._vector(key), after.vectors.get(key)
            if place < committed:
                assert is_same(now, new), f"{key} was acknowledged"
                assert after.stamps[key] == self._stamp(key)
            else:
                assert is_same(now, new) or is_same(now, old), f"{key} is neither as it was nor as it is"
        for key in before.stamps.keys() - set(waiting):
            if key in self.pictures or key in after.vectors:
                assert is_same(after.vectors.get(key), before.vectors.get(key)), f"{key} has changed"
                assert after.ids.get(key) == before.ids.get(key)
            assert key in self.pictures or not done or key not in after.stamps, f"{key} is gone"
        assert after.stamps.keys() <= before.stamps.keys() | self.pictures.keys()

    def _vector(self, key: str) -> NDArray[np.float32] | None:
        """What is to be stored of a file, or None where it is no image."""
        seed = self.pictures[key]
        if seed is not None and seed not in self.expected:
            pixels = prepare(picture(seed), self.network.recipe)
            self.expected[seed] = embedding.embed(self.network, pixels)[0]
        return None if seed is None else self.expected[seed]

    def _complete(self) -> None:
        """Lets a run go through, and compares with a collection that is made anew."""
        with contextlib.suppress(NoCollectionError):
            with self._open() as photos:
                photos.add(self.folder, threads=2)
                assert photos.check() == []
                assert_each_is_found_once(photos)
                skipped = photos.skipped()
            beside = self.folder / ".undisturbed"
            created = lookalike.create(self.folder, directory=beside, encoder=encoder_of(self.encoder))
            with self._with_network(created) as photos:
                photos.add(self.folder, threads=2)
                assert photos.skipped() == skipped
            vectors, undisturbed = stored_vectors(self.directory), stored_vectors(beside)
            shutil.rmtree(beside)
            assert vectors.keys() == undisturbed.keys()
            assert all(is_same(vectors[key], undisturbed[key]) for key in vectors)
            self.tally.completed += 1

    @contextlib.contextmanager
    def _reader(self) -> Iterator[None]:
        """Searches all the while, without an error."""
        ended, errors = threading.Event(), list[BaseException]()

        def search() -> None:
            try:
                with self._open() as photos:
                    while not ended.is_set():
                        assert_each_is_found_once(photos)
                        self.tally.searches += 1
                        time.sleep(0.002)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=search)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        if errors:
            raise errors[0]


def assert_each_is_found_once(photos: Collection) -> None:
    found = photos.search_vector(np.ones(photos.made_by.dim), k=1000)
    assert len({match.key for match in found}) == len({match.id for match in found}) == len(found)


def is_same(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    """The same vector, but for the rounding to half precision, or none both."""
    if one is None or other is None:
        return one is other
    return bool(np.abs(one - other).max() < 1e-3)


def run(folder: Path, *, kills: int, encoder: str = "colours", seed: int = 0, verbose: bool = False) -> Tally:
    """Kills that many processes.

    Raises:
        AssertionError: something was lost or torn.
    """
    killer = Killer(folder, encoder, seed)
    while killer.tally.kills < kills:
        killer.kill_once()
        if verbose and killer.tally.kills % 25 == 0:
            print(killer.tally, flush=True)
    killer._complete()
    return killer.tally


def main() -> None:
    if sys.argv[1:2] == ["be-killed"]:
        be_killed(Path(sys.argv[2]), sys.argv[3])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--encoder", choices=["colours", "bundled"], default="colours")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        print(run(place, kills=options.kills, encoder=options.encoder, seed=options.seed, verbose=True))


if __name__ == "__main__":
    main()

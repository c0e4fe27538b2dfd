"""Kills a process that indexes, removes, annotates and builds, at random instants, and looks at what it leaves behind.

    python -m tests.campaigns.crash --kills 1000

What the process said to be committed has to be there, once; nothing may be torn; searches find what they should; and
the next run has to end as an undisturbed one does, and to take away what was left.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lookalike
from lookalike import Collection, Progress, encoders
from lookalike.errors import DamagedIndexWarning, NoCollectionError
from lookalike.images.decode import prepare
from lookalike.ingest import embedding, pipeline
from tests.support.pictures import ColourEncoder, draw, picture, stored_vectors
from tests.support.project import environment
from tests.support.small_policies import small_thresholds

PICTURES = 25  # in the folder, more or less
COMMIT_S = 0.02  # how long one takes, more or less
CREATION_S = 0.05
BUILDING_S = 0.1
FILES = 10  # that each change of the collection opens, renames or takes away, more or less
SPECS = ("IVF2,SQ8", "HNSW4,SQ8", "Flat", None)
FUTURE = 4 * 10**18  # in nanoseconds: later than the time that the system gives files, so that these count


@dataclass
class Tally:
    """What was tried.

    Attributes:
        kills: of processes that were at work.
        while_creating: kills before there was a collection.
        while_committing: kills that left a journal, or vectors that no commit had named.
        while_changing: kills while images were removed or annotated, or an index was built.
        leaving_files: kills that left files that nothing names.
        finished: processes that were faster than their end.
        acknowledged: files that were said to be committed by processes that were then killed.
        changes: further changes that were acknowledged by them.
        indexed: kills that left an index, by which searches went on.
        compacted: kills that left vectors out of which the dead ones had been taken.
        completed: runs after a kill that went through, and ended as an undisturbed one did.
        searches: by a reader at the same time.
    """

    kills: int = 0
    while_creating: int = 0
    while_committing: int = 0
    while_changing: int = 0
    leaving_files: int = 0
    finished: int = 0
    acknowledged: int = 0
    changes: int = 0
    indexed: int = 0
    compacted: int = 0
    completed: int = 0
    searches: int = 0


@dataclass(frozen=True)
class State:
    """What a collection holds: of each image its id, stamp, vector and price, and of each skipped file its stamp."""

    ids: dict[str, int]
    stamps: dict[str, tuple[int, int]]
    vectors: dict[str, NDArray[np.float32]]
    prices: dict[int, int]


EMPTY = State({}, {}, {}, {})


@dataclass(frozen=True)
class Change:
    """What is done to a collection once it is up to date.

    Attributes:
        kind: "remove", "annotate", "build" or "maintain".
        keys: the images.
        price: that they get, or what is to be built.
        spec: of the index.
    """

    kind: str
    keys: list[str] = field(default_factory=list)
    price: int = 0
    spec: str | None = None


# The process that is killed


def be_killed(folder: Path, encoder: str, changes: Sequence[Change]) -> None:
    """Brings a folder's collection up to date, with a commit for each image, changes it, and says how far it is."""
    pipeline._COMMIT_SECONDS, embedding.GROUP = 0, 3
    say("started")
    try:
        photos = lookalike.open(folder, encoder=encoder_of(encoder))
    except NoCollectionError:
        photos = lookalike.create(folder, encoder=encoder_of(encoder))
    say("open")
    photos.add(folder, threads=2, progress=acknowledge)
    say("done")
    sys.addaudithook(FileTeller(photos.directory))
    for change in changes:
        make(photos, change)
        say("changed")


def make(photos: Collection, change: Change) -> None:
    match change.kind:
        case "remove":
            photos.remove([photos.folder / key for key in change.keys])
        case "annotate":
            table = photos.folder.parent / "table.csv"
            table.write_text("\n".join(["path,price", *(f"{key},{change.price}" for key in change.keys)]))
            photos.annotate(table)
        case "build":
            photos.build(spec=change.spec, recall=0.9)
        case "maintain":
            photos.maintain()


class FileTeller:
    """Says it whenever a file of the collection is about to be opened, renamed or taken away."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._count = str(directory), 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.rename", "os.remove") and str(arguments[0]).startswith(self._directory):
            say(f"file {self._count}")
            self._count += 1


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
        changes = self._changes()
        with self._reader() if before.stamps and self.random.random() < 0.4 else contextlib.nullcontext():
            said = self._run_and_kill(len(waiting), changes)
        committed = max((int(line.split()[1]) for line in said if line.startswith("committed")), default=0)
        done = "done" in said
        after = self._state()
        if "open" in said or (self.directory / "collection.json").exists():
            with self._open() as photos:
                assert photos.check() == []
                self._assert_searches_are_right(photos, after)
        self._assert_nothing_is_lost(
            before,
            after,
            len(waiting) if done else committed,
            waiting,
            self._made(changes, said.count("changed"), after) if done else [],
            done=done,
        )
        self.tally.acknowledged += 0 if done else committed
        if self.random.random() < 0.3:
            self._complete()
        elif self.random.random() < 0.3:
            self._sweep()

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
            case "spoil" if len(self._images()) > PICTURES // 2:
                (self.folder / key).write_bytes(b"text")
                self._set_time(key)
                self.pictures[key] = None
            case "delete" if len(self._images()) > PICTURES // 2:
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

    def _images(self) -> list[str]:
        return [key for key, seed in self.pictures.items() if seed is not None]

    def _changes(self) -> list[Change]:
        """What the process is to do besides."""
        images = self._images()
        changes: list[Change] = []
        while len(changes) < 4 and self.random.random() < 0.8:
            some = [str(key) for key in self.random.choice(images, min(5, len(images)), replace=False)]
            match self.random.choice(["remove", "annotate", "build", "build", "maintain", "maintain"]):
                case "remove" if not any(change.kind == "remove" for change in changes):
                    changes.append(Change("remove", some))
                case "annotate":
                    changes.append(Change("annotate", some, price=int(self.random.integers(1000))))
                case "build":
                    changes.append(Change("build", spec=SPECS[self.random.integers(len(SPECS))]))
                case _:
                    changes.append(Change("maintain"))
        return changes

    # The process

    def _run_and_kill(self, waiting: int, changes: Sequence[Change]) -> list[str]:
        """What it said before its end came, which is at any time of its life, or close to a commit."""
        told = json.dumps([vars(change) for change in changes])
        command = [sys.executable, "-m", "tests.campaigns.crash", "be-killed", str(self.folder), self.encoder, told]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment()) as process:
            assert process.stdout
            assert process.stderr
            last, life = self._instant(waiting, len(changes))
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

    def _instant(self, waiting: int, changes: int) -> tuple[str, float]:
        """After which word, and within how many seconds from there, the end comes."""
        if not self.directory.exists() and self.random.random() < 0.3:
            return "started", CREATION_S
        if changes and self.random.random() < 0.6:
            if self.random.random() < 0.3:
                return "done", changes * BUILDING_S
            return f"file {self.random.integers(changes * FILES)}", COMMIT_S / 2
        if self.random.random() < 0.4:
            return "started", CREATION_S + waiting * COMMIT_S + (0 if self.encoder == "colours" else 0.4)
        return f"committed {self.random.integers(max(waiting, 1))}", COMMIT_S

    def _count(self, said: list[str], code: int) -> None:
        if code == 0:
            self.tally.finished += 1
            return
        self.tally.kills += 1
        self.tally.changes += said.count("changed")
        self.tally.while_changing += "done" in said
        if "open" not in said:
            self.tally.while_creating += 1
        elif self._is_between_two_states():
            self.tally.while_committing += 1

    def _is_between_two_states(self) -> bool:
        connection = sqlite3.connect(f"file:{self.directory / 'catalog.sqlite'}?mode=ro&immutable=1", uri=True)
        try:
            (rows,) = connection.execute("SELECT COUNT(*) FROM vectors").fetchone()
            vectors = self.directory / connection.execute("SELECT vectors FROM storage").fetchone()[0]
        except sqlite3.DatabaseError:
            return True
        finally:
            connection.close()
        dim = 25 if self.encoder == "colours" else 1280
        if (self.directory / "catalog.sqlite-journal").exists() or not vectors.exists():
            return True
        return bool(vectors.stat().st_size > 81 + rows * dim * 2)

    # What is left

    def _open(self) -> Collection:
        return self._with_network(lookalike.open(self.folder, encoder=encoder_of(self.encoder)))

    def _with_network(self, photos: Collection) -> Collection:
        photos._encoder._loaded = 2, "auto", self.network  # once for all of them
        return photos

    def _state(self) -> State:
        if not (self.directory / "collection.json").exists():
            return EMPTY
        connection = sqlite3.connect(self.directory / "catalog.sqlite")
        try:
            images = connection.execute("SELECT key, id, size, changed_ns FROM images").fetchall()
            skipped = connection.execute("SELECT key, size, changed_ns FROM skipped").fetchall()
            prices = connection.execute("SELECT image, value FROM attributes").fetchall()
        finally:
            connection.close()
        stamps = {key: (size, time) for key, *_, size, time in (*images, *skipped)}
        assert len(stamps) == len(images) + len(skipped)
        ids = {key: id_ for key, id_, *_ in images}
        return State(ids, stamps, stored_vectors(self.directory), dict(prices))

    def _made(self, changes: Sequence[Change], acknowledged: int, after: State) -> Sequence[Change]:
        """The changes that were made: those that were acknowledged, and maybe one more."""
        made = changes[: acknowledged + 1]
        if len(made) > acknowledged:
            last = made[-1]
            if last.kind == "remove" and not after.ids.keys().isdisjoint(last.keys):
                return changes[:acknowledged]
            if last.kind == "annotate" and not any(
                after.prices.get(id_) == last.price for key, id_ in after.ids.items() if key in last.keys
            ):
                return changes[:acknowledged]
        return made

    def _assert_nothing_is_lost(
        self, before: State, after: State, committed: int, waiting: list[str], made: Sequence[Change], *, done: bool
    ) -> None:
        removed = {key for change in made if change.kind == "remove" for key in change.keys}
        assert removed.isdisjoint(after.stamps)
        prices = dict(before.prices)
        for change in made:
            if change.kind == "annotate":
                prices |= {after.ids[key]: change.price for key in change.keys if key in after.ids}
        ids = set(after.ids.values())
        assert after.prices == {id_: price for id_, price in prices.items() if id_ in ids}
        waiting = [key for key in waiting if key not in removed] if done else waiting
        for place, key in enumerate(waiting):
            old, new, now = before.vectors.get(key), self._vector(key), after.vectors.get(key)
            if place < committed:
                assert is_same(now, new), f"{key} was acknowledged"
                assert after.stamps[key] == self._stamp(key)
            else:
                assert is_same(now, new) or is_same(now, old), f"{key} is neither as it was nor as it is"
        for key in before.stamps.keys() - set(waiting) - removed:
            if key in self.pictures or key in after.vectors:
                assert is_same(after.vectors.get(key), before.vectors.get(key)), f"{key} has changed"
                assert after.ids.get(key) == before.ids.get(key)
            assert key in self.pictures or not done or key not in after.stamps, f"{key} is gone"
        assert after.stamps.keys() <= before.stamps.keys() | self.pictures.keys()

    def _assert_searches_are_right(self, photos: Collection, state: State) -> None:
        """An exact search finds all there is; an index as many, and with the right scores."""
        query = np.random.default_rng(self.tally.kills).normal(size=photos.made_by.dim)
        query /= np.linalg.norm(query)
        scores = {key: float(vector.astype(np.float64) @ query) for key, vector in state.vectors.items()}
        for k, exact in ((10**6, True), (10**6, False), (5, True), (5, False)):
            found = photos.search_vector(query, k=k, exact=exact)
            assert len({match.id for match in found}) == len(found) == min(k, len(scores))
            assert all(abs(match.score - scores[match.key]) < 1e-3 for match in found)
            if exact:
                best = sorted(scores.values(), reverse=True)[:k]
                assert np.allclose([match.score for match in found], best, atol=1e-3)
        now = photos._catalog.state()
        self.tally.indexed += now.generation is not None
        self.tally.compacted += now.vectors != "vectors.faiss"
        self.tally.leaving_files += self._files() != self._named(photos)

    def _files(self) -> set[str]:
        """The files of the collection that a build writes."""
        found = (*self.directory.glob("vectors*"), *self.directory.glob("index/*"))
        return {str(path.relative_to(self.directory)) for path in found}

    @staticmethod
    def _named(photos: Collection) -> set[str]:
        """Those of these that are in use."""
        state = photos._catalog.state()
        if state.generation is None:
            return {state.vectors}
        return {state.vectors} | {f"index/{state.generation.number:06}.{suffix}" for suffix in ("faiss", "json")}

    def _sweep(self) -> None:
        """The next one who maintains takes away what was left."""
        with contextlib.suppress(NoCollectionError), self._open() as photos:
            photos.maintain()
            assert self._files() == self._named(photos)
            assert photos.check() == []
            self._assert_searches_are_right(photos, self._state())

    def _vector(self, key: str) -> NDArray[np.float32] | None:
        """What is to be stored of a file, or None where it is no image."""
        seed = self.pictures[key]
        if seed is not None and seed not in self.expected:
            pixels = prepare(picture(seed), self.network.preprocessing)
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
            self._sweep()
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
    with small(killer.network.dim), warnings.catch_warnings():
        warnings.simplefilter("error", DamagedIndexWarning)
        while killer.tally.kills < kills:
            killer.kill_once()
            if verbose and killer.tally.kills % 25 == 0:
                print(killer.tally, flush=True)
        killer._complete()
    return killer.tally


def small(dim: int) -> contextlib.AbstractContextManager[None]:
    """Such a folder is enough for an index, and for taking it apart."""
    return small_thresholds(exact=20 * dim // ColourEncoder.dim, young=3, growth=1.5, dead=0.1)


def main() -> None:
    if sys.argv[1:2] == ["be-killed"]:
        with small(25 if sys.argv[3] == "colours" else 1280):
            be_killed(Path(sys.argv[2]), sys.argv[3], [Change(**change) for change in json.loads(sys.argv[4])])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--encoder", choices=["colours", "bundled"], default="colours")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve() / "photos"
        print(run(place, kills=options.kills, encoder=options.encoder, seed=options.seed, verbose=True))


if __name__ == "__main__":
    main()

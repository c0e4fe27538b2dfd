"""Starts processes, kills them, and examines what they leave behind."""

import contextlib
import os
import shutil
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import lookalike
from lookalike import Collection, encoders
from lookalike.errors import DamagedIndexWarning, NoCollectionError
from lookalike.images.decode import prepare
from lookalike.ingest import embedding
from tests.campaigns.crash import state as states
from tests.campaigns.crash import victim
from tests.campaigns.crash.photo_folder import PhotoFolder
from tests.campaigns.crash.record import Record
from tests.campaigns.crash.state import State, is_same
from tests.campaigns.crash.tally import Tally
from tests.campaigns.crash.victim import Change, encoder_of, policies_for
from tests.support.forked_programs import Program
from tests.support.pictures import picture, stored_vectors

# How long a commit, a creation and a build take, approximately.
COMMIT_S = 0.02
CREATION_S = 0.05
BUILD_S = 0.1
FILES_PER_CHANGE = 10  # that are opened, renamed or removed, approximately
SPECS = ("IVF2,SQ8", "HNSW4,SQ8", "Flat", None)


class Killer:
    """A changing folder whose collection is brought up to date by processes that are killed."""

    def __init__(self, folder: Path, encoder: str, seed: int) -> None:
        self.folder, self._encoder_name = folder, encoder
        self.directory = folder / ".lookalike"
        self.tally = Tally()
        self._random = np.random.default_rng(seed)
        self._encoder = encoder_of(encoder) or encoders.load(threads=2)
        self._policies = policies_for(self._encoder.dim)
        self._expected: dict[int, NDArray[np.float32]] = {}
        self._photos = PhotoFolder(folder, self._random)

    def kill_once(self) -> None:
        """Starts one process, kills it, and examines what is left."""
        if self._random.random() < 0.3:
            shutil.rmtree(self.directory, ignore_errors=True)  # then the process has to create it, too
        before = states.read(self.directory)
        for _ in range(self._random.integers(8)):
            self._photos.change_a_file()
        record = self._run_and_kill(before)
        after = states.read(self.directory)
        if "open" in record.lines or (self.directory / "collection.json").exists():
            with self._open() as photos:
                assert photos.check() == []
                self._check_searches(photos, after)
        self._check_nothing_is_lost(before, after, record)
        self.tally.acknowledged += 0 if record.is_done else record.acknowledged
        if self._random.random() < 0.3:
            self.complete()
        elif self._random.random() < 0.3:
            self._sweep()

    def complete(self) -> None:
        """Lets a run go through, and compares the collection with one that is made anew."""
        with contextlib.suppress(NoCollectionError):
            with self._open() as photos:
                photos.add(self.folder, threads=2)
                assert photos.check() == []
                assert_each_is_found_once(photos)
                kept = photos.info().regions
                assert kept is None or kept.without == 0
                skipped = photos.skipped()
            self._sweep()
            beside = self.folder / ".undisturbed"
            encoder = encoder_of(self._encoder_name)
            created = lookalike.create(self.folder, directory=beside, encoder=encoder, policies=self._policies)
            with self._with_encoder(created) as photos:
                photos.add(self.folder, threads=2)
                assert photos.skipped() == skipped
            vectors, undisturbed = stored_vectors(self.directory), stored_vectors(beside)
            shutil.rmtree(beside)
            assert vectors.keys() == undisturbed.keys()
            assert all(is_same(vectors[key], undisturbed[key]) for key in vectors)
            self.tally.completed += 1

    # The process

    def _run_and_kill(self, before: State) -> Record:
        """Kills a process at any time of its life, or close to a commit; a reader may search meanwhile."""
        changed = (key for key in self._photos.seeds if before.stamps.get(key) != self._photos.stamp(key))
        waiting = sorted(changed, key=os.fsencode)
        changes = self._random_changes()
        with self._reader() if before.stamps and self._random.random() < 0.4 else contextlib.nullcontext():
            lines, code = self._lines_until_killed(len(waiting), changes)
        self._count(lines, code)
        return Record(waiting, changes, lines)

    def _lines_until_killed(self, waiting: int, changes: Sequence[Change]) -> tuple[list[str], int]:
        """What the process reported, and its exit code."""
        with Program(victim.run, self.folder, self._encoder_name, changes) as process:
            last, seconds = self._random_instant(waiting, len(changes))
            lines = []
            for line in process.stdout:
                lines.append(line.strip())
                if lines[-1] == last:
                    break
            time.sleep(self._random.random() * seconds)
            process.kill()
            lines += process.stdout.read().splitlines()
            errors = process.stderr.read()
        if process.returncode not in (0, -signal.SIGKILL):
            raise AssertionError(f"it ended by itself:\n{errors}")
        return lines, process.returncode

    def _random_changes(self) -> list[Change]:
        """What the process is to do once the collection is up to date."""
        images = self._photos.images()
        changes: list[Change] = []
        while len(changes) < 4 and self._random.random() < 0.8:
            some = [str(key) for key in self._random.choice(images, min(5, len(images)), replace=False)]
            match self._random.choice(
                ["remove", "annotate", "build", "build", "maintain", "maintain", "regions", "augment"]
            ):
                case "remove" if not any(change.kind == "remove" for change in changes):
                    changes.append(Change("remove", some))
                case "annotate":
                    changes.append(Change("annotate", some, price=int(self._random.integers(1000))))
                case "regions" if not any(change.kind == "remove" for change in changes):  # it would bring them back
                    changes.append(Change("regions", regions=int(self._random.choice([0, 5, 9]))))
                case "augment":
                    changes.append(Change("augment", augmented=bool(self._random.random() < 0.7)))
                case "build":
                    changes.append(Change("build", spec=SPECS[self._random.integers(len(SPECS))]))
                case _:
                    changes.append(Change("maintain"))
        return changes

    def _random_instant(self, waiting: int, changes: int) -> tuple[str, float]:
        """When to kill: the line to wait for, and the most seconds to wait after it."""
        if not self.directory.exists() and self._random.random() < 0.3:
            return "started", CREATION_S
        if changes and self._random.random() < 0.6:
            if self._random.random() < 0.3:
                return "done", changes * BUILD_S
            return f"file {self._random.integers(changes * FILES_PER_CHANGE)}", COMMIT_S / 2
        if self._random.random() < 0.4:
            return "started", CREATION_S + waiting * COMMIT_S + (0 if self._encoder_name == "colours" else 0.4)
        return f"committed {self._random.integers(max(waiting, 1))}", COMMIT_S

    def _count(self, lines: Sequence[str], code: int) -> None:
        if code == 0:
            self.tally.finished += 1
            return
        self.tally.kills += 1
        self.tally.changes += lines.count("changed")
        self.tally.while_changing += "done" in lines
        if "open" not in lines:
            self.tally.while_creating += 1
        elif states.is_between_commits(self.directory, self._encoder.dim):
            self.tally.while_committing += 1

    # What it leaves

    def _open(self) -> Collection:
        encoder = encoder_of(self._encoder_name)
        return self._with_encoder(lookalike.open(self.folder, encoder=encoder, policies=self._policies))

    def _with_encoder(self, photos: Collection) -> Collection:
        photos._encoder._loaded = 2, "auto", self._encoder  # loaded once for all of them
        return photos

    def _check_nothing_is_lost(self, before: State, after: State, record: Record) -> None:
        made = record.changes_made(after)
        removed = {key for change in made if change.kind == "remove" for key in change.keys}
        assert removed.isdisjoint(after.stamps)
        assert removed or before.all_ids <= after.all_ids, "an image was forgotten"
        self._check_prices(before, after, made)
        waiting = [key for key in record.waiting if key not in removed] if record.is_done else record.waiting
        for number, key in enumerate(waiting):
            old, new, now = before.vectors.get(key), self._vector(key), after.vectors.get(key)
            if number < record.committed:
                assert is_same(now, new), f"{key} was acknowledged"
                assert after.stamps[key] == self._photos.stamp(key)
            else:
                assert is_same(now, new) or is_same(now, old), f"{key} is neither as it was nor as it is"
        for key in before.stamps.keys() - set(waiting) - removed:
            if key in self._photos.seeds or key in after.vectors:
                assert is_same(after.vectors.get(key), before.vectors.get(key)), f"{key} has changed"
                assert after.ids.get(key) == before.ids.get(key)
            assert key in self._photos.seeds or not record.is_done or key not in after.stamps, f"{key} is gone"
        assert after.stamps.keys() <= before.stamps.keys() | self._photos.seeds.keys()

    @staticmethod
    def _check_prices(before: State, after: State, made: Sequence[Change]) -> None:
        prices = dict(before.prices)
        for change in made:
            if change.kind == "annotate":
                prices |= {after.ids[key]: change.price for key in change.keys if key in after.ids}
        assert after.prices == {id_: price for id_, price in prices.items() if id_ in after.all_ids}

    def _check_searches(self, photos: Collection, state: State) -> None:
        """An exact search finds the best; a search with an index finds as many, with the right scores."""
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
        if now.regions:
            found = photos.search_vector(query, k=10**6, regions=True, exact=True)
            assert len({match.id for match in found}) == len(found) == len(scores)
            assert all(match.score > scores[match.key] - 1e-3 for match in found)
            self.tally.with_parts += 1
        found = photos.search_vector(query, k=10**6, refine=True)
        assert len({match.id for match in found}) == len(found) == len(scores)
        assert all(abs(match.score - scores[match.key]) < 1e-3 for match in found)
        self.tally.augmented += now.augmented is not None
        self.tally.indexed += now.generation is not None
        self.tally.compacted += now.vectors != "vectors.faiss"
        self.tally.leaving_files += self._files() != self._named(photos)

    def _files(self) -> set[str]:
        """The names of the files of vectors and of the index that there are."""
        patterns = "vectors*", "regions*", "augmented*", "index/*"
        found = [path for pattern in patterns for path in self.directory.glob(pattern)]
        return {str(path.relative_to(self.directory)) for path in found}

    @staticmethod
    def _named(photos: Collection) -> set[str]:
        """The names of those that the catalog names."""
        state = photos._catalog.state()
        names = set[str]()
        for table in (state, state.regions) if state.regions else (state,):
            names.add(table.vectors)
            if table.generation:
                names |= {f"index/{table.generation.number:06}.{suffix}" for suffix in ("faiss", "json")}
        if state.augmented and state.augmented.count:
            names.add(state.augmented.vectors)
        return names

    def _sweep(self) -> None:
        """Maintains the collection, which removes what was left over."""
        with contextlib.suppress(NoCollectionError), self._open() as photos:
            photos.maintain()
            assert self._files() == self._named(photos)
            assert photos.check() == []
            self._check_searches(photos, states.read(self.directory))

    def _vector(self, key: str) -> NDArray[np.float32] | None:
        """The vector that is to be stored for a file; None if it is no image."""
        seed = self._photos.seeds[key]
        if seed is not None and seed not in self._expected:
            pixels = prepare(picture(seed), self._encoder.preprocessing)
            self._expected[seed] = embedding.embed(self._encoder, pixels)[0]
        return None if seed is None else self._expected[seed]

    @contextlib.contextmanager
    def _reader(self) -> Iterator[None]:
        """Searches in another thread until the end; its first error is raised then."""
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
    """No image may come back twice."""
    found = photos.search_vector(np.ones(photos.made_by.dim), k=1000)
    assert len({match.key for match in found}) == len({match.id for match in found}) == len(found)


def run(
    folder: Path, *, kills: int, most: int | None = None, encoder: str = "colours", seed: int = 0, verbose: bool = False
) -> Tally:
    """Kills that many processes, and then up to `most` as long as something that is to be tried is missing.

    Raises:
        AssertionError: something was lost or torn.
    """
    killer = Killer(folder, encoder, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DamagedIndexWarning)
        while killer.tally.kills < kills or (killer.tally.missing and killer.tally.kills < (most or kills)):
            killer.kill_once()
            if verbose and killer.tally.kills % 25 == 0:
                print(killer.tally, flush=True)
        killer.complete()
    return killer.tally

"""Searches a collection from many threads and processes while it is being written to, and judges every answer.

    python -m tests.campaigns.soak --seconds 60

One thread adds, changes, removes, annotates, maintains and builds, without a pause. It writes a history: what each of
its commits is about to do, and when that has been acknowledged. Eight threads of the same process, which share its
collection, and four other processes search. Each answer has to be the right one for one of the states that the
history has between the beginning and the end of the search.
"""

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

import lookalike
from lookalike import Collection, Match
from lookalike.errors import UsageError
from lookalike.filters import Between, Where
from lookalike.images.decode import prepare
from lookalike.ingest import embedding, pipeline
from lookalike.storage import sqlite
from lookalike.storage.vectors import unit
from tests.support.pictures import ColourEncoder, draw, picture
from tests.support.project import environment
from tests.support.small_policies import small_thresholds

THREADS, PROCESSES = 8, 4
LASTING = 120  # pictures that are there all the time
PICTURES = 400  # more or less
FOLDERS = ("", "cats", "dogs", "dogs/old")
COLOURS = ("red", "green", "blue")
SPECS = (
    None,
    "IVF4,SQ8",
    "IVF8,Flat",
    "Pad28,IVF4,PQ7x4fs",
    "IVF8_HNSW8,PQ5x4fs",
    "PCA16,IVF4,SQ8",
    "IVF4,RaBitQ",
    "HNSW8",
    "HNSW8,SQ8",
    "Flat",
    "SQ8",
)
FUTURE = 4 * 10**18  # in nanoseconds: later than the time that the system gives files, so that these count
TOLERANCE = 2e-5  # of a score; single precision leaves some 1e-6
LEAST_RECALL = 0.8  # on average, of searches with an index; each is made for 0.9 at least
SEEDS = 10_000  # of pictures
PAUSE_S = 0.02  # at most, between two searches, so that the writer gets somewhere on a machine of few cores
PATIENCE_S = 60  # until a process that is told to end has done so

Vector = NDArray[np.float64]


# What is, and what was


@dataclass(frozen=True)
class Image:
    """What one key stands for: which picture, and the attributes."""

    seed: int
    colour: str | None = None
    price: int | None = None


Images = dict[str, Image]
Changes = Mapping[str, Image | None]


@dataclass(frozen=True)
class Step:
    """One commit: what it changes (None: it takes the image out), and whose ids it may change besides."""

    changes: Changes = field(default_factory=dict)
    new_ids: Sequence[str] = ()


@cache
def vector_of(seed: int) -> Vector:
    """The vector of `picture(seed)` as it is stored."""
    pixels = prepare(picture(seed), ColourEncoder.preprocessing)
    vector: Vector = embedding.embed(ColourEncoder(), pixels)[0].astype(np.float16).astype(np.float64)
    return vector


class State:
    """All images at one time, ready to be compared with."""

    def __init__(self, images: Images) -> None:
        self.images = images
        self.keys = list(images)
        self.place = {key: place for place, key in enumerate(self.keys)}
        self.vectors = np.array([vector_of(image.seed) for image in images.values()]).reshape(-1, ColourEncoder.dim)

        self._admitted: dict[Where | None, NDArray[np.bool_]] = {}

    def admits(self, where: Where | None) -> NDArray[np.bool_]:
        """Which of the images match: a slow definition of a filter."""
        if where not in self._admitted:
            matching = [where is None or self._matches(key, where) for key in self.keys]
            self._admitted[where] = np.array(matching, bool)
        return self._admitted[where].copy()

    def _matches(self, key: str, where: Where) -> bool:
        image = self.images[key]
        if where.labels is not None and Path(key).parent.name not in where.labels:
            return False
        if where.under and not key.startswith(f"{where.under}/"):
            return False
        for name, allowed in where.conditions.items():
            value = getattr(image, name)
            if value is None:
                return False
            if isinstance(allowed, Between):
                if not _int(allowed.low) <= value <= _int(allowed.high):
                    return False
            elif value not in allowed:
                return False
        return True


def _int(end: object) -> int:
    assert isinstance(end, int)
    return end


class Diary:
    """Writes the history: a line for what is about to be committed, and one when it has been."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def begin(self, steps: Sequence[Step]) -> None:
        self._write({"steps": [asdict(step) for step in steps]})

    def done(self) -> None:
        self._write({"done": True})

    def close(self) -> None:
        os.close(self._file)

    def _write(self, entry: dict[str, Any]) -> None:
        os.write(self._file, f"{json.dumps(entry)}\n".encode())


class History:
    """Follows the history while it is being written. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._lock = threading.Lock()
        self._rest = b""
        self._steps: list[Step] = []
        self._done = 0
        self._states: dict[int, State] = {0: State({})}
        self._newest = 0

    def close(self) -> None:
        self._file.close()

    def now(self) -> tuple[int, int]:
        """How many commits have been acknowledged, and how many begun."""
        with self._lock:
            *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
            for line in lines:
                entry = json.loads(line)
                if "done" in entry:
                    self._done = len(self._steps)
                else:
                    self._steps += [_step(each) for each in entry["steps"]]
            return self._done, len(self._steps)

    def state(self, number: int) -> State:
        """What there is after so many commits; those of some time ago are forgotten."""
        with self._lock:
            while self._newest < number:
                images = dict(self._states[self._newest].images)
                for key, image in self._steps[self._newest].changes.items():
                    if image is None:
                        del images[key]
                    else:
                        images[key] = image
                self._newest += 1
                changed = self._steps[self._newest - 1].changes
                self._states[self._newest] = State(images) if changed else self._states[self._newest - 1]
                self._states.pop(self._newest - 500, None)
            return self._states[number]

    def may_have_another_id(self, key: str, first: int, last: int) -> bool:
        """Whether an image was taken out or renamed by one of these commits."""
        steps = self._steps[first:last]
        return any(key in step.new_ids or step.changes.get(key, key) is None for step in steps)


def _step(entry: dict[str, Any]) -> Step:
    changes = {key: None if image is None else Image(**image) for key, image in entry["changes"].items()}
    return Step(changes, entry["new_ids"])


# Who searches


@dataclass
class Tally:
    """What was done, by any number of threads.

    Attributes:
        searches: that were answered.
        kinds: of what kinds they were.
        during_writes: searches during which something was committed, or could have been.
        recalls: the sum of the recalls of searches that an index may have answered.
        indexed: how many these were.
        gone: searches for what is like an image that had been removed.
        wrong: what was wrong with an answer, or what error came instead of one.
    """

    searches: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    during_writes: int = 0
    recalls: float = 0
    indexed: int = 0
    gone: int = 0
    wrong: list[str] = field(default_factory=list)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(**{name: mine + vars(other)[name] for name, mine in vars(self).items()})

    def __iadd__(self, other: "Tally") -> "Tally":
        vars(self).update(vars(self + other))
        return self

    @property
    def recall(self) -> float:
        return self.recalls / max(self.indexed, 1)


@dataclass(frozen=True)
class Question:
    """What is asked for, as the keyword arguments of a search."""

    k: int
    where: Where | None
    exact: bool
    min_score: float | None
    recall: float | None

    def options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("k", "where", "exact", "min_score", "recall")}


class Searcher:
    """Asks one question after the other, and judges the answers."""

    def __init__(self, photos: Collection, history: History, seed: int, *, alone: bool) -> None:
        """`alone`: nobody else uses this collection object."""
        self._photos, self._history, self._alone = photos, history, alone
        self._random = random.Random(seed)
        self._seen: list[tuple[int, str, int]] = []  # id, key, as of which commit
        self.tally = Tally()

    def search_until(self, ended: threading.Event) -> None:
        while not ended.is_set() and not self.tally.wrong:
            try:
                self._search_once()
            except BaseException:
                self.tally.wrong.append(traceback.format_exc())
            time.sleep(self._random.random() * PAUSE_S)

    def _search_once(self) -> None:
        kinds, weights = ["vector", "id", "many", "info", "check", "close"], [8, 8, 3, 0.2, 0.2, 0.1]
        kind = self._random.choices(kinds, weights)[0]
        self.tally.kinds[kind] += 1
        match kind:
            case "vector":
                query = np.random.default_rng(self._random.randrange(2**32)).normal(size=ColourEncoder.dim)
                if self._random.random() < 0.5:
                    query = vector_of(self._random.randrange(SEEDS))
                question = self._question()
                first = self._history.now()[0]
                found = self._photos.search_vector(query, **question.options())
                self._judge(found, query / np.linalg.norm(query), question, first)
            case "many":
                seeds = [self._random.randrange(SEEDS) for _ in range(self._random.choice([1, 2, 5, 40]))]
                question = self._question()
                first = self._history.now()[0]
                answers = self._photos.search_many([picture(seed) for seed in seeds], **question.options())
                for seed, found in zip(seeds, answers, strict=True):
                    query = embedding.embed(ColourEncoder(), prepare(picture(seed), ColourEncoder.preprocessing))[0]
                    self._judge(found, query.astype(np.float64), question, first)
            case "id":
                self._search_id()
            case "info":
                first = self._history.now()[0]
                images = self._photos.info().images
                last = self._history.now()[1]
                if images not in [len(self._history.state(number).images) for number in range(first, last + 1)]:
                    self.tally.wrong.append(f"info() counts {images} images")
            case "check":
                if damages := self._photos.check():
                    self.tally.wrong.append(f"check() says {damages}")
            case "close" if self._alone:
                self._photos.close()

    def _question(self) -> Question:
        chance = self._random.random
        return Question(
            k=self._random.choice([1, 2, 5, 10, 10, 20, 50, 1000]),
            where=self._where() if chance() < 0.5 else None,
            exact=chance() < 0.4,
            min_score=self._random.uniform(-0.5, 1) if chance() < 0.2 else None,
            recall=self._random.choice([0.5, 0.9, 1.0]) if chance() < 0.2 else None,
        )

    def _where(self) -> Where:
        low = self._random.randrange(100)
        return self._random.choice(
            [
                Where(label=self._random.choice(["cats", "dogs", "old"])),
                Where(label=["cats", "old"]),
                Where(under="dogs"),
                Where(attributes={"colour": self._random.choice(COLOURS)}),
                Where(attributes={"colour": COLOURS}),
                Where(attributes={"price": Between(low, low + self._random.randrange(100))}),
                Where(under="dogs", attributes={"colour": COLOURS[:2], "price": Between(low, 100)}),
                Where(label="no such label"),
            ]
        )

    def _search_id(self) -> None:
        if not self._seen:
            first = self._history.now()[0]
            found = self._photos.search_vector(np.ones(ColourEncoder.dim), k=1000)
            self._seen = [(match.id, match.key, first) for match in found]
            self._random.shuffle(self._seen)
        if not self._seen:
            return
        id_, key, since = self._seen.pop()
        question = self._question()
        first = self._history.now()[0]
        try:
            found = self._photos.search_id(id_, **question.options())
        except UsageError as error:
            if "no image with the id" not in str(error):
                raise
            self.tally.gone += 1
            if not self._history.may_have_another_id(key, since, self._history.now()[1]):
                self.tally.wrong.append(f"{key}, id {id_}: it is there, and yet: {error}")
            return
        [image] = found.queries
        if image.id != id_ or any(match.id == id_ for match in found):
            self.tally.wrong.append(f"{key}, id {id_}: asked for what is like it, and got {image} and {found}")
        self._judge(found, None, question, first, own=image.key)

    def _judge(
        self, found: Sequence[Match], query: Vector | None, question: Question, first: int, own: str | None = None
    ) -> None:
        """The answer has to be right for one of the states that there were."""
        last = self._history.now()[1]
        verdicts = [
            Verdict(self._history.state(number), found, query, question, own) for number in range(first, last + 1)
        ]
        self.tally.searches += 1
        self.tally.during_writes += last > first
        right = [verdict for verdict in verdicts if not verdict.wrong]
        if not right:
            said = "; ".join(f"{first + place}: {verdict.wrong}" for place, verdict in enumerate(verdicts))
            answer = [(match.key, match.id, match.score) for match in found]
            self.tally.wrong.append(f"{question}, own {own}: {said}\n{answer}")
        elif not question.exact and question.min_score is None and found:
            self.tally.recalls += max(verdict.recall for verdict in right)
            self.tally.indexed += 1


class Verdict:
    """What is wrong with an answer, if one state is the true one; and how much of the best it has found."""

    def __init__(
        self, state: State, found: Sequence[Match], query: Vector | None, question: Question, own: str | None
    ) -> None:
        self.wrong, self.recall = "", 0.0
        if own is not None:
            if own not in state.place:
                self.wrong = f"{own} is not there"
                return
            [query] = unit(state.vectors[state.place[own]])
        assert query is not None
        scores = np.clip(state.vectors @ query, -1, 1)
        admitted = state.admits(question.where)
        if own is not None:
            admitted[state.place[own]] = False
        self.wrong = self._wrong_match(state, found, scores, admitted) or self._wrong_order(found)
        if self.wrong:
            return
        expected = np.sort(scores[admitted])[::-1]
        least = -2.0 if question.min_score is None else question.min_score
        sure = question.exact or question.min_score is None  # an index need not find all above a score
        fewest = min(question.k, int((expected > least + TOLERANCE).sum())) if sure else 0
        most = min(question.k, int((expected > least - TOLERANCE).sum()))
        if not fewest <= len(found) <= most:
            self.wrong = f"{len(found)} images instead of {fewest}"
            return
        best = expected[: len(found)]
        near = np.array([match.score for match in found])
        if question.exact and (np.abs(near - best) > TOLERANCE).any():
            self.wrong = f"these are not the best, which score {best.tolist()}"
        self.recall = float((near >= best[-1] - TOLERANCE).mean()) if len(best) else 1.0

    @staticmethod
    def _wrong_match(state: State, found: Sequence[Match], scores: Vector, admitted: NDArray[np.bool_]) -> str:
        for match in found:
            place = state.place.get(match.key)
            if place is None or not admitted[place]:
                return f"{match.key} should not be found"
            if abs(match.score - scores[place]) > TOLERANCE:
                return f"{match.key} scores {match.score} instead of {scores[place]}"
            image = state.images[match.key]
            attributes = {"colour": image.colour, "price": image.price}
            if dict(match.attributes) != {name: value for name, value in attributes.items() if value is not None}:
                return f"{match.key} has {match.attributes} instead of {attributes}"
        return ""

    @staticmethod
    def _wrong_order(found: Sequence[Match]) -> str:
        if len({match.id for match in found}) < len(found) or len({match.key for match in found}) < len(found):
            return "one of them comes twice"
        if any(first.score < second.score for first, second in itertools.pairwise(found)):
            return "they are not in order"
        return ""


# Who writes


@dataclass
class Work:
    """What the writer has done.

    Attributes:
        commits: of any kind.
        done: how often it did what, by name.
        compactions: how often dead vectors were taken out.
    """

    commits: int = 0
    done: Counter[str] = field(default_factory=Counter)
    compactions: int = 0


class Writer:
    """Changes a folder and its collection all the time, and knows what has to come of it."""

    def __init__(self, folder: Path, photos: Collection, diary: Diary, seed: int) -> None:
        self._folder, self._photos, self._diary = folder, photos, diary
        self._random = random.Random(seed)
        self._files: dict[str, int | None] = {}  # which picture is in each file; None for what is no image
        self._images: Images = {}
        self._lasting: set[str] = set()
        self._time, self._next_key, self._next_seed = FUTURE, 0, 0
        self.work = Work()

    def begin(self) -> None:
        """Fills the collection."""
        self._files = {self._new_key(): self._new_seed() for _ in range(PICTURES)}
        for key in self._files:
            self._write(key)
        self._lasting = set(list(self._files)[:LASTING])
        self._add()
        self._annotate(sorted(self._lasting))

    def write_once(self) -> None:
        names, weights = ["add", "add some", "remove", "annotate", "maintain", "build"], [6, 2, 3, 2, 5, 2]
        name = self._random.choices(names, weights)[0]
        match name:
            case "add":
                self._change_files()
                self._add()
            case "add some":
                self._add_some()
            case "remove":
                self._remove()
            case "annotate":
                self._annotate(self._some(list(self._images), 20))
            case "maintain":
                self._maintain()
            case "build":
                self._build()
        self.work.done[name] += 1

    def end(self) -> None:
        """What is there has to be what was written, and nothing else."""
        self._step(Step())
        self._photos.maintain()
        self._diary.done()
        assert self._photos.check() == []
        found = {match.key: match.score for match in self._photos.search_vector(vector_of(0), k=10**6, exact=True)}
        assert found.keys() == self._images.keys()
        for key, score in found.items():
            assert abs(score - vector_of(self._images[key].seed) @ vector_of(0)) < 1e-3
        state, directory = self._photos._catalog.state(), self._photos.directory
        kept = {f"{state.generation.number:06}.faiss", f"{state.generation.number:06}.json"} if state.generation else []
        assert {path.name for path in directory.glob("index/*")} == set(kept)
        assert {path.name for path in directory.glob("vectors*")} == {state.vectors}

    # Files

    def _change_files(self) -> None:
        """Files come, go, change, are copied, renamed and spoiled."""
        touched: set[str] = set()
        kept_out = {seed for key, seed in self._files.items() if seed is not None and key not in self._images}
        for key in self._some(self._passing(), 16 if len(self._files) > PICTURES else 6):
            seed = self._files[key]
            if seed in kept_out:  # the same picture comes back under another name, which would be taken for a new one
                continue
            (self._folder / key).unlink()
            touched.add(key)
            del self._files[key]
        gone = {image.seed for key, image in self._images.items() if key not in self._files}
        for key in self._some([key for key in self._passing() if key not in touched], 6):
            # Whatever had the picture that goes stays as it is, lest the two be taken for one that was renamed.
            if self._files[key] in gone:
                continue
            match self._random.choice(["change", "change", "spoil", "rename"]):
                case "change":
                    self._files[key] = self._new_seed()
                case "spoil":
                    self._files[key] = None
                case "rename" if self._is_renamable(key):
                    new = self._new_key()
                    (self._folder / new).parent.mkdir(exist_ok=True, parents=True)
                    (self._folder / key).rename(self._folder / new)
                    gone.add(self._images[key].seed)
                    self._files[new] = self._files.pop(key)
                    continue
            self._write(key)
        old = [image.seed for image in self._images.values() if image.seed not in gone]
        for _ in range(self._random.randrange(30 if self._random.random() < 0.2 else 14)):
            key = self._new_key()
            self._files[key] = self._random.choice(old) if old and self._random.random() < 0.15 else self._new_seed()
            self._write(key)

    def _is_renamable(self, key: str) -> bool:
        """There is this picture once, so that it is clear which file has become which."""
        seed = self._files[key]
        images = [name for name, image in self._images.items() if image.seed == seed]
        return images == [key] and list(self._files.values()).count(seed) == 1

    def _passing(self) -> list[str]:
        return [key for key in self._files if key not in self._lasting]

    def _some(self, keys: Sequence[str], most: int) -> list[str]:
        return self._random.sample(keys, min(self._random.randrange(1, most), len(keys)))

    def _new_key(self) -> str:
        self._next_key += 1
        return f"{self._random.choice(FOLDERS)}/{self._next_key}.png".lstrip("/")

    def _new_seed(self) -> int:
        self._next_seed += 1
        assert self._next_seed < SEEDS
        return self._next_seed

    def _write(self, key: str) -> None:
        seed = self._files[key]
        if seed is None:
            (self._folder / key).write_bytes(b"text")
        else:
            draw(self._folder / key, seed)
        self._time += 1
        os.utime(self._folder / key, ns=(self._time, self._time))

    # The collection

    def _step(self, *steps: Step) -> None:
        """Tells what is about to be committed."""
        self._diary.begin(steps)
        self.work.commits += len(steps)
        for step in steps:
            for key, image in step.changes.items():
                if image is None:
                    del self._images[key]
                else:
                    self._images[key] = image

    def _come(self, keys: Sequence[str]) -> dict[str, Image | None]:
        """What becomes of images when these files are looked at."""
        changes: dict[str, Image | None] = {}
        for key in keys:
            seed, image = self._files[key], self._images.get(key)
            if seed is None and image is not None:
                changes[key] = None
            elif seed is not None and (image is None or image.seed != seed):
                changes[key] = replace(image, seed=seed) if image else Image(seed)
        return changes

    def _add(self) -> None:
        """The folder: first what has come, then what has gone."""
        come = self._come(list(self._files))
        gone: dict[str, Image | None] = {key: None for key in self._images if key not in self._files}
        new_ids = []
        for key in list(gone):
            image = self._images[key]
            for new, came in come.items():
                if came and new not in self._images and came.seed == image.seed:  # it was renamed
                    gone[new] = image
                    new_ids.append(new)
                    break
        self._step(Step(come), Step(gone, new_ids))
        self._photos.add(self._folder, threads=2)
        self._diary.done()

    def _add_some(self) -> None:
        """Files one by one. What is new is found at once, with an index or without."""
        new = [self._new_key() for _ in range(self._random.randrange(1, 8))]
        for key in new:
            self._files[key] = self._new_seed()
            self._write(key)
        keys = new + self._some(self._passing(), 4)
        self._step(Step(self._come(keys)))
        self._photos.add([self._folder / key for key in keys], threads=1)
        self._diary.done()
        for key in new:
            found = self._photos.search_vector(vector_of(self._images[key].seed), k=3)
            assert key in [match.key for match in found], f"{key} is new, and is not found"

    def _remove(self) -> None:
        """Of some the file stays, so that they come back some time."""
        keys = self._some([key for key in self._images if key not in self._lasting], 24)
        for key in keys:
            if self._random.random() < 0.7 and key in self._files:
                (self._folder / key).unlink()
                del self._files[key]
        self._step(Step(dict.fromkeys(keys)))
        assert self._photos.remove([self._folder / key for key in keys]) == len(keys)
        self._diary.done()

    def _annotate(self, keys: Sequence[str]) -> None:
        changes: dict[str, Image | None] = {}
        lines = ["path,colour,price"]
        for key in keys:
            colour, price = self._random.choice(COLOURS), self._random.randrange(100)
            lines.append(f"{key},{colour},{price}")
            changes[key] = replace(self._images[key], colour=colour, price=price)
        table = self._folder.parent / "table.csv"
        table.write_text("\n".join(lines))
        self._step(Step(changes))
        assert self._photos.annotate(table).images == len(keys)
        self._diary.done()

    def _maintain(self) -> None:
        self._step(Step())
        done = self._photos.maintain()
        self._diary.done()
        self.work.compactions += done.removed > 0
        self.work.done["joined"] += done.joined > 0
        self.work.done["built anew"] += done.built is not None

    def _build(self) -> None:
        before = self._photos._catalog.state().vectors
        spec, recall = self._random.choice(SPECS), self._random.choice([0.9, 0.98])
        self._step(Step())
        self._photos.build(spec=spec, recall=recall)
        self._diary.done()
        self.work.done[f"built {spec}"] += 1
        self.work.compactions += self._photos._catalog.state().vectors != before


# All of them together


@contextmanager
def prepared(*, wal: bool) -> Iterator[None]:
    """Everything happens at small numbers, each run of `add` commits once, warnings are errors, threads take turns."""
    interval = sys.getswitchinterval()
    with (
        small_thresholds(),
        mock.patch.object(pipeline, "_COMMIT_SECONDS", 1e9),
        mock.patch.object(pipeline, "_COMMIT_IMAGES", 10**6),
        mock.patch.object(sqlite, "_WAL_IS_SAFE", wal),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")
        sys.setswitchinterval(1e-4)
        try:
            yield
        finally:
            sys.setswitchinterval(interval)


@dataclass
class Outcome:
    """What came of a run."""

    work: Work
    threads: Tally
    processes: Tally

    @property
    def wrong(self) -> list[str]:
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


def search_in_process(folder: Path, history: Path, seed: int) -> None:
    """What each of the other processes does until it is told to end; it then prints its tally."""
    ended = threading.Event()
    with (
        prepared(wal=False),  # which only matters where a catalog is made
        lookalike.open(folder, encoder=ColourEncoder()) as photos,
        closing(History(history)) as shared,
    ):
        searcher = Searcher(photos, shared, seed, alone=True)
        thread = threading.Thread(target=searcher.search_until, args=[ended])
        thread.start()
        print("ready", flush=True)
        sys.stdin.read()  # which ends when the other process does, whatever becomes of it
        ended.set()
        thread.join()
    print(json.dumps(vars(searcher.tally)))


def run(place: Path, *, seconds: float, seed: int = 0, wal: bool = False) -> Outcome:
    """Writes and searches for so many seconds. `wal` has the catalog keep a write-ahead log, whatever SQLite it is.

    Raises:
        AssertionError: an answer was wrong, or what is there in the end is.
    """
    folder, history = place / "photos", place / "history"
    folder.mkdir()
    with (
        prepared(wal=wal),
        lookalike.create(folder, encoder=ColourEncoder()) as photos,
        closing(Diary(history)) as diary,
        closing(History(history)) as shared,
    ):
        writer = Writer(folder, photos, diary, seed)
        writer.begin()
        searchers = [Searcher(photos, shared, seed * 1000 + number, alone=False) for number in range(THREADS)]
        with searching(searchers), other_processes(folder, history, seed) as processes:
            until = time.monotonic() + seconds
            while time.monotonic() < until and not any(searcher.tally.wrong for searcher in searchers):
                writer.write_once()
        outcome = Outcome(writer.work, sum((searcher.tally for searcher in searchers), Tally()), processes)
        assert not outcome.wrong, "\n\n".join([str(outcome), *outcome.wrong[:5]])
        writer.end()
    assert outcome.threads.recall > LEAST_RECALL, str(outcome)
    assert outcome.processes.recall > LEAST_RECALL, str(outcome)
    return outcome


@contextmanager
def searching(searchers: Sequence[Searcher]) -> Iterator[None]:
    """Each of them searches in a thread of its own."""
    ended = threading.Event()
    threads = [threading.Thread(target=searcher.search_until, args=[ended]) for searcher in searchers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@contextmanager
def other_processes(folder: Path, history: Path, seed: int) -> Iterator[Tally]:
    """Processes that search, and what they have done, which is known once they have ended."""
    tally = Tally()
    command = [sys.executable, "-m", "tests.campaigns.soak", "search", str(folder), str(history)]
    pipe = subprocess.PIPE
    with ExitStack() as children:
        started = [
            children.enter_context(
                subprocess.Popen(
                    [*command, str(seed * 1000 + 500 + number)], stdin=pipe, stdout=pipe, text=True, env=environment()
                )
            )
            for number in range(PROCESSES)
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
        said = child.communicate(timeout=PATIENCE_S)[0]
    except subprocess.TimeoutExpired:
        child.kill()
        said = child.communicate()[0]
    if child.returncode:
        return Tally(wrong=[f"a process ended with {child.returncode}: {said}"])
    facts = json.loads(said)
    return Tally(**{**facts, "kinds": Counter(facts["kinds"])})


def main() -> None:
    if sys.argv[1:2] == ["search"]:
        search_in_process(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--wal", action="store_true", help="the catalog keeps a write-ahead log")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        print(run(Path(folder).resolve(), seconds=options.seconds, seed=options.seed, wal=options.wal))


if __name__ == "__main__":
    main()

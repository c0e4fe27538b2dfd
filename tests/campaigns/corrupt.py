"""Damages the files of collections in every way, and asks whether it is noticed.

    python -m tests.campaigns.corrupt --count 5000

A small collection with an index, younger images and deleted ones is copied, one of its files is damaged, and the copy
is opened, searched and checked. No answer may be wrong without a word: of a damaged index a warning tells, and the
answers are exact; a damaged vector is never returned, and `check` names its file; of a damaged catalog only errors
come, or what it now says. Worker processes do all this, so that one that dies is noticed.
"""

import argparse
import faulthandler
import itertools
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

import lookalike
from lookalike import Collection
from lookalike.errors import CorruptError, DamagedIndexWarning, LookalikeError, UsageError
from lookalike.filters import Between, Where
from lookalike.images.decode import prepare
from lookalike.ingest import embedding
from lookalike.results import Match
from lookalike.search.searcher import Request
from lookalike.storage import sqlite, vectors
from tests.support.pictures import ColourEncoder, draw, picture
from tests.support.project import environment
from tests.support.small_policies import quick_builds

INDEXED, YOUNGER, REMOVED = 200, 40, 12  # pictures; so many are removed before the index is built, and again after it
OTHER = 1000  # the seeds of the other collection's pictures begin here
SPECS = ("IVF4,SQ8", "Pad28,IVF4,PQ7x4fs", "HNSW8", "Flat")
COMPACTED = SPECS[1::2]  # their dead vectors are taken out once
REPAIRS = 1 / 20  # of the collections, after all questions
TOLERANCE = 2e-5  # of a score; single precision leaves some 1e-6
MEMORY = 6 * 2**30
PATIENCE_S = 120  # for one of them, on a machine that may be busy with something else

INDEX, CARD, VECTORS, CATALOG, IDENTITY = "index", "card", "vectors", "catalog", "collection.json"
WEIGHTS = {INDEX: 7, CARD: 2, VECTORS: 7, CATALOG: 4, IDENTITY: 1}


# What there is


@dataclass(frozen=True)
class Made:
    """A collection's files by name, and the name of each kind of them."""

    spec: str
    files: Mapping[str, bytes]

    @cached_property
    def names(self) -> dict[str, str]:
        return {_kind(name): name for name in self.files}

    def copy_to(self, directory: Path) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        for name, data in self.files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(data)


def _kind(name: str) -> str:
    if name.startswith("index/"):
        return CARD if name.endswith(".json") else INDEX
    return {"vectors": VECTORS, "catalog": CATALOG}.get(name.partition(".")[0], name)


def read(directory: Path, spec: str) -> Made:
    names = sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
    return Made(spec, {name: (directory / name).read_bytes() for name in names if name != "lock"})


def make(place: Path) -> None:
    """Makes, for each spec, a collection and another one that is made in the same way of other pictures."""
    for folder, first in ((place / "this", 0), (place / "other", OTHER)):
        base = folder / "base"
        with lookalike.create(_drawn(folder / "photos", first), directory=base, encoder=ColourEncoder()) as photos:
            photos.add(folder / "photos" / "first", threads=1)
            photos.annotate(_table(folder))
        for number, spec in enumerate(SPECS):
            shutil.copytree(base, folder / str(number))
            with lookalike.open(folder / str(number), encoder=ColourEncoder()) as photos:
                _age(photos, first, spec)


def _drawn(folder: Path, first: int) -> Path:
    for seed in range(first, first + INDEXED + YOUNGER):
        part = "first" if seed < first + INDEXED else "younger"
        path = draw(folder / part / "abc"[seed % 3] / f"{seed}.png", seed)
        if seed % 25 == 0:
            shutil.copy(path, path.with_name(f"{seed} copy.png"))
    return folder


def _table(folder: Path) -> Path:
    table = folder / "table.csv"
    keys = [path.relative_to(folder / "photos") for path in sorted((folder / "photos" / "first").rglob("*.png"))]
    table.write_text("\n".join(["path,price", *(f"{key},{place}" for place, key in enumerate(keys))]))
    return table


def _age(photos: Collection, first: int, spec: str) -> None:
    """Removes some, builds the index, and goes on for a while."""
    gone = [f"first/{'abc'[seed % 3]}/{seed}.png" for seed in range(first + 1, first + 1 + 2 * REMOVED)]
    if spec in COMPACTED:
        assert photos.remove(gone[::2]) == REMOVED
    photos.build(spec=spec)
    photos.add(photos.folder / "younger", threads=1)
    assert photos.remove(gone[1::2]) == REMOVED
    assert ("vectors.000001.faiss" in os.listdir(photos.directory)) == (spec in COMPACTED)


# What is asked

Answer = list[tuple[int, int, str, float]]  # which query, id, key, score


@dataclass(frozen=True)
class Question:
    """A search, which can be made with the index or without.

    Attributes:
        queries: unit vectors, (n, dim), or the id of an image.
        k: how many images for each of them.
        where: which.
        min_score: what scores less is left out.
    """

    queries: vectors.Vectors | int
    k: int
    where: Where | None = None
    min_score: float | None = None

    def ask(self, photos: Collection, *, exact: bool) -> Answer:
        options: dict[str, Any] = {"k": self.k, "where": self.where, "min_score": self.min_score, "exact": exact}
        if isinstance(self.queries, int):
            answers: list[list[Match]] = [photos.search_id(self.queries, **options)]
        elif len(self.queries) == 1:
            answers = [photos.search_vector(self.queries[0], **options)]
        else:
            answers = photos._searcher.of_vectors(self.queries, Request(**options))
        return [(number, each.id, each.key, each.score) for number, found in enumerate(answers) for each in found]


def questions() -> list[Question]:
    """Searches of all sorts."""
    queries = vectors.unit(np.random.default_rng(5).normal(size=(40, ColourEncoder.dim)))
    return [
        Question(queries[:1], 10),
        Question(queries[1:2], 1),
        Question(queries[2:3], 50, Where(label="a")),
        Question(queries[3:4], 5, Where(attributes={"price": Between(20, 90)})),
        Question(queries[4:5], 10, Where(under="younger")),
        Question(queries[5:6], 100, min_score=0.1),
        Question(queries[6:7], 10**6),
        Question(queries[7:], 2),
        Question(30, 10),
        Question(215, 3, Where(label=["a", "b"])),
    ]


@cache
def vector_of(key: str) -> vectors.Vectors:
    """The vector of an image as it is stored: its name tells which picture it is."""
    pixels = prepare(picture(int(Path(key).stem.split()[0])), ColourEncoder.preprocessing)
    vector: vectors.Vectors = embedding.embed(ColourEncoder(), pixels)[0].astype(np.float16).astype(np.float32)
    return vector


def is_same(one: Answer, other: Answer) -> bool:
    return len(one) == len(other) and all(
        first[:3] == second[:3] and abs(first[3] - second[3]) <= TOLERANCE
        for first, second in zip(one, other, strict=True)
    )


# What is done to the files

Damage = Callable[[random.Random, bytes, bytes], bytes | None]


def flip(rng: random.Random, data: bytes, other: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        damaged[rng.randrange(min(len(data), rng.choice((32, 128, len(data), len(data)))))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def cut(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: rng.choice((0, rng.randrange(len(data)), len(data) - 1, rng.randrange(min(len(data), 200))))]


def append(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data + rng.choice((rng.randbytes, bytes))(rng.choice((1, 7, 50, 5000)))


def zero(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return _overwritten(rng, data, bytes)


def garble(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return _overwritten(rng, data, rng.randbytes)


def _overwritten(rng: random.Random, data: bytes, block: Callable[[int], bytes]) -> bytes:
    start, size = rng.randrange(len(data)), rng.choice((1, 4, 50, 512, 4096))
    return data[:start] + block(len(data[start : start + size])) + data[start + size :]


def mix(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """A part of the other collection's file, at the same place, as a system that lost its way would write it."""
    start, size = rng.randrange(len(data)), rng.choice((50, 512, 4096))
    return (data[:start] + other[start : start + size] + data[start + size :])[: len(data)]


def swap(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return other


def delete(rng: random.Random, data: bytes, other: bytes) -> None:
    return None


DAMAGES: tuple[Damage, ...] = (flip, flip, flip, flip, cut, cut, append, zero, garble, mix, swap, delete)


@dataclass(frozen=True)
class Case:
    """One damaged file."""

    number: int
    made: Made
    other: Made
    kind: str
    damage: str
    data: bytes | None

    @property
    def name(self) -> str:
        return self.made.names[self.kind]

    @property
    def is_harmless(self) -> bool:
        """What lies behind the committed rows of the vectors counts for nobody: it is there after every crash."""
        return self.kind == VECTORS and self.data is not None and self.data.startswith(self.made.files[self.name])


def case(seed: int, number: int, collections: Sequence[tuple[Made, Made]], only: str) -> Case:
    """The damaged file of this number, of any kind or `only` one."""
    rng = random.Random(f"{seed}-{number}")
    made, other = rng.choice(collections)
    kind = only or rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    data = made.files[made.names[kind]]
    while True:
        damage = rng.choice(DAMAGES)
        damaged = damage(rng, data, other.files[other.names[kind]])
        if damaged != data:  # zeros may have been there before
            return Case(number, made, other, kind, damage.__name__, damaged)


# Who looks at it


@dataclass
class Trial:
    """A collection with a damaged file, and what is thought of it."""

    case: Case
    directory: Path
    truth: "Truth"
    problems: list[str] = field(default_factory=list)
    outcome: str = "not noticed"

    def run(self) -> None:
        self.case.made.copy_to(self.directory)
        path = self.directory / self.case.name
        if self.case.data is None:
            path.unlink()
        else:
            path.write_bytes(self.case.data)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                self._look(caught)
        except LookalikeError as error:
            self._judge_refusal(error)
        except BaseException:
            self.problems.append(traceback.format_exc())

    def _look(self, caught: "list[warnings.WarningMessage]") -> None:
        with lookalike.open(self.directory, encoder=ColourEncoder()) as photos:
            answers = list(self._answers(photos))
            damages = photos.check()
            told = [str(each.message) for each in caught if issubclass(each.category, DamagedIndexWarning)]
            for each in caught:
                if not issubclass(each.category, DamagedIndexWarning):
                    self.problems.append(f"it warns: {each.message}")
            match self.case.kind:
                case "index" | "card":
                    self._judge_index(answers, damages, told)
                case "vectors":
                    self._judge_vectors(answers, damages)
                case _:
                    self._judge_other(answers, damages)
            if random.Random(self.case.number).random() < REPAIRS:
                self._repair(photos)

    def _answers(self, photos: Collection) -> "Iterator[Answered]":
        """In another order each time, since it is the first one that finds the damage."""
        order = [(number, exact) for number in range(len(self.truth.questions)) for exact in (False, True)]
        random.Random(self.case.number).shuffle(order)
        for number, exact in order:
            try:
                yield Answered(number, exact, self.truth.questions[number].ask(photos, exact=exact))
            except LookalikeError as error:
                yield Answered(number, exact, error=error)

    def _judge_refusal(self, error: LookalikeError) -> None:
        """It cannot even be opened, or a catalog could not be checked."""
        self.outcome = "refused"
        if self.case.kind in (INDEX, CARD, VECTORS):
            self.problems.append(f"it cannot be opened: {error}")

    def _judge_index(self, answers: "Sequence[Answered]", damages: Sequence[str], told: Sequence[str]) -> None:
        """Told once, and by `check`; every answer is the exact one."""
        self.outcome = "noticed by a search"
        if len(told) != 1 or self.case.name not in told[0]:
            self.problems.append(f"it warns {told}")
        if len(damages) != 1 or self.case.name not in damages[0]:
            self.problems.append(f"check() says {damages}")
        for answer in answers:
            if answer.error or not is_same(answer.found, self.truth.exact[answer.question]):
                self.problems.append(f"question {answer} is not answered exactly")

    def _judge_vectors(self, answers: "Sequence[Answered]", damages: Sequence[str]) -> None:
        """What comes back is right; where something is missing from it, `check` tells of the file."""
        if self.case.is_harmless:
            self.outcome = "harmless"
            if damages or any(not self._is_as_before(answer) for answer in answers):
                self.problems.append(f"what counts is as it was, and yet: {damages}, {answers}")
            return
        refused = [answer for answer in answers if answer.error]
        incomplete = [answer for answer in answers if not answer.error and not self._is_as_before(answer)]
        self.outcome = f"noticed by {'a search' if refused else 'check'}{', others missing it' if incomplete else ''}"
        if not damages or any(self.case.name not in damage for damage in damages):
            self.problems.append(f"check() says {damages}")
        for answer in refused:
            if not isinstance(answer.error, CorruptError) or self.case.name not in str(answer.error):
                self.problems.append(f"question {answer}")
        for answer in incomplete:
            self.problems += self.truth.wrong(answer)

    def _judge_other(self, answers: "Sequence[Answered]", damages: Sequence[str]) -> None:
        """Errors of Lookalike's own, or answers that could be; a catalog's bytes have no checksums."""
        refused = [answer for answer in answers if answer.error]
        self.outcome = "noticed by a search" if refused else "noticed by check" if damages else "plausible"
        if not refused and not damages and all(self._is_as_before(answer) for answer in answers):
            self.outcome = "harmless"
        for answer in answers:
            # An id that was asked about may be gone.
            if answer.error and not isinstance(answer.error, CorruptError | UsageError):
                self.problems.append(f"question {answer}")
            scores = [score for *_, score in answer.found]
            if not all(-1 <= score <= 1 for score in scores):
                self.problems.append(f"question {answer}: these are no scores")
        if self.case.damage == "swap" and self.case.kind == CATALOG and not (refused and damages):
            self.problems.append(f"nobody notices a catalog of other images: {damages}, {answers}")

    def _is_as_before(self, answer: "Answered") -> bool:
        before = self.truth.exact if answer.exact else self.truth.indexed
        return not answer.error and is_same(answer.found, before[answer.question])

    # What can be done about it

    def _repair(self, photos: Collection) -> None:
        if self.case.kind in (INDEX, CARD):
            if self.case.kind == CARD and self.case.number % 2:
                photos.maintain()  # which finds that there is no index that it knows anything of
            else:
                photos.build(spec=self.case.made.spec)
            self._judge_repaired(photos)
        elif self.case.is_harmless:
            photos.add([])  # whoever writes cuts them off
            self._judge_repaired(photos)
            size = (self.directory / self.case.name).stat().st_size
            if size != len(self.case.made.files[self.case.name]):
                self.problems.append(f"{size} bytes are left of the file")
        elif self.case.kind == VECTORS:
            try:
                photos.build(spec=self.case.made.spec)
            except CorruptError:
                return
            self._judge_repaired(photos)  # it was a vector that no image has any more
        else:
            try:
                photos.build(spec=self.case.made.spec)
                photos.remove(["first"])
            except LookalikeError:
                return

    def _judge_repaired(self, photos: Collection) -> None:
        if damages := photos.check():
            self.problems.append(f"after the repair check() says {damages}")
        for number, question in enumerate(self.truth.questions):
            if not is_same(question.ask(photos, exact=True), self.truth.exact[number]):
                self.problems.append(f"after the repair question {number} has another answer")
            answer = Answered(number, False, question.ask(photos, exact=False))
            self.problems += self.truth.wrong(answer)
            # An index need not find all above a score, but as many as there are without one.
            if question.min_score is None and len(answer.found) != len(self.truth.indexed[number]):
                self.problems.append(f"after the repair question {number} has {len(answer.found)} answers")


@dataclass(frozen=True)
class Answered:
    """A question by its number, and what came of it."""

    question: int
    exact: bool
    found: Answer = field(default_factory=list)
    error: LookalikeError | None = None


class Truth:
    """How the undamaged collection answers, once that has been compared with the definition of the right answer.

    Attributes:
        questions: what is asked.
        exact: the answer to each question, without the index.
        indexed: the same with the index, which need not find all of it.
    """

    def __init__(self, made: Made, directory: Path) -> None:
        self.questions = questions()
        made.copy_to(directory)
        with lookalike.open(directory, encoder=ColourEncoder()) as photos:
            assert photos.check() == []
            self.exact = [question.ask(photos, exact=True) for question in self.questions]
            self.indexed = [question.ask(photos, exact=False) for question in self.questions]
            all_of = [replace(question, k=10**6).ask(photos, exact=True) for question in self.questions]
            keys = {id_: key for _, id_, key, _ in all_of[6]}
        assert len(keys) > INDEXED
        self._scores = [{match[:3]: match[3] for match in answer} for answer in all_of]
        for number, question in enumerate(self.questions):
            own, queries = None, question.queries
            if isinstance(queries, int):
                own, queries = queries, vectors.unit(vector_of(keys[queries]))
            expected = self._defined(question, queries, {id_: key for id_, key in keys.items() if id_ != own})
            assert self._scores[number].keys() == expected.keys()
            assert all(abs(score - expected[match]) <= TOLERANCE for match, score in self._scores[number].items())
            assert not self.wrong(Answered(number, False, self.indexed[number]))
            assert not self.wrong(Answered(number, True, self.exact[number]))
            for query in range(len(queries)):
                best = sorted((score for match, score in expected.items() if match[0] == query), reverse=True)
                found = [match[3] for match in self.exact[number] if match[0] == query]
                assert np.allclose(found, best[: question.k], atol=TOLERANCE)
                assert len(found) == min(question.k, len(best))

    @staticmethod
    def _defined(
        question: Question, queries: vectors.Vectors, keys: Mapping[int, str]
    ) -> dict[tuple[int, int, str], float]:
        """All matches of a question, and their scores, by a slow definition."""
        where = question.where or Where()
        least = -2 if question.min_score is None else question.min_score
        price = where.conditions.get("price")
        found = {}
        for (number, query), (id_, key) in itertools.product(enumerate(queries), keys.items()):
            score = float(vector_of(key) @ query)
            admitted = score >= least and (where.labels is None or Path(key).parent.name in where.labels)
            admitted &= where.under is None or key.startswith(f"{where.under}/")
            if isinstance(price, Between):
                # The images of the first folder came first, and so their prices are the numbers before their ids.
                assert isinstance(price.low, int)
                assert isinstance(price.high, int)
                admitted &= key.startswith("first/") and price.low <= id_ - 1 <= price.high
            if admitted:
                found[number, id_, key] = score
        return found

    def wrong(self, answer: "Answered") -> list[str]:
        """What is not right with an answer that need not be complete."""
        scores = self._scores[answer.question]
        right = all(abs(scores.get(match[:3], 9) - match[3]) <= TOLERANCE for match in answer.found)
        places = [(query, -score) for query, _, _, score in answer.found]
        once = len({match[:2] for match in answer.found}) == len(answer.found)
        return [] if right and once and places == sorted(places) else [f"question {answer} is answered wrongly"]


# All of them


@dataclass
class Report:
    """What came of the damaged files.

    Attributes:
        outcomes: how many of them by kind of file, damage, and how it was noticed.
        problems: what went wrong, by the number of the case.
        deaths: the numbers of those at which the process died.
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


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def work(place: Path, seed: int, numbers: range, only: str) -> None:
    """What a worker process does: a line before each case, and one after it."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for module, name in ((os, "fsync"), (sqlite, "_set_durability")):
        setattr(module, name, lambda _: None)  # nothing here loses power
    vectors._BETWEEN_LOOKS_S = 0  # nobody writes meanwhile
    directory = place / f"work {numbers.start} {os.getpid()}"
    collections = [
        (read(place / "this" / str(number), spec), read(place / "other" / str(number), spec))
        for number, spec in enumerate(SPECS)
    ]
    truths = {made.spec: Truth(made, directory) for made, _ in collections}
    for number in numbers:
        damaged = case(seed, number, collections, only)
        _say({"begun": number})
        faulthandler.dump_traceback_later(PATIENCE_S, exit=True)
        trial = Trial(damaged, directory, truths[damaged.made.spec])
        trial.run()
        faulthandler.cancel_dump_traceback_later()
        problem = "\n".join(trial.problems[:3])
        _say({"done": [damaged.kind, damaged.damage, trial.outcome], "problem": problem[:3000]})


def _say(facts: dict[str, Any]) -> None:
    print(json.dumps(facts), flush=True)


def _watch(place: Path, seed: int, numbers: range, only: str) -> Report:
    """Has these cases tried, by another process whenever one has died."""
    report, begun = Report(), -1
    while numbers:
        bounds = (str(bound) for bound in (numbers.start, numbers.stop, numbers.step))
        command = [sys.executable, "-m", "tests.campaigns.corrupt", "work", str(place), str(seed), *bounds, only]
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


def run(place: Path, *, count: int, seed: int = 0, only: str = "", processes: int = 2) -> Report:
    """Damages so many files, of every kind or `only` one."""
    with quick_builds():
        make(place)
    parts = [range(first, count, processes) for first in range(processes)]
    whole = Report()
    with ThreadPoolExecutor(processes) as pool:
        for report in pool.map(lambda numbers: _watch(place, seed, numbers, only), parts):
            whole.outcomes += report.outcomes
            whole.problems |= report.problems
            whole.deaths += report.deaths
    return whole


def main() -> int:
    if sys.argv[1:2] == ["work"]:
        with quick_builds():
            work(Path(sys.argv[2]), int(sys.argv[3]), range(*map(int, sys.argv[4:7])), sys.argv[7])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", choices=list(WEIGHTS), default="", help="one kind of file")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder).resolve(), **vars(options))
    for number, problem in sorted(report.problems.items()):
        print(f"case {number}: {problem}")
    print(report)
    return int(bool(report.problems))


if __name__ == "__main__":
    sys.exit(main())

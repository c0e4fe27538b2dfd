"""What is asked of a damaged collection, and the right answers."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lookalike import Collection, SearchOptions
from lookalike.errors import LookalikeError
from lookalike.filters import Between, Where
from lookalike.images.decode import prepare
from lookalike.ingest import embedding
from lookalike.results import Match
from lookalike.storage.vectors import Vectors, unit
from tests.campaigns.corrupt.originals import INDEXED, Original, open_collection
from tests.support.pictures import ColourEncoder, picture

TOLERANCE = 2e-5  # of a score; single precision leaves some 1e-6

Answer = list[tuple[int, int, str, float]]  # number of the query, id, key, score


@dataclass(frozen=True)
class Question:
    """A search, which can be made with the index or without.

    Attributes:
        queries: unit vectors, (n, dim), or the id of an image.
        k: the number of images for each query.
        where: which images may be found.
        min_score: images with a lower score are left out.
    """

    queries: Vectors | int
    k: int
    where: Where | None = None
    min_score: float | None = None

    def ask(self, photos: Collection, *, exact: bool) -> Answer:
        """Searches a collection."""
        options: dict[str, Any] = {"k": self.k, "where": self.where, "min_score": self.min_score, "exact": exact}
        if isinstance(self.queries, int):
            answers: list[list[Match]] = [photos.search_id(self.queries, **options)]
        elif len(self.queries) == 1:
            answers = [photos.search_vector(self.queries[0], **options)]
        else:
            answers = photos._searcher.by_vectors(self.queries, SearchOptions(**options))
        return [(number, each.id, each.key, each.score) for number, found in enumerate(answers) for each in found]


@dataclass(frozen=True)
class Answered:
    """The answer to a question, or the error that came instead.

    Attributes:
        question: its number.
        exact: whether it was asked without the index.
        found: the answer.
        error: the error, or None.
    """

    question: int
    exact: bool
    found: Answer = field(default_factory=list)
    error: LookalikeError | None = None


def questions() -> list[Question]:
    """Searches of all kinds."""
    queries = unit(np.random.default_rng(5).normal(size=(40, ColourEncoder.dim)))
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


EVERYTHING = 6  # the number of the question whose answer is every image


@cache
def vector_of(key: str) -> Vectors:
    """The vector of an image as it is stored: the name of its file is the seed of the picture."""
    pixels = prepare(picture(int(Path(key).stem.split()[0])), ColourEncoder.preprocessing)
    vector: Vectors = embedding.embed(ColourEncoder(), pixels)[0].astype(np.float16).astype(np.float32)
    return vector


def is_same(one: Answer, other: Answer) -> bool:
    """Whether two answers are the same but for the rounding of scores."""
    return len(one) == len(other) and all(
        first[:3] == second[:3] and abs(first[3] - second[3]) <= TOLERANCE
        for first, second in zip(one, other, strict=True)
    )


class Truth:
    """The answers of an undamaged collection, which are compared with the definition of the right answer first.

    Attributes:
        questions: what is asked.
        exact: the answer to each question without the index.
        indexed: the answer to each question with the index, which need not find everything.
    """

    def __init__(self, original: Original, directory: Path) -> None:
        """Asks a copy of the collection, in a directory of its own."""
        self.questions = questions()
        original.copy_to(directory)
        with open_collection(directory) as photos:
            assert photos.check() == []
            self.exact = [question.ask(photos, exact=True) for question in self.questions]
            self.indexed = [question.ask(photos, exact=False) for question in self.questions]
            complete = [replace(question, k=10**6).ask(photos, exact=True) for question in self.questions]
        keys = {id_: key for _, id_, key, _ in complete[EVERYTHING]}
        assert len(keys) > INDEXED
        self._scores = [{match[:3]: match[3] for match in answer} for answer in complete]
        for number, question in enumerate(self.questions):
            self._check(number, question, keys)

    def wrong(self, answered: Answered) -> list[str]:
        """Describes what is wrong with an answer that need not be complete."""
        scores = self._scores[answered.question]
        right = all(abs(scores.get(match[:3], 9) - match[3]) <= TOLERANCE for match in answered.found)
        order = [(query, -score) for query, _, _, score in answered.found]
        once = len({match[:2] for match in answered.found}) == len(answered.found)
        return [] if right and once and order == sorted(order) else [f"question {answered} is answered wrongly"]

    def _check(self, number: int, question: Question, keys: Mapping[int, str]) -> None:
        """Compares the answers to a question with the definition."""
        own, queries = None, question.queries
        if isinstance(queries, int):
            own, queries = queries, unit(vector_of(keys[queries]))
        expected = _defined(question, queries, {id_: key for id_, key in keys.items() if id_ != own})
        assert self._scores[number].keys() == expected.keys()
        assert all(abs(score - expected[match]) <= TOLERANCE for match, score in self._scores[number].items())
        assert not self.wrong(Answered(number, False, self.indexed[number]))
        assert not self.wrong(Answered(number, True, self.exact[number]))
        for query in range(len(queries)):
            best = sorted((score for match, score in expected.items() if match[0] == query), reverse=True)
            found = [match[3] for match in self.exact[number] if match[0] == query]
            assert np.allclose(found, best[: question.k], atol=TOLERANCE)
            assert len(found) == min(question.k, len(best))


def _defined(question: Question, queries: Vectors, keys: Mapping[int, str]) -> dict[tuple[int, int, str], float]:
    """All matches of a question with their scores, by a slow definition."""
    where = question.where or Where()
    least = -2 if question.min_score is None else question.min_score
    price = where.conditions.get("price")
    found = {}
    for (number, query), (id_, key) in itertools.product(enumerate(queries), keys.items()):
        score = float(vector_of(key) @ query)
        admitted = score >= least and (where.labels is None or Path(key).parent.name in where.labels)
        admitted &= where.under is None or key.startswith(f"{where.under}/")
        if isinstance(price, Between):
            # The images of the first folder came first, so their prices are the numbers before their ids.
            assert isinstance(price.low, int)
            assert isinstance(price.high, int)
            admitted &= key.startswith("first/") and price.low <= id_ - 1 <= price.high
        if admitted:
            found[number, id_, key] = score
    return found

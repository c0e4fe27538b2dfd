"""Searches at random, and judges every answer by the history."""

import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lookalike import Collection, Match
from lookalike.errors import UsageError
from lookalike.filters import Between, Where
from lookalike.images.decode import prepare
from lookalike.ingest import embedding
from tests.campaigns.soak.history import COLOURS, History, Vector, vector_of
from tests.campaigns.soak.photo_folder import SEEDS
from tests.campaigns.soak.verdict import Question, Verdict
from tests.support.pictures import ColourEncoder, picture

PAUSE_S = 0.02  # at most, between two searches, so that the writer makes progress on a machine with few cores
MOST_MATCHES = 1000  # of all answers of a call


@dataclass
class Tally:
    """What readers have done.

    Attributes:
        searches: the number of answers.
        kinds: how often each kind of call was made.
        during_writes: searches during which something was committed, or could have been.
        recalls: the sum of the recalls of searches that an index may have answered.
        indexed: the number of these searches.
        gone: searches by the id of an image that had been removed.
        wrong: what was wrong with an answer, or which error came instead.
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
        """The mean recall of searches that an index may have answered."""
        return self.recalls / max(self.indexed, 1)


class Reader:
    """Asks one question after the other, and judges the answers."""

    def __init__(self, photos: Collection, history: History, seed: int, *, alone: bool) -> None:
        """`alone`: no other thread uses this collection object, so it may be closed at any time."""
        self._photos, self._history, self._alone = photos, history, alone
        self._random = random.Random(seed)
        self._seen: list[tuple[int, str, int]] = []  # id, key, and the number of commits by then
        self.tally = Tally()

    def search_until(self, ended: threading.Event) -> None:
        """Searches until the event is set, or an answer is wrong."""
        while not ended.is_set() and not self.tally.wrong:
            try:
                self._call_once()
            except BaseException:
                self.tally.wrong.append(traceback.format_exc())
            time.sleep(self._random.random() * PAUSE_S)

    def _call_once(self) -> None:
        kinds, weights = ["vector", "id", "many", "info", "check", "close"], [8, 8, 3, 0.2, 0.2, 0.1]
        kind = self._random.choices(kinds, weights)[0]
        self.tally.kinds[kind] += 1
        match kind:
            case "vector":
                self._search_vector()
            case "many":
                self._search_many()
            case "id":
                self._search_id()
            case "info":
                self._count_images()
            case "check":
                if damages := self._photos.check():
                    self.tally.wrong.append(f"check() says {damages}")
            case "close" if self._alone:
                self._photos.close()

    # Questions

    def _search_vector(self) -> None:
        query = np.random.default_rng(self._random.randrange(2**32)).normal(size=ColourEncoder.dim)
        if self._random.random() < 0.5:
            query = vector_of(self._random.randrange(SEEDS))
        question = self._question()
        first = self._history.now()[0]
        found = self._photos.search_vector(query, **question.options())
        self._judge(found, query / np.linalg.norm(query), question, first)

    def _search_many(self) -> None:
        seeds = [self._random.randrange(SEEDS) for _ in range(self._random.choice([1, 2, 5, 40]))]
        # An answer that takes longer than a second goes by what has not changed meanwhile, and is of no one state.
        question = self._question()
        question = replace(question, k=min(question.k, MOST_MATCHES // len(seeds)))
        first = self._history.now()[0]
        answers = self._photos.search_many([picture(seed) for seed in seeds], **question.options())
        for seed, found in zip(seeds, answers, strict=True):
            query = embedding.embed(ColourEncoder(), prepare(picture(seed), ColourEncoder.preprocessing))[0]
            self._judge(found, query.astype(np.float64), question, first)

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
            if not any(said in str(error) for said in ("no image with the id", "is missing; its file")):
                raise
            self._note_gone(id_, key, since, error)
            return
        [image] = found.queries
        if image.id != id_ or any(match.id == id_ for match in found):
            self.tally.wrong.append(f"{key}, id {id_}: asked for its neighbours, and got {image} and {found}")
        self._judge(found, None, question, first, own=image.key)

    def _note_gone(self, id_: int, key: str, since: int, error: Exception) -> None:
        """Notes an answer that there is no image with an id, which had this key after that many commits."""
        self.tally.gone += 1
        if not self._history.may_have_another_id(key, since, self._history.now()[1]):
            self.tally.wrong.append(f"{key}, id {id_}: it exists, and yet: {error}")

    def _count_images(self) -> None:
        first = self._history.now()[0]
        images = self._photos.info().images
        last = self._history.now()[1]
        if images not in [len(self._history.state(number).images) for number in range(first, last + 1)]:
            self.tally.wrong.append(f"info() counts {images} images")

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

    # Answers

    def _judge(
        self, found: Sequence[Match], query: Vector | None, question: Question, first: int, own: str | None = None
    ) -> None:
        """Notes what is wrong unless the answer is right for one of the states since the commit `first`."""
        last = self._history.now()[1]
        verdicts = [
            Verdict(self._history.state(number), found, query, question, own) for number in range(first, last + 1)
        ]
        self.tally.searches += 1
        self.tally.during_writes += last > first
        right = [verdict for verdict in verdicts if not verdict.wrong]
        if not right:
            reasons = "; ".join(f"{first + offset}: {verdict.wrong}" for offset, verdict in enumerate(verdicts))
            answer = [(match.key, match.id, match.score) for match in found]
            self.tally.wrong.append(f"{question}, own {own}: {reasons}\n{answer}")
        elif not question.exact and question.min_score is None and found:
            self.tally.recalls += max(verdict.recall for verdict in right)
            self.tally.indexed += 1

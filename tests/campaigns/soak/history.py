"""The history of a collection: what each commit changes, and all images after it."""

import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.filters import Between, Not, Where
from lookalike.images.decode import prepare
from lookalike.ingest import embedding
from tests.support.pictures import ColourEncoder, picture

COLOURS = ("red", "green", "blue")  # values of the attribute
_KEPT_STATES = 5000  # more than are committed while one answer is waited for

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Image:
    """An image: the seed of its picture, and its attributes."""

    seed: int
    colour: str | None = None
    price: int | None = None


Images = dict[str, Image]
Changes = Mapping[str, Image | None]


@dataclass(frozen=True)
class Step:
    """One commit.

    Attributes:
        changes: the new image of each key that changes; None if it is removed.
        new_ids: the keys of other images that may get another id.
    """

    changes: Changes = field(default_factory=dict)
    new_ids: Sequence[str] = ()

    def apply_to(self, images: Images) -> None:
        """Makes the changes."""
        for key, image in self.changes.items():
            if image is None:
                del images[key]
            else:
                images[key] = image


@cache
def vector_of(seed: int) -> Vector:
    """The vector of `picture(seed)` as it is stored."""
    pixels = prepare(picture(seed), ColourEncoder.preprocessing)
    vector: Vector = embedding.embed(ColourEncoder(), pixels)[0].astype(np.float16).astype(np.float64)
    return vector


class State:
    """All images after a commit, ready to be compared with.

    Attributes:
        images: by key.
        rows: the row of each key.
        vectors: of the images, float64 (n, dim).
    """

    def __init__(self, images: Images) -> None:
        self.images = images
        self.rows = {key: row for row, key in enumerate(images)}
        self.vectors = np.array([vector_of(image.seed) for image in images.values()]).reshape(-1, ColourEncoder.dim)
        self._admitted: dict[Where | None, NDArray[np.bool_]] = {}

    def admits(self, where: Where | None) -> NDArray[np.bool_]:
        """Whether each image matches a filter, by a slow definition."""
        if where not in self._admitted:
            matching = [where is None or self._matches(key, where) for key in self.rows]
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
            elif isinstance(allowed, Not) or value not in allowed:  # the soak asks for no values to be left out
                return False
        return True


def _int(bound: object) -> int:
    assert isinstance(bound, int)
    return bound


class HistoryWriter:
    """Writes the history: a line for what is about to be committed, and another one when it has been."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def begin(self, steps: Sequence[Step]) -> None:
        """Notes what is about to be committed."""
        self._write({"steps": [asdict(step) for step in steps]})

    def done(self) -> None:
        """Notes that everything has been acknowledged."""
        self._write({"done": True})

    def close(self) -> None:
        """Closes the file."""
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
        """Closes the file."""
        self._file.close()

    def now(self) -> tuple[int, int]:
        """The numbers of commits that have been acknowledged, and that have begun."""
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
        """All images after that many commits; old states are not kept."""
        with self._lock:
            while self._newest < number:
                step, before = self._steps[self._newest], self._states[self._newest]
                images = dict(before.images)
                step.apply_to(images)
                self._newest += 1
                self._states[self._newest] = State(images) if step.changes else before
                self._states.pop(self._newest - _KEPT_STATES, None)
            return self._states[number]

    def may_have_another_id(self, key: str, first: int, last: int) -> bool:
        """Whether an image was removed or renamed by one of these commits."""
        steps = self._steps[first:last]
        return any(key in step.new_ids or step.changes.get(key, key) is None for step in steps)


def _step(entry: dict[str, Any]) -> Step:
    changes = {key: None if image is None else Image(**image) for key, image in entry["changes"].items()}
    return Step(changes, entry["new_ids"])

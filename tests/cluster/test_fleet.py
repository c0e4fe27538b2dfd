"""Workers of a cluster that is only played: some never find room, some are lost, some cannot be started."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lookalike.cluster.indexing import fleet
from lookalike.cluster.indexing.fleet import Fleet, Outcome, Resources
from lookalike.cluster.indexing.parts import Part
from lookalike.cluster.indexing.worker import Job
from lookalike.errors import CorruptError
from lookalike.ingest.pipeline import Report


class RayError(Exception):
    """Stands for Ray's."""


class RayTaskError(RayError):
    """Stands for Ray's, which has what was raised as its cause."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(eq=False)
class Actor:
    """A worker that is only played.

    Attributes:
        has_room: whether it ever starts.
        lost_at: it is lost at the part with that number of those that it gets; 0 for the start.
        done: the parts that it was given.
    """

    has_room: bool = True
    lost_at: int | None = None
    done: list[Part] = field(default_factory=list)

    @property
    def ready(self) -> Any:
        return SimpleNamespace(remote=lambda: Call(self, self._ready))

    @property
    def index(self) -> Any:
        return SimpleNamespace(remote=lambda part: Call(self, lambda: self._index(part)))

    @property
    def progress(self) -> Any:
        return SimpleNamespace(remote=lambda _name: Call(self, lambda: 1))

    def _ready(self) -> None:
        if self.lost_at == 0:
            raise RayError("it could not import lookalike")

    def _index(self, part: Part) -> Report:
        assert self.has_room
        self.done.append(part)
        if len(self.done) == self.lost_at:
            raise RayError("it was killed")
        if part.name == "damaged":
            raise RayTaskError(CorruptError("damaged.tar: no archive"))
        return Report(added=1)


@dataclass(eq=False)
class Call:
    """What a call of an actor will give."""

    actor: Actor
    result: Callable[[], Any]


class PlayedRay:
    """As much of Ray as a fleet needs. Actors come from a list, and then are ordinary ones."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, *actors: Actor) -> None:
        self._next, self.actors, self.killed = list(actors), list[Actor](), list[Actor]()

    def remote(self, **_resources: float) -> Callable[[type], Any]:
        return lambda _class: SimpleNamespace(remote=self._made)

    def _made(self, _job: Job) -> Actor:
        self.actors.append(self._next.pop(0) if self._next else Actor())
        return self.actors[-1]

    def wait(self, calls: Sequence[Call], *, num_returns: int, timeout: float) -> tuple[list[Call], list[Call]]:
        assert calls
        assert timeout > 0
        able = sorted((call for call in calls if call.actor.has_room), key=lambda call: len(call.actor.done))
        ready = able[:num_returns]
        return ready, [call for call in calls if call not in ready]

    def get(self, call: Call) -> Any:
        return call.result()

    def kill(self, actor: Actor) -> None:
        self.killed.append(actor)


def parts(count: int, *more: str) -> list[Part]:
    names = [*(f"{number}" for number in range(count)), *more]
    return [Part(name, f"/{name}.tar") for name in names]


def outcomes(ray: PlayedRay, wanted: list[Part], count: int = 2) -> list[Outcome]:
    job = Job(Path("/big"), Path("/"), {}, threads=1)
    return list(Fleet(ray, job, Resources(), count).outcomes(wanted, lambda _: None))


def test_every_part_is_done_once() -> None:
    ray = PlayedRay()
    assert {each.part.name for each in outcomes(ray, parts(7)) if each.report} == set("0123456")
    assert len(ray.actors) == 2
    assert all(actor.done for actor in ray.actors)
    assert sum(len(actor.done) for actor in ray.actors) == 7


def test_no_more_workers_are_started_than_there_are_parts() -> None:
    ray = PlayedRay()
    outcomes(ray, parts(2), count=50)
    assert len(ray.actors) <= 2


def test_a_part_whose_worker_is_lost_is_done_by_another_one() -> None:
    ray = PlayedRay(Actor(lost_at=2), Actor(lost_at=1))
    found = outcomes(ray, parts(5))
    assert sorted(each.part.name for each in found if each.report) == list("01234")
    assert len(ray.killed) == 2


def test_no_part_waits_for_a_worker_that_finds_no_room() -> None:
    """As if a machine was lost: the other one's worker does all that is left."""
    ray = PlayedRay(Actor(lost_at=2), Actor(), Actor(has_room=False), Actor(has_room=False))
    found = outcomes(ray, parts(6))
    assert sorted(each.part.name for each in found if each.report) == list("012345")


def test_a_part_that_loses_three_workers_is_given_up() -> None:
    ray = PlayedRay(*(Actor(lost_at=1) for _ in range(3)))
    [found] = outcomes(ray, parts(1))
    assert (found.report, found.reason) == (None, "its worker was lost 3 times: RayError: it was killed")


def test_what_a_worker_raises_is_the_reason_and_it_goes_on() -> None:
    ray = PlayedRay()
    found = outcomes(ray, parts(2, "damaged"), count=1)
    assert {each.part.name: each.reason for each in found} == {"0": "", "1": "", "damaged": "damaged.tar: no archive"}
    assert len(ray.actors) == 1
    assert ray.killed == []


def test_workers_that_cannot_be_started_end_the_run() -> None:
    ray = PlayedRay(*(Actor(lost_at=0) for _ in range(20)))
    found = outcomes(ray, parts(4))
    assert [each.report for each in found] == [None] * 4
    assert {each.reason for each in found} == {"no worker can be started: RayError: it could not import lookalike"}
    assert len(ray.actors) < 10


def test_a_cluster_without_room_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "_PATIENCE_S", 0.0)
    found = outcomes(PlayedRay(Actor(has_room=False), Actor(has_room=False)), parts(3))
    assert {each.reason for each in found} == {"no machine of the cluster has had room for a worker for 0 s"}
    assert len(found) == 3

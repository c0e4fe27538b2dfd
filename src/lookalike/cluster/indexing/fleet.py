"""Workers of a cluster, each of which does one part at a time; a part whose worker is lost is done by another one."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.cluster.indexing.parts import Part
from lookalike.cluster.indexing.worker import Job, Worker
from lookalike.errors import LookalikeError
from lookalike.ingest.pipeline import Report

_TRIES = 3  # of a part whose worker is lost, and of starting workers when none works
_LOOK_S = 0.5  # between two looks at how far workers are
_PATIENCE_S = 300.0  # that are waited for room for a worker while none works


@dataclass(frozen=True)
class Outcome:
    """What has become of a part: a report, or the reason why there is none."""

    part: Part
    report: Report | None
    reason: str = ""


@dataclass(frozen=True)
class Resources:
    """What a worker takes.

    Attributes:
        cpus: cores; it uses as many threads.
        gpus: GPUs, also a share of one; 0 for none.
    """

    cpus: int = 1
    gpus: float = 0.0


@dataclass(frozen=True)
class _Task:
    part: Part
    tries: int
    worker: Any


class Fleet:
    """Some workers of a cluster.

    A part is given only to a worker that has started: where a machine was lost, there may never be room for another
    worker in place of its own, and the part would wait for ever while others are idle.
    """

    def __init__(self, ray: Any, job: Job, resources: Resources, count: int) -> None:
        """Starts `count` workers at most, as there is work for them."""
        self._ray, self._job, self._count = ray, job, count
        # One thread works, and another one tells how far it is.
        self._class = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus, max_concurrency=2)(Worker)
        self._starting: dict[Any, Any] = {}  # the workers by what tells that they have started
        self._idle: list[Any] = []
        self._running: dict[Any, _Task] = {}
        self._failures, self._reason = 0, ""  # of starting workers, since one has started
        self._moved_on = time.monotonic()  # when a worker last started or ended something

    def outcomes(self, parts: Sequence[Part], progress: Callable[[int], None]) -> Iterator[Outcome]:
        """What becomes of the parts, as they are done.

        Args:
            parts: in the order in which they are begun.
            progress: is called every now and then with the number of files that are done of parts under way.
        """
        waiting = deque((part, 1) for part in parts)
        while waiting or self._running:
            while waiting and self._idle:
                self._begin(*waiting.popleft())
            self._start(len(waiting))
            references = [*self._running, *self._starting]
            ready, _ = self._ray.wait(references, num_returns=1, timeout=_LOOK_S)
            if not ready:
                progress(self._files_under_way())
            for reference in ready:
                self._moved_on = time.monotonic()
                if reference in self._starting:
                    self._started(reference)
                    continue
                task = self._running.pop(reference)
                outcome = self._outcome(reference, task)
                if outcome is None:
                    waiting.append((task.part, task.tries + 1))
                else:
                    yield outcome
            if reason := self._why_nobody_works():
                yield from (Outcome(part, None, reason) for part, _ in waiting)
                waiting.clear()

    def _start(self, wanted: int) -> None:
        """Starts workers, so that there are as many as there is work for, and room as far as is known."""
        while len(self._starting) < wanted and len(self._starting) + len(self._running) < self._count:
            worker = self._class.remote(self._job)
            self._starting[worker.ready.remote()] = worker

    def _started(self, reference: Any) -> None:
        worker = self._starting.pop(reference)
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._ray.kill(worker)
            self._failures, self._reason = self._failures + 1, _reason(getattr(error, "cause", None) or error)
        else:
            self._failures = 0
            self._idle.append(worker)

    def _why_nobody_works(self) -> str:
        """Why no part will be done any more; empty if some may be."""
        if self._running or self._idle:
            return ""
        if self._failures >= _TRIES:
            return f"no worker can be started: {self._reason}"
        if time.monotonic() - self._moved_on > _PATIENCE_S:
            return f"no machine of the cluster has had room for a worker for {_PATIENCE_S:.0f} s"
        return ""

    def _begin(self, part: Part, tries: int) -> None:
        worker = self._idle.pop()
        self._running[worker.index.remote(part)] = _Task(part, tries, worker)

    def _outcome(self, reference: Any, task: _Task) -> Outcome | None:
        """What has become of a part; None if its worker was lost and another one may try it."""
        errors = self._ray.exceptions
        try:
            report = self._ray.get(reference)
        except errors.RayTaskError as error:
            self._idle.append(task.worker)
            return Outcome(task.part, None, _reason(error.cause))
        except errors.RayError as error:
            self._ray.kill(task.worker)
            if task.tries < _TRIES:
                return None
            return Outcome(task.part, None, f"its worker was lost {task.tries} times: {_reason(error)}")
        self._idle.append(task.worker)
        return Outcome(task.part, report)

    def _files_under_way(self) -> int:
        asked = [task.worker.progress.remote(task.part.name) for task in self._running.values()]
        ready, _ = self._ray.wait(asked, num_returns=len(asked), timeout=_LOOK_S) if asked else ([], [])
        return sum(map(self._files, ready))

    def _files(self, reference: Any) -> int:
        try:
            return int(self._ray.get(reference))
        except self._ray.exceptions.RayError:
            return 0


def workers(ray: Any, resources: Resources, parts: int) -> int:
    """How many workers a cluster has room for, and there is work for."""
    until = time.monotonic() + 10  # nodes may just be joining
    while True:
        there = ray.cluster_resources()
        count = int(there.get("CPU", 0) // max(resources.cpus, 1e-9))
        if resources.gpus:
            count = min(count, int(there.get("GPU", 0) // resources.gpus))
        if count or time.monotonic() > until:
            return min(count, parts)
        time.sleep(0.2)


def _reason(error: BaseException | None) -> str:
    text = str(error).strip().partition("\n")[0]
    return text if isinstance(error, LookalikeError) else f"{type(error).__name__}: {text}"

"""Asks the machines of a Ray cluster: on each, an actor holds some of the shards open.

If a machine is lost, Ray starts its actor on another one, which opens the same shards.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lookalike.cluster.indexing.session import shared
from lookalike.cluster.machines.group import ShardGroup
from lookalike.cluster.machines.states import LostGroupError
from lookalike.errors import LookalikeError, UsageError
from lookalike.index.policies import Policies
from lookalike.system import forks

_ANSWER_S = 120.0  # that a machine may take, and that a lost one's actor may take to start elsewhere
_RETRY_S = 5.0  # a group that did not answer is asked again after so long
_AT_ONCE = 16  # searches of one machine
_TRIES = 3  # of a call whose actor is lost


class RayGroups:
    """The groups of the shards of a directory, an actor a machine. Threads may share it."""

    def __init__(
        self, address: str, directory: Path, names: Sequence[str], policies: Policies, *, partial: bool
    ) -> None:
        """Starts nothing yet.

        Args:
            address: of the cluster, or "local" for one on this machine.
            directory: of the sharded collection, at the same path on all machines.
            names: of its shards.
            policies: as it has them.
            partial: whether shards, and machines that do not answer, are left out.
        """
        self.address = address
        self._directory, self._shards, self._policies, self._partial = directory, tuple(names), policies, partial
        self._lock, self._stack = forks.lock(), ExitStack()
        self._ray: Any = None
        self._actors: dict[int, Any] = {}
        self._names: dict[int, tuple[str, ...]] = {}
        self._lost: dict[int, float] = {}  # when a group that did not answer is asked again

    def start(self) -> None:
        """Connects to the cluster and starts an actor on each machine, unless that is done.

        Raises:
            UsageError: Ray is missing, no cluster at the address lets us in, or it has no machine with a core.
        """
        with self._lock:
            if self._ray is None:
                ray = self._stack.enter_context(shared(self.address))
                nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0)]
                if not nodes:
                    self._stack.close()
                    raise UsageError(f"{self.address}: the cluster has no machine with a core")
                self._ray = ray
                count = min(len(nodes), len(self._shards))
                self._names = {place: self._shards[place::count] for place in range(count)}
                self._actors = {place: self._started(nodes[place], own) for place, own in self._names.items()}

    def _started(self, node: str, names: Sequence[str]) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        actor = self._ray.remote(
            num_cpus=1,
            max_restarts=-1,
            max_task_retries=_TRIES,
            max_concurrency=_AT_ONCE,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=True),
        )(ShardGroup)
        return actor.remote(self._directory, names, self._policies, self._partial)

    def places(self) -> list[int]:
        """The numbers of the groups that can be asked; one that did not answer is asked again now and then."""
        self.start()
        now = time.monotonic()
        with self._lock:
            return [place for place in self._actors if self._lost.get(place, 0) <= now]

    def missing(self) -> tuple[str, ...]:
        """The names of the shards of the groups that do not answer."""
        there = self.places()
        return tuple(name for place, names in self._names.items() if place not in there for name in names)

    def ask(self, method: str, calls: Mapping[int, Sequence[Any]]) -> dict[int, Any]:
        """Calls a method of several groups at the same time; see `Groups`."""
        self.start()
        asked = {place: getattr(self._actors[place], method).remote(*given) for place, given in calls.items()}
        found = dict[int, Any]()
        for place, reference in asked.items():
            try:
                found[place] = self._ray.get(reference, timeout=_ANSWER_S)
            except self._ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, LookalikeError):
                    raise error.cause from None
                raise
            except (self._ray.exceptions.RayError, TimeoutError) as error:
                self._give_up(place, error)
        if calls and not found:
            raise LostGroupError("no machine of the cluster answers")
        return found

    def _give_up(self, place: int, error: BaseException) -> None:
        problem = LostGroupError(
            f"the machine with the shards {', '.join(self._names[place])} does not answer: {error}"
        )
        if not self._partial:
            raise problem from error
        with self._lock:
            self._lost[place] = time.monotonic() + _RETRY_S

    def close(self) -> None:
        """Ends the actors, and leaves the cluster; both are there again when they are asked again."""
        with self._lock:
            for actor in self._actors.values():
                self._ray.kill(actor)
            self._ray, self._actors, self._lost = None, {}, {}
            self._stack.close()

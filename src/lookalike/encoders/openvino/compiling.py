"""Compiles models in such a way that a forked child can compile its own. All other modules compile them by this one.

OpenVINO (2024 to 2026) keeps the threads of a compiled model that is gone, and gives them to the next one with the same
options (`ExecutorManager::get_idle_cpu_streams_executor`). A forked child would give its models threads that only the
parent has, and wait for them for ever. So before a fork, a model that does nothing takes them, and whatever the child
compiles gets threads of its own.
"""

import weakref
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from lookalike.encoders.openvino.loading import FAILURES, core, op, ov
from lookalike.system import forks

_Options: TypeAlias = tuple[tuple[str, Any], ...]


def compile_model(graph: ov.Model | Path, options: Mapping[str, Any]) -> ov.CompiledModel:
    """Compiles a graph for the CPU; raises one of FAILURES if OpenVINO cannot run it."""
    return _threads.used_by(lambda: core().compile_model(graph, "CPU", dict(options)), options)


def import_model(blob: bytes, options: Mapping[str, Any]) -> ov.CompiledModel:
    """Takes what a compiled model for the CPU was exported to; raises one of FAILURES if that cannot be used here."""
    return _threads.used_by(lambda: core().import_model(blob, "CPU", dict(options)), options)


class _User(NamedTuple):
    """A compiled model, or None once it is gone, and the options that its threads were made for."""

    options: _Options
    model: Callable[[], ov.CompiledModel | None]


class _Threads:
    """Who has OpenVINO's threads in this process."""

    def __init__(self) -> None:
        self._lock = forks.lock()
        self._users = list[_User]()
        self._holding = defaultdict[_Options, list[ov.CompiledModel]](list)
        forks.prepare(self)
        forks.watch(self)

    def used_by(self, make: Callable[[], ov.CompiledModel], options: Mapping[str, Any]) -> ov.CompiledModel:
        """Makes a model, which takes the threads of one that is gone if there are any for these options."""
        key = tuple(sorted(options.items()))
        with forks.held_off():
            self._reuse(key)
            try:
                made = make()
            except BaseException:  # also Ctrl-C, which leaves the model to nobody
                self._note(_User(key, lambda: None))
                raise
            self._note(_User(key, weakref.ref(made)))
            return made

    def _reuse(self, options: _Options) -> None:
        """Leaves the threads of one model that is gone to the next model."""
        with self._lock:
            if gone := next((user for user in self._gone() if user.options == options), None):
                self._users.remove(gone)
            elif held := self._holding[options]:
                held.pop()

    def _note(self, user: _User) -> None:
        with self._lock:
            self._users.append(user)

    def _gone(self) -> list[_User]:
        return [user for user in self._users if user.model() is None]

    def before_fork(self) -> None:
        """Has a model that does nothing hold the threads of each one that is gone."""
        with self._lock:
            for gone in self._gone():
                self._users.remove(gone)
                with suppress(*FAILURES):
                    self._holding[gone.options].append(_idle_model(gone.options))

    def after_fork(self) -> None:
        """Lets go of what belongs to the parent, whose threads the destructors would wait for."""
        forks.keep_forever(self._holding)
        self._users, self._holding = [], defaultdict(list)


def _idle_model(options: _Options) -> ov.CompiledModel:
    number = op.parameter([1], np.uint8)
    return core().compile_model(ov.Model([op.result(number)], [number], "idle"), "CPU", dict(options))


_threads = _Threads()

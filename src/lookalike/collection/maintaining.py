"""Maintains the index of a collection in a process of its own, so that the caller's goes on undisturbed."""

import os
import threading
from pathlib import Path
from typing import Any

from lookalike.index.maintenance import Maintenance
from lookalike.index.policies import Policies
from lookalike.system import worker

_LOWEST_PRIORITY = 19


def maintain_apart(directory: Path, policies: Policies, stopped: threading.Event) -> Maintenance:
    """Does what is due for a collection's index, with the lowest priority, unless the event ends it.

    Raises:
        EndedError: it was stopped; nothing of it is left.
        LookalikeError: as `Collection.maintain` does.
    """
    name = f"maintaining the index of {directory}"
    return worker.run_stoppable(_maintain, (directory, policies), name=name, stopped=stopped)


def _maintain(task: tuple[Path, Policies], _: Any) -> Maintenance:
    from lookalike.collection import opening  # which imports this module

    os.nice(_LOWEST_PRIORITY)
    directory, policies = task
    with opening.open(directory, policies=policies) as collection:
        return collection.maintain()

"""Takes the vectors out of FAISS indexes of strangers.

FAISS trusts what it reads, and may crash. So that is done in a process of its own, with a limit of memory, which writes
the vectors to an array of NumPy.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from lookalike.errors import UsageError
from lookalike.system import regular_file, worker

_ROWS = 10_000  # taken out at a time
_SECONDS = 3600.0
_BESIDE = 2**30  # bytes of memory, besides what twice the file has


@dataclass(frozen=True)
class _Task:
    index: Path
    array: Path
    ids: Path


def extract(path: Path, folder: Path) -> tuple[Path, NDArray[np.int64]]:
    """Writes the vectors of an index to an array of NumPy in a folder, float32 (n, dim), in the order of their ids.

    Returns:
        The file of the array, and the ids, int64 (n,).

    Raises:
        UsageError: FAISS cannot read it, or it does not hold the vectors themselves; the message says which it is.
    """
    task = _Task(path.absolute(), folder / "vectors.npy", folder / "ids.npy")
    try:
        with regular_file.open_to_read(path) as file:
            size = file.seek(0, 2)
        worker.run(_extract, task, name="faiss", progress=_ignore, seconds=_SECONDS, memory=2 * size + _BESIDE)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (MemoryError, worker.EndedError) as error:
        raise UsageError(f"{path}: FAISS cannot read it: it takes too much memory, or its process ends") from error
    return task.array, np.load(task.ids, allow_pickle=False)


def _ignore(_: int) -> None:
    """Nobody is told how far it is."""


def _extract(task: _Task, _progress: Callable[[int], None]) -> None:
    """Runs in the process of its own."""
    try:
        index = faiss.read_index(str(task.index))
        ids, blocks = _vectors(task.index, index)
        order = np.argsort(ids, kind="stable")
        array = np.lib.format.open_memmap(task.array, "w+", np.float32, (len(ids), index.d))
        for start in range(0, len(ids), _ROWS):
            array[start : start + _ROWS] = blocks(order[start : start + _ROWS])
        array.flush()
        np.save(task.ids, ids[order])
    except RuntimeError as error:
        reason = str(error).strip().rpartition("Error: ")[2]
        raise UsageError(f"{task.index}: FAISS cannot read it: {reason}") from error


_Blocks = Callable[[NDArray[np.int64]], NDArray[np.float32]]


def _vectors(path: Path, index: Any) -> tuple[NDArray[np.int64], _Blocks]:
    """The ids of an index, and the function from places among them to the vectors there."""
    if isinstance(index, faiss.IndexIDMap):  # and IndexIDMap2, which is one
        ids = faiss.vector_to_array(index.id_map)
        _, blocks = _vectors(path, faiss.downcast_index(index.index))
        if len(ids) != index.ntotal:
            raise UsageError(f"{path}: it has {len(ids):,} ids and {index.ntotal:,} vectors")
        return ids, blocks
    if isinstance(index, faiss.IndexRefine):
        return _vectors(path, faiss.downcast_index(index.refine_index))
    if isinstance(index, faiss.IndexHNSW) and not isinstance(index, faiss.IndexHNSW2Level):
        return _vectors(path, faiss.downcast_index(index.storage))
    if isinstance(index, faiss.IndexIVFFlat | faiss.IndexIVFScalarQuantizer):
        ids = np.sort(np.concatenate([*_list_ids(index), np.empty(0, np.int64)]))
        index.set_direct_map_type(faiss.DirectMap.Hashtable)
        return ids, lambda places: index.reconstruct_batch(ids[places])
    if isinstance(index, faiss.IndexFlat | faiss.IndexScalarQuantizer):
        return np.arange(index.ntotal), index.reconstruct_batch
    raise UsageError(
        f"{path}: it is an {type(index).__name__}, which does not hold the vectors themselves; import those that it"
        " was made of"
    )


def _list_ids(index: Any) -> Iterator[NDArray[np.int64]]:
    """The ids in each list of an inverted file."""
    for number in range(index.nlist):
        if size := index.invlists.list_size(number):
            yield faiss.rev_swig_ptr(index.invlists.get_ids(number), size).copy()

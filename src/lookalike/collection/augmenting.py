"""Makes the augmented vectors of a collection, and makes them anew when many images have come or gone."""

import time
from pathlib import Path

from lookalike.index.build_progress import BuildProgress, OnBuildProgress
from lookalike.search import augmentation
from lookalike.search.snapshot import Snapshots
from lookalike.storage import files, layout, vectors
from lookalike.system import durable

_CHANGED = 0.1  # of the images have come or gone: the neighbours of about as many have changed


def is_due(snapshots: Snapshots) -> bool:
    """Whether augmented vectors are wanted and are to be made, or to be made anew."""
    with snapshots.catalog.reading() as state:
        known = state.augmented
        if known is None:
            return False
        hidden = snapshots.catalog.hidden_rows()
        old = known.count - sum(row < known.count for row in hidden)
        young = state.count - len(hidden) - old
    return (not known.count and young > 0) or young + known.live - old > _CHANGED * known.live


def make(snapshots: Snapshots, data_directory: Path, dim: int, progress: OnBuildProgress | None) -> int:
    """Makes the augmented vectors of all images, and returns their number. The caller holds the lock.

    Raises:
        CorruptError: a vector is damaged.
        StorageError: the disk is full or failing; the present ones still serve.
    """
    with snapshots.current() as snapshot:
        known = snapshot.state.augmented
    assert known
    path = data_directory / layout.next_augmented(known.vectors)
    with durable.storage_errors(path):
        files.remove(path)  # left behind by a process that was killed
    vectors.create(path, dim)
    begun = time.monotonic()

    def show(done: int, total: int) -> None:
        if progress:
            seconds = time.monotonic() - begun
            progress(BuildProgress("augmenting", done / total, seconds * (total - done) / done, "augmented vectors"))

    crc32s, live = augmentation.make(snapshot, path, show)
    with snapshots.catalog.writing() as transaction:
        transaction.augmentation.put(path.name, live, crc32s)
    return live

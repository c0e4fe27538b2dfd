"""A sharded collection: many collections that answer as one. Begin reading here.

A search goes the way that it goes in a single collection (`lookalike.collection.searching`): the query vector is made
once, and search/searcher.py asks a state for rows and a catalog for their images. Here these are those of all shards
(snapshots.py, snapshot.py), which threads.py asks on all cores. building.py builds the indexes of all shards.
"""

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike import arguments
from lookalike.cluster import manifest as manifests
from lookalike.cluster.building import JoinedIndexes
from lookalike.cluster.folds import JoinedFolds
from lookalike.cluster.info import info_of
from lookalike.cluster.machines.states import SpreadStates
from lookalike.cluster.manifest import ShardsManifest
from lookalike.cluster.shard import in_shard
from lookalike.cluster.shards import Shards
from lookalike.cluster.snapshots import JoinedSnapshots
from lookalike.cluster.tuned import KeptTuning
from lookalike.cluster.updating import Updatable
from lookalike.collection.collection import Collection
from lookalike.collection.encoder import CollectionEncoder
from lookalike.collection.info import Info
from lookalike.collection.searching import Searchable
from lookalike.errors import CollectionError, CorruptError, Hint, UsageError
from lookalike.evaluation import QUERIES, calibration, kept, search_quality
from lookalike.evaluation.copied_images import CopiedImages
from lookalike.evaluation.results import Evaluation
from lookalike.index.build_progress import BuildProgress
from lookalike.index.generation import Generation
from lookalike.index.maintenance import Maintenance
from lookalike.index.options import BuildOptions, memory_bytes
from lookalike.index.policies import TARGET_RECALL, Policies
from lookalike.search.probability import FittedCurves, KeptCurves
from lookalike.search.searched import SearchedStates
from lookalike.search.searcher import Searcher

if TYPE_CHECKING:
    from lookalike.cluster.machines.actors import RayGroups


class ShardedCollection(Searchable, Updatable):
    """Many open collections as one, made by `lookalike.open` or `lookalike.combine`. Threads may share it.

    It has the methods of a `Collection`. What only one shard can do by itself raises UsageError. The id of an image is
    2^32 times the number of its shard, plus its id there; it stays the same as long as the shard belongs to the whole.
    Keys are relative to the folder that all shards' folders are in.

    Attributes:
        directory: that of the manifest.
        folder: the folder that the keys of the images are relative to.
    """

    def __init__(
        self,
        directory: Path,
        manifest: ShardsManifest,
        shards: Shards,
        encoder: CollectionEncoder,
        policies: Policies,
        groups: "RayGroups | None" = None,
    ) -> None:
        self.directory, self.folder = directory, manifest.folder
        self._manifest, self._shards, self._policies = manifest, shards, policies
        made_by = manifest.made_by
        self._tuning, self._curves = KeptTuning(directory), KeptCurves(directory, made_by.fingerprint)
        self._snapshots = JoinedSnapshots(directory, shards, made_by.dim, policies.tuning)
        self._groups = groups
        self._spread = SpreadStates(directory, groups, made_by.dim, policies.tuning) if groups else None
        self._searched: SearchedStates = self._spread or self._snapshots
        searcher = Searcher(self._searched, self.folder, self._curves)
        super().__init__(searcher, JoinedFolds(shards), encoder, made_by, lambda id_: self.original(id_).data)

    def __getattr__(self, name: str) -> Any:
        """Says of what only a single collection can do that a shard has to be opened for it."""
        if name.startswith("_") or not hasattr(Collection, name):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        place = self.directory / self._manifest.shards[0].name
        raise UsageError(
            f"{name}: a sharded collection cannot do this as a whole; open one of its shards",
            Hint("open_shard", {"path": str(place)}),
        )

    def __enter__(self) -> "ShardedCollection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the files of all shards; they are opened again when the collection is used again."""
        self._shards.close()
        if self._groups:
            self._groups.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the path and the options; the copy is opened where it is unpickled."""
        from lookalike.cluster import opening  # which imports this module

        options = self._encoder.pickled()
        return opening.reopened, (self.directory, self._policies, *options, self._shards.is_partial, self._address)

    def is_current(self) -> bool:
        """Whether it is still as it was opened: of the same shards, none indexed again with another model or moved."""
        try:
            if manifests.read(self.directory) != self._manifest:
                return False
        except CollectionError:
            return False
        return all(shard.collection.is_current() for shard in self._shards.present())

    def reopen(self) -> "ShardedCollection":
        """Opens the collection as it is now, with the same options; this one can still be used, and is closed as usual.

        Raises:
            NoCollectionError: it is gone.
            CollectionError: a shard cannot be used, and may not be missing.
        """
        from lookalike.cluster import opening  # which imports this module

        options = self._encoder.options
        return opening.reopened(self.directory, self._policies, *options, self._shards.is_partial, self._address)

    @property
    def _address(self) -> str | None:
        return self._groups.address if self._groups else None

    @property
    def shard_names(self) -> tuple[str, ...]:
        """The names of all shards, be they missing or not: their directories, relative to that of the whole."""
        return tuple(shard.name for shard in self._manifest.shards)

    @property
    def missing_shards(self) -> tuple[str, ...]:
        """The names of the shards that cannot be used at the moment."""
        self._shards.present()
        elsewhere = self._spread.missing() if self._spread else ()
        missing = {*self._shards.missing(), *elsewhere}
        return tuple(name for name in self.shard_names if name in missing)

    def build(
        self,
        *,
        recall: float = TARGET_RECALL,
        memory: str | int | None = None,
        spec: str | None = None,
        progress: Callable[[BuildProgress], None] | None = None,
    ) -> Generation | None:
        """Builds the indexes of all shards with one coarse quantizer, and measures their recall as one.

        Args:
            recall: the target recall: the mean share of the 10 nearest images of all shards that a search finds.
            memory: the most memory that all indexes together may take, in bytes or as "500MB".
            spec: a FAISS index factory string for each shard. By default exact search if that takes milliseconds, else
                inverted lists of 4-bit codes, finer if the recall needs it.
            progress: called before and while it works; an exception that it raises ends the work.

        Returns:
            What is known of the indexes as one, or None if every search is exact.

        Raises:
            UsageError: the index is impossible, or would take more memory than it may.
            CorruptError: a vector is damaged.
            LockedError: another process is writing to a shard.
            StorageError: the disk is full or failing; what was built before serves.
        """
        options = BuildOptions(recall, None if memory is None else memory_bytes(memory), spec)
        return self._indexes(progress).build(options)

    def maintain(self, *, progress: Callable[[BuildProgress], None] | None = None) -> Maintenance:
        """Does what is due in each shard after adding and removing, see `Collection.maintain`.

        If indexes have changed, it is measured again how all of them are searched as one.

        Raises:
            CorruptError: a vector is damaged.
            LockedError: another process is writing to a shard.
            StorageError: the disk is full or failing; what was built before serves.
        """
        return self._indexes(progress).maintain()

    def needs_maintenance(self) -> bool:
        """Whether `maintain` has something to do, as far as can be told without reading the index; this is quick."""
        return self._indexes(None).is_due()

    def maintain_apart(self, stopped: threading.Event) -> Maintenance:
        """Does as `maintain`, unless the event is set meanwhile.

        Raises:
            UsageError: it was stopped.
            CorruptError: a vector is damaged.
            LockedError: another process is writing to a shard.
            StorageError: the disk is full or failing.
        """
        stopped = arguments.instance(stopped, threading.Event, "stopped", "a threading.Event")

        def stop(_: BuildProgress) -> None:
            if stopped.is_set():
                raise UsageError("maintaining the indexes was stopped")

        return self._indexes(stop).maintain()

    def info(self) -> Info:
        """What the collection is and holds."""
        if self._spread:  # nothing is opened here that other machines have open
            card = self._tuning.last()
        else:
            with self._snapshots.current() as snapshot:
                card = snapshot.card
        return info_of(self.directory, self.folder, self.made_by, self._shards, card, self._curves.fitted())

    def evaluate(self, *, queries: int = QUERIES, progress: Callable[[int, int], None] | None = None) -> Evaluation:
        """Measures the search over all shards, with the collection's own images as queries; see `Collection.evaluate`.

        Raises:
            UsageError: there are fewer than two images that differ.
            CorruptError: a vector is damaged.
        """
        progress = arguments.callback(progress, "progress")
        copied = CopiedImages(lambda image_id: self.original(image_id).data, self.embed)
        found = search_quality.evaluate_search(self._searched, self._searcher, copied, queries, progress)
        kept.keep(self.directory, found)
        learned = (found.calibration, found.copy_calibration)
        curves = (calibration.fitted(each, self.made_by.fingerprint) for each in learned)
        self._curves.keep(FittedCurves(*curves))
        return dataclasses.replace(found, origin=self._origin())

    def check(self) -> list[str]:
        """Reads everything, and describes each damage in a sentence; an empty list if there is none."""
        return [str(damage) for damage in self.find_damage()]

    def find_damage(self) -> list[CorruptError]:
        """Reads all shards, and returns each damage as an error that says what to do about it."""
        missing = self._shards.missing().values()
        found = [CorruptError(problem.message, *problem.hints) for problem in missing]
        for shard in self._shards.present():
            damages = shard.collection.find_damage()
            found += [CorruptError(in_shard(shard.name, damage).message, *damage.hints) for damage in damages]
        return found

    def _indexes(self, progress: Callable[[BuildProgress], None] | None) -> JoinedIndexes:
        progress = arguments.callback(progress, "progress")
        return JoinedIndexes(self._snapshots, self._tuning, self.made_by.dim, self._policies, progress)

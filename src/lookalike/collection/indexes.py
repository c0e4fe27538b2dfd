"""The indexes of a collection: that of whole images and, if parts of them have vectors, that of these."""

from dataclasses import dataclass, replace
from pathlib import Path

from lookalike.collection import augmenting
from lookalike.index.build_progress import OnBuildProgress
from lookalike.index.faiss_index import Index
from lookalike.index.generation import Generation
from lookalike.index.maintenance import IndexMaintainer, Maintenance, is_due
from lookalike.index.options import BuildOptions
from lookalike.index.policies import DEFAULT, Policies
from lookalike.search.snapshot import Snapshots
from lookalike.storage.catalog import Catalog
from lookalike.storage.vector_tables import ImageVectors, VectorTable, tables_of


@dataclass(frozen=True)
class CollectionIndexes:
    """Builds and maintains all indexes of a collection. The caller holds its lock.

    Attributes:
        snapshots: the collection's.
        data_directory: where its vectors are.
        dim: the dimension of these.
        policies: when an index is built, and how it is measured.
        progress: called before a build and while it goes on.
    """

    snapshots: Snapshots
    data_directory: Path
    dim: int
    policies: Policies = DEFAULT
    progress: OnBuildProgress | None = None

    @property
    def catalog(self) -> Catalog:
        """The collection's."""
        return self.snapshots.catalog

    def build(self, options: BuildOptions) -> Generation | None:
        """Builds the indexes anew, and returns that of whole images, or None if exact search is as good.

        Parts of images get an index of the default kind. A limit of memory is for both, each getting its share.

        Raises:
            UsageError: the index is impossible, or would take more memory than it may.
            CorruptError: a vector is damaged.
            StorageError: the disk is full or failing; the present indexes still serve.
        """
        images, *regions = tables_of(self.catalog)
        if not regions:
            built = self._maintainer(images).build(options)
            self._augment()
            return built
        parts = regions[0].state().count / max(1, images.state().count + regions[0].state().count)
        memory = options.memory
        of_parts = BuildOptions(options.recall, None if memory is None else max(1, round(parts * memory)))
        of_images = replace(options, memory=None if memory is None else max(1, round((1 - parts) * memory)))
        built = self._maintainer(images).build(of_images)
        self._maintainer(regions[0]).build(of_parts)
        self._augment()
        return built

    def build_on(self, trained: Index, options: BuildOptions) -> Generation | None:
        """Builds the index of whole images on one that was trained before; see `IndexMaintainer.build_on`."""
        return self._maintainer(ImageVectors(self.catalog)).build_on(trained, options)

    def maintain(self) -> Maintenance:
        """Does what is due, which is mostly nothing; see `IndexMaintainer.maintain`."""
        images, *regions = (self._maintainer(table).maintain() for table in tables_of(self.catalog))
        return replace(images, regions=regions[0] if regions else None, augmented=self._augment())

    def is_due(self) -> bool:
        """Whether something is due, as far as can be told without reading an index; it takes no lock."""
        tables = tables_of(self.catalog)
        due = (is_due(table, self.data_directory, self.dim, self.policies) for table in tables)
        return any(due) or augmenting.is_due(self.snapshots)

    def keep_augmented(self, wanted: bool) -> None:
        """Makes augmented vectors and keeps them from now on, or lets go of them."""
        with self.catalog.writing() as transaction:
            if wanted:
                transaction.augmentation.want()
            else:
                transaction.augmentation.end()
        self._augment()
        self.sweep()

    def _augment(self) -> int:
        """Makes the augmented vectors anew if that is due, and returns their number; 0 if nothing was done."""
        if not augmenting.is_due(self.snapshots):
            return 0
        try:
            return augmenting.make(self.snapshots, self.data_directory, self.dim, self.progress)
        finally:
            self.sweep()

    def sweep(self) -> None:
        """Removes the files that do not count, such as a killed process has left behind.

        Raises:
            CorruptError: one that counts is missing.
            StorageError: one cannot be removed.
        """
        self._maintainer(ImageVectors(self.catalog)).sweep()

    def _maintainer(self, table: VectorTable) -> IndexMaintainer:
        return IndexMaintainer(table, self.data_directory, self.dim, self.policies, self.progress)

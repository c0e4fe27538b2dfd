"""The indexes of a collection: that of whole images and, if parts of them have vectors, that of these."""

from dataclasses import dataclass, replace
from pathlib import Path

from lookalike.index.build_progress import OnBuildProgress
from lookalike.index.generation import Generation
from lookalike.index.maintenance import IndexMaintainer, Maintenance, is_due
from lookalike.index.options import BuildOptions
from lookalike.index.policies import DEFAULT, Policies
from lookalike.storage.catalog import Catalog
from lookalike.storage.vector_tables import ImageVectors, VectorTable, tables_of


@dataclass(frozen=True)
class CollectionIndexes:
    """Builds and maintains all indexes of a collection. The caller holds its lock.

    Attributes:
        catalog: the collection's.
        data_directory: where its vectors are.
        dim: the dimension of these.
        policies: when an index is built, and how it is measured.
        progress: called before a build and while it goes on.
    """

    catalog: Catalog
    data_directory: Path
    dim: int
    policies: Policies = DEFAULT
    progress: OnBuildProgress | None = None

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
            return self._maintainer(images).build(options)
        parts = regions[0].state().count / max(1, images.state().count + regions[0].state().count)
        memory = options.memory
        of_parts = BuildOptions(options.recall, None if memory is None else max(1, round(parts * memory)))
        of_images = replace(options, memory=None if memory is None else max(1, round((1 - parts) * memory)))
        built = self._maintainer(images).build(of_images)
        self._maintainer(regions[0]).build(of_parts)
        return built

    def maintain(self) -> Maintenance:
        """Does what is due, which is mostly nothing; see `IndexMaintainer.maintain`."""
        images, *regions = (self._maintainer(table).maintain() for table in tables_of(self.catalog))
        return replace(images, regions=regions[0]) if regions else images

    def is_due(self) -> bool:
        """Whether something is due, as far as can be told without reading an index; it takes no lock."""
        tables = tables_of(self.catalog)
        return any(is_due(table, self.data_directory, self.dim, self.policies) for table in tables)

    def sweep(self) -> None:
        """Removes the files that do not count, such as a killed process has left behind.

        Raises:
            CorruptError: one that counts is missing.
            StorageError: one cannot be removed.
        """
        self._maintainer(ImageVectors(self.catalog)).sweep()

    def _maintainer(self, table: VectorTable) -> IndexMaintainer:
        return IndexMaintainer(table, self.data_directory, self.dim, self.policies, self.progress)

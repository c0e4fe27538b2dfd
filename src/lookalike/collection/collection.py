"""A collection: the images of a folder, their vectors, and the ways to search them. Begin reading here.

storage/layout.py draws the directory that it is on the disk. A search goes to encoder.py for the query vector, with
which search/searcher.py asks a snapshot for rows and the catalog for their images. `add` hands a source to
ingest/pipeline.py; `build` and `maintain` are in index/maintenance.py.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from lookalike import arguments, encoders
from lookalike.attributes import apply as attributes
from lookalike.attributes.apply import AttributesReport
from lookalike.collection.encoder import CollectionEncoder
from lookalike.collection.info import Info, info_of
from lookalike.collection.queries import checked_images, checked_terms, checked_vector
from lookalike.collection.writing import WriteAccess
from lookalike.encoders import Encoder
from lookalike.errors import CorruptError
from lookalike.evaluation import search_quality
from lookalike.evaluation.results import Evaluation
from lookalike.filters import Where, checked_where
from lookalike.images.decode import ImageSource
from lookalike.index.build_progress import BuildProgress
from lookalike.index.generation import Generation
from lookalike.index.maintenance import Maintenance
from lookalike.index.options import BuildOptions, memory_bytes
from lookalike.index.policies import DEFAULT, TARGET_RECALL, Policies
from lookalike.ingest.pipeline import Ingest, Progress, Report
from lookalike.results import Matches, Skipped
from lookalike.search.options import SearchKeywords, SearchOptions
from lookalike.search.query import Term
from lookalike.search.searcher import Searcher
from lookalike.search.snapshot import Snapshots
from lookalike.sources.folder import Paths, absolute, key_of, source_of
from lookalike.storage import layout
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Manifest
from lookalike.storage.vectors import Vectors
from lookalike.system.resources import checked_threads, cores


class Collection:
    """An open collection, made by `lookalike.open` or `lookalike.create`. Threads may share it.

    The search methods take the fields of `lookalike.SearchOptions` as keyword arguments.
    """

    def __init__(
        self,
        directory: Path,
        manifest: Manifest,
        *,
        encoder: Encoder | None = None,
        device: str = "auto",
        policies: Policies = DEFAULT,
    ) -> None:
        """`encoder` is the one that made it, if that was given as an object."""
        self.directory, self.folder, self.made_by = directory, manifest.folder, manifest.made_by
        self._manifest, self._policies = manifest, policies
        self._catalog = Catalog(manifest.data_directory(directory) / layout.CATALOG)
        self._catalog.state()  # damage is noticed at once
        self._snapshots = Snapshots(self._catalog, directory, manifest, policies.tuning)
        self._write_access = WriteAccess(self._catalog, directory, manifest, policies)
        self._searcher = Searcher(self._snapshots, self.folder)
        self._encoder = CollectionEncoder(directory, manifest, encoder=encoder, device=device)

    def __len__(self) -> int:
        """The number of images."""
        return self._catalog.totals().images

    def __enter__(self) -> "Collection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its files; they are opened again when the collection is used again."""
        self._snapshots.close()
        self._catalog.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the path and the options; the copy is opened where it is unpickled."""
        from lookalike.collection import opening  # which imports this module

        return opening.reopened, (self.directory, self._policies, *self._encoder.pickled())

    # Adding and removing

    def add(
        self,
        source: Paths,
        *,
        threads: int | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Report:
        """Brings the collection up to date with a folder, a file, or several files.

        With a folder, images that are no longer in it are dropped. An image that cannot be used is skipped and named in
        the report. What is committed survives a crash, and the next call carries on.

        Args:
            source: a folder, a file, or files, which are taken whatever their names.
            threads: the number of images to process at once; by default one for each core.
            progress: called after each image; an exception that it raises ends the run after a commit.

        Raises:
            UsageError: there is nothing at the source.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing.
        """
        threads = checked_threads(threads)
        with self._write_access.vectors() as writer:
            encoder = self._encoder.for_indexing(threads or cores())
            count = threads or encoders.threads_for(encoder, cores())
            ingest = Ingest(self._catalog, writer, encoder, threads=count, progress=progress)
            return ingest.run(source_of(source, base=self.folder, leave_out=self.directory))

    def remove(self, paths: Iterable[str | os.PathLike[str]]) -> int:
        """Drops images, named by their paths, the paths of folders, or keys; returns the number of images dropped.

        The files stay. A file that is still in an indexed folder comes back when that is added again.

        Raises:
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing.
        """
        with self._write_access.vectors(), self._catalog.writing() as transaction:
            names = map(self._names, arguments.several(paths, "paths"))
            return sum(transaction.remove(self._catalog.keys_named(each)) for each in names)

    def named(self, paths: Iterable[str | os.PathLike[str]]) -> int:
        """The number of images that paths, the paths of folders, or keys name, as `remove` takes them."""
        names = map(self._names, arguments.several(paths, "paths"))
        keys = {key for each in names for key in self._catalog.keys_named(each)}
        return len(keys - {key for key, _ in self._catalog.skipped()})

    def annotate(self, table: str | os.PathLike[str]) -> AttributesReport:
        """Gives images the attributes that a CSV, TSV or Parquet file has for their paths.

        The first column, or the one named `path`, `file`, `filename` or `image`, names the image; the others are
        attributes, by which searches can be filtered. One named `label` becomes the image's label. Attributes that the
        file does not mention stay.

        Raises:
            UsageError: the file cannot be used; nothing has changed.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing.
        """
        with self._write_access.locked():
            return attributes.apply(self._catalog, self.folder, arguments.path(table, "table"))

    # The index

    def build(
        self,
        *,
        recall: float = TARGET_RECALL,
        memory: str | int | None = None,
        spec: str | None = None,
        progress: Callable[[BuildProgress], None] | None = None,
    ) -> Generation | None:
        """Builds a new index, measures its recall, and removes the vectors of deleted images.

        Args:
            recall: the target recall: the mean share of the 10 nearest images that a search finds.
            memory: the most memory that the index may take, in bytes or as "500MB"; the vectors are on the disk.
            spec: a FAISS index factory string, such as "IVF4096,PQ320x4fs" or "HNSW32,SQ8". By default exact search if
                that takes milliseconds, else inverted lists of 4-bit codes, finer if the recall needs it.
            progress: called before and while it works; an exception that it raises ends the work, and nothing changes.

        Returns:
            What is known of the index, or None if every search is exact. `reached_recall` says whether the target was
            reached.

        Raises:
            UsageError: the index is impossible, or would take more memory than it may.
            CorruptError: a vector is damaged.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing; the present index still serves.
        """
        options = BuildOptions(recall, None if memory is None else memory_bytes(memory), spec)
        with self._write_access.index(progress) as maintainer:
            return maintainer.build(options)

    def maintain(self, *, progress: Callable[[BuildProgress], None] | None = None) -> Maintenance:
        """Does what is due after adding and removing, which is mostly nothing.

        New images are found at once; when there are many of them, the index takes them in, as long as its recall,
        measured again, holds. The index is built anew when there are four times as many images as it was trained for,
        or it no longer reaches its recall. Vectors of deleted images are removed when they are a fifth of all. A
        collection that has grown too large for exact search gets its first index.

        Raises:
            CorruptError: a vector is damaged.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing; the present index still serves.
        """
        with self._write_access.index(progress) as maintainer:
            return maintainer.maintain()

    # Searching

    def search(
        self,
        query: ImageSource,
        *,
        plus: Sequence[ImageSource] = (),
        minus: Sequence[ImageSource] = (),
        **options: Unpack[SearchKeywords],
    ) -> Matches:
        """Finds the images that are most similar to an image.

        Args:
            query: a path, the bytes of an image file, an open file, a PIL image or an array, uint8 (h, w, 3).
            plus: more images; the search is for the mean of all of them.
            minus: negative examples.
            options: the fields of `SearchOptions`.

        Raises:
            ImageError: an image cannot be used.
            UsageError: an option is out of range, the filter asks for an attribute that no image has, or the images
                cancel each other out.
            CorruptError: a vector that would have been returned is damaged.
        """
        alike, unlike = [query, *checked_images(plus, "plus")], checked_images(minus, "minus")
        terms = [*(Term(each) for each in alike), *(Term(each, weight=-1) for each in unlike)]
        return self.search_terms(terms, **options)

    def search_text(self, text: str, **options: Unpack[SearchKeywords]) -> Matches:
        """Finds the images that a text describes best, for a collection whose model takes text.

        A text and an image have lower scores than two images: 0.2 to 0.4 is a good match.

        Raises:
            UsageError: the collection's model does not take text.
        """
        return self.search_terms([Term(text=arguments.text(text, "text"))], **options)

    def search_terms(self, terms: Sequence[Term], **options: Unpack[SearchKeywords]) -> Matches:
        """Finds the images that match several images and texts together, each with its weight.

        Raises:
            ImageError: an image cannot be used.
            UsageError: there is a text and the model takes none, or the terms cancel each other out.
        """
        given, terms = SearchOptions(**options), checked_terms(terms)
        [matches] = self._searcher.by_vectors(self._encoder.query_vector(terms), given)
        return Matches(matches, queries=terms)

    def search_many(self, queries: Iterable[ImageSource], **options: Unpack[SearchKeywords]) -> list[Matches]:
        """Finds the most similar images for each of several images, in their order."""
        given, images = SearchOptions(**options), checked_images(queries, "queries")
        if not images:
            return []
        found = self._searcher.by_vectors(np.concatenate([self.embed(image) for image in images]), given)
        return [Matches(matches, queries=[image]) for image, matches in zip(images, found, strict=True)]

    def search_id(self, image_id: int, **options: Unpack[SearchKeywords]) -> Matches:
        """Finds the images that are most similar to one of the collection's own, which is left out.

        Raises:
            UsageError: there is no image with that id.
        """
        number = arguments.whole(image_id, "image_id")
        image, others = self._searcher.by_image(number, SearchOptions(**options))
        return Matches(others, queries=[image])

    def search_vector(self, vector: ArrayLike, **options: Unpack[SearchKeywords]) -> Matches:
        """Finds the images whose vectors have the largest cosine to a vector, (dim,) or (1, dim), of any length.

        Raises:
            UsageError: the vector has another dimension, is zero, or is not finite.
        """
        query = checked_vector(vector, self.made_by.dim)
        [matches] = self._searcher.by_vectors(query, SearchOptions(**options))
        return Matches(matches)

    def count(self, where: Where) -> int:
        """The number of images that a filter admits; raises UsageError for an attribute that no image has."""
        return self._catalog.count_where(checked_where(where) or Where())

    def embed(self, query: ImageSource) -> Vectors:
        """The unit vector of an image, float32 (1, dim), by the collection's encoder.

        Raises:
            ImageError: it cannot be used.
        """
        return self._encoder.image_vector(query)

    def embed_text(self, text: str) -> Vectors:
        """The unit vector of a text, float32 (1, dim), by the collection's encoder.

        Raises:
            UsageError: the encoder does not take text.
        """
        return self._encoder.text_vector(arguments.text(text, "text"))

    # Looking after it

    def info(self) -> Info:
        """What the collection is and holds."""
        return info_of(self.directory, self._manifest, self._snapshots)

    def evaluate(
        self, *, queries: int = search_quality.QUERIES, progress: Callable[[int, int], None] | None = None
    ) -> Evaluation:
        """Measures the search with the collection's own images as queries, each left out of its own answer.

        The recall is against exact search; precision and mAP are by label.

        Args:
            queries: the most images to use as queries, drawn at random and always the same.
            progress: called with the number of steps that are done, and their total.

        Raises:
            UsageError: there are fewer than two images that differ.
            CorruptError: a vector is damaged.
        """
        return search_quality.evaluate_search(self._snapshots, self._searcher, queries, progress)

    def skipped(self) -> list[Skipped]:
        """The files that were left out, with the reasons."""
        return [Skipped(self.folder / key, reason) for key, reason in self._catalog.skipped()]

    def check(self) -> list[str]:
        """Reads everything, and describes each damage in a sentence; an empty list if there is none."""
        return [str(damage) for damage in self.find_damage()]

    def find_damage(self) -> list[CorruptError]:
        """Reads everything, and returns each damage as an error that says what to do about it."""
        found: list[CorruptError] = []
        try:
            if damage := self._catalog.damage():
                found.append(CorruptError(f"{self._catalog.path}: the catalog is damaged: {damage}"))
            found += self._snapshots.find_damage()
        except CorruptError as error:
            found.append(error)
        return found

    def _names(self, path: str | os.PathLike[str]) -> tuple[str, ...]:
        """The keys that a path may stand for: that of the file, or the path itself unless it is the current folder."""
        key = key_of(absolute(checked := arguments.path(path, "path")), self.folder)
        return (key, os.fsdecode(path)) if checked.name else (key,)

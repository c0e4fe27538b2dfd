"""A collection: the images of a folder, their vectors, and the way to search them.

It is a directory, `.lookalike` inside the folder unless another is named:

    collection.json      what made it: the encoder and its fingerprint      (identity.py)
    catalog.sqlite       which images there are                             (catalog.py)
    vectors.faiss        their vectors, which are also the exact index      (vectors.py)
    index/               a quantized index, where there are many            (generations.py, builder.py)
    lock                 held by whoever writes

Once its images have been indexed again with another model (reindexing.py), collection.json names the folder inside that
the catalog, the vectors and the index are in.

A search goes through nearest.py, which asks a snapshot.py for rows and the catalog for their images.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from lookalike import encoders
from lookalike.attributes import apply
from lookalike.attributes.apply import AttributesReport
from lookalike.collection.encoder import CollectionEncoder
from lookalike.encoders import Encoder
from lookalike.errors import CorruptError, IncompatibleError, StorageError, UsageError
from lookalike.evaluation import search_quality
from lookalike.evaluation.results import Evaluation
from lookalike.evaluation.search_quality import QUERIES
from lookalike.filters import Where
from lookalike.images.decode import ImageSource, kept
from lookalike.index.build_progress import BuildProgress
from lookalike.index.generation import Generation
from lookalike.index.maintenance import Builder, Maintenance
from lookalike.index.options import Wish, memory_bytes
from lookalike.index.tuning import RECALL
from lookalike.ingest.pipeline import Ingest, Progress, Report, cores
from lookalike.results import Matches, Skipped
from lookalike.search.query import Term, direction
from lookalike.search.searcher import Request, Searcher
from lookalike.search.snapshot import Snapshots
from lookalike.sources.folder import absolute, key_of, source_of
from lookalike.storage import layout as directories
from lookalike.storage import manifest, vectors
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Identity, Origin
from lookalike.storage.vectors import Vectors, VectorWriter

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Info:
    """What a collection is and holds.

    Attributes:
        directory: where it is kept.
        folder: what the keys of its images are relative to.
        made_by: the encoder that its vectors come from.
        images: how many it has.
        vectors: how many it has stored; identical files share one.
        dead: how many of these no image has any more.
        skipped: how many files were left out.
        bytes: its size on the disk.
        young: how many vectors are younger than the index, and compared one by one.
        index: what is known of the index, or None where every search is exact.
        damage: why there is none although there should be, as far as can be told without reading it; else None.
    """

    directory: Path
    folder: Path
    made_by: Identity
    images: int
    vectors: int
    dead: int
    skipped: int
    bytes: int
    young: int
    index: Generation | None
    damage: str | None


class Collection:
    """An open collection. Threads may share it; `lookalike.open` and `lookalike.create` make it."""

    def __init__(
        self, directory: Path, origin: Origin, *, encoder: Encoder | None = None, device: str = "auto"
    ) -> None:
        """`encoder` is the one that made it, where that is not one of Lookalike's own."""
        self.directory, self.folder, self.made_by = directory, origin.folder, origin.made_by
        self._origin, self._place = origin, origin.place(directory)
        self._catalog = Catalog(self._place / directories.CATALOG)
        self._snapshots = Snapshots(self._catalog, self._place, self.made_by.dim)
        self._searcher = Searcher(self._snapshots, self.folder)
        self._encoder = CollectionEncoder(directory, origin, encoder=encoder, device=device)

    def __len__(self) -> int:
        """How many images it has."""
        return self._catalog.totals().images

    def __enter__(self) -> "Collection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of its files; it opens them again when it is used again."""
        self._snapshots.close()
        self._catalog.close()

    # Adding and removing

    def add(
        self,
        source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        threads: int | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Report:
        """Brings the collection up to date with a folder, a file, or several files.

        With a folder, images that are no longer in it are dropped. An image that cannot be used is skipped and
        named in the report. What has been committed survives a crash, and the next call carries on from there.

        Args:
            source: a folder, a file, or files, which are then taken whatever their names.
            threads: how many images to work on at once; by default one for each core.
            progress: called after each image; what it raises ends the run, with all that was done committed.

        Raises:
            UsageError: there is nothing at the source.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing.
        """
        if threads is not None and threads < 1:
            raise UsageError(f"threads={threads}: give at least 1")
        with self._writing() as writer:
            encoder = self._encoder.for_indexing(threads or cores())
            ingest = Ingest(
                self._catalog,
                writer,
                encoder,
                threads=threads or encoders.threads_for(encoder, cores()),
                progress=progress,
            )
            return ingest.run(source_of(source, base=self.folder, leave_out=self.directory))

    def remove(self, paths: Iterable[str | os.PathLike[str]]) -> int:
        """Drops images by their paths, those of folders, or their keys, and says how many it had of them.

        Their files stay. A file that is still in an indexed folder comes back when that is added again.

        Raises:
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing.
        """
        with self._writing(), self._catalog.writing() as transaction:
            return sum(transaction.remove(self._keys(path)) for path in _listed(paths))

    def annotate(self, table: str | os.PathLike[str]) -> AttributesReport:
        """Gives images the attributes that a CSV, TSV or Parquet file has for their paths.

        The first column, or the one named `path`, `file`, `filename` or `image`, names the image; the others are
        attributes, by which searches can be filtered. One named `label` becomes the image's label. Attributes that the
        file does not mention stay.

        Raises:
            UsageError: the file is not what it should be; nothing has changed then.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing.
        """
        with self._locked():
            return apply.apply(self._catalog, self.folder, Path(table))

    # The index

    def build(
        self,
        *,
        recall: float = RECALL,
        memory: str | int | None = None,
        spec: str | None = None,
        progress: Callable[[BuildProgress], None] | None = None,
    ) -> Generation | None:
        """Makes a new index, measures how much it finds, and takes the vectors of deleted images out.

        Args:
            recall: the share of the 10 nearest images that a search is to find, on average.
            memory: the most that the index may take, in bytes or as "500MB"; the vectors are on the disk.
            spec: a FAISS index factory string, such as "IVF4096,PQ320x4fs" or "HNSW32,SQ8". By default exact search
                where that takes milliseconds, else inverted lists of 4-bit codes, finer where the recall needs it.
            progress: called before and while it works; what it raises ends the work, and nothing has changed.

        Returns:
            What is known of the index, or None where every search is exact. Whether it reaches the recall that was
            asked for is told by its `reached`.

        Raises:
            UsageError: there can be no such index, or it would take more memory than it may.
            CorruptError: a vector is damaged.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing; the index that was there still serves.
        """
        wish = Wish(recall, None if memory is None else memory_bytes(memory), spec)
        with self._building(progress) as builder:
            return builder.build(wish)

    def maintain(self, *, progress: Callable[[BuildProgress], None] | None = None) -> Maintenance:
        """Does what is due after adding and removing, which is mostly nothing.

        Images that were added are found at once, and are taken into the index when there are many of them, as long
        as its recall, measured again, holds. The index is built anew when there are four times as many images as it was
        made for, or it no longer keeps its promise. When a fifth of the vectors belong to deleted images, they are
        taken out. A collection that has grown too large for exact search gets its first index.

        Raises:
            CorruptError: a vector is damaged.
            LockedError: another process is writing to the collection.
            StorageError: the disk is full or failing; the index that was there still serves.
        """
        with self._building(progress) as builder:
            return builder.maintain()

    # Searching

    def search(
        self,
        query: ImageSource,
        *,
        plus: Sequence[ImageSource] = (),
        minus: Sequence[ImageSource] = (),
        k: int = 10,
        min_score: float | None = None,
        where: Where | None = None,
        exact: bool = False,
        recall: float | None = None,
    ) -> Matches:
        """The k images that look most like the query.

        Args:
            query: a path, the bytes of an image file, an open file, a PIL image or an array, uint8 (h, w, 3).
            plus: more images; the search is then for the mean of all of them.
            minus: images whose likeness is taken away.
            k: at least 1; where there are fewer images, all of them come back.
            min_score: leave out what scores less.
            where: which images may be found.
            exact: compare with every vector, whether or not there is an index.
            recall: the share of the k nearest that are to be found; by default what the index promises. Where the
                index cannot promise that much, the search is exact.

        Raises:
            ImageError: the query cannot be used.
            UsageError: k is not positive, no image has an attribute that is asked for, or the queries cancel each other
                out.
            CorruptError: a vector that would have come back is damaged.
        """
        terms = [Term(each) for each in (query, *_listed(plus))] + [Term(each, weight=-1) for each in _listed(minus)]
        return self.search_terms(terms, k=k, min_score=min_score, where=where, exact=exact, recall=recall)

    def search_text(
        self,
        text: str,
        *,
        k: int = 10,
        min_score: float | None = None,
        where: Where | None = None,
        exact: bool = False,
        recall: float | None = None,
    ) -> Matches:
        """The k images that words describe best, for a collection whose model knows words.

        Words and images score less with each other than images among themselves: 0.2 to 0.4 is much.

        Raises:
            UsageError: the collection's model knows no words; the message names some that do.
        """
        return self.search_terms([Term(text=text)], k=k, min_score=min_score, where=where, exact=exact, recall=recall)

    def search_terms(
        self,
        terms: Sequence[Term],
        *,
        k: int = 10,
        min_score: float | None = None,
        where: Where | None = None,
        exact: bool = False,
        recall: float | None = None,
    ) -> Matches:
        """The k images that fit images and words together best, each by its weight.

        Raises:
            ImageError: an image cannot be used.
            UsageError: there are words and the collection's model knows none, or the terms cancel each other out.
        """
        request = Request(k, min_score, where, exact, recall)
        [matches] = self._searcher.of_vectors(direction(terms, self.embed, self.embed_text), request)
        return Matches(matches, queries=terms)

    def search_many(
        self,
        queries: Sequence[ImageSource],
        *,
        k: int = 10,
        min_score: float | None = None,
        where: Where | None = None,
        exact: bool = False,
        recall: float | None = None,
    ) -> list[Matches]:
        """The answers to several queries, each for itself, in their order."""
        request = Request(k, min_score, where, exact, recall)
        if not queries:
            return []
        queries = [kept(query) for query in _listed(queries)]
        found = self._searcher.of_vectors(np.concatenate([self.embed(query) for query in queries]), request)
        return [Matches(matches, queries=[query]) for query, matches in zip(queries, found, strict=True)]

    def search_id(
        self,
        image_id: int,
        *,
        k: int = 10,
        min_score: float | None = None,
        where: Where | None = None,
        exact: bool = False,
        recall: float | None = None,
    ) -> Matches:
        """The k images that look most like one of the collection's own, which is left out.

        Raises:
            UsageError: there is no image with that id.
        """
        image, others = self._searcher.of_image(image_id, Request(k, min_score, where, exact, recall))
        return Matches(others, queries=[image])

    def search_vector(
        self,
        vector: ArrayLike,
        *,
        k: int = 10,
        min_score: float | None = None,
        where: Where | None = None,
        exact: bool = False,
        recall: float | None = None,
    ) -> Matches:
        """The k images whose vectors have the largest cosine similarity to a vector, (dim,), of any length.

        Raises:
            UsageError: it is not of the collection's dimension, is zero, or is not finite.
        """
        query = np.asarray(vector)
        if query.shape != (self.made_by.dim,):
            raise UsageError(f"a vector of shape {query.shape}: this collection's have {self.made_by.dim} dimensions")
        request = Request(k, min_score, where, exact, recall)
        [matches] = self._searcher.of_vectors(vectors.unit(query), request)
        return Matches(matches)

    def count(self, where: Where) -> int:
        """How many images a filter admits.

        Raises:
            UsageError: it asks for an attribute that no image has.
        """
        return self._catalog.count_where(where)

    def embed(self, query: ImageSource) -> Vectors:
        """The unit vector of an image, float32 (1, dim), by the collection's encoder."""
        return self._encoder.vector_of_image(query)

    def embed_text(self, text: str) -> Vectors:
        """The unit vector of words, float32 (1, dim), by the collection's encoder.

        Raises:
            UsageError: it knows no words.
        """
        return self._encoder.vector_of_text(text)

    # Looking after it

    def info(self) -> Info:
        """What it is and holds."""
        totals, state = self._catalog.totals(), self._catalog.state()
        index, damage = None, None
        try:
            index = self._snapshots.about_index()
        except CorruptError as error:
            damage = str(error)
        return Info(
            self.directory,
            self.folder,
            self.made_by,
            images=totals.images,
            vectors=totals.vectors,
            dead=totals.dead,
            skipped=totals.skipped,
            bytes=directories.size(self.directory),
            young=max(state.count - index.rows, 0) if index else 0,  # a writer may have joined some in between
            index=index,
            damage=damage,
        )

    def evaluate(self, *, queries: int = QUERIES, progress: Callable[[int, int], None] | None = None) -> Evaluation:
        """Asks the collection its own images, and measures how good the answers are.

        The recall is against exact search; precision and mAP are by label, each image left out of its own answer.

        Args:
            queries: how many images to ask at most, drawn at random, always the same.
            progress: called with how much of how much is done.

        Raises:
            UsageError: there are fewer than two images that differ.
            CorruptError: a vector is damaged.
        """
        return search_quality.evaluation(self._snapshots, self._searcher, queries, progress)

    def skipped(self) -> list[Skipped]:
        """The files that were left out, and why."""
        return [Skipped(self.folder / key, reason) for key, reason in self._catalog.skipped()]

    def check(self) -> list[str]:
        """Reads everything, and says what is damaged: a sentence for each, none if all is well."""
        damages: list[str] = []
        try:
            if damage := self._catalog.damage():
                damages.append(f"{self._catalog.path}: the catalog is damaged: {damage}")
            damages += self._snapshots.damages()
        except CorruptError as error:
            damages.append(str(error))
        return damages

    # How it is done

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The only writer, of a collection that is still the one that was opened."""
        with directories.locked(self.directory):
            manifest.check_serves(self.directory, self._origin)
            directories.sweep(self.directory, self._origin)
            yield

    @contextmanager
    def _writing(self) -> Iterator[VectorWriter]:
        """The only writer, at the end of what has been committed."""
        with self._locked():
            state = self._catalog.state()
            path = self._place / state.vectors
            if vectors.has_leftovers(path, self.made_by.dim, state.count):
                self._catalog.check()  # lest it is a damaged catalog that knows of too few
            with closing(VectorWriter(path, self.made_by.dim, state.count)) as writer:
                yield writer

    @contextmanager
    def _building(self, progress: Callable[[BuildProgress], None] | None) -> Iterator[Builder]:
        """The only writer, once what a process that was killed has left is taken away."""
        with self._locked():
            builder = Builder(self._catalog, self._place, self.made_by.dim, progress)
            builder.sweep()
            yield builder

    def _keys(self, path: str | os.PathLike[str]) -> Iterable[str]:
        """What is known of a file, or of the files below a folder; a name that is no path may be a key."""
        for key in (key_of(absolute(path), self.folder), os.fspath(path)):
            if self._catalog.known_file(key):
                return [key]
            if below := self._catalog.known("" if key == "." else key, limit=-1):
                return [known.key for known in below]
        return []


def create(
    folder: str | os.PathLike[str],
    *,
    directory: str | os.PathLike[str] | None = None,
    model: str = encoders.BUNDLED,
    precision: str | None = None,
    encoder: Encoder | None = None,
    device: str = "auto",
) -> Collection:
    """Makes an empty collection.

    Args:
        folder: the folder of images that it is for; it becomes `.lookalike` inside.
        directory: where to make it instead.
        model: the network that makes its vectors.
        precision: what that computes with: int8 (the default), f32 or bf16, and for imported networks f32 (the default)
            or bf16.
        encoder: a network of your own instead; `open` must be given it too.
        device: the processor for indexing: "cpu", "cuda", "mps", or "auto" for a graphics processor if there is one.

    Raises:
        UsageError: there is no such folder or model, or there is a collection already.
        LockedError: another process is making it.
        StorageError: it cannot be written.
    """
    here = Path(folder).resolve()
    if not os.path.isdir(here):
        raise UsageError(f"{folder}: there is no such folder")
    place = Path(directory).resolve() if directory is not None else here / directories.NAME
    origin = Origin(manifest.of_encoder(encoder) if encoder is not None else manifest.of_model(model, precision), here)
    with directories.making(place):
        Catalog.create(place / directories.CATALOG)
        vectors.create(place / directories.VECTORS, origin.made_by.dim)
        manifest.write(place, origin)
    return Collection(place, origin, encoder=encoder, device=device)


def open(  # noqa: A001
    path: str | os.PathLike[str],
    *,
    model: str | None = None,
    precision: str | None = None,
    encoder: Encoder | None = None,
    device: str = "auto",
) -> Collection:
    """Opens the collection of a folder, or the collection in a directory of its own.

    Where its model is not to be had here, all that needs no model can be done with it.

    Args:
        path: the folder that was indexed, or the collection's directory itself.
        model: the network that it must have been made with; by default whichever it was.
        precision: what that must have computed with; by default whatever it was.
        encoder: the network that made it, where that is not one of Lookalike's.
        device: the processor for indexing, as for `create`.

    Raises:
        NoCollectionError: there is none.
        IncompatibleError: another encoder or another version of it made it, or a newer Lookalike.
        CorruptError: one of its files is damaged.
    """
    directory = directories.located(path)
    while True:
        origin = manifest.read(directory)
        wanted: Identity | None
        if encoder is not None:
            wanted = manifest.of_encoder(encoder)
        elif model is not None or precision is not None:
            wanted = manifest.now(directory, origin, model=model, precision=precision)
        else:
            wanted = manifest.here(origin.made_by)
        if wanted is not None:
            manifest.check(directory, origin, wanted)
        try:
            return Collection(directory, origin, encoder=encoder, device=device)
        except (CorruptError, IncompatibleError, StorageError):
            if manifest.read(directory) == origin:
                raise  # else its images have been indexed again with another model just now


def _listed(several: Iterable[_Item]) -> Iterable[_Item]:
    """Several of something: a string is one, not as many as it has letters."""
    if isinstance(several, str | bytes | os.PathLike):
        raise UsageError(f"{several!r} is one; give a list")
    return several

"""The search methods of a collection."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from lookalike import arguments
from lookalike.collection.encoder import CollectionEncoder
from lookalike.collection.queries import checked_vector, with_queries_marked
from lookalike.duplicates.folding import Folds
from lookalike.errors import UsageError
from lookalike.images.grid import grid
from lookalike.images.preprocessing import ImageSource
from lookalike.results import Match, Matches, Origin, Region, region_of
from lookalike.search.options import SearchKeywords, SearchOptions
from lookalike.search.query import query_vector
from lookalike.search.searcher import Searcher
from lookalike.search.terms import Term, checked_image, checked_images, checked_terms, signed_terms
from lookalike.storage.manifest import Identity
from lookalike.storage.vectors import Vectors

_CROPS = 9  # parts that a query is cut into


class Searchable:
    """Finds images by images, texts and vectors.

    Attributes:
        made_by: the encoder that made the vectors.
    """

    def __init__(
        self,
        searcher: Searcher,
        folds: Folds,
        encoder: CollectionEncoder,
        made_by: Identity,
        original: Callable[[int], bytes],
    ) -> None:
        """`original` reads the file of an image of the collection, by its id."""
        self._searcher, self._folds, self._encoder, self.made_by = searcher, folds, encoder, made_by
        self._original = original

    @property
    def max_pixels(self) -> int:
        """The most pixels of an image that is decoded."""
        return self._encoder.max_pixels

    @property
    def takes_text(self) -> bool:
        """Whether the collection's model takes text, so that `search_text` finds images."""
        return self._encoder.takes_text

    @property
    def missing_shards(self) -> tuple[str, ...]:
        """The names of shards that cannot be used at the moment; a collection by itself has none."""
        return ()

    def warm_up(self, *, threads: int = 1) -> None:
        """Opens its files and loads its encoder for so many threads, which the first searches would else wait for.

        Raises:
            IncompatibleError: the encoder is not available here, or is another version.
            CorruptError: a file of the collection is damaged.
        """
        count = arguments.whole(threads, "threads", least=1)
        self.search_vector(np.ones(self.made_by.dim, np.float32), k=1)
        self._encoder.for_queries(count)

    def search(
        self,
        query: ImageSource,
        *,
        plus: Sequence[ImageSource] = (),
        minus: Sequence[ImageSource] = (),
        region: Region | Iterable[float] | None = None,
        **options: Unpack[SearchKeywords],
    ) -> Matches:
        """Finds the images that are most similar to an image.

        If the query is a file of the collection, it is among its own matches, marked by `Match.is_query`.

        Args:
            query: a path, the bytes of an image file, an open file, a PIL image or an array, uint8 (h, w, 3).
            plus: more images; the search is for the mean of all of them.
            minus: negative examples.
            region: searches for a part of the image: x, y, width and height as shares of its sides, without `plus`.
            options: the fields of `SearchOptions`.

        Raises:
            ImageError: an image cannot be used.
            UsageError: an option is out of range, the filter asks for an attribute that no image has, or the images
                cancel each other out.
            CorruptError: a vector that would have been returned is damaged.
        """
        terms, given, part = signed_terms(query, plus, minus), SearchOptions(**options), region_of(region)
        if part is not None and len(terms) > 1:
            raise UsageError("region: give one image, without plus and minus")
        return self._by_terms([replace(term, region=part) for term in terms], given)

    def search_text(self, text: str, **options: Unpack[SearchKeywords]) -> Matches:
        """Finds the images that a text describes best, for a collection whose model takes text.

        A text and an image have lower scores than two images: 0.2 to 0.4 is a good match.

        Raises:
            UsageError: the collection's model does not take text.
        """
        return self._by_terms([Term(text=arguments.text(text, "text"))], SearchOptions(**options))

    def search_terms(self, terms: Sequence[Term], **options: Unpack[SearchKeywords]) -> Matches:
        """Finds the images that match several images, texts and vectors together, each with its weight.

        Images of the collection that terms name by their ids are left out.

        Raises:
            ImageError: an image cannot be used.
            NoImageError: there is no image with an id.
            UsageError: there is a text and the model takes none, or the terms cancel each other out.
        """
        return self._by_terms(checked_terms(terms), SearchOptions(**options))

    def search_many(self, queries: Iterable[ImageSource], **options: Unpack[SearchKeywords]) -> list[Matches]:
        """Finds the most similar images for each of several images, in their order."""
        given, images = SearchOptions(**options), checked_images(queries, "queries")
        if given.crops:
            return [self._by_terms([Term(image)], given) for image in images]
        if not images:
            return []
        vectors = self._encoder.image_vectors(images)
        found = self._folds.answers(given, lambda options: self._searcher.by_vectors(vectors, options))
        return [self._matches(matches, [image], given) for image, matches in zip(images, found, strict=True)]

    def search_id(
        self, image_id: int, *, region: Region | Iterable[float] | None = None, **options: Unpack[SearchKeywords]
    ) -> Matches:
        """Finds the images that are most similar to one of the collection's own, which is left out.

        Args:
            image_id: of the image.
            region: searches for a part of that image, as `search` takes it; the image is not left out then, nor with
                `crops`, which cuts it.
            options: the fields of `SearchOptions`.

        Raises:
            NoImageError: there is no image with that id.
            ImageError: a part is wanted, and the file of the image is gone or has changed.
        """
        number, given, part = arguments.whole(image_id, "image_id"), SearchOptions(**options), region_of(region)
        if part is not None or given.crops:
            return self._by_terms([Term(self._original(number), region=part)], given)
        image: Match | None = None

        def search(wanted: SearchOptions) -> list[list[Match]]:
            nonlocal image
            image, others = self._searcher.by_image(number, wanted)
            return [others]

        [others] = self._folds.answers(given, search)
        return self._matches(others, [image], given)

    def search_vector(self, vector: ArrayLike, **options: Unpack[SearchKeywords]) -> Matches:
        """Finds the images whose vectors have the largest cosine to a vector, (dim,) or (1, dim), of any length.

        Raises:
            UsageError: the vector has another dimension, is zero, or is not finite.
        """
        query, given = checked_vector(vector, self.made_by.dim), SearchOptions(**options)
        if given.crops:
            raise UsageError("crops cuts an image into parts; give one")
        [matches] = self._folds.answers(given, lambda options: self._searcher.by_vectors(query, options))
        return self._matches(matches, [], given)

    def _by_terms(self, terms: list[Term], options: SearchOptions) -> Matches:
        is_one = len(terms) == 1 and terms[0].weight > 0
        if options.crops:
            return self._by_crops(terms[0] if is_one else None, options)
        vectors = [self._term_vector(term) for term in terms]
        query = vectors[0] if is_one else query_vector(terms, vectors)
        own = {term.id for term in terms if term.id is not None}
        [matches] = self._folds.answers(options, lambda wanted: self._searcher.by_vectors(query, wanted, leave_out=own))
        if not is_one or terms[0].text is not None:  # what is probable was learned from single images
            matches = [_without_probability(match) for match in matches]
        return self._matches(matches, terms, options)

    def _by_crops(self, term: Term | None, options: SearchOptions) -> Matches:
        if term is None or term.image is None:
            raise UsageError("crops cuts one image into parts; give that alone")
        image = self._pixels(term)
        vectors = np.concatenate([self.embed(image), self._encoder.part_vectors(image, _CROPS)])
        regions = [None, *grid(_CROPS)]
        [found] = self._folds.answers(options, lambda wanted: [self._searcher.by_parts(vectors, wanted, regions)])
        return self._matches(found, [term], options)

    def _term_vector(self, term: Term) -> Vectors:
        if term.id is not None:
            return self._searcher.vector_of(term.id)
        if term.vector is not None:
            return checked_vector(term.vector, self.made_by.dim)
        if term.text is not None:
            return self._encoder.text_vector(term.text)
        return self._encoder.image_vector(self._pixels(term))

    def _pixels(self, term: Term) -> ImageSource:
        """The image of a term, or the part of it that counts."""
        assert term.image is not None
        if term.region is None:
            return term.image
        from lookalike.images.region import cut

        return cut(term.image, term.region, max_pixels=self.max_pixels)

    def embed(self, query: ImageSource) -> Vectors:
        """The unit vector of an image, float32 (1, dim), by the collection's encoder.

        Raises:
            ImageError: it cannot be used.
        """
        return self._encoder.image_vector(checked_image(query, "query"))

    def embed_text(self, text: str) -> Vectors:
        """The unit vector of a text, float32 (1, dim), by the collection's encoder.

        Raises:
            UsageError: the encoder does not take text.
        """
        return self._encoder.text_vector(arguments.text(text, "text"))

    def _matches(self, matches: Iterable[Match], queries: Sequence[Any], options: SearchOptions) -> Matches:
        return Matches(
            with_queries_marked(matches, queries),
            queries=queries,
            origin=self._origin(),
            max_pixels=self._encoder.max_pixels,
            filtered_by=options.where.conditions if options.where else (),
            missing_shards=self.missing_shards,
        )

    def _origin(self) -> Origin:
        now = datetime.now().astimezone()
        return Origin(self._searcher.folder, str(self.made_by), self.made_by.fingerprint, now)


def _without_probability(match: Match) -> Match:
    copies = tuple(map(_without_probability, match.copies))
    return replace(match, probability=None, copy_probability=None, copies=copies)

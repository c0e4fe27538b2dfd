"""The search methods of a client."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lookalike import arguments
from lookalike.client import answers, bodies, problems
from lookalike.client.asking import JSON_BYTES, Asking
from lookalike.client.connections import Request
from lookalike.images.decode import ImageSource, image_file
from lookalike.results import Matches, Region, region_of
from lookalike.search.options import SearchKeywords, SearchOptions
from lookalike.search.terms import Term, checked_image, checked_images, checked_terms, signed_terms

_MATCHES_AT_ONCE = 10_000  # of one request for several searches
_Encoded: TypeAlias = tuple[ImageSource, str]  # an image, and its bytes in base64
_BODY_ROOM = 2**16  # bytes of a request beside its images


class Searching(Asking):
    """Finds images by images, texts and vectors, as `lookalike.Collection` does."""

    def search(
        self,
        query: ImageSource,
        *,
        plus: Sequence[ImageSource] = (),
        minus: Sequence[ImageSource] = (),
        region: Region | Iterable[float] | None = None,
        **options: Unpack[SearchKeywords],
    ) -> Matches:
        """Finds the images that are most similar to an image, which is sent to the service.

        Args:
            query: a path, the bytes of an image file, an open file, a PIL image or an array, uint8 (h, w, 3).
            plus: more images; the search is for the mean of all of them.
            minus: negative examples.
            region: searches for a part of the image: x, y, width and height as shares of its sides, without `plus`.
            options: the fields of `SearchOptions`.

        Raises:
            ImageError: an image cannot be used.
            UsageError: an option is out of range or more than the service allows, the filter asks for an attribute that
                no image has, the images cancel each other out, or are larger than the service takes.
        """
        terms, given, part = signed_terms(query, plus, minus), SearchOptions(**options), region_of(region)
        if len(terms) > 1 or given.where is not None:
            return self._search(terms, given, part)
        image = terms[0].image
        assert image is not None
        target = f"/v1/search{bodies.in_query(given, part)}"
        request = Request("POST", target, image_file(image), "application/octet-stream", JSON_BYTES)
        return self._found(request, terms, given)

    def search_text(self, text: str, **options: Unpack[SearchKeywords]) -> Matches:
        """Finds the images that a text describes best, for a collection whose model takes text.

        A text and an image have lower scores than two images: 0.2 to 0.4 is a good match.

        Raises:
            UsageError: the collection's model does not take text.
        """
        return self._search([Term(text=arguments.text(text, "text"))], SearchOptions(**options))

    def search_terms(self, terms: Sequence[Term], **options: Unpack[SearchKeywords]) -> Matches:
        """Finds the images that match several images, texts and vectors together, each with its weight.

        Images of the collection that terms name by their ids are left out.

        Raises:
            ImageError: an image cannot be used.
            NoImageError: there is no image with an id.
            UsageError: there is a text and the model takes none, or the terms cancel each other out.
        """
        return self._search(checked_terms(terms), SearchOptions(**options))

    def search_id(
        self, image_id: int, *, region: Region | Iterable[float] | None = None, **options: Unpack[SearchKeywords]
    ) -> Matches:
        """Finds the images that are most similar to one of the collection's own, which is left out.

        Args:
            image_id: of the image.
            region: searches for a part of that image, as `search` takes it; the image is not left out then.
            options: the fields of `SearchOptions`.

        Raises:
            NoImageError: there is no image with that id.
        """
        number, given = arguments.whole(image_id, "image_id"), SearchOptions(**options)
        return self._search([Term(id=number)], given, region_of(region))

    def search_vector(self, vector: ArrayLike, **options: Unpack[SearchKeywords]) -> Matches:
        """Finds the images whose vectors have the largest cosine to a vector, (dim,) or (1, dim), of any length.

        Raises:
            UsageError: the vector has another dimension, is zero, or is not finite.
        """
        return self._search([Term(vector=vector)], SearchOptions(**options), queries=[])

    def search_many(self, queries: Iterable[ImageSource], **options: Unpack[SearchKeywords]) -> list[Matches]:
        """Finds the most similar images for each of several images, in their order, several of them in a request."""
        given, images = SearchOptions(**options), checked_images(queries, "queries")
        found: list[Matches] = []
        for batch in self._batches(images, given):
            found += self._search_batch(batch, given)
        return found

    def embed(self, query: ImageSource) -> NDArray[np.float32]:
        """The unit vector of an image, float32 (1, dim), by the model of the service's collection.

        Raises:
            ImageError: it cannot be used.
        """
        image = image_file(checked_image(query, "query"))
        return self._embedded({"image": bodies.in_base64(image)}, problems.name_of(query))

    def embed_text(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a text, float32 (1, dim), by the model of the service's collection.

        Raises:
            UsageError: the model does not take text.
        """
        return self._embedded({"text": bodies.utf8(arguments.text(text, "text"))}, None)

    def _search(
        self,
        terms: Sequence[Term],
        options: SearchOptions,
        region: Region | None = None,
        queries: Sequence[Any] | None = None,
    ) -> Matches:
        body = bodies.json_body(bodies.search(terms, options, region))
        request = Request("POST", "/v1/search", body, most_bytes=JSON_BYTES)
        return self._found(request, terms if queries is None else queries, options)

    def _found(self, request: Request, queries: Sequence[Any], options: SearchOptions) -> Matches:
        name = problems.name_of(queries[0]) if len(queries) == 1 else None
        matches = self._read(request, lambda answer: answers.matches(answer, options), name)
        return _matches(matches, queries, options)

    def _batches(self, images: Sequence[ImageSource], options: SearchOptions) -> Iterator[list[_Encoded]]:
        """Images, each with its bytes in base64, as many at a time as the service takes."""
        limits = self.info(fresh=False).limits if images else None
        batch: list[_Encoded] = []
        size = 0
        for image in images:
            assert limits is not None
            encoded = bodies.in_base64(image_file(image))
            is_full = len(batch) >= min(limits.batch, max(1, _MATCHES_AT_ONCE // options.k))
            if batch and (is_full or size + len(encoded) > limits.body_bytes - _BODY_ROOM):
                yield batch
                batch, size = [], 0
            batch.append((image, encoded))
            size += len(encoded)
        if batch:
            yield batch

    def _search_batch(self, batch: Sequence[_Encoded], options: SearchOptions) -> list[Matches]:
        shared = bodies.search([], options)
        queries = [{**shared, "positive": [{"image": encoded}]} for _, encoded in batch]

        def read(answer: answers.Object) -> list[Matches]:
            given = list(answer.objects("answers", len(batch)))
            if len(given) != len(batch):
                raise answers.FormError("answers is not one for each query")
            return [self._answered(each, image, options) for each, (image, _) in zip(given, batch, strict=True)]

        return self._post("/v1/search/batch", {"queries": queries}, read)

    def _answered(self, answer: answers.Object, image: ImageSource, options: SearchOptions) -> Matches:
        """The matches of one query of several; raises the error that is in its place."""
        if (problem := answer.optional(answer.members, "problem")) is not None:
            raise problems.of_member(problem, self.address, problems.name_of(image))
        return _matches(answers.matches(answer, options), [image], options)

    def _embedded(self, given: dict[str, str], name: str | None) -> NDArray[np.float32]:
        body = bodies.json_body({"input": [given], "encoding_format": "base64"})
        request = Request("POST", "/v1/embeddings", body, most_bytes=JSON_BYTES)
        return self._read(request, lambda answer: answers.vectors(answer, 1), name)


def _matches(found: Matches, queries: Iterable[Any], options: SearchOptions) -> Matches:
    """Matches as a collection gives them; the service takes no score above 1 or below -1."""
    least = options.min_score
    kept = [match for match in found if least is None or match.score >= least]
    return Matches(kept, queries=queries, missing_shards=found.missing_shards)

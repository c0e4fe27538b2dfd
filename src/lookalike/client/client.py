"""The client of a service: a collection on another machine. Begin reading here."""

import hashlib
import ssl
from typing import Any

from lookalike import arguments
from lookalike.client import answers, bodies, problems
from lookalike.client.asking import JSON_BYTES
from lookalike.client.connections import Request
from lookalike.client.searching import Searching
from lookalike.client.service import GoneError, Patience, Service
from lookalike.collection.browsing import Facets, Original
from lookalike.errors import ImageError, ServiceError, UsageError
from lookalike.filters import Where, checked_where
from lookalike.images.reading import MAX_BYTES
from lookalike.results import IndexedImage

_THUMBNAIL_BYTES = 16 * 2**20


class Client(Searching):
    """A collection that a service has, with the same methods; `lookalike serve` is such a service.

        with lookalike.Client("http://127.0.0.1:8765") as photos:
            for match in photos.search("query.jpg", k=10):
                print(match.score, match.key)

    Results are those of `lookalike.Collection`, but the files are on the machine of the service: `path` is None, no
    match is marked as the query, and `original` and `thumbnail` give the bytes of an image. A key is a name that the
    service gives; to write to a path that is made of one is not safe unless the service is trusted.

    Requests are tried again if that is safe: when the connection fails, and when the service has too much to do. No
    redirect is followed, and no proxy of the environment is used. Threads may share a client; a forked child makes
    connections of its own.

    Every method raises ServiceError if the service cannot be reached, refuses the token, or does not answer as it
    should, and what the method of the collection raises.

    Attributes:
        address: of the service, without a slash at its end.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        timeout: float = 60.0,
        retries: int = 3,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Makes a client, without connecting yet.

        Args:
            address: of the service, such as "https://photos.example.org" or "http://127.0.0.1:8765"; a path may follow.
            token: of the service, if it has one; by default $LOOKALIKE_TOKEN, if that is set.
            timeout: the most seconds for a request, with all its repetitions.
            retries: the most repetitions of a request.
            tls: which certificates are trusted, and which is shown; by default those that the system trusts.

        Raises:
            UsageError: the address is none, or another argument is out of range.
        """
        seconds = arguments.number(timeout, "timeout")
        if not 0 < seconds <= 1e6:
            raise UsageError(f"timeout={timeout:g}: give a number of seconds, such as 60")
        if tls is not None:
            arguments.instance(
                tls, ssl.SSLContext, "tls", "an ssl.SSLContext, such as ssl.create_default_context(cafile=...)"
            )
        patience = Patience(seconds, arguments.whole(retries, "retries", least=0))
        super().__init__(Service(address, token, patience, tls))

    def __repr__(self) -> str:
        return f"Client({self.address!r})"

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections; they are made again when the client is used again."""
        self._service.close()

    # Looking through the images

    def image(self, image_id: int) -> IndexedImage:
        """One image.

        Raises:
            NoImageError: there is no image with that id.
        """
        return self._get(f"/v1/images/{bodies.known_id(image_id)}", answers.image)

    def images(self, *, where: Where | None = None, after: int = 0, limit: int = 100) -> list[IndexedImage]:
        """The images with a larger id than `after` that a filter admits, by id, at most `limit` of them.

        The id of the last one is the `after` of the next page. Images that are added meanwhile come at the end.

        Raises:
            UsageError: the filter asks for an attribute that no image has.
        """
        following: int | None = arguments.whole(after, "after", least=0)
        left, members = arguments.whole(limit, "limit", least=1), _filtered(where)
        most = self.info(fresh=False).limits.page
        found: list[IndexedImage] = []
        while left > 0 and following is not None and following < 2**63:
            page, following = self._page({**members, "after": following, "limit": min(left, most)})
            found += page
            left -= len(page)
        return found

    def random_image(self, where: Where | None = None) -> IndexedImage:
        """An image that chance picks from those that a filter admits.

        Raises:
            NoImageError: the filter admits none.
            UsageError: the filter asks for an attribute that no image has.
        """
        return self._post("/v1/images/random", _filtered(where), answers.image)

    def _page(self, body: dict[str, Any]) -> tuple[list[IndexedImage], int | None]:
        """A page of images, and the `after` of the next one."""
        return self._post("/v1/images/list", body, lambda answer: answers.page(answer, body["after"], body["limit"]))

    def facets(self, where: Where | None = None, *, most: int = 20) -> Facets:
        """Counts the images that a filter admits by label, folder and attribute: of each, the `most` frequent values.

        Raises:
            UsageError: the filter asks for an attribute that no image has.
        """
        values = arguments.whole(most, "most", least=1)
        body = {**_filtered(where), "limit": 0, "facets": values}
        return self._post("/v1/images/list", body, lambda answer: answers.facets(answer, values + 1))

    def count(self, where: Where) -> int:
        """The number of images that a filter admits; raises UsageError for an attribute that no image has."""
        return self.facets(where, most=1).images

    @property
    def takes_text(self) -> bool:
        """Whether the collection's model takes text, so that `search_text` finds images."""
        return self.info().takes_text

    def attribute_names(self) -> list[str]:
        """The names of the attributes that images have, in order."""
        return list(self.info().attributes)

    def revision(self) -> str:
        """A text that is another one after every change of the collection's images or index."""
        return self.info().revision

    def original(self, image_id: int) -> Original:
        """An image with the bytes of its file, which are those that were indexed.

        Raises:
            NoImageError: there is no image with that id.
            ImageError: the file is gone, has changed since it was indexed, or is outside of the folder.
        """
        image = self.image(image_id)
        answer = self._service.send(Request("GET", f"/v1/images/{image.id}/original", most_bytes=MAX_BYTES), image.key)
        if hashlib.sha256(answer.body).digest() != image.sha256:
            raise ImageError("changed while it was fetched", image.key, lasting=False)
        return Original(image, answer.body)

    def thumbnail(self, image_id: int, *, size: int = 256) -> bytes:
        """A small JPEG of an image, upright; `info().limits` has the sizes, of the longer side in pixels.

        Raises:
            NoImageError: there is no image with that id.
            ImageError: the file is gone, has changed since it was indexed, or is outside of the folder.
            UsageError: there are no thumbnails of that size.
        """
        side = arguments.whole(size, "size", least=1)
        target = f"/v1/images/{bodies.known_id(image_id)}/thumbnail?size={side}"
        data = self._service.send(Request("GET", target, most_bytes=_THUMBNAIL_BYTES)).body
        if not data.startswith(b"\xff\xd8\xff"):
            raise ServiceError(f"{self.address}: its answer is no JPEG")
        return data

    # Changing them, if the service is writable

    def put(self, key: str, data: bytes) -> IndexedImage:
        """Sends an image file, which the service writes into the collection's folder and indexes.

        When it returns, searches find the image. Putting the same bytes again changes nothing.

        Args:
            key: the name, with folders if wanted: `2024/cat.jpg`. Folders are made; the last one becomes the label.
            data: the bytes of the file.

        Raises:
            UsageError: the name is not safe, the file is larger than the service takes, or it takes no changes.
            NameTakenError: there is another file of that name.
            ImageError: the image cannot be used.
            LockedError: another process is writing to the collection.
            StorageError: the disk of the service is full or failing.
        """
        target = bodies.image_address(arguments.text(key, "key"))
        body = arguments.instance(data, bytes, "data", "the bytes of an image file")
        self._check_writable()
        return self._read(Request("PUT", target, body, "application/octet-stream", JSON_BYTES), answers.image, key)

    def delete(self, image_id: int, *, file: bool = False) -> IndexedImage:
        """Forgets an image, and deletes its file if that is wanted. Otherwise indexing its folder brings it back.

        Raises:
            NoImageError: there is no image with that id.
            ImageError: its file is not deleted, since it has changed or is elsewhere; the image stays.
            UsageError: the service takes no changes.
            LockedError: another process is writing to the collection.
            StorageError: the disk of the service is full or failing.
            ServiceError: the image is forgotten, but the answer was lost that says whether its file is deleted.
        """
        is_with_file = arguments.flag(file, "file")
        self._check_writable()
        image = self.image(image_id)
        try:
            self._service.send(Request("DELETE", f"/v1/images/{image.id}?file={str(is_with_file).lower()}"), image.key)
        except GoneError:
            if is_with_file:
                raise ServiceError(
                    f"{self.address}: {problems.plain(image.key)}: the image is forgotten, but the answer was lost that"
                    " says whether its file is deleted, too"
                ) from None
        return image

    def _check_writable(self) -> None:
        """Raises UsageError if the service takes no changes; it may have been started again since it was asked last."""
        if not (self.info(fresh=False).is_writable or self.info().is_writable):
            raise UsageError(f"{self.address}: the service takes no changes, since it was not started as writable")


def _filtered(where: Where | None) -> dict[str, Any]:
    given = checked_where(where)
    return {} if given is None else {"where": bodies.where(given)}

"""Searches a service over HTTP, and judges every answer by the history."""

import base64
import http.client
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from lookalike import Collection, Match
from lookalike.errors import NoImageError
from lookalike.filters import Between, Not, Where
from tests.campaigns.soak.history import History
from tests.campaigns.soak.reader import Reader
from tests.support.pictures import ColourEncoder, picture

_PATIENCE_S = 600


@dataclass(frozen=True)
class Answer:
    """An answer of the service."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body of an answer with status 200; raises AssertionError for any other one."""
        assert self.status == 200, f"{self.status}: {self.body[:300]!r}"
        return json.loads(self.body)


class Client:
    """Asks a service on one connection. It has the methods of a collection that readers call."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Answer:
        """Sends a request on the connection, which has to stay open."""
        self._connection.request(method, path, body, {"Content-Type": kind} if body else {})
        response = self._connection.getresponse()
        return Answer(response.status, response.read())

    def search_vector(self, vector: NDArray[Any], **options: Any) -> list[Match]:
        """As `Collection.search_vector`."""
        return self._search({"vector": vector.tolist()}, options)

    def search_id(self, image_id: int, **options: Any) -> list[Match]:
        """As `Collection.search_id`; raises NoImageError if the service says that there is none."""
        return self._search({"id": image_id}, options)

    def search_many(self, images: Sequence[NDArray[np.uint8]], **options: Any) -> list[list[Match]]:
        """As `Collection.search_many`, by uploading the only image, or by several in one request."""
        files = [_png(image) for image in images]
        if len(files) == 1 and options.get("where") is None:
            given = "&".join(f"{name}={json.dumps(value)}" for name, value in options.items() if value is not None)
            return [_matches(self.ask("POST", f"/v1/search?{given}", files[0], "image/png").json()["matches"])]
        queries = [_query({"image": base64.b64encode(file).decode()}, options) for file in files]
        answered = self.ask("POST", "/v1/search/batch", _json({"queries": queries})).json()["answers"]
        assert [each["problem"] for each in answered] == [None] * len(files)
        return [_matches(each["matches"]) for each in answered]

    def info(self) -> Any:
        """The number of images, as `Collection.info` has it."""
        return SimpleNamespace(images=self.ask("GET", "/v1/info").json()["images"])

    def _search(self, example: Mapping[str, Any], options: Mapping[str, Any]) -> list[Match]:
        answer = self.ask("POST", "/v1/search", _json(_query(example, options)))
        if answer.status == 422 and (problem := json.loads(answer.body))["type"] == "urn:lookalike:no-image-error":
            raise NoImageError(problem["detail"])
        return _matches(answer.json()["matches"])


class HttpReader(Reader):
    """Asks one question after the other over HTTP."""

    def __init__(self, port: int, history: History, seed: int) -> None:
        self._client = Client(port)
        super().__init__(cast("Collection", self._client), history, seed, alone=False)

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def _call_once(self) -> None:
        kinds, weights = ["vector", "id", "many", "info", "file"], [8, 8, 3, 0.3, 3]
        kind = self._random.choices(kinds, weights)[0]
        self.tally.kinds[kind] += 1
        match kind:
            case "vector":
                self._search_vector()
            case "many":
                self._search_many()
            case "id":
                self._search_id()
            case "info":
                self._count_images()
            case "file":
                self._look_at_file()

    def _search_id(self) -> None:
        if not (seen := self._seen_one()):
            return
        id_, key, since = seen
        question = self._question()
        first = self._history.now()[0]
        try:
            found = self._client.search_id(id_, **question.options())
        except NoImageError as error:
            self._note_gone(id_, key, since, error)
            return
        if any(match.id == id_ for match in found):
            self.tally.wrong.append(f"{key}, id {id_}: it is among its own neighbours: {found}")
        # Of a renamed image the answer does not say the new name.
        if not self._history.may_have_another_id(key, since, self._history.now()[1]):
            self._judge(found, None, question, first, own=key)

    def _look_at_file(self) -> None:
        """Gets a file or a thumbnail: of the image that has this id, or none."""
        if not (seen := self._seen_one()):
            return
        id_, key, since = seen
        first = self._history.now()[0]
        if self._random.random() < 0.5:
            answer = self._client.ask("GET", f"/v1/images/{id_}/thumbnail")
        else:
            answer = self._client.ask("GET", f"/v1/images/{id_}/original")
            if answer.status == 200 and not self._is_the_file(answer.body, key, since, first):
                self.tally.wrong.append(f"{key}, id {id_}: got another image's file")
        if answer.status not in (200, 404):
            self.tally.wrong.append(f"{key}, id {id_}: answered {answer.status}: {answer.body[:300]!r}")

    def _is_the_file(self, data: bytes, key: str, since: int, first: int) -> bool:
        last = self._history.now()[1]
        if self._history.may_have_another_id(key, since, last):
            return True
        pixels = np.asarray(PillowImage.open(io.BytesIO(data)))
        images = [self._history.state(number).images.get(key) for number in range(first, last + 1)]
        return any(image and np.array_equal(pixels, picture(image.seed)) for image in images)

    def _seen_one(self) -> tuple[int, str, int] | None:
        """An image that the service has shown, by its id and key, and the number of commits by then."""
        if not self._seen:
            first = self._history.now()[0]
            found = self._client.search_vector(np.ones(ColourEncoder.dim), k=1000)
            self._seen = [(match.id, match.key, first) for match in found]
            self._random.shuffle(self._seen)
        return self._seen.pop() if self._seen else None


def _query(example: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in options.items() if value is not None}
    if where := given.get("where"):
        given["where"] = _filter(where)
    return {"positive": [example], **given}


def _filter(where: Where) -> dict[str, Any]:
    conditions: dict[str, Any] = {}
    for name, allowed in where.conditions.items():
        assert not isinstance(allowed, Not)
        if isinstance(allowed, Between):
            conditions[name] = {"low": allowed.low, "high": allowed.high}
        else:
            conditions[name] = list(allowed)
    labels = None if where.labels is None else list(where.labels)
    return {"label": labels, "under": where.under, "attributes": conditions}


def _matches(found: Sequence[Mapping[str, Any]]) -> list[Match]:
    names = "id", "key", "score", "attributes"
    return [Match(path=None, **{name: match[name] for name in names}) for match in found]


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()

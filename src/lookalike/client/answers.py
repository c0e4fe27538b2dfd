"""Reads the JSON that a service answers with, none of which is trusted, into the results that a collection gives.

Every member is checked for its type and range; one that is not known is ignored, since a newer service may have more.
"""

import base64
import binascii
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.client.info import ServiceInfo, ServiceLimits
from lookalike.collection.browsing import Facets, ValueCount
from lookalike.display.text import without_surrogates
from lookalike.errors import UsageError
from lookalike.results import IndexedImage, Match, Matches, Region
from lookalike.search.options import SearchOptions

_Made = TypeVar("_Made")
_MOST_VALUES = 2_000_000  # of an answer, each of which takes far more memory than its text
_INT64 = range(-(2**63), 2**63)
_ROUNDING = 1e-4  # of a cosine, and of a vector's length
_MOST_DIM = 65_536


class FormError(ValueError):
    """An answer is not as the API describes it; the message says where."""


class Object:
    """A JSON object of an answer, whose members are read one by one."""

    def __init__(self, value: Any, name: str = "") -> None:
        if not isinstance(value, dict):
            raise FormError(f"{name or 'the answer'} is not an object")
        self._members: dict[str, Any] = value
        self._name = name

    def whole(self, member: str, least: int = 0) -> int:
        """A whole number of at most 64 bits."""
        value = self._members.get(member)
        if type(value) is not int or value < least or value not in _INT64:
            raise self._wrong(member, f"a whole number from {least} on")
        return value

    def number(self, member: str) -> float:
        """A finite number."""
        value = self._members.get(member)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
            raise self._wrong(member, "a finite number")
        return float(value)

    def flag(self, member: str) -> bool:
        """True or false."""
        value = self._members.get(member)
        if not isinstance(value, bool):
            raise self._wrong(member, "true or false")
        return value

    def text(self, member: str) -> str:
        """A text that can be written as UTF-8."""
        value = self._members.get(member)
        if not isinstance(value, str) or without_surrogates(value) != value:
            raise self._wrong(member, "text")
        return value

    def name(self, member: str) -> str:
        """A name of the file system, whose bytes come in base64 as well if they are not UTF-8."""
        text, encoded = self.text(member), self._members.get(f"{member}_bytes")
        if encoded is None:
            return text
        try:
            found = os.fsdecode(base64.b64decode(encoded, validate=True))
        except (TypeError, ValueError, binascii.Error):
            found = ""
        if without_surrogates(found) != text:  # one name is shown, and it is the one that counts
            raise self._wrong(f"{member}_bytes", f"the bytes of {member}")
        return found

    def value(self, member: str, text: Callable[[str], str] | None = None) -> str | int | float | None:
        """A value that an attribute can have, or None; a text is read by `text`."""
        value = self._members.get(member)
        if isinstance(value, str):
            return (text or self.text)(member)
        return None if value is None else self.whole(member, -(2**63)) if type(value) is int else self.number(member)

    def optional(self, read: Callable[[str], _Made], member: str) -> _Made | None:
        """What `read` makes of a member, or None if it is null or left out."""
        return None if self._members.get(member) is None else read(member)

    def object(self, member: str) -> "Object":
        """An object in it."""
        return Object(self._members.get(member), self._path(member))

    def members(self, member: str) -> Mapping[str, Any]:
        """An object in it, as it is."""
        return self.object(member)._members

    def items(self, member: str, most: int | None = None) -> list[Any]:
        """A list in it, which has at most so many items."""
        value = self._members.get(member)
        if not isinstance(value, list) or (most is not None and len(value) > most):
            raise self._wrong(member, "a list" if most is None else f"a list of at most {most}")
        return value

    def objects(self, member: str, most: int | None = None) -> Iterator["Object"]:
        """The objects of a list in it."""
        for place, each in enumerate(self.items(member, most)):
            yield Object(each, f"{self._path(member)}[{place}]")

    def __iter__(self) -> Iterator[str]:
        """The names of its members."""
        for member in self._members:
            if without_surrogates(member) != member:
                raise self._wrong("a name", "text")
            yield member

    def _path(self, member: str) -> str:
        return f"{self._name}.{member}" if self._name else member

    def _wrong(self, member: str, wanted: str) -> FormError:
        return FormError(f"{self._path(member)} is not {wanted}")


def parsed(body: bytes) -> Object:
    """The JSON of an answer.

    Raises:
        FormError: it is something else, or has more values than a good answer has.
    """
    if body.count(b",") + body.count(b"[") + body.count(b"{") > _MOST_VALUES:
        raise FormError(f"it has more than {_MOST_VALUES:,} values")
    try:
        return Object(json.loads(body, parse_constant=_refused))
    except FormError:
        raise
    except (ValueError, RecursionError):
        raise FormError("it is not JSON") from None


def matches(answer: Object, options: SearchOptions) -> Matches:
    """The matches of a search, best first, without the paths of their files, which are on another machine."""
    found = [_folded(each) for each in answer.objects("matches", options.k)]
    if not options.refine and any(first.score < second.score for first, second in itertools.pairwise(found)):
        raise FormError("matches are not in the order of their scores")
    missing = answer.optional(answer.items, "missing_shards") or []
    if not all(isinstance(name, str) for name in missing):
        raise FormError("missing_shards is not a list of names")
    return Matches(found, missing_shards=missing)


def image(answer: Object) -> IndexedImage:
    """One image."""
    attributes = _attributes(answer)
    label = answer.optional(answer.name, "label")
    size = answer.whole("width"), answer.whole("height")
    return IndexedImage(answer.whole("id", 1), _key(answer), None, label, *size, attributes, _sha256(answer))


def page(answer: Object, after: int, most: int) -> tuple[list[IndexedImage], int | None]:
    """The images of a page, whose ids are larger than `after`, and the `after` of the next one."""
    found = [image(each) for each in answer.objects("images", most)]
    if any(first >= second for first, second in itertools.pairwise([after, *(image.id for image in found)])):
        raise FormError("images are not in the order of their ids")
    following = answer.optional(lambda name: answer.whole(name, 1), "next")
    if following is not None and (not found or following != found[-1].id):
        raise FormError("next is not the id of the last image")
    return found, following


def facets(answer: Object, most: int) -> Facets:
    """The counts of all images of a list."""
    counts = answer.object("facets")
    attributes = counts.object("attributes")
    return Facets(
        answer.whole("total"),
        labels=_counts(counts, "labels", most),
        folders=_counts(counts, "folders", most),
        attributes={name: _counts(attributes, name, most) for name in attributes},
    )


def info(answer: Object) -> ServiceInfo:
    """What the service is and holds."""
    model, index = answer.object("model"), answer.optional(answer.object, "index")
    return ServiceInfo(
        name=answer.text("name"),
        version=answer.text("version"),
        images=answer.whole("images"),
        missing=answer.whole("missing"),
        skipped=answer.whole("skipped"),
        model=model.text("name"),
        precision=model.text("precision"),
        dim=model.whole("dim", 1),
        fingerprint=model.text("fingerprint"),
        takes_text=answer.flag("takes_text"),
        generation=None if index is None else index.optional(index.whole, "generation"),
        recall=None if index is None else index.optional(index.number, "recall"),
        regions=answer.optional(answer.whole, "regions") or 0,  # an earlier service does not say it
        damage=answer.optional(answer.text, "damage"),
        revision=answer.text("revision"),
        attributes=tuple(_texts(answer, "attributes")),
        is_writable=answer.flag("writable"),
        limits=_limits(answer.object("limits")),
    )


def vectors(answer: Object, count: int) -> NDArray[np.float32]:
    """Unit vectors, float32 (count, dim)."""
    rows = [_vector(each.text("embedding")) for each in answer.objects("data", count)]
    if len(rows) != count or len({len(row) for row in rows}) > 1:
        raise FormError("data is not a vector for each input")
    return np.stack(rows)


def _folded(answer: Object) -> Match:
    copies = answer.optional(lambda member: tuple(map(_match, answer.objects(member))), "copies")
    return replace(_match(answer), copies=copies) if copies else _match(answer)


def _match(answer: Object) -> Match:
    score = answer.number("score")
    if abs(score) > 1 + _ROUNDING:
        raise FormError("a score is not in [-1, 1]")
    expected = answer.optional(answer.number, "expected")
    if expected is not None and expected < 0:
        raise FormError("an expected number is below 0")
    shown = image(answer)
    found = Match(
        shown.id,
        shown.key,
        None,
        score,
        *(shown.label, shown.width, shown.height, shown.attributes),
        sha256=shown.sha256,
        expected=expected,
        probability=_probability(answer, "probability"),
        copy_probability=_probability(answer, "copy_probability"),
    )
    return replace(found, region=_region(answer, "region"), query_region=_region(answer, "query_region"))


def _region(answer: Object, member: str) -> Region | None:
    """A part of an image; None if there is no such member."""
    part = answer.optional(answer.object, member)
    if part is None:
        return None
    try:
        return Region(*(part.number(name) for name in ("x", "y", "width", "height")))
    except UsageError:
        raise FormError(f"{member} is no part of an image") from None


def _probability(answer: Object, member: str) -> float | None:
    found = answer.optional(answer.number, member)
    if found is not None and not 0 <= found <= 1:
        raise FormError("a probability is not in [0, 1]")
    return found


def _key(answer: Object) -> str:
    key = answer.name("key")
    if not key or "\0" in key:
        raise FormError("a key is not a name")
    return key


def _attributes(answer: Object) -> Mapping[str, Any]:
    attributes = answer.object("attributes")
    return {name: attributes.value(name) for name in attributes}


def _sha256(answer: Object) -> bytes:
    try:
        digest = bytes.fromhex(answer.text("sha256"))
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise FormError("a sha256 is not one")
    return digest


def _counts(answer: Object, member: str, most: int) -> tuple[ValueCount, ...]:
    found = answer.objects(member, most)
    return tuple(ValueCount(each.value("value", each.name), each.whole("images")) for each in found)


def _texts(answer: Object, member: str) -> Iterator[str]:
    for each in answer.items(member):
        yield Object({member: each}).text(member)


def _limits(answer: Object) -> ServiceLimits:
    sizes = tuple(Object({"size": each}, "limits").whole("size", 1) for each in answer.items("thumbnail_sizes", 100))
    body_bytes, k, page, batch = (answer.whole(name, 1) for name in ("body_bytes", "k", "page", "batch"))
    return ServiceLimits(body_bytes, k, page, batch, sizes)


def _vector(encoded: str) -> NDArray[np.float32]:
    try:
        data = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        data = b""
    if not data or len(data) % 4 or len(data) > 4 * _MOST_DIM:
        raise FormError("embedding is not float32 in base64")
    vector = np.frombuffer(data, "<f4").astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        length = float(np.linalg.norm(vector))
    if not abs(length - 1) < _ROUNDING:  # nor if it is NaN
        raise FormError("embedding is not of length 1")
    return vector


def _refused(name: str) -> None:
    raise FormError(f"it has {name}, which is no number of JSON")

"""Turns queries, options and filters into the JSON, and the addresses, that the service takes."""

import base64
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
from numpy.typing import ArrayLike

from lookalike import arguments
from lookalike.display.text import without_surrogates
from lookalike.errors import NoImageError, UsageError
from lookalike.filters import Allowed, Between, Not, Value, Where
from lookalike.images.decode import image_file
from lookalike.results import Region
from lookalike.search.options import SearchOptions
from lookalike.search.terms import Term

_LARGEST_WEIGHT = 1e6  # that the service takes


def json_body(members: Mapping[str, Any]) -> bytes:
    """Members as JSON."""
    return json.dumps(members, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def in_query(options: SearchOptions, region: Region | None) -> str:
    """Options without a filter, and a region, as the query of an address, with its question mark."""
    members = {name: json.dumps(value) for name, value in _options(options).items()}
    if region:
        members["region"] = ",".join(map(repr, _shares(region)))
    return f"?{urlencode(members)}"


def search(terms: Sequence[Term], options: SearchOptions, region: Region | None = None) -> dict[str, Any]:
    """A search as JSON.

    Raises:
        ImageError: an image cannot be read.
        UsageError: something cannot be sent.
    """
    weights = _weights(terms)
    signed: dict[str, list[dict[str, Any]]] = {"positive": [], "negative": []}
    for term, weight in zip(terms, weights, strict=True):
        signed["positive" if weight > 0 else "negative"].append({**_example(term), "weight": abs(weight)})
    members = {**signed, **_options(options)}
    if options.where is not None:
        members["where"] = where(options.where)
    if region:
        members["region"] = _shares(region)
    return members


def where(given: Where) -> dict[str, Any]:
    """A filter as JSON.

    Raises:
        UsageError: the name or the text of an attribute is not UTF-8, which JSON cannot hold.
    """
    members: dict[str, Any] = {}
    if given.labels is not None:
        members["label"] = [_name(label) for label in sorted(given.labels)]
    if given.under is not None:
        members["under"] = _name(given.under)
    if given.ids is not None:
        members["ids"] = sorted(given.ids)
    if given.conditions:
        members["attributes"] = {utf8(name): _allowed(allowed) for name, allowed in given.conditions.items()}
    return members


def image_address(key: str) -> str:
    """The address of an image that is put under a key.

    Raises:
        UsageError: it is no name that could be in an address; the service decides which others are safe.
    """
    if without_surrogates(key) != key or not key or set(key.split("/")) & {"", ".", ".."}:
        raise UsageError(f"{arguments.shown(key)}: not a safe name; give one such as 2024/cat.jpg")
    return f"/v1/images/{quote(key, safe='/')}"


def known_id(image_id: int) -> int:
    """An id, if there can be an image with it; raises NoImageError for another one, as a collection does."""
    number = arguments.whole(image_id, "image_id")
    if number not in range(1, 2**63):
        raise NoImageError(f"there is no image with the id {number}")
    return number


def in_base64(data: bytes) -> str:
    """Bytes as JSON carries them."""
    return base64.b64encode(data).decode()


def _example(term: Term) -> dict[str, Any]:
    if term.id is not None:
        return {"id": known_id(term.id)}
    if term.vector is not None:
        return {"vector": _numbers(term.vector)}
    if term.text is not None:
        return {"text": utf8(term.text)}
    assert term.image is not None
    region = {} if term.region is None else {"region": _shares(term.region)}
    return {"image": in_base64(image_file(term.image)), **region}


def _numbers(given: ArrayLike) -> list[float]:
    """The numbers of a vector, (dim,) or (1, dim); the service knows the dimension."""
    try:
        array = np.asarray(given)
        if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or array.size != array.shape[-1]:
            raise ValueError
        numbers = array.astype(np.float64).ravel()
    except (TypeError, ValueError, RuntimeError):  # lists of different lengths; a tensor on a GPU
        raise UsageError(f"vector={arguments.shown(given)}: give an array of numbers, (dim,) or (1, dim)") from None
    if not np.isfinite(numbers).all() or not numbers.any():
        raise UsageError("a vector has to be finite and not zero")
    found: list[float] = numbers.tolist()
    return found


def _weights(terms: Sequence[Term]) -> list[float]:
    """The weights of terms, scaled if they are larger than the service takes; only their proportions count."""
    largest = max((abs(term.weight) for term in terms), default=0)
    if largest <= _LARGEST_WEIGHT:
        return [term.weight for term in terms]
    exponent = math.frexp(largest)[1]
    return [math.ldexp(term.weight, -exponent) or math.copysign(5e-324, term.weight) for term in terms]


def _options(options: SearchOptions) -> dict[str, Any]:
    """The options that are not those of the service when they are left out, but for the filter."""
    members: dict[str, Any] = {"k": options.k}
    if options.min_score is not None:
        members["min_score"] = min(max(options.min_score, -1.0), 1.0)
    if options.exact:
        members["exact"] = True
    if options.recall is not None:
        members["recall"] = options.recall
    members |= {name: True for name in ("refine", "confident", "fold", "regions", "crops") if getattr(options, name)}
    return members


def _allowed(allowed: Allowed) -> Any:
    match allowed:
        case Between():
            flags = {name: True for name in ("without_low", "without_high") if getattr(allowed, name)}
            return {"low": _value(allowed.low), "high": _value(allowed.high), **flags}
        case Not():
            return {"not": [_value(value) for value in allowed.excluded]}
    return [_value(value) for value in allowed]


def _value(value: Value | None) -> Value | None:
    return utf8(value) if isinstance(value, str) else value


def utf8(text: str) -> str:
    """A text that JSON can hold; raises UsageError for another one."""
    if without_surrogates(text) != text:
        raise UsageError(f"{arguments.shown(text)}: it is not UTF-8, and cannot be sent to a service")
    return text


def _name(name: str) -> Any:
    return name if without_surrogates(name) == name else {"bytes": in_base64(os.fsencode(name))}


def _shares(region: Region) -> list[float]:
    return [min(share, 1.0) for share in (region.x, region.y, region.width, region.height)]  # rounding may add a little

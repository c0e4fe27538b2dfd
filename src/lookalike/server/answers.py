"""Answers as strict JSON: without NaN, with every name as text, whatever bytes a file name has."""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from starlette.responses import Response

from lookalike.collection.browsing import Facets, ValueCount
from lookalike.display.json import image_as_dict, match_as_dict, named
from lookalike.display.text import without_surrogates
from lookalike.results import IndexedImage, Match

_VERSION = 16  # hexadecimal digits of an image's SHA-256 in the address of its thumbnail


def json_bytes(value: Any) -> bytes:
    """A value as strict JSON; bytes of file names that are not UTF-8 are shown as escapes.

    Raises:
        ValueError: a number in it is not finite; `display.json.plain` makes None of such.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return without_surrogates(text).encode()


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer that no cache keeps."""
    return Response(json_bytes(value), status, {"Cache-Control": "no-store", **(headers or {})}, "application/json")


Groups: TypeAlias = Mapping[bytes, bytes]
"""The centre of the group of copies of each image that is in one, both by the SHA-256s of their files."""


def match_members(match: Match, groups: Groups) -> dict[str, Any]:
    """A match as the API shows it: without the place of its file on this machine."""
    members = match_as_dict(match)
    sha256 = match.sha256.hex() if match.sha256 else ""
    copies = {"copies": [match_members(copy, groups) for copy in match.copies]} if match.copies else {}
    thumbnail = thumbnail_address(match.id, sha256[:_VERSION])
    group = _group(match.sha256, groups)
    return {**members, "sha256": sha256, "group": group, "thumbnail": thumbnail, **copies}


def image_members(image: IndexedImage, groups: Groups) -> dict[str, Any]:
    """An image as the API shows it."""
    thumbnail = thumbnail_address(image.id, version_of(image))
    group = _group(image.sha256, groups)
    return {**image_as_dict(image), "sha256": image.sha256.hex(), "group": group, "thumbnail": thumbnail}


def version_of(image: IndexedImage) -> str:
    """What tells the contents of an image from all others, in the address of its thumbnail."""
    return image.sha256.hex()[:_VERSION]


def thumbnail_address(image_id: int, version: str) -> str:
    """Where the thumbnail of an image is; the address changes with its contents, so that it can be kept."""
    return f"/v1/images/{image_id}/thumbnail?v={version}"


def facets_members(facets: Facets) -> dict[str, Any]:
    """Facets as the API shows them."""
    return {
        "labels": _counts(facets.labels),
        "folders": _counts(facets.folders),
        "attributes": {name: _counts(counts) for name, counts in facets.attributes.items()},
    }


def _group(sha256: bytes | None, groups: Groups) -> str | None:
    centre = None if sha256 is None else groups.get(sha256)
    return None if centre is None else centre.hex()


def _counts(counts: tuple[ValueCount, ...]) -> list[dict[str, Any]]:
    return [{**named("value", count.value), "images": count.images} for count in counts]

"""The columns of an exported catalog: what is known of an image, as values of text and numbers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from lookalike.display.text import without_surrogates
from lookalike.filters import Value
from lookalike.sources import places
from lookalike.storage import unread
from lookalike.storage.records import StoredImage

NAMES = ("id", "key", "path", "label", "width", "height", "sha256", "attributes")
EMBEDDING = "embedding"

Cell = str | int | None


def cells(image: StoredImage, folder: Path) -> tuple[Cell, ...]:
    r"""The values of the columns for one image; None is what is not known.

    The attributes are a JSON object, whose numbers and texts keep their types; without any it is None. Bytes of a name
    that are not UTF-8 are shown as escapes such as `\xff`.
    """
    path = places.place_of(folder, image.key)
    return (
        image.id,
        without_surrogates(image.key),
        None if path is None else without_surrogates(str(path)),
        None if image.label is None else without_surrogates(image.label),
        image.width or None,
        image.height or None,
        image.sha256.hex() if unread.is_known(image.sha256) else None,
        _as_json(image.attributes) if image.attributes else None,
    )


def columns(images: Sequence[StoredImage], folder: Path) -> list[list[Cell]]:
    """The cells of several images, by column."""
    rows = [cells(image, folder) for image in images]
    return [[row[column] for row in rows] for column in range(len(NAMES))]


def _as_json(attributes: Mapping[str, Value]) -> str:
    return without_surrogates(json.dumps(dict(attributes), ensure_ascii=False, allow_nan=False))

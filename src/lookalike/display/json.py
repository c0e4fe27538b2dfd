"""A match, and what else is found, as a record: a dictionary that is strict JSON, whatever a file is called."""

import base64
import math
import numbers
import os
from collections.abc import Mapping
from typing import Any

from lookalike.display.text import without_surrogates
from lookalike.evaluation.results import Evaluation, LabelQuality, WorstQuery
from lookalike.results import Match, Skipped

_LISTS = ("points", "labels", "worst")  # of an evaluation


def as_dict(match: Match) -> dict[str, Any]:
    r"""The match as strings, numbers, lists and dictionaries.

    A name that is not UTF-8 is given twice: `path` with each wrong byte written as `\xff`, and
    `path_bytes`, the name's bytes in base64; `key` and `label` likewise. A number that is not
    finite becomes None, because JSON has no word for it.
    """
    return {
        "id": match.id,
        **_name("key", match.key),
        **_name("path", None if match.path is None else str(match.path)),
        "score": _plain(match.score),
        **_name("label", match.label),
        "width": match.width,
        "height": match.height,
        "attributes": _plain(match.attributes),
    }


def skip_as_dict(skip: Skipped) -> dict[str, Any]:
    """A file that was left out, likewise."""
    return {**_name("path", str(skip.path)), "reason": skip.reason}


def evaluation_as_dict(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation, likewise: its numbers, `points` and `labels` as they are, and the worst queries by their keys.

    `chosen` is a place in `points`, counted from 0.
    """
    numbers = {name: _plain(value) for name, value in vars(evaluation).items() if name not in _LISTS}
    return {
        **numbers,
        "points": [_plain(vars(point)) for point in evaluation.points],
        "labels": [_label_as_dict(label) for label in evaluation.labels],
        "worst": [_worst_as_dict(query) for query in evaluation.worst],
    }


def _label_as_dict(quality: LabelQuality) -> dict[str, Any]:
    return {**_plain(vars(quality)), **_name("label", quality.label)}


def _worst_as_dict(worst: WorstQuery) -> dict[str, Any]:
    return {
        **_briefly(worst.query),
        "precision": _plain(worst.precision),
        "found": [{**_briefly(match), "score": _plain(match.score)} for match in worst.found],
    }


def _briefly(match: Match) -> dict[str, Any]:
    return {"id": match.id, **_name("key", match.key), **_name("label", match.label)}


def _name(field: str, value: str | None) -> dict[str, str | None]:
    if value is None:
        return {field: None}
    text = without_surrogates(value)
    if text == value:
        return {field: value}
    return {field: text, f"{field}_bytes": base64.b64encode(os.fsencode(value)).decode("ascii")}


def _plain(value: object) -> Any:
    """Any value as one that JSON knows."""
    match value:
        case None | bool():
            return value
        case str():
            return without_surrogates(value)
        case numbers.Integral():
            return int(value)
        case numbers.Real():
            return float(value) if math.isfinite(value) else None
        case Mapping():
            return {without_surrogates(str(key)): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case _:
            return without_surrogates(str(value))

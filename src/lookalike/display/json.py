"""Converts matches, skipped files and evaluations to dictionaries that are strict JSON, whatever the file names."""

import base64
import math
import numbers
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lookalike.display.copies_text import file_bytes, freed_bytes
from lookalike.display.text import without_surrogates
from lookalike.results import IndexedImage, Match, Origin, Skipped

if TYPE_CHECKING:  # metrics loads numpy
    from lookalike.duplicates.results import CopyGroup, Duplicates
    from lookalike.evaluation.results import Calibration, Evaluation, WorstQuery
    from lookalike.index.operating_point import OperatingPoint
    from lookalike.metrics import LabelQuality

# The fields of an Evaluation that are left out, or converted in a way of their own.
_OTHERS = ("kind", "target_recall", "points", "labels", "worst", "origin", "orders", "calibration", "copy_calibration")


def as_dict(match: Match) -> dict[str, Any]:
    r"""Converts a match to strings, numbers, lists and dictionaries.

    A name that is not UTF-8 is given twice: as `path`, in which each invalid byte is written as `\xff`, and as
    `path_bytes`, which holds its bytes in base64; `key` and `label` likewise. A number that is not finite becomes
    None, since JSON has no such number.
    """
    path = None if match.path is None else str(match.path)
    copies = {"copies": [as_dict(copy) for copy in match.copies]} if match.copies else {}
    return {**match_as_dict(match), **named("path", path), "is_query": match.is_query, **copies}


def match_as_dict(match: Match) -> dict[str, Any]:
    """Converts a match without the path of its file, for whoever has no access to it; see `as_dict`."""
    return {
        "id": match.id,
        **named("key", match.key),
        "score": plain(match.score),
        "expected": plain(match.expected),
        "probability": plain(match.probability),
        "copy_probability": plain(match.copy_probability),
        **_regions_of(match),
        **named("label", match.label),
        "width": match.width,
        "height": match.height,
        "attributes": plain(match.attributes),
    }


def _regions_of(match: Match) -> dict[str, Any]:
    """The parts of the image and of the query that are alike, if parts were looked for and are nearer."""
    found = {name: getattr(match, name) for name in ("region", "query_region")}
    return {name: asdict(region) for name, region in found.items() if region}


def image_as_dict(image: IndexedImage) -> dict[str, Any]:
    """Converts an image of a collection without the path of its file; see `as_dict`."""
    return {
        "id": image.id,
        **named("key", image.key),
        **named("label", image.label),
        "width": image.width,
        "height": image.height,
        "attributes": plain(image.attributes),
    }


def copy_group_as_dict(group: "CopyGroup") -> dict[str, Any]:
    """Converts an image and its copies, with the sizes of their files; see `as_dict`."""
    copies = [
        {
            **_file_as_dict(copy.image),
            "grade": copy.grade,
            "score": plain(copy.score),
            "probability": plain(copy.probability),
            "reason": without_surrogates(copy.reason),
        }
        for copy in group.copies
    ]
    return {"keep": _file_as_dict(group.keep), "why": without_surrogates(group.why), "copies": copies}


def copies_as_dict(duplicates: "Duplicates") -> dict[str, Any]:
    """Converts what is known of a search for copies besides its groups; see `as_dict`."""
    against = None if duplicates.against is None else str(duplicates.against)
    return {
        "images": duplicates.images,
        "groups": len(duplicates.groups),
        "copies": duplicates.copies,
        "bytes": freed_bytes(duplicates),
        "compared": duplicates.compared,
        "unread": [_file_as_dict(image) for image in duplicates.unread],
        **named("against", against),
    }


def _file_as_dict(image: IndexedImage) -> dict[str, Any]:
    path = None if image.path is None else str(image.path)
    return {**image_as_dict(image), **named("path", path), "bytes": file_bytes(image)}


def skip_as_dict(skip: Skipped) -> dict[str, Any]:
    """Converts a skipped file; see `as_dict`."""
    return {**named("path", str(skip.path)), "reason": skip.reason}


def evaluation_as_dict(evaluation: "Evaluation") -> dict[str, Any]:
    """Converts an evaluation; see `as_dict`. The worst queries and their answers are given by id, key and label.

    `chosen` is an offset into `points`, from 0.
    """
    scalars = {name: plain(value) for name, value in vars(evaluation).items() if name not in _OTHERS}
    return {
        **scalars,
        "promise": evaluation.target_recall,
        "points": [_point_as_dict(point, evaluation.kind) for point in evaluation.points],
        "origin": evaluation.origin and _origin_as_dict(evaluation.origin),
        "labels": [_label_as_dict(label) for label in evaluation.labels],
        "orders": [plain(vars(order)) for order in evaluation.orders],
        "calibration": _calibration_as_dict(evaluation.calibration),
        "copy_calibration": _calibration_as_dict(evaluation.copy_calibration),
        "worst": [_worst_as_dict(query) for query in evaluation.worst],
    }


def _origin_as_dict(origin: Origin) -> dict[str, Any]:
    facts = {"model": origin.model, "fingerprint": origin.fingerprint, "date": origin.date.isoformat()}
    return {**named("folder", str(origin.folder)), **plain(facts)}


def _point_as_dict(point: "OperatingPoint", kind: str) -> dict[str, Any]:
    measured = {name: plain(getattr(point, name)) for name in ("recall", "recall_low", "milliseconds")}
    return {**measured, "name": point.parameters.description(kind)}


def _label_as_dict(quality: "LabelQuality") -> dict[str, Any]:
    return {**plain(vars(quality)), **named("label", quality.label)}


def _calibration_as_dict(calibration: "Calibration | None") -> dict[str, Any] | None:
    if calibration is None:
        return None
    measured = {name: plain(value) for name, value in vars(calibration).items() if name not in ("bins", "curve")}
    return {**measured, "bins": [plain(vars(each)) for each in calibration.bins]}


def _worst_as_dict(worst: "WorstQuery") -> dict[str, Any]:
    return {
        **_briefly(worst.query),
        "precision": plain(worst.precision),
        "found": [{**_briefly(match), "score": plain(match.score)} for match in worst.found],
    }


def _briefly(match: Match) -> dict[str, Any]:
    return {"id": match.id, **named("key", match.key), **named("label", match.label)}


def named(field: str, value: Any) -> dict[str, Any]:
    """A member with a name of the file system or another value; a name that is not UTF-8 as `as_dict` gives it."""
    text = without_surrogates(value) if isinstance(value, str) else value
    if text == value:
        return {field: value}
    return {field: text, f"{field}_bytes": base64.b64encode(os.fsencode(value)).decode("ascii")}


def plain(value: object) -> Any:
    """Converts any value to one that strict JSON can hold."""
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return value  # most values are such
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
            return {without_surrogates(str(key)): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case _:
            return without_surrogates(str(value))

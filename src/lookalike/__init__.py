"""Finds the images that look like this one.

    import lookalike

    photos = lookalike.create("photos")              # photos/.lookalike; from then on: lookalike.open("photos")
    report = photos.add("photos")                    # all its images, or what has changed since the last time
    for match in photos.search("query.jpg", k=10):
        print(match.score, match.path)

Names are loaded when they are first used, so that `lookalike --help` does not wait for FAISS.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lookalike.attributes.apply import AttributesReport
    from lookalike.collection import Collection, Info, create, open  # noqa: A004
    from lookalike.encoders import Encoder, TextEncoder
    from lookalike.errors import DamagedIndexWarning, DeviceWarning, LookalikeError
    from lookalike.evaluation.results import Evaluation
    from lookalike.filters import Between, Where
    from lookalike.images.decode import ImageSource, Recipe
    from lookalike.index.build_progress import BuildProgress
    from lookalike.index.generation import Generation
    from lookalike.index.maintenance import Maintenance
    from lookalike.ingest.pipeline import Progress, Report
    from lookalike.reindexing import reindex
    from lookalike.results import Match, Matches, Skipped
    from lookalike.search.query import Term

__version__ = "0.1.0"

_HOMES = {
    "AttributesReport": "attributes",
    "Between": "where",
    "BuildProgress": "estimate",
    "Collection": "collection",
    "DamagedIndexWarning": "errors",
    "DeviceWarning": "errors",
    "Encoder": "encoders",
    "Evaluation": "evaluation",
    "Generation": "generations",
    "ImageSource": "images",
    "Info": "collection",
    "LookalikeError": "errors",
    "Maintenance": "builder",
    "Match": "match",
    "Matches": "match",
    "Progress": "ingest",
    "Recipe": "images",
    "Report": "ingest",
    "Skipped": "match",
    "Term": "query",
    "TextEncoder": "encoders",
    "Where": "where",
    "create": "collection",
    "open": "collection",
    "reindex": "reindexing",
}

__all__ = [
    "AttributesReport",
    "Between",
    "BuildProgress",
    "Collection",
    "DamagedIndexWarning",
    "DeviceWarning",
    "Encoder",
    "Evaluation",
    "Generation",
    "ImageSource",
    "Info",
    "LookalikeError",
    "Maintenance",
    "Match",
    "Matches",
    "Progress",
    "Recipe",
    "Report",
    "Skipped",
    "Term",
    "TextEncoder",
    "Where",
    "create",
    "open",
    "reindex",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])

"""Finds the images that look like this one."""

from lookalike.collection import Collection, Info, create, open  # noqa: A004
from lookalike.encoders import Encoder
from lookalike.errors import LookalikeError
from lookalike.images import ImageSource, Recipe
from lookalike.ingest import Progress, Report
from lookalike.match import Match, Matches, Skipped

__all__ = [
    "Collection",
    "Encoder",
    "ImageSource",
    "Info",
    "LookalikeError",
    "Match",
    "Matches",
    "Progress",
    "Recipe",
    "Report",
    "Skipped",
    "create",
    "open",
]

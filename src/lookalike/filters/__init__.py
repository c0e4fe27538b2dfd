"""Filters: which images may be found, by labels, folders, ids and attributes, and their text form."""

from lookalike.filters.text import parse
from lookalike.filters.where import (
    LABEL,
    Allowed,
    Between,
    Not,
    Value,
    Where,
    checked,
    checked_name,
    checked_where,
    is_value,
)

__all__ = [
    "LABEL",
    "Allowed",
    "Between",
    "Not",
    "Value",
    "Where",
    "checked",
    "checked_name",
    "checked_where",
    "is_value",
    "parse",
]

"""The filter that the options of a command make, and why nothing was found with it."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lookalike.cli.output import note
from lookalike.display.text import safe_text
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.collection.collection import Collection
    from lookalike.filters import Where

_OPERATOR = re.compile("[<>=!]")


def where_of(labels: Sequence[str], under: str | None, conditions: Sequence[str]) -> "Where | None":
    """The filter that the options make; None if there are none.

    Raises:
        UsageError: a condition is none, maybe since the shell has taken a part of it.
    """
    from lookalike.filters import Where, parse

    if not labels and under is None and not conditions:
        return None
    for condition in conditions:
        if condition and not _OPERATOR.search(condition):
            name = safe_text(condition.strip())
            raise UsageError(
                f"--where {name}: a name without a condition. The shell takes < and > for itself, and > makes a file of"
                f" what follows; in quotes they stay: --where '{name}>=10'"
            )
    return Where(label=labels or None, under=under, attributes=parse(conditions))


def explain_nothing(collection: "Collection", where: "Where | None") -> None:
    """Says that nothing was found, and names the parts of a filter that no image meets."""
    from lookalike.filters import Between, Where

    note("No matches.")
    if where is None:
        return
    for label in sorted(where.labels or ()):
        if not collection.count(Where(label=label)):
            note(f"No image has the label {safe_text(label)!r}.")
    if where.under is not None and not collection.count(Where(under=where.under)):
        note(f"No image is in a folder {safe_text(where.under)!r} of the collection.")
    for name, allowed in where.conditions.items():
        if isinstance(allowed, Between):
            _explain_range(collection, name, allowed.low if allowed.low is not None else allowed.high)


def _explain_range(collection: "Collection", name: str, end: Any) -> None:
    """Says that a range is of numbers and the attribute of text, or the other way round."""
    from lookalike.filters import Between, Where

    texts = collection.count(Where(attributes={name: Between("")}))
    numbers = collection.count(Where(attributes={name: Between()})) - texts
    if isinstance(end, str) and not texts:
        note(f"{safe_text(name)} is a number in all images that have it, and {safe_text(end)!r} is a text.")
    if not isinstance(end, str) and end is not None and not numbers:
        note(f"{safe_text(name)} is a text in all images that have it, and {end} is a number.")

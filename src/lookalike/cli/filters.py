"""The filter that the options of a command make, and why nothing was found with it."""

import difflib
import re
from collections import abc
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lookalike.cli.output import note
from lookalike.display.text import safe_text
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.collection.collection import Collection
    from lookalike.filters import Value, Where

_OPERATOR = re.compile("[<>=!]")
_MOST_KNOWN = 1000  # values among which one like the given one is looked for


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
    """Says that nothing was found, and names the parts of a filter that no image meets, with what may be meant."""
    from lookalike.filters import Between, Not

    note("No matches.")
    if where is None:
        return
    _explain_labels(collection, where)
    if where.under is not None:
        _explain_folder(collection, where.under)
    for name, allowed in where.conditions.items():
        if isinstance(allowed, Between):
            _explain_range(collection, name, allowed.low if allowed.low is not None else allowed.high)
        elif not isinstance(allowed, Not):
            _explain_values(collection, name, allowed)


def _explain_labels(collection: "Collection", where: "Where") -> None:
    from lookalike.filters import Where

    for label in sorted(where.labels or ()):
        if not collection.count(Where(label=label)):
            known = (count.value for count in collection.facets(most=_MOST_KNOWN).labels)
            note(f"No image has the label {safe_text(label)!r}.{_did_you_mean(label, known)}")


def _explain_folder(collection: "Collection", folder: str) -> None:
    from lookalike.filters import Where

    if not collection.count(Where(under=folder)):
        known = (count.value for count in collection.facets(most=_MOST_KNOWN).folders)
        note(f"No image is in a folder {safe_text(folder)!r} of the collection.{_did_you_mean(folder, known)}")


def _explain_values(collection: "Collection", name: str, values: "abc.Collection[Value]") -> None:
    """Names those of some values that no image has; a number is also given as text."""
    from lookalike.filters import Where

    for text in sorted({str(value) for value in values}):
        same = [value for value in values if str(value) == text]
        if not collection.count(Where(attributes={name: same})):
            known = (count.value for count in collection.facets(most=_MOST_KNOWN).attributes.get(name, ()))
            note(f"No image has {safe_text(name)}={safe_text(text)}.{_did_you_mean(text, known)}")


def _did_you_mean(given: str, known: Iterable[Any]) -> str:
    """A question that names the most similar of some values, if one is similar at all."""
    texts = {str(value).casefold(): str(value) for value in known if value}
    similar = difflib.get_close_matches(given.casefold(), texts, n=1)
    return f" Did you mean {safe_text(texts[similar[0]])!r}?" if similar else ""


def _explain_range(collection: "Collection", name: str, end: Any) -> None:
    """Says that a range is of numbers and the attribute of text, or the other way round."""
    from lookalike.filters import Between, Where

    texts = collection.count(Where(attributes={name: Between("")}))
    numbers = collection.count(Where(attributes={name: Between()})) - texts
    if isinstance(end, str) and not texts:
        note(f"{safe_text(name)} is a number in all images that have it, and {safe_text(end)!r} is a text.")
    if not isinstance(end, str) and end is not None and not numbers:
        note(f"{safe_text(name)} is a text in all images that have it, and {end} is a number.")

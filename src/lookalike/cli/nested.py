"""What `lookalike index` asks before it reads what a collection names, or takes over what other collections have."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from lookalike.cli import output
from lookalike.display.text import safe_text
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.collection.below import CollectionBelow
    from lookalike.collection.collection import Collection

_SHOWN = 5  # collections
_Result = TypeVar("_Result")


def to_take_over(collection: "Collection", folders: Sequence[str], wanted: bool | None, *, is_new: bool) -> list[Path]:
    """The directories of collections below the folders, whose vectors are to be taken over.

    Args:
        collection: the one that is to have the vectors.
        folders: the folders that are indexed.
        wanted: what the user has said; if None, a person at a terminal is asked, and anybody else is told.
        is_new: whether the collection has just been made; only then is anybody asked or told.
    """
    from lookalike.collection.below import collections_below

    if wanted is False or not (is_new or wanted):
        return []
    found = [each for folder in folders for each in collections_below(folder) if each.images]
    found = [each for each in found if each.directory != collection.directory]
    usable = [each for each in found if each.made_by == collection.made_by]
    for other in found:
        if other not in usable:
            output.note(
                f"{safe_text(other.folder)} has a collection made with {other.made_by}, whose vectors are of no use to"
                f" one made with {collection.made_by}."
            )
    if wanted and not usable:
        output.note("There is no collection below whose vectors could be taken over.")
    if not usable or not (wanted or _is_agreed(usable)):
        return []
    return [each.directory for each in usable]


def asking_to_trust(act: Callable[[], _Result], place: Path, *, trust: bool) -> _Result:
    """Does something that may read what a collection names outside of its folder; asks a person at a terminal first.

    Args:
        act: does it; it raises UsageError if the collection is not trusted.
        place: the collection's directory.
        trust: whether the user has said that it is to be trusted.
    """
    from lookalike.collection.sources import trust_all

    if not trust:
        try:
            return act()
        except UsageError as error:
            if not any(hint.action == "trust" for hint in error.hints) or not output.is_with_a_person():
                raise
            output.note(error.message)
        click.confirm("Read all of that, and remember it?", abort=True, err=True)
    trust_all(place)
    return act()


def _is_agreed(usable: "Sequence[CollectionBelow]") -> bool:
    images = sum(each.images for each in usable)
    names = ", ".join(safe_text(each.folder) for each in usable[:_SHOWN])
    more = f" and {len(usable) - _SHOWN:,} more" if len(usable) > _SHOWN else ""
    has, their = ("has a collection", "its") if len(usable) == 1 else ("have collections", "their")
    told = f"{names}{more} {has} of {output.counted(images, 'image')}"
    if output.is_with_a_person():
        return click.confirm(f"{told}. Take over {their} vectors and attributes?", default=True, err=True)
    output.note(f"{told}; to take over {their} vectors and attributes instead of starting anew, add --take-over")
    return False

"""Writes matches as one HTML file that embeds everything it shows and loads nothing."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from lookalike import arguments
from lookalike.display import write_file
from lookalike.display.html import Tile, origin_text, render, tile
from lookalike.display.text import (
    attribute_text,
    chance_words,
    copies_text,
    copy_words,
    is_all_chance,
    probability_text,
    region_text,
    role_text,
    safe_text,
    score_text,
    size_text,
)
from lookalike.display.thumbnail import Thumbnail, thumbnails
from lookalike.results import Match, Matches

_PAGE_SIDE = 320  # pixels: sharp at the width of a card, 15 to 25 kB as a JPEG
_FRAGMENT_SIDE = 240  # a notebook keeps every output in its file


def page(matches: Matches, *, title: str | None = None, path: str | os.PathLike[str] | None = None) -> str:
    """Returns a complete HTML page: the queries, then the matches, best first.

    Thumbnails are embedded as `data:` URIs; the page runs no script and loads nothing. The names link to the files,
    relative to the page if `path` says where it will be written and that is near them (`html.address`). An image that
    cannot be read is shown as a gap with the reason.
    """
    return _render("page.html", matches, side=_PAGE_SIDE, title=title, path=path)


def fragment(matches: Matches) -> str:
    """Returns the same as a piece of HTML for a cell of a notebook, in the notebook's own colours.

    It has no links, since browsers do not follow a `file:` link from a page that a server delivered.
    """
    return _render("fragment.html", matches, side=_FRAGMENT_SIDE)


def write_page(
    matches: Matches, path: str | os.PathLike[str], *, title: str | None = None, overwrite: bool = False
) -> None:
    """Writes `page(matches)` to a file, whole or not at all.

    Raises:
        UsageError: no file can be written at that path, or one that Lookalike has not written would be replaced
            without `overwrite`.
        StorageError: the disk is full or failing.
    """
    checked = write_file.checked_arguments(path, title=title, overwrite=overwrite)
    arguments.instance(matches, Matches, "matches", "what a search returns")
    write_file.write(checked, page(matches, title=title, path=checked).encode("utf-8"), overwrite=overwrite)


@dataclasses.dataclass(frozen=True)
class _QueryTile(Tile):
    """A part of the query as the templates show it.

    Attributes:
        role: "query", "minus x 2" and the like.
        negative: whether it is an example of what is not wanted.
        id: of the image in the collection, or "".
    """

    role: str
    negative: bool
    id: str


@dataclasses.dataclass(frozen=True)
class _MatchTile(Tile):
    """A match as the templates show it; `bar` is its score in percent, at least 0.

    `chance` says whether it is beyond chance or near it, `likely` how probable it is that its label is the query's,
    `copied` how probable it is that it is a copy.
    `attributes` are those that the search was filtered by, each with its name and value.
    """

    id: str
    score: str
    bar: str
    chance: str
    label: str
    likely: str
    copied: str
    size: str
    is_query: bool
    attributes: list[tuple[str, str]]


def _render(
    template: str,
    matches: Matches,
    *,
    side: int,
    title: str | None = None,
    path: str | os.PathLike[str] | None = None,
) -> str:
    shown = thumbnails([*matches.queries, *matches], side, matches.max_pixels)
    queries = shown[: len(matches.queries)]
    return render(
        template,
        title=_title(queries) if title is None else safe_text(title),
        queries=[_query_tile(*pair, path) for pair in zip(matches.queries, queries, strict=True)],
        matches=[
            _match_tile(*pair, path, matches.filtered_by) for pair in zip(matches, shown[len(queries) :], strict=True)
        ],
        is_all_chance=is_all_chance(matches),
        origin=origin_text(matches.origin),
    )


def _title(queries: list[Thumbnail]) -> str:
    if len(queries) == 1 and (called := queries[0].name or queries[0].text):
        return f"Look-alikes of {called}"
    return "Look-alikes"


def _query_tile(query: Any, thumbnail: Thumbnail, page: str | os.PathLike[str] | None) -> _QueryTile:
    role = role_text(query)
    return _QueryTile(
        **vars(tile(thumbnail, page)),
        role=role.replace(" x ", " \N{MULTIPLICATION SIGN} "),
        negative=role.startswith("minus"),
        id=str(query.id) if isinstance(query, Match) else "",
    )


def _match_tile(
    match: Match, thumbnail: Thumbnail, page: str | os.PathLike[str] | None, filtered_by: Sequence[str]
) -> _MatchTile:
    plain = vars(tile(thumbnail, page))
    label = safe_text(match.label or "")
    folder = "" if plain["folder"] == label else plain["folder"]  # most labels are the folder's name
    return _MatchTile(
        **plain | {"folder": folder},
        id=str(match.id),
        score=score_text(match.score),
        bar=f"{100 * min(max(match.score, 0.0), 1.0):.1f}",
        chance=chance_words(match),
        label=label,
        likely=probability_text(match),
        copied=copy_words(match),
        size=size_text(match).replace("x", " \N{MULTIPLICATION SIGN} ") + region_text(match) + copies_text(match),
        is_query=match.is_query,
        attributes=[(safe_text(name), value) for name in filtered_by if (value := attribute_text(match, name))],
    )

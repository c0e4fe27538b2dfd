"""Describes what a collection was made of, and what is left out, for `lookalike info`."""

from typing import TYPE_CHECKING

from lookalike.cli.output import counted
from lookalike.display.text import safe_text

if TYPE_CHECKING:
    from lookalike.collection.info import Info


_NAMED = 5  # archives


def sources_text(info: "Info") -> str:
    """What a collection was made of, and what a `lookalike index` without a folder brings up to date."""
    made_of = info.made_of
    own = ["its folder" if key == "" else safe_text(info.folder / key) for key in made_of.folders]
    lists = [f"the list {safe_text(info.folder / each.path)}" for each in made_of.lists]
    shards = [safe_text(info.folder / each) for each in made_of.shards]
    if len(shards) > _NAMED:
        shards[_NAMED:] = [f"{len(shards) - _NAMED:,} more archives"]
    is_only = made_of.folders == ("",) and not made_of.lists and not made_of.shards and not made_of.elsewhere
    return (
        ", ".join([*own, *lists, *shards, *(["single files"] if made_of.single and not is_only else [])])
        or "nothing yet"
    )


def exclusion_text(info: "Info") -> str:
    """What a user's globs leave out, which default names are not left out, and how many images that concerns."""
    made_of, excluded = info.made_of, counted(info.excluded, "image")
    globs = ", ".join(map(safe_text, made_of.exclude))
    kept = f"but not {', '.join(map(safe_text, made_of.include))}" if made_of.include else ""
    told = f"{excluded}, kept until they are pruned" if info.excluded else ""
    return "; ".join(filter(None, (globs, kept, told)))

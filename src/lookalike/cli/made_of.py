"""Describes what a collection was made of, and what is left out, for `lookalike info`."""

from typing import TYPE_CHECKING

from lookalike.cli.output import counted
from lookalike.display.text import safe_text

if TYPE_CHECKING:
    from lookalike.collection.info import Info


def made_of(info: "Info") -> str:
    """What a collection was made of, and what a `lookalike index` without a folder brings up to date."""
    origins = info.origins
    own = ["its folder" if key == "" else safe_text(info.folder / key) for key in origins.folders]
    lists = [f"the list {safe_text(info.folder / each.path)}" for each in origins.lists]
    is_only = origins.folders == ("",) and not origins.lists and not origins.elsewhere
    return ", ".join([*own, *lists, *(["single files"] if origins.single and not is_only else [])]) or "nothing yet"


def left_out(info: "Info") -> str:
    """What a user's globs leave out, which default names are not left out, and how many images that concerns."""
    origins, excluded = info.origins, counted(info.excluded, "image")
    globs = ", ".join(map(safe_text, origins.exclude))
    kept = f"but not {', '.join(map(safe_text, origins.include))}" if origins.include else ""
    told = f"{excluded}, kept until they are pruned" if info.excluded else ""
    return "; ".join(filter(None, (globs, kept, told)))

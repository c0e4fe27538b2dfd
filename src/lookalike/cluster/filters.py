"""A filter over all shards as that of one of them, which has other ids, keys and attributes."""

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import PurePosixPath

from lookalike.cluster.numbering import parts_of
from lookalike.filters import Not, Where


def of_shard(
    where: Where, *, number: int, prefix: str | None, attributes: Callable[[], Collection[str]]
) -> Where | None:
    """What a filter admits of one shard; None if that is nothing.

    Args:
        where: the filter.
        number: of the shard.
        prefix: the shard's folder, relative to that of the whole, "" for the same; None if it is elsewhere.
        attributes: the names of the attributes that its images have, asked for if the filter has any.
    """
    ids = where.ids
    if ids is not None:
        ids = [local for shard, local in map(parts_of, ids) if shard == number]
        if not ids:
            return None
    under = where.under
    if under is not None and (under := _under(under, prefix)) is None:
        return None
    conditions = dict(where.conditions)
    for name in set(conditions).difference(attributes() if conditions else ()):
        if not isinstance(conditions.pop(name), Not):
            return None
    return replace(where, ids=ids, under=under, attributes=conditions)


def _under(under: str, prefix: str | None) -> str | None:
    """The folder of a shard that a folder of the whole is; None if it is no folder of the shard's."""
    if under.startswith("/"):  # images from elsewhere have absolute keys everywhere
        return under
    if prefix is None:
        return None
    wanted, own = PurePosixPath(under), PurePosixPath(prefix)
    if own.is_relative_to(wanted):
        return ""
    if not wanted.is_relative_to(own):
        return None
    return wanted.relative_to(own).as_posix()

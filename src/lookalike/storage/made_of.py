"""sources.json: what a collection was made of, and what is left out, so that the next run can do the same."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lookalike.errors import CorruptError, Hint, IncompatibleError
from lookalike.sources.exclusion import DEFAULT, Exclusion, is_glob
from lookalike.sources.keys import is_elsewhere
from lookalike.storage import files, layout, records
from lookalike.system import durable

_FORMAT, _WITHOUT_SHARDS = 2, 1  # an earlier version reads the latter, too, and so it is written where it can be
_MAX_BYTES = 2**24
_MOST_INNER = 1000


@dataclass(frozen=True)
class ListSource:
    """A list of files that a collection was made of: the keys of the list and of what its paths are relative to."""

    path: str
    base: str
    null: bool = False


@dataclass(frozen=True)
class MadeOf:
    """What a collection was made of.

    Attributes:
        folders: the keys of the folders; "" is the collection's own.
        lists: the lists of files.
        shards: the keys of the archives of images.
        single: whether files were named one by one, or by a list that cannot be read again.
        elsewhere: whether some of these are outside of the collection's folder.
        exclude: globs of what is left out besides the default names; see `Exclusion`.
        include: the default names that are not left out.
        inner: the keys of folders that have a collection of their own, as far as they were noticed.
    """

    folders: tuple[str, ...] = ()
    lists: tuple[ListSource, ...] = ()
    shards: tuple[str, ...] = ()
    single: bool = False
    elsewhere: bool = False
    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()

    @property
    def exclusion(self) -> Exclusion:
        """What is left out."""
        return Exclusion(self.exclude, keep=self.include)

    @property
    def names_nothing(self) -> bool:
        """Whether there are no folders, no lists, no shards and no single files."""
        return not (self.folders or self.lists or self.shards or self.single)

    @property
    def names_elsewhere(self) -> bool:
        """Whether it names anything that may be outside of the collection's folder."""
        return self.elsewhere or bool(self.lists) or any(map(is_elsewhere, (*self.folders, *self.shards)))

    def has_folder_of(self, key: str) -> bool:
        """Whether a file is in one of the folders."""
        return any(_is_in(key, each) for each in self.folders)

    def with_folder(self, key: str) -> "MadeOf":
        """The same and a folder; those in it need not be named any more."""
        if self.has_folder_of(key):
            return self
        return replace(self, folders=(*(each for each in self.folders if not _is_in(each, key)), key))

    def with_list(self, listed: ListSource) -> "MadeOf":
        """The same and a list, which takes the place of an earlier one of this path."""
        others = (each for each in self.lists if each.path != listed.path)
        return replace(self, lists=(*others, listed))

    def with_shard(self, key: str) -> "MadeOf":
        """The same and a shard."""
        return self if key in self.shards else replace(self, shards=(*self.shards, key))

    def without(self, key: str) -> "MadeOf":
        """The same without the folder, the list or the shard of a key."""
        return replace(
            self,
            folders=tuple(each for each in self.folders if each != key),
            lists=tuple(each for each in self.lists if each.path != key),
            shards=tuple(each for each in self.shards if each != key),
        )

    def excluding(self, globs: Iterable[str]) -> "MadeOf":
        """The same, but more is left out."""
        given = tuple(globs)
        return replace(
            self,
            exclude=tuple(dict.fromkeys((*self.exclude, *(glob for glob in given if glob not in DEFAULT)))),
            include=tuple(name for name in self.include if name not in given),
        )

    def including(self, globs: Iterable[str]) -> "MadeOf":
        """The same, but what these globs or default names leave out is not left out any more."""
        given = tuple(globs)
        defaults = {name.casefold(): name for name in DEFAULT}
        named = [defaults[glob.casefold()] for glob in given if glob.casefold() in defaults]
        return replace(
            self,
            exclude=tuple(glob for glob in self.exclude if glob not in given),
            include=tuple(dict.fromkeys((*self.include, *named))),
        )

    def moved(self, new_key: Callable[[str], str]) -> "MadeOf":
        """The same with the keys that a function returns for the present ones."""
        return replace(
            self,
            folders=tuple(new_key(key) for key in self.folders),
            lists=tuple(ListSource(new_key(each.path), new_key(each.base), each.null) for each in self.lists),
            shards=tuple(new_key(key) for key in self.shards),
            inner=tuple(new_key(key) for key in self.inner),
        )


OF_EARLIER_VERSIONS = MadeOf(folders=("",), single=True)
"""What a collection is taken to be made of if it does not say so: its own folder, and files in it."""


def read(directory: Path) -> MadeOf:
    """Reads what the collection in a directory was made of.

    Raises:
        CorruptError: the file is damaged.
        IncompatibleError: a newer Lookalike wrote it.
    """
    path = directory / layout.SOURCES
    try:
        facts = json.loads(files.read(path, max_bytes=_MAX_BYTES))
        if facts["format"] not in (_FORMAT, _WITHOUT_SHARDS):
            raise IncompatibleError(
                f"{path}: it has format {facts['format']!r} and this Lookalike knows {_FORMAT}; upgrade Lookalike"
            )
        return _from_facts(facts)
    except FileNotFoundError:
        return OF_EARLIER_VERSIONS
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        hint = Hint("forget_sources", {"file": str(path)})
        raise CorruptError(f"{path}: the file is damaged: {error}", hint) from error


def write(directory: Path, made_of: MadeOf) -> None:
    """Writes what a collection was made of, all at once; raises StorageError if it cannot be written."""
    facts = {"format": _FORMAT, **asdict(replace(made_of, inner=made_of.inner[:_MOST_INNER]))}
    if not made_of.shards:
        del facts["shards"]
        facts["format"] = _WITHOUT_SHARDS
    with durable.storage_errors(directory):
        durable.replace(directory / layout.SOURCES, (json.dumps(facts, indent=2) + "\n").encode())


def _from_facts(facts: Mapping[str, Any]) -> MadeOf:
    """What Lookalike writes; raises ValueError for anything else."""
    lists = [ListSource(each["path"], each["base"], each["null"]) for each in _several(facts, "lists")]
    folders, inner = _several(facts, "folders"), _several(facts, "inner")
    shards = _several(facts, "shards") if facts["format"] == _FORMAT else []
    globs, include = _several(facts, "exclude"), _several(facts, "include")
    keys = [*folders, *inner, *(each.base for each in lists)]
    named = [*shards, *(each.path for each in lists)]
    if not all(key == "" or records.is_key(key) for key in keys) or not all(map(records.is_key, named)):
        raise ValueError("it names a path that is none")
    if not all(map(is_glob, [*globs, *include])):
        raise ValueError("it has an invalid glob")
    flags = facts["single"], facts["elsewhere"], *(each.null for each in lists)
    if not all(isinstance(each, bool) for each in flags):
        raise ValueError("a value is neither true nor false")
    return MadeOf(
        folders=tuple(folders),
        lists=tuple(lists),
        shards=tuple(shards),
        single=facts["single"],
        elsewhere=facts["elsewhere"],
        exclude=tuple(globs),
        include=tuple(include),
        inner=tuple(inner),
    )


def _several(facts: Mapping[str, Any], name: str) -> list[Any]:
    if not isinstance(facts[name], list):
        raise ValueError(f"{name} is not a list")
    return list(facts[name])


def _is_in(key: str, folder: str) -> bool:
    """Whether a folder is another one or in it, by their keys; absolute ones are in no relative one."""
    if not folder:
        return not is_elsewhere(key)
    return key == folder or key.startswith(folder.rstrip("/") + "/")

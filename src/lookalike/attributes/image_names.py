"""Which image of a collection a cell of a table names: by its path, or by the name of its file alone."""

from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from lookalike.sources.folder import absolute, key_of
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import FileKind
from lookalike.storage.spellings import only, spellings

_AMBIGUOUS = ""  # stands for two images of one name; no key is empty


class ImageNames:
    """The images that the paths and names in a table stand for."""

    def __init__(self, catalog: Catalog, table_folder: Path, folder: Path) -> None:
        """`table_folder` is that of the table, and `folder` the one that the keys are relative to."""
        self._catalog, self._table_folder, self._folder = catalog, table_folder, folder

    def is_image(self, path: str) -> bool:
        """Whether a path names an image."""
        return self.key(path) is not None

    def key(self, path: str) -> str | None:
        """The key of the image that a path names; None if it names none.

        A path that names none as it is may be in another spelling, or have spaces around it.
        """
        if key := self._exactly(path):
            return key
        others = [*spellings(path), *([bare, *spellings(bare)] if (bare := path.strip()) != path else [])]
        return only(filter(None, map(self._exactly, others)))

    def keys_by_name(self, names: Collection[str]) -> dict[str, str]:
        """The keys of the images whose files have these names, with or without their suffixes, in whatever folder.

        A name that several images have stands for the only one of these that is in the folder of the table, or for
        none. All files of the catalog are looked through.
        """
        wanted, beside = set(names), self._prefix_of_table()
        everywhere: dict[str, str] = {}
        near: dict[str, str] = {}
        for key in self._all_keys():
            path = PurePosixPath(key)
            for name in {path.name, path.stem} & wanted:
                everywhere[name] = _AMBIGUOUS if name in everywhere else key
                if key.startswith(beside):
                    near[name] = _AMBIGUOUS if name in near else key
        found = {name: key or near.get(name, _AMBIGUOUS) for name, key in everywhere.items()}
        return {name: key for name, key in found.items() if key}

    def has_key(self, key: str) -> bool:
        """Whether it is the key of an image, missing or not."""
        return self._catalog.hash_at(key) is not None

    def _exactly(self, path: str) -> str | None:
        keys = keys_of(path, table_folder=self._table_folder, folder=self._folder)
        return next(filter(self.has_key, keys), None)

    def _prefix_of_table(self) -> str:
        key = key_of(self._table_folder, self._folder)
        return "" if key == "." else f"{key.rstrip('/')}/"

    def _all_keys(self) -> Iterator[str]:
        for folder in ("", "/"):
            for known in self._catalog.known_files(folder):
                if known.kind is not FileKind.SKIPPED:
                    yield known.key


def keys_of(path: str, *, table_folder: Path, folder: Path) -> Iterator[str]:
    """Yields the keys that a path in a table may stand for, the likeliest first: that of the file beside the table.

    Args:
        path: as it is in the table.
        table_folder: the folder of the table.
        folder: the folder that the keys are relative to.
    """
    given = []
    if not path.startswith("/") and table_folder != folder:
        given.append(f"{key_of(table_folder, folder).rstrip('/')}/{path}")
    given.append(path)
    yield from given
    try:
        key = key_of(absolute(table_folder / path), folder)
    except (OSError, ValueError, RuntimeError):  # an impossible file name, or a symlink loop
        return
    if key not in given:
        yield key

"""What a collection is made of: turns what a caller names into sources, remembers it, and names it again later."""

import os
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lookalike.collection import trust
from lookalike.errors import Hint, LookalikeError, UsageError
from lookalike.sources import keys, remote
from lookalike.sources.exclusion import DEFAULT, Exclusion, checked_globs
from lookalike.sources.folder import (
    Files,
    Folder,
    GoneFolder,
    KnownFiles,
    Listing,
    Paths,
    Source,
    absolute,
    key_of,
)
from lookalike.sources.keys import is_elsewhere
from lookalike.sources.lists import FileList, listed_paths
from lookalike.sources.naming import files_and_shards, remote_source, sources_of
from lookalike.sources.places import place_of
from lookalike.sources.remote import RemotePath
from lookalike.sources.remote_folder import RemoteFolder
from lookalike.sources.shard import ShardFile
from lookalike.storage import layout, lock, unread
from lookalike.storage import made_of as remembered
from lookalike.storage import manifest as manifests
from lookalike.storage.catalog import Catalog
from lookalike.storage.made_of import ListSource, MadeOf
from lookalike.storage.manifest import Manifest
from lookalike.storage.records import KnownFile

if TYPE_CHECKING:
    from lookalike.attributes.listing import ListingTable

Sources: TypeAlias = Paths | FileList
"""A folder, a file, several files, or a list of files."""


@dataclass(frozen=True)
class Named:
    """Sources that a caller has named, or that a collection was made of.

    Attributes:
        sources: what to bring the collection up to date with, one after the other.
        is_everything: whether the collection is made of nothing else, so that what they do not name is left out.
        tables: have attributes of the images that they name.
    """

    sources: tuple[Source, ...]
    is_everything: bool = False
    tables: "tuple[ListingTable, ...]" = ()

    def unnamed(self, catalog: Catalog) -> Iterator[KnownFile]:
        """The files that a catalog knows and that no source covers, without those that were never read."""
        folders = ["/"] if any(source.within == "" for source in self.sources) else ["", "/"]
        for known in (known for folder in folders for known in catalog.known_files(folder)):
            if known.status != unread.STATUS and not any(source.covers(known.key) for source in self.sources):
                yield known


def exclusion(directory: Path | None) -> Exclusion:
    """What a collection leaves out, or a new one if there is none."""
    return (remembered.read(directory) if directory else MadeOf()).exclusion


def change_what_is_left_out(directory: Path, *, exclude: Sequence[str], include: Sequence[str]) -> None:
    """Has a collection leave more out, and some no more, whether its encoder is available here or not.

    Raises:
        UsageError: something is no glob, or is not what is left out.
        LockedError: another process is writing to the collection.
    """
    with lock.locked(directory):
        sources = CollectionSources(directory, manifests.read(directory))
        sources.include(include)
        sources.exclude(exclude)


def trust_all(directory: Path) -> None:
    """Trusts whatever a collection names, whether its encoder is available here or not.

    Raises:
        LockedError: another process is writing to the collection.
    """
    manifest = manifests.read(directory)
    with lock.locked(directory), closing(Catalog(manifest.data_directory(directory) / layout.CATALOG)) as catalog:
        CollectionSources(directory, manifest).trust(catalog)


class CollectionSources:
    """The sources of one collection. What changes them is called with the writer's lock held."""

    def __init__(self, directory: Path, manifest: Manifest) -> None:
        self._directory, self._manifest, self._folder = directory, manifest, manifest.folder

    @property
    def made_of(self) -> MadeOf:
        """What the collection was made of.

        Raises:
            CorruptError: the file that says so is damaged.
            IncompatibleError: a newer Lookalike wrote it.
        """
        return remembered.read(self._directory)

    def name(self, source: Sources) -> Named:
        """The sources that a caller names.

        Raises:
            UsageError: there is nothing at the source, or the list cannot be read.
        """
        made_of = self.made_of
        listing = self._listing(made_of.exclusion)
        if not isinstance(source, FileList):
            return self._with_metadata(sources_of(source, base=self._folder, listing=listing))
        sources, table = tuple(self._listed(source, listing)), self._table(source)
        is_all = not made_of.folders and not made_of.single and self._others(made_of, source) == ()
        return Named(sources, is_everything=is_all, tables=(table,) if table else ())

    def again(self, catalog: Catalog) -> Named:
        """The sources that the collection was made of; its folder, if it has just been made.

        Args:
            catalog: has the files that were named one by one.

        Raises:
            UsageError: its folder is gone, a list cannot be read, or it names what this user has not trusted.
        """
        made_of = self._made_of_or_folder(catalog)
        self._check_trusted(made_of)
        self.allow_urls()
        if made_of != self.made_of:
            remembered.write(self._directory, made_of)
        if "" in made_of.folders and not os.path.isdir(self._folder):
            hint = Hint("relocate", {"path": str(self._directory), "old": str(self._folder), "new": ...})
            raise UsageError(f"{self._folder}: there is no such folder any more", hint)
        listing = self._listing(made_of.exclusion)
        sources = [*self._listed_again(made_of, listing), *self._shards_again(made_of, listing)]
        if made_of.single:
            keys = [known.key for known in Named(tuple(sources)).unnamed(catalog)]
            paths = [self._folder / key for key in keys if made_of.elsewhere or not is_elsewhere(key)]
            sources.append(KnownFiles(paths, base=self._folder))
        named = self._with_metadata(tuple(sources))
        tables = filter(None, (self._table(self._file_list(each)) for each in made_of.lists))
        is_everything = not made_of.single and bool(made_of.lists)
        return replace(named, is_everything=is_everything, tables=(*named.tables, *tables))

    def allow_urls(self) -> None:
        """Lets what is behind the URLs that the collection was made of be read, if this user trusts it."""
        try:
            made_of = self.made_of
        except LookalikeError:  # whatever needs the file says so
            return
        urls = [*filter(keys.is_url, (*made_of.folders, *made_of.shards))]
        if urls and trust.is_trusted(self._directory, self._manifest, made_of):
            for url in urls:
                remote.allow(url)

    def leaves_out(self) -> Callable[[str], bool]:
        """The function that says of a key whether its file is left out: by its name, or as no list names it any more.

        A list that cannot be read, or that this user has not trusted, leaves nothing out.
        """
        made_of = self.made_of
        exclusion, listing = made_of.exclusion, self._listing(made_of.exclusion)
        if not made_of.lists or made_of.single or not trust.is_trusted(self._directory, self._manifest, made_of):
            return exclusion.leaves_out
        try:
            sources = [*self._listed_again(made_of, listing), *self._shards_again(made_of, listing)]
        except UsageError:
            return exclusion.leaves_out
        return lambda key: exclusion.leaves_out(key) or not any(source.covers(key) for source in sources)

    def folders(self) -> list[Folder]:
        """The folders that the collection was made of and that are there; none if they are not trusted."""
        made_of = self.made_of
        if not trust.is_trusted(self._directory, self._manifest, made_of):
            return []
        found = self._folders_again(made_of, self._listing(made_of.exclusion))
        return [each for each in found if isinstance(each, Folder)]

    def trust(self, catalog: Catalog) -> None:
        """Trusts whatever the collection names, from now on."""
        made_of = self._made_of_or_folder(catalog)
        if next(catalog.known_files("/"), None) and not made_of.names_elsewhere:
            made_of = replace(made_of, elsewhere=True)
            remembered.write(self._directory, made_of)
        trust.trust(self._directory, self._manifest, made_of)

    def check_known(self, catalog: Catalog, named: Iterable[Sources]) -> None:
        """Raises UsageError if not all files that the catalog knows may be read again; `named` are named just now."""
        made_of, places = self.made_of, {str(absolute(each)) for each in named if isinstance(each, str | os.PathLike)}
        first = next(catalog.known_files("/"), None)
        if first and not made_of.names_elsewhere:
            raise self._untrusted([first.key])
        self._check_trusted(made_of, places)

    def _check_trusted(self, made_of: MadeOf, named: Container[str] = ()) -> None:
        if not trust.is_trusted(self._directory, self._manifest, made_of, named):
            raise self._untrusted(trust.outside(self._directory, self._manifest, made_of))

    def _untrusted(self, places: Sequence[str]) -> UsageError:
        named = ", ".join(places[:5]) + (f" and {len(places) - 5:,} more" if len(places) > 5 else "")
        return UsageError(
            f"{self._directory}: it says that it was made of {named}, which is outside of it and which you have not"
            " named yet as this user; name what to index instead",
            Hint("trust", {"path": str(self._directory)}),
        )

    def _made_of_or_folder(self, catalog: Catalog) -> MadeOf:
        """What the collection was made of; if that is nothing yet, the folder that it was made for."""
        made_of, totals = self.made_of, catalog.totals()
        is_new = made_of.names_nothing and not (totals.images or totals.skipped or totals.missing)
        return made_of.with_folder("") if is_new else made_of

    def remember(self, source: Sources, named: Named) -> None:
        """Remembers what a caller has named, which is trusted from now on."""
        before = self.made_of
        after, places = self._with(before, source, named)
        may_trust = trust.is_trusted(self._directory, self._manifest, before, places)
        if after != before:
            remembered.write(self._directory, after)
        if may_trust:
            trust.trust(self._directory, self._manifest, after)

    def forget(self, keys: Iterable[str]) -> None:
        """Forgets folders, other than the collection's own, and lists: they are no sources any more."""
        before = after = self.made_of
        for key in keys:
            after = after.without(key) if key not in ("", ".") else after
        self._replace(before, after)

    def is_forgettable(self, key: str) -> bool:
        """Whether `forget` would change anything."""
        made_of = self.made_of
        return key not in ("", ".") and made_of.without(key) != made_of

    def exclude(self, globs: Iterable[str]) -> None:
        """Leaves more out from now on; raises UsageError for what is no glob."""
        before = self.made_of
        self._replace(before, before.excluding(self._as_key(glob) for glob in checked_globs(globs)))

    def include(self, globs: Iterable[str]) -> None:
        """Leaves out no more what these globs have left out; raises UsageError if they do not."""
        before, defaults = self.made_of, {name.casefold() for name in DEFAULT}
        given = [glob if glob in before.exclude else self._as_key(glob) for glob in checked_globs(globs)]
        for glob in given:
            if glob not in before.exclude and glob.casefold() not in defaults:
                known = ", ".join(before.exclude) or "nothing but the usual folders of thumbnails and waste"
                raise UsageError(f"{glob!r} is not what the collection leaves out, which is: {known}")
        self._replace(before, before.including(given))

    def note_inner(self, sources: Sequence[Source]) -> None:
        """Remembers which of the listed folders have collections of their own."""
        before = self.made_of
        listed = [source for source in sources if isinstance(source, Folder)]
        found = {place for source in listed for place in source.noticed if layout.find(place) is not None}
        kept = (key for key in before.inner if not any(source.covers(f"{key}/." if key else ".") for source in listed))
        self._replace(before, replace(before, inner=tuple(sorted({*kept, *map(self._key, found)}))))

    def _replace(self, before: MadeOf, after: MadeOf) -> None:
        if after != before:
            was_trusted = trust.is_trusted(self._directory, self._manifest, before)
            remembered.write(self._directory, after)
            if was_trusted:
                trust.trust(self._directory, self._manifest, after)

    def _with(self, before: MadeOf, source: Sources, named: Named) -> tuple[MadeOf, set[str]]:
        """What the collection is made of with a source, and the places that this is."""
        if isinstance(source, FileList):
            path, base = absolute(Path(source.path).absolute()), Path(source.base or ".").absolute()
            origin = ListSource(self._key(path), self._key(absolute(base)), source.null)
            return before.with_list(origin), {str(path)}
        if isinstance(source, str | os.PathLike) and os.path.isdir(source):
            place = absolute(source)
            return before.with_folder(self._key(place)), {str(place)}
        shards = [each for each in named.sources if isinstance(each, ShardFile)]
        remote_folders = [each for each in named.sources if isinstance(each, RemoteFolder)]
        files = (each for each in named.sources if isinstance(each, Files))
        keys = [key for each in files for key in each.all_keys() if not before.has_folder_of(key)]
        has_elsewhere = any(map(is_elsewhere, keys))
        after = replace(before, single=before.single or bool(keys), elsewhere=before.elsewhere or has_elsewhere)
        for shard in shards:
            after = after.with_shard(shard.key)
        for folder in remote_folders:
            after = after.with_folder(folder.key)
        named_places = [each.path for each in shards] + [each.path for each in remote_folders]
        return after, {trust.SINGLE, *map(str, named_places)}

    def _others(self, made_of: MadeOf, source: FileList) -> tuple[ListSource, ...]:
        """The lists that the collection was made of, but for this one."""
        key = self._key(absolute(Path(source.path).absolute()))
        return tuple(each for each in made_of.lists if each.path != key)

    def _listing(self, exclusion: Exclusion) -> Listing:
        return Listing(leave_out=self._directory, exclusion=exclusion, notice=layout.DIRECTORY)

    def _listed(self, source: FileList, listing: Listing) -> Iterator[Source]:
        """The folders and the files of a list; of the latter only what a user's globs name is left out."""
        table = self._table(source)
        paths = table.paths() if table else listed_paths(source)
        if not paths:
            raise UsageError(f"{source.path}: the list names no file")
        folders = [path for path in paths if os.path.isdir(path)]
        for folder in folders:
            yield Folder(absolute(folder), base=self._folder, listing=listing)
        known = set(folders)
        only_globs = Exclusion(listing.exclusion.globs, keep=DEFAULT)
        files = [path for path in paths if path not in known]
        yield from files_and_shards(
            files, base=self._folder, exclusion=only_globs, shards=listing.exclusion, is_whole=True
        )

    def _folders_again(self, made_of: MadeOf, listing: Listing) -> Iterator[Source]:
        for key in made_of.folders:
            if keys.is_url(key):
                yield remote_source(RemotePath(key), listing.exclusion)
                continue
            path = self._folder / key
            yield Folder(path, base=self._folder, listing=listing) if os.path.isdir(path) else GoneFolder(key)

    def _listed_again(self, made_of: MadeOf, listing: Listing) -> Iterator[Source]:
        yield from self._folders_again(made_of, listing)
        yield from self._lists_again(made_of, listing)

    def _shards_again(self, made_of: MadeOf, listing: Listing) -> Iterator[Source]:
        for key in made_of.shards:
            yield ShardFile(place_of(self._folder, key), base=self._folder, exclusion=listing.exclusion)

    def _lists_again(self, made_of: MadeOf, listing: Listing) -> Iterator[Source]:
        for each in made_of.lists:
            yield from self._listed(self._file_list(each), listing)

    def _file_list(self, listed: ListSource) -> FileList:
        return FileList(self._folder / listed.path, self._folder / listed.base, listed.null)

    def _table(self, source: FileList) -> "ListingTable | None":
        """The table that a list is, or None if it has a path on each line."""
        from lookalike.attributes.listing import listing_table

        path, base = Path(source.path).absolute(), Path(source.base or ".").absolute()
        return None if source.null else listing_table(path, base)

    def _with_metadata(self, sources: tuple[Source, ...]) -> Named:
        """Sources, with the tables that the folders among them have."""
        from lookalike.attributes.listing import metadata_tables

        folders = (each.folder for each in sources if isinstance(each, Folder))
        return Named(sources, tables=tuple(table for folder in folders for table in metadata_tables(folder)))

    def _as_key(self, glob: str) -> str:
        """A glob as it is kept: a path that is there becomes the key of that file or folder."""
        path = Path(glob)
        if "/" not in glob.rstrip("/") or any(each in glob for each in "*?[") or not os.path.lexists(path):
            return glob
        place = absolute(path)
        if os.path.lexists(self._folder / glob) or not place.is_relative_to(self._folder) or place == self._folder:
            return glob
        return key_of(place, self._folder) + ("/" if glob.endswith("/") else "")

    def _key(self, path: Path) -> str:
        key = key_of(path, self._folder)
        return "" if key == "." else key

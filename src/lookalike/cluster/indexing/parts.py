"""What each worker gets to do: an archive, or a part of a list of files."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lookalike import arguments
from lookalike.errors import UsageError
from lookalike.sources import keys, remote
from lookalike.sources.folder import absolute
from lookalike.sources.lists import FileList, listed_paths
from lookalike.system import durable

FILES = 10_000  # of a list, that become a collection
LISTS = "lists"  # the folder of the parts of lists, in the directory of the collections
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 60  # characters of an archive's name that are kept in that of its collection

PartSource = str | FileList


@dataclass(frozen=True)
class Part:
    """A part of what is to be indexed, which becomes one collection.

    Attributes:
        name: of its collection's directory, always the same for the same source.
        source: the path or the URL of an archive, or a list of files.
    """

    name: str
    source: PartSource

    @property
    def said(self) -> str:
        """The source, for messages."""
        return str(self.source.path) if isinstance(self.source, FileList) else self.source


def parts_of(sources: Iterable[str | os.PathLike[str] | FileList], directory: Path, files: int = FILES) -> list[Part]:
    """Divides sources into parts; the parts of lists are written to the directory.

    Args:
        sources: archives by their paths or URLs, which may have braces and stars, and lists of files.
        directory: that the collections will be in.
        files: how many files of a list become a collection.

    Raises:
        UsageError: one is neither an archive nor a list, is named twice, or is not there.
        StorageError: a part of a list cannot be written.
    """
    found: dict[str, Part] = {}
    for source in sources:
        for part in _parts(source, directory, files):
            if part.name in found:
                raise UsageError(f"{part.said}: named twice; give each source once")
            found[part.name] = part
    if not found:
        raise UsageError("there is nothing to index; name archives (.tar, .tar.gz, .parquet) or a list")
    return list(found.values())


def _parts(source: str | os.PathLike[str] | FileList, directory: Path, files: int) -> Iterator[Part]:
    if isinstance(source, FileList):
        yield from _parts_of_list(source, directory, files)
    elif isinstance(source, str) and keys.is_url(source):
        for url in remote.expanded(source):
            yield _archive(url)
    else:
        path = absolute(arguments.path(source, "source"))
        if not path.is_file():
            raise UsageError(f"{path}: no file; name archives (.tar, .tar.gz, .parquet) or a list of files")
        yield _archive(str(path))


def _archive(name: str) -> Part:
    if not keys.is_shard(name):
        raise UsageError(f"{name}: no archive; name .tar, .tar.gz or .parquet files, or a list of files")
    return Part(_name(name.rpartition("/")[2], name), name)


def _parts_of_list(listed: FileList, directory: Path, files: int) -> Iterator[Part]:
    """The parts of a list, of so many files each; a list that has grown has the same parts, and more of them."""
    paths, name = listed_paths(listed), Path(listed.path).absolute()
    for number, start in enumerate(range(0, len(paths), files)):
        own = _name(f"{name.stem}-{number:05}", f"{name}#{number}")
        place = directory / LISTS / f"{own}.txt"
        with durable.storage_errors(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            durable.replace(place, b"".join(os.fsencode(path) + b"\0" for path in paths[start : start + files]))
        yield Part(own, FileList(place, Path("/"), null=True))


def _name(shown: str, whole: str) -> str:
    """A name for a directory that tells people what is in it, and is another one for each source."""
    digest = hashlib.sha256(os.fsencode(whole)).hexdigest()[:8]
    return f"{_PLAIN.sub('-', shown)[:_LONGEST].strip('.-') or 'part'}-{digest}"

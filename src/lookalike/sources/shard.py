"""The images of a shard, as a source."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lookalike.errors import UsageError
from lookalike.images import reading
from lookalike.sources import keys
from lookalike.sources.exclusion import Exclusion
from lookalike.sources.folder import Found, Unreadable, key_of
from lookalike.sources.places import Place, named_place
from lookalike.sources.remote import RemotePath
from lookalike.sources.shards.base import DamagedShardError
from lookalike.sources.shards.opened import opened


class ShardFile:
    """The images of a tar archive or of a Parquet file, in the order of their keys' bytes."""

    def __init__(self, path: Place, *, base: Path, exclusion: Exclusion | None = None) -> None:
        """Lists the members, with keys that begin with that of the file, relative to `base`."""
        self.path = path
        self.key = str(path) if isinstance(path, RemotePath) else key_of(path, base)
        self.within: str | None = keys.member_key(self.key, "")
        self._exclusion = exclusion or Exclusion()

    def covers(self, key: str) -> bool:
        return key.startswith(str(self.within))

    def leaves_out(self, key: str) -> bool:
        return self.covers(key) and self._exclusion.leaves_out(key, below=str(self.within))

    def files(self) -> Iterator[Found | Unreadable]:
        """Yields the members. Of a shard that is gone there are none; one that cannot be read has those it had."""
        try:
            found = opened(self.path)
        except FileNotFoundError:
            return
        except OSError as error:
            yield Unreadable(self.path, str(self.within), reading.reason(error))
            return
        except (DamagedShardError, UsageError) as error:
            yield Unreadable(self.path, str(self.within), str(error))
            return
        if found.shard.damage:
            yield Unreadable(self.path, str(self.within), found.shard.damage)
        for member in found.shard.members():
            key = keys.member_key(self.key, member.name)
            if not self.leaves_out(key):
                status = replace(found.status, size=member.size)
                yield Found(named_place(keys.member_key(str(self.path), member.name)), key, status)

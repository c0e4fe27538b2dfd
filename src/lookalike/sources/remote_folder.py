"""The images below a URL, as a source."""

from collections.abc import Iterator

from lookalike.errors import UsageError
from lookalike.images import reading
from lookalike.sources import keys, remote
from lookalike.sources.exclusion import Exclusion
from lookalike.sources.folder import Found, Unreadable
from lookalike.sources.remote import RemotePath


class RemoteFolder:
    """The files below a URL that are called as images are, in the order of their keys' bytes."""

    def __init__(self, path: RemotePath, *, exclusion: Exclusion | None = None) -> None:
        """Lists what is below `path`; the keys are the URLs."""
        self.path, self.key = path, str(path)
        self.within: str | None = self.key
        self._exclusion = exclusion or Exclusion()

    def covers(self, key: str) -> bool:
        return key.startswith(f"{self.key}/") and not keys.in_shard(key)

    def leaves_out(self, key: str) -> bool:
        return self.covers(key) and self._exclusion.leaves_out(key, below=f"{self.key}/")

    def files(self) -> Iterator[Found | Unreadable]:
        try:
            for path, status in remote.images_below(self.path):
                if not self.leaves_out(str(path)):
                    yield Found(path, str(path), status)
        except (OSError, UsageError) as error:
            reason = reading.reason(error) if isinstance(error, OSError) else str(error)
            yield Unreadable(self.path, f"{self.key}/", reason)

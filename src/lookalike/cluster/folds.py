"""Which images are copies of one another, as it is known of each shard."""

from collections.abc import Mapping

from lookalike.cluster.shards import Shards
from lookalike.duplicates.folding import Folds


class JoinedFolds(Folds):
    """What is known of copies in all shards; images of different shards are copies if they are the same bytes."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._joined: tuple[tuple[object, ...], Mapping[bytes, bytes]] = (), {}

    def stamp(self) -> tuple[object, ...]:
        """What is another after every change of what is known of copies."""
        return tuple((shard.number, shard.collection.copies_revision()) for shard in self._shards.present())

    def groups(self) -> Mapping[bytes, bytes]:
        """The centre of the group of each image that is in one, both by the SHA-256s of their files."""
        stamp = self.stamp()
        if stamp != self._joined[0]:
            groups: dict[bytes, bytes] = {}
            for shard in self._shards.present():
                groups |= shard.collection.copy_groups()
            self._joined = stamp, groups
        return self._joined[1]

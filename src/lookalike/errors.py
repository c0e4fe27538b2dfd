"""Every exception that Lookalike raises on purpose.

LookalikeError
├── UsageError               an argument that cannot be right (also a ValueError)
├── ImageError               an image that cannot be used, with its path and the reason
├── ModelError               a network's file that is refused, or a network that cannot be run
│   └── MissingExtraError    what it takes is not installed; the message says how to install it
├── CollectionError
│   ├── NoCollectionError    there is no collection at that place
│   ├── CorruptError         a file of the collection is damaged
│   ├── IncompatibleError    the collection was made by another network or a newer Lookalike
│   └── LockedError          another process is writing to the collection
└── StorageError             the disk is full or failing; nothing acknowledged is lost

And two warnings (UserWarnings): DamagedIndexWarning, where a search goes on without its index, and DeviceWarning, where
a network runs on the CPU instead of the processor that was asked for.
"""


class LookalikeError(Exception):
    """What all of them have in common: the message names the thing, what is wrong and what to do."""


class UsageError(LookalikeError, ValueError):
    """An argument that cannot be right, whatever the state of the collection."""


class ImageError(LookalikeError):
    """An image that cannot be used.

    `reason` is short and speaks of the image only ("truncated", "not an image"); `name` is the
    path or whatever else tells which image it is; `lasting` is False where another try may succeed
    although the file stays as it is (a missing permission, say).
    """

    def __init__(self, reason: str, name: str = "image", *, lasting: bool = True) -> None:
        super().__init__(f"{name}: {reason}")
        self.reason = reason
        self.name = name
        self.lasting = lasting


class ModelError(LookalikeError):
    """A network's file that is refused, or a network that cannot be run."""


class MissingExtraError(ModelError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        """`what` is what cannot be done without it, `extra` the one of Lookalike's that brings it."""
        super().__init__(
            f'{what} takes packages that are not installed; install them with: pip install "lookalike[{extra}]"'
        )


class CollectionError(LookalikeError):
    """Something is wrong with a collection as a whole."""


class NoCollectionError(CollectionError):
    """There is no collection at that place."""


class CorruptError(CollectionError):
    """A file of the collection is damaged; the message names it."""


class IncompatibleError(CollectionError):
    """The collection was made by another network, another version of it, or a newer Lookalike."""


class LockedError(CollectionError):
    """Another process is writing to the collection."""


class StorageError(LookalikeError):
    """The disk is full or failing. What was acknowledged before is there."""


class DamagedIndexWarning(UserWarning):
    """The index of a collection is damaged: searches are exact, and slower, until it is built again."""


class DeviceWarning(UserWarning):
    """A network runs on the CPU, although another processor was asked for."""

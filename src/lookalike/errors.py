"""Every exception that Lookalike raises on purpose, and what to do about it.

LookalikeError
├── UsageError               an argument that cannot be right (also a ValueError)
│   ├── NoImageError         there is no image with that id
│   └── NameTakenError       there is another file of that name
├── ImageError               an image that cannot be used, with its path and the reason
├── ModelError               a model file that is refused, or a model that cannot be run
│   └── MissingExtraError    an optional dependency is not installed
├── CollectionError
│   ├── NoCollectionError    there is no collection at that path
│   ├── CorruptError         a file of the collection is damaged
│   ├── IncompatibleError    the collection was made by another model or a newer Lookalike
│   └── LockedError          another process is writing to the collection
├── StorageError             the disk is full or failing; nothing acknowledged is lost
└── ServiceError             a service that cannot be reached, has too much to do, or does not answer as one

Three warnings (UserWarnings): DamagedIndexWarning, when a search goes on without its index, DeviceWarning, when a
model runs on the CPU instead of the device that was asked for, and FontWarning, when no font has a letter of a name.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Action = Literal[
    "create",
    "keep_regions",
    "open_shard",
    "maintain",
    "reindex",
    "open_with_encoder",
    "trust",
    "forget_sources",
    "relocate",
    "remove_images",
    "import_model",
    "import_model_again",
    "remove_model",
    "inspect_model",
    "find_models",
    "overwrite",
    "install",
    "upgrade",
]
# What each action is good for, and the call that does it; {all} stands for all of its arguments.
_CALLS: dict[Action, tuple[str, str]] = {
    "create": ("make one", "lookalike.create({all})"),
    "keep_regions": (
        "index them",
        "c = lookalike.open({path!r}); c.keep_regions(9); c.update()",
    ),
    "open_shard": ("use one shard by itself", "lookalike.open({path!r})"),
    "maintain": ("build it again", "lookalike.open({path!r}).maintain()"),
    "reindex": ("index its images again", "lookalike.reindex({all})"),
    "open_with_encoder": ("open it with its own encoder", "lookalike.open({all})"),
    "trust": ("trust it", "lookalike.open({path!r}).trust()"),
    "forget_sources": ("forget what it was made of", "pathlib.Path({file!r}).unlink()"),
    "relocate": ("follow its images", "lookalike.relocate({all})"),
    "remove_images": ("remove images that are deleted", "lookalike.open({path!r}).remove([{image!r}])"),
    "import_model": ("import a model", "lookalike.importers.import_model({all})"),
    "import_model_again": (
        "import it again",
        "lookalike.encoders.registry.remove({name!r}); lookalike.importers.import_model({all})",
    ),
    "remove_model": ("remove that one", "lookalike.encoders.registry.remove({all})"),
    "inspect_model": ("list its layers", "lookalike.importers.inspect({all})"),
    "find_models": ("find the folder of imported models", "lookalike.encoders.registry.folder()"),
    "overwrite": ("write there anyway", "overwrite=True"),
    "install": ("install what is missing", 'pip install "lookalike[{extra}]"'),
    "upgrade": ("install versions that match", 'pip install --upgrade "lookalike[{extra}]"'),
}


@dataclass(frozen=True)
class Hint:
    """What to do about an error: an action and its arguments.

    As text it is a Python call; the command line renders it as a shell command instead.

    Attributes:
        action: what to do.
        arguments: by name, the first one positional; `...` stands for what only the user can know.
    """

    action: Action
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def purpose(self) -> str:
        """What the action is good for, such as "make one"."""
        return _CALLS[self.action][0]

    def __str__(self) -> str:
        arguments = ", ".join(
            _shown(value) if place == 0 else f"{name}={_shown(value)}"
            for place, (name, value) in enumerate(self.arguments.items())
        )
        return _CALLS[self.action][1].format(all=arguments, **self.arguments)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"lookalike.importers.ImportOptions({', '.join(f'{name}={each!r}' for name, each in value.items())})"
    return "..." if value is ... else repr(value)


def with_hints(message: str, hints: Iterable[Hint], shown: Callable[[Hint], str | None] = str) -> str:
    """A message, followed by what to do about it, each hint as `shown` renders it; without those that it does not."""
    rendered = [(hint.purpose, shown(hint)) for hint in hints]
    return "; ".join([message, *(f"to {purpose}: {text}" for purpose, text in rendered if text is not None)])


class LookalikeError(Exception):
    """Base class of all errors: the message names the thing and says what is wrong, the hints say what to do.

    Attributes:
        message: without the hints.
        hints: the likeliest first.
    """

    def __init__(self, message: str, *hints: Hint) -> None:
        super().__init__(message, *hints)
        self.message, self.hints = message, hints

    def __str__(self) -> str:
        return with_hints(self.message, self.hints)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles its parts, since a subclass may be made of other arguments than its message and hints."""
        return _restored, (type(self), self.args, vars(self))


def _restored(kind: type[LookalikeError], args: tuple[Any, ...], state: dict[str, Any]) -> LookalikeError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class UsageError(LookalikeError, ValueError):
    """An argument that cannot be right, whatever the state of the collection."""


class NoImageError(UsageError):
    """There is no image with that id."""


class NameTakenError(UsageError):
    """There is another file of that name."""


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
    """A model file that is refused, or a model that cannot be run."""


class MissingExtraError(ModelError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        """`what` is what cannot be done without it; `extra` is the extra of Lookalike's that brings it."""
        super().__init__(f"{what} needs packages that are not installed", Hint("install", {"extra": extra}))


class CollectionError(LookalikeError):
    """Something is wrong with a collection as a whole."""


class NoCollectionError(CollectionError):
    """There is no collection at that path."""


class CorruptError(CollectionError):
    """A file of the collection is damaged; the message names it."""


class IncompatibleError(CollectionError):
    """The collection was made by another model, another version of it, or a newer Lookalike."""


class LockedError(CollectionError):
    """Another process is writing to the collection."""


class StorageError(LookalikeError):
    """The disk is full or failing. What was acknowledged before is there."""


class ServiceError(LookalikeError):
    """A service cannot be reached, refuses the token, has too much to do, or does not answer as a service does.

    Attributes:
        status: the HTTP status of its answer, such as 401 or 503; None if there was none.
    """

    def __init__(self, message: str, *hints: Hint, status: int | None = None) -> None:
        super().__init__(message, *hints)
        self.status = status


class _HintedWarning(UserWarning):
    """A warning with what to do about it; see LookalikeError."""

    def __init__(self, message: str, *hints: Hint) -> None:
        super().__init__(message, *hints)
        self.message, self.hints = message, hints

    def __str__(self) -> str:
        return with_hints(self.message, self.hints)


class DamagedIndexWarning(_HintedWarning):
    """The index of a collection is damaged: searches are exact, and slower, until it is built again."""


class FontWarning(_HintedWarning):
    """No font has some letters of a contact sheet, which shows them without accents or as escapes."""


class DeviceWarning(UserWarning):
    """A model runs on the CPU, although another device was asked for."""

"""What a collection is to know of images, by the rule that decides which image a file is.

Contents come first: an image follows them. If they are nowhere else, a file at a known path is the image of that path.
Unlike the program, the model looks at all files at once, so no order and no stop can matter to it.
"""

from collections.abc import Collection as Sized
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass
class ModelImage:
    """An image: its contents stand for the bytes of its file; `since` is the run that missed it."""

    id: int
    key: str
    contents: int
    since: int = 0


@dataclass
class ImageModel:
    """The files that there are, and what is to be known of images.

    Attributes:
        files: the contents of each file by key; None for a file that cannot be used.
        images: by key.
        missing: by id.
        skipped: the keys of files that were left out.
        newest: the largest id so far.
        runs: the number of runs so far.
    """

    files: dict[str, int | None] = field(default_factory=dict)
    images: dict[str, ModelImage] = field(default_factory=dict)
    missing: dict[int, ModelImage] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    newest: int = 0
    runs: int = 0

    @property
    def by_id(self) -> dict[int, ModelImage]:
        """All images, missing or not."""
        return {image.id: image for image in self.images.values()} | self.missing

    def bring_up_to_date(self, covered: Sized[str], ids: Mapping[str, int]) -> dict[str, int]:
        """Does what a complete run over these files does, and returns what its report has to say.

        Args:
            covered: the keys of the run.
            ids: of all images by key, as the run has left them. Of several images with the same contents, any may
                follow them; this says which one did.

        Raises:
            AssertionError: the run has given a file to an image that it is not.
        """
        self.runs += 1
        files = {key: contents for key in covered if (contents := self.files.get(key)) is not None}
        changed = {key: contents for key, contents in files.items() if not self._is_as_it_was(key, contents)}
        followed = self._follow(changed, ids)
        self._miss(key for key in covered if key not in files or key in followed)
        for key in sorted(changed):
            image = followed.get(key) or self._at_path(key) or self._new(key, ids)
            image.key, image.contents, image.since = key, changed[key], 0
            self.images[key] = image
        unusable = {key for key in covered if key in self.files and key not in files}
        self.skipped = self.skipped - set(covered) | unusable
        assert {key: image.id for key, image in self.images.items()} == ids
        self.newest = max([self.newest, *ids.values()])
        return {"changed": len(changed), "unchanged": len(files) - len(changed), "skipped": len(unusable)}

    def forget(self, ids: Iterable[int]) -> None:
        """Forgets images, missing or not."""
        gone = set(ids)
        self.images = {key: image for key, image in self.images.items() if image.id not in gone}
        self.missing = {id_: image for id_, image in self.missing.items() if id_ not in gone}

    def _is_as_it_was(self, key: str, contents: int) -> bool:
        return key in self.images and self.images[key].contents == contents

    def _follow(self, changed: Mapping[str, int], ids: Mapping[str, int]) -> dict[str, ModelImage]:
        """Takes the images that follow their contents out, and returns them by their new keys."""
        followed: dict[str, ModelImage] = {}
        for contents in set(changed.values()):
            keys = {key for key in changed if changed[key] == contents}
            free = [image for image in self.by_id.values() if image.contents == contents and self._is_displaced(image)]
            back = [image for image in self.missing.values() if image.contents == contents and image.key in keys]
            possible = {image.id: image for image in (*free, *back)}
            followed |= {key: possible[ids[key]] for key in keys if ids.get(key) in possible}
            at_their_own = {image.key for image in back}
            assert all(followed[key].key == key for key in at_their_own)
            assert len(keys & followed.keys()) == len(at_their_own) + min(len(keys - at_their_own), len(free))
        self.forget(image.id for image in followed.values())
        return followed

    def _is_displaced(self, image: ModelImage) -> bool:
        """Whether the contents of an image are no longer where they were."""
        return self.files.get(image.key) != image.contents

    def _miss(self, keys: Iterable[str]) -> None:
        for key in keys:
            if image := self.images.pop(key, None):
                image.since = self.runs
                self.missing[image.id] = image

    def _at_path(self, key: str) -> ModelImage | None:
        """The image that is at a path, or the missing one that was there last."""
        if key in self.images:
            return self.images[key]
        last = max(
            (image for image in self.missing.values() if image.key == key),
            key=lambda image: (image.since, image.id),
            default=None,
        )
        return self.missing.pop(last.id) if last else None

    def _new(self, key: str, ids: Mapping[str, int]) -> ModelImage:
        assert ids[key] > self.newest, f"{key} has the id of another image"
        return ModelImage(ids[key], key, 0)

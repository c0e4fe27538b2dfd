"""A folder of drawn pictures that changes at random."""

import os
import random
from collections.abc import Sequence
from pathlib import Path

from tests.campaigns.soak.history import Images
from tests.support.pictures import draw

PICTURES = 400  # in the folder, approximately
LASTING = 120  # pictures that are never changed
FOLDERS = ("", "cats", "dogs", "dogs/old")
SEEDS = 10_000  # of pictures
FUTURE_NS = 4 * 10**18  # later than any time that the system gives a file, so that these times differ from all of them


class PhotoFolder:
    """A folder whose files come, go, change, are copied, renamed and spoiled.

    Attributes:
        path: the folder.
        seeds: by key, the seed of the picture in each file; None for a file that is no image.
        lasting: the keys of the files that are never changed.
        copied: the seeds of pictures of which there have been several files.
    """

    def __init__(self, path: Path, rng: random.Random) -> None:
        """Fills the folder."""
        self.path, self._random = path, rng
        self._time_ns, self._next_key, self._next_seed = FUTURE_NS, 0, 0
        self.copied: set[int | None] = set()
        self._lost: set[int | None] = set()  # seeds of pictures that some file does not have any more
        self.seeds: dict[str, int | None] = {self.new_key(): self._new_seed() for _ in range(PICTURES)}
        for key in self.seeds:
            self._write(key)
        self.lasting = set(list(self.seeds)[:LASTING])

    def change(self, images: Images) -> None:
        """Makes some changes that have one clear meaning for a collection that holds these images."""
        touched = self._delete_some(images)
        gone = {image.seed for key, image in images.items() if key not in self.seeds}
        for key in self.some([key for key in self.passing() if key not in touched], 6):
            # Every file with a picture that is gone stays as it is, lest one be taken for the other, renamed.
            if self.seeds[key] not in gone:
                gone |= self._alter(key, images)
        # A copy of an image that is missing would be taken for that one, even if there is another copy of it.
        old = [image.seed for image in images.values() if image.seed not in gone | self._lost]
        for _ in range(self._random.randrange(30 if self._random.random() < 0.2 else 14)):
            key = self.new_key()
            if old and self._random.random() < 0.15:
                self.seeds[key] = self._random.choice(old)
                self.copied.add(self.seeds[key])
            else:
                self.seeds[key] = self._new_seed()
            self._write(key)

    def add(self) -> list[str]:
        """Writes a few files of new pictures; returns their keys."""
        new = [self.new_key() for _ in range(self._random.randrange(1, 8))]
        for key in new:
            self.seeds[key] = self._new_seed()
            self._write(key)
        return new

    def delete(self, key: str) -> None:
        """Deletes a file."""
        (self.path / key).unlink()
        self._lost.add(self.seeds.pop(key))

    def passing(self) -> list[str]:
        """The keys of the files that may be changed."""
        return [key for key in self.seeds if key not in self.lasting]

    def some(self, keys: Sequence[str], most: int) -> list[str]:
        """Some of these keys, at least one and fewer than `most`, as far as there are so many."""
        return self._random.sample(keys, min(self._random.randrange(1, most), len(keys)))

    def new_key(self) -> str:
        """A key that no file has had."""
        self._next_key += 1
        return f"{self._random.choice(FOLDERS)}/{self._next_key}.png".lstrip("/")

    def _delete_some(self, images: Images) -> set[str]:
        touched: set[str] = set()
        kept_out = {seed for key, seed in self.seeds.items() if seed is not None and key not in images}
        for key in self.some(self.passing(), 16 if len(self.seeds) > PICTURES else 6):
            # If the same picture comes back under another name, that would be taken for a new image.
            if self.seeds[key] not in kept_out:
                self.delete(key)
                touched.add(key)
        return touched

    def _alter(self, key: str, images: Images) -> set[int]:
        """Changes, spoils or renames a file; returns the seed of the image that is gone from its key then, if any."""
        match self._random.choice(["change", "change", "spoil", "rename"]):
            case "change":
                self._lost.add(self.seeds[key])
                self.seeds[key] = self._new_seed()
            case "spoil":
                self._lost.add(self.seeds[key])
                self.seeds[key] = None
            case "rename" if self._is_renamable(key, images):
                new = self.new_key()
                (self.path / new).parent.mkdir(exist_ok=True, parents=True)
                (self.path / key).rename(self.path / new)
                self.seeds[new] = self.seeds.pop(key)
                return {images[key].seed}
        self._write(key)
        return set()

    def _is_renamable(self, key: str, images: Images) -> bool:
        """Whether the picture exists once, so that it is clear which file has become which."""
        seed = self.seeds[key]
        return (
            seed not in self._lost
            and [name for name, image in images.items() if image.seed == seed] == [key]
            and list(self.seeds.values()).count(seed) == 1
        )

    def _new_seed(self) -> int:
        self._next_seed += 1
        assert self._next_seed < SEEDS
        return self._next_seed

    def _write(self, key: str) -> None:
        seed = self.seeds[key]
        if seed is None:
            (self.path / key).write_bytes(b"text")
        else:
            draw(self.path / key, seed)
        self._time_ns += 1
        os.utime(self.path / key, ns=(self._time_ns, self._time_ns))

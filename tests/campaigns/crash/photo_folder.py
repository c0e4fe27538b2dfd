"""A folder of drawn pictures that changes at random."""

import os
from pathlib import Path

import numpy as np

from tests.support.pictures import draw

PICTURES = 25  # in the folder, approximately
FUTURE_NS = 4 * 10**18  # later than any time that the system gives a file, so that these times differ from all of them


class PhotoFolder:
    """A folder whose files are written, spoiled, deleted and renamed.

    Attributes:
        path: the folder.
        seeds: by key, the seed of the picture in each file; None for a file that is no image.
    """

    def __init__(self, path: Path, random: np.random.Generator) -> None:
        """Fills the folder."""
        self.path, self._random = path, random
        self.seeds: dict[str, int | None] = {}
        self._time_ns = FUTURE_NS
        while len(self.seeds) < PICTURES:
            self._write()

    def change_a_file(self) -> None:
        """Makes one random change."""
        key = str(self._random.choice(sorted(self.seeds)))
        has_enough = len(self.images()) > PICTURES // 2
        match self._random.choice(["write", "spoil", "delete", "rename"]):
            case "write":
                self._write()
            case "spoil" if has_enough:
                (self.path / key).write_bytes(b"text")
                self._set_time(key)
                self.seeds[key] = None
            case "delete" if has_enough:
                (self.path / key).unlink()
                del self.seeds[key]
            case _:
                self._time_ns += 1
                new = f"renamed {self._time_ns}.png"
                (self.path / key).rename(self.path / new)
                self.seeds[new] = self.seeds.pop(key)

    def images(self) -> list[str]:
        """The keys of the files that are images."""
        return [key for key, seed in self.seeds.items() if seed is not None]

    def stamp(self, key: str) -> tuple[int, int]:
        """A file's size in bytes and its time of change in nanoseconds."""
        status = (self.path / key).stat()
        return status.st_size, status.st_mtime_ns

    def _write(self) -> None:
        folders, names = ("", "a", "a.b", "b/c"), range(3 * PICTURES)
        key = f"{self._random.choice(folders)}/{self._random.choice(names)}.png".lstrip("/")
        seed = int(self._random.integers(40))
        draw(self.path / key, seed)
        self._set_time(key)
        self.seeds[key] = seed

    def _set_time(self, key: str) -> None:
        self._time_ns += 1
        os.utime(self.path / key, ns=(self._time_ns, self._time_ns))

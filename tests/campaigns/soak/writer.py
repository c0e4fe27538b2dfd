"""Changes a folder and its collection all the time, and knows what the collection has to hold after each commit."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lookalike import Collection
from tests.campaigns.soak.history import COLOURS, HistoryWriter, Image, Images, Step, vector_of
from tests.campaigns.soak.photo_folder import PhotoFolder

SPECS = (
    None,
    "IVF4,SQ8",
    "IVF8,Flat",
    "Pad28,IVF4,PQ7x4fs",
    "IVF8_HNSW8,PQ5x4fs",
    "PCA16,IVF4,SQ8",
    "IVF4,RaBitQ",
    "HNSW8",
    "HNSW8,SQ8",
    "Flat",
    "SQ8",
)


@dataclass
class Work:
    """What the writer has done.

    Attributes:
        commits: the number of commits of any kind.
        done: how often each operation was done, by name.
        compactions: how often dead vectors were removed.
    """

    commits: int = 0
    done: Counter[str] = field(default_factory=Counter)
    compactions: int = 0


class Writer:
    """Writes to a collection, and writes the history."""

    def __init__(self, photos: Collection, history: HistoryWriter, seed: int) -> None:
        """Fills the collection's folder, and then the collection."""
        self._photos, self._history = photos, history
        self._random = random.Random(seed)
        self._folder = PhotoFolder(photos.folder, self._random)
        self._images: Images = {}
        self._missing: Images = {}  # what is known of them comes back with their files
        self.work = Work()
        self._add()
        self._annotate(sorted(self._folder.lasting))

    def write_once(self) -> None:
        """Does one operation, chosen at random."""
        names, weights = ["add", "add some", "remove", "annotate", "maintain", "build"], [6, 2, 3, 2, 5, 2]
        name = self._random.choices(names, weights)[0]
        match name:
            case "add":
                self._folder.change(self._images)
                self._add()
            case "add some":
                self._add_some()
            case "remove":
                self._remove()
            case "annotate":
                self._annotate(self._folder.some(list(self._images), 20))
            case "maintain":
                self._maintain()
            case "build":
                self._build()
        self.work.done[name] += 1

    @property
    def generation(self) -> int:
        """The number of the newest index; 0 if there is none."""
        stored = self._photos._catalog.state().generation
        return stored.number if stored else 0

    def check_end(self) -> None:
        """Checks that the collection holds what was written, and nothing else.

        Raises:
            AssertionError: it does not.
        """
        self._begin(Step())
        self._photos.maintain()
        self._history.done()
        assert self._photos.check() == []
        found = {match.key: match.score for match in self._photos.search_vector(vector_of(0), k=10**6, exact=True)}
        assert found.keys() == self._images.keys()
        for key, score in found.items():
            assert abs(score - vector_of(self._images[key].seed) @ vector_of(0)) < 1e-3
        state, directory = self._photos._catalog.state(), self._photos.directory
        kept = {f"{state.generation.number:06}.faiss", f"{state.generation.number:06}.json"} if state.generation else []
        assert {path.name for path in directory.glob("index/*")} == set(kept)
        assert {path.name for path in directory.glob("vectors*")} == {state.vectors}

    def _begin(self, *steps: Step) -> None:
        """Notes what is about to be committed."""
        self._history.begin(steps)
        self.work.commits += len(steps)
        for step in steps:
            step.apply_to(self._images)

    def _changed_images(self, keys: Sequence[str]) -> dict[str, Image | None]:
        """The images that change when these files are added.

        The same path brings back what was known of an image, else the same contents do.
        """
        changes: dict[str, Image | None] = {}
        for key in keys:
            seed, image = self._folder.seeds[key], self._images.get(key)
            if seed is None and image is not None:
                changes[key], self._missing[key] = None, image
            elif seed is not None and (image is None or image.seed != seed):
                known = image or self._returned(key, seed)
                changes[key] = replace(known, seed=seed) if known else Image(seed)
        return changes

    def _returned(self, key: str, seed: int) -> Image | None:
        """The missing image that a file brings back."""
        same = [name for name, image in self._missing.items() if image.seed == seed]
        return self._missing.pop(key if key in self._missing else same[0] if same else "", None)

    def _add(self) -> None:
        """Adds the folder, with a commit for what is new and changed, and then another one for what is gone."""
        changed = self._changed_images(list(self._folder.seeds))
        gone: dict[str, Image | None] = {key: None for key in self._images if key not in self._folder.seeds}
        new_ids = []
        for key in list(gone):
            image = self._images[key]
            for new, added in changed.items():
                if added and new not in self._images and added.seed == image.seed:  # it was renamed
                    gone[new] = image
                    new_ids.append(new)
                    break
            else:
                self._missing[key] = image
        self._begin(Step(changed), Step(gone, new_ids))
        self._photos.add(self._folder.path, threads=2)
        self._history.done()

    def _add_some(self) -> None:
        """Adds single files. New images are found at once, with an index or without."""
        new = self._folder.add()
        keys = new + self._folder.some(self._folder.passing(), 4)
        self._begin(Step(self._changed_images(keys)))
        self._photos.add([self._folder.path / key for key in keys], threads=1)
        self._history.done()
        for key in new:
            found = self._photos.search_vector(vector_of(self._images[key].seed), k=3)
            assert key in [match.key for match in found], f"{key} is new, and is not found"

    def _remove(self) -> None:
        """Removes some images. The files of a few of them stay, so that they come back later."""
        keys = self._folder.some([key for key in self._images if key not in self._folder.lasting], 24)
        for key in keys:
            # A copy that came back could be another image whose file has gone or was changed meanwhile.
            is_copied = self._images[key].seed in self._folder.copied
            if key in self._folder.seeds and (is_copied or self._random.random() < 0.7):
                self._folder.delete(key)
        self._begin(Step(dict.fromkeys(keys)))
        assert self._photos.remove([self._folder.path / key for key in keys]) == len(keys)
        self._history.done()

    def _annotate(self, keys: Sequence[str]) -> None:
        changes: dict[str, Image | None] = {}
        lines = ["path,colour,price"]
        for key in keys:
            colour, price = self._random.choice(COLOURS), self._random.randrange(100)
            lines.append(f"{key},{colour},{price}")
            changes[key] = replace(self._images[key], colour=colour, price=price)
        table = self._folder.path.parent / "table.csv"
        table.write_text("\n".join(lines))
        self._begin(Step(changes))
        assert self._photos.annotate(table).images == len(keys)
        self._history.done()

    def _maintain(self) -> None:
        self._begin(Step())
        done = self._photos.maintain()
        self._history.done()
        self.work.compactions += done.removed > 0
        self.work.done["joined"] += done.joined > 0
        self.work.done["built anew"] += done.built is not None

    def _build(self) -> None:
        before = self._photos._catalog.state().vectors
        spec, recall = self._random.choice(SPECS), self._random.choice([0.9, 0.98])
        self._begin(Step())
        self._photos.build(spec=spec, recall=recall)
        self._history.done()
        self.work.done[f"built {spec}"] += 1
        self.work.compactions += self._photos._catalog.state().vectors != before

"""Random histories of a folder and its collection, which a model follows; tests add what else may happen."""

import contextlib
import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from unittest import mock

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from PIL import Image

import lookalike
from lookalike import Collection, Report
from lookalike.images.reading import FileStatus
from lookalike.index.policies import DEFAULT, Policies
from lookalike.ingest import embedding, pipeline
from tests.support.image_model import ImageModel, ModelImage
from tests.support.pictures import ColourEncoder, picture
from tests.support.reindexing import stop_after

FOLDERS = ("", "a", "b", "b/c")
NAMES = st.sampled_from([f"{folder}/{name}.png".lstrip("/") for folder in FOLDERS for name in ("x", "y", "z")])
PARTS = st.sampled_from(FOLDERS)
SEEDS = st.integers(0, 15)
UNUSABLE = st.sampled_from([b"", b"text", "truncated"])
MANY = st.dictionaries(NAMES, SEEDS, min_size=8) | st.dictionaries(NAMES, SEEDS)
ATTRIBUTES = st.dictionaries(st.sampled_from(["label", "note"]), st.sampled_from(["one", "two"]), min_size=1)


_IMAGES = "SELECT id, key, hash, 0 FROM images JOIN vectors USING (row)"
_MISSING = "SELECT id, key, hash, since_ns FROM missing"
_ATTRIBUTES = "SELECT * FROM attributes UNION ALL SELECT * FROM missing_attributes"


@cache
def contents(seed: int) -> bytes:
    """The bytes of the file of a picture."""
    buffer = BytesIO()
    Image.fromarray(picture(seed)).save(buffer, "PNG")
    return buffer.getvalue()


@cache
def seed_of(hash_: bytes) -> int:
    """The seed of the picture whose file has that SHA-256."""
    return next(seed for seed in itertools.count() if hashlib.sha256(contents(seed)).digest() == hash_)


def _image(id_: int, key: str, hash_: bytes, since: int) -> ModelImage:
    return ModelImage(id_, key, seed_of(hash_), since)


@contextlib.contextmanager
def in_small_steps(batch: int, group: int) -> Iterator[None]:
    """Commits after so many files, which are read in groups of so many."""
    with mock.patch.object(pipeline, "_COMMIT_IMAGES", batch), mock.patch.object(embedding, "GROUP", group):
        yield


class FileHistory(RuleBasedStateMachine):
    """Files come, change, go, are renamed and come back, and a collection is brought up to date with them."""

    policies: Policies = DEFAULT

    def __init__(self) -> None:
        super().__init__()
        self.cleanup = contextlib.ExitStack()
        self.model = ImageModel()
        self.attributes: dict[int, dict[str, str]] = {}  # by id
        self.is_exact = True  # unless files have changed since a run was stopped
        self.unplugged: dict[str, dict[str, int | None]] = {}  # the files of each folder that is away
        self.time = 10**18  # each file has a time of its own, since some changes follow within a tick of the clock
        self.outside = Path(self.cleanup.enter_context(tempfile.TemporaryDirectory())).resolve()
        self.folder = Path(self.cleanup.enter_context(tempfile.TemporaryDirectory())).resolve()

    def make_collection(self, *, files_are_young: bool) -> None:
        """Makes an empty collection; a young file is read again in each run."""
        if not files_are_young:
            self.cleanup.enter_context(mock.patch.object(FileStatus, "settled", lambda status, _: status))
        self.photos = lookalike.create(self.folder, encoder=ColourEncoder(), policies=self.policies)

    def opened(self) -> Collection:
        return lookalike.open(self.folder, encoder=ColourEncoder(), policies=self.policies)

    def teardown(self) -> None:
        if hasattr(self, "photos"):
            assert self.photos.check() == []
            self.photos.close()
        self.cleanup.close()

    # What happens to the files

    def _put(self, key: str, data: bytes, seed: int | None) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.model.files[key] = seed
        self._stamp(key)

    def _stamp(self, key: str) -> None:
        self.time += 1
        os.utime(self.folder / key, ns=(self.time, self.time))

    def _move(self, old: str, new: str) -> None:
        (self.folder / new).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / old).rename(self.folder / new)
        self.model.files[new] = self.model.files.pop(old)

    @rule(key=NAMES, seed=SEEDS)
    def write(self, key: str, seed: int) -> None:
        self._put(key, contents(seed), seed)

    @rule(key=NAMES, data=UNUSABLE)
    def become_unusable(self, key: str, data: bytes | str) -> None:
        """As the placeholder of a file that is elsewhere, or while a copy is under way."""
        whole = contents(self.model.files.get(key) or 0)
        self._put(key, whole[: len(whole) // 2] if isinstance(data, str) else data, None)

    @rule(key=NAMES)
    def touch(self, key: str) -> None:
        if key in self.model.files:
            self._stamp(key)

    @rule(key=NAMES)
    def delete(self, key: str) -> None:
        if key in self.model.files:
            del self.model.files[key]
            (self.folder / key).unlink()

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        if old in self.model.files:
            self._move(old, new)

    @rule(old=NAMES, new=NAMES, seed=SEEDS)
    def rename_and_replace(self, old: str, new: str, seed: int) -> None:
        self.rename(old, new)
        self.write(old, seed)

    @rule(one=NAMES, other=NAMES)
    def exchange(self, one: str, other: str) -> None:
        if one != other and {one, other} <= self.model.files.keys():
            self._move(one, "aside")
            self._move(other, one)
            self._move("aside", other)

    @rule(part=PARTS, to_front=st.booleans())
    def renumber(self, part: str, to_front: bool) -> None:
        """The file y becomes z and x becomes y, or the other way round."""
        names = [f"{part}/{name}.png".lstrip("/") for name in ("zz", "z", "y", "x")]
        for new, old in itertools.pairwise(names[::-1] if to_front else names):
            if old in self.model.files:
                self._move(old, new)

    @rule(old=NAMES, new=NAMES)
    def copy(self, old: str, new: str) -> None:
        if old in self.model.files:
            self._put(new, (self.folder / old).read_bytes(), self.model.files[old])

    @rule(part=st.sampled_from(FOLDERS[1:]))
    def unplug(self, part: str) -> None:
        """A folder goes away as a whole, as when a drive is unplugged; if it is away, it comes back."""
        here, away = self.folder / part, self.outside / part.replace("/", "-")
        if part in self.unplugged:
            self._plug_in(here, away)
            self.model.files |= self.unplugged.pop(part)
        elif here.exists():
            here.rename(away)
            self.unplugged[part] = {
                key: self.model.files.pop(key) for key in self._covered(part) & set(self.model.files)
            }

    def _plug_in(self, here: Path, away: Path) -> None:
        here.parent.mkdir(parents=True, exist_ok=True)
        if not here.exists():
            away.rename(here)
            return
        for path in [path for path in away.rglob("*") if path.is_file()]:  # onto what has been written meanwhile
            place = here / path.relative_to(away)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)
        shutil.rmtree(away)

    # What happens to the collection

    def _covered(self, part: str) -> set[str]:
        """The keys below a folder, of all files that there are or have been."""
        model = self.model
        keys = {*model.files, *model.images, *model.skipped, *(image.key for image in model.missing.values())}
        return {key for key in keys if not part or key.startswith(f"{part}/")}

    @rule(part=PARTS, threads=st.integers(1, 3), batch=st.integers(1, 4), group=st.integers(1, 4))
    def add(self, part: str, threads: int, batch: int, group: int) -> None:
        if (self.folder / part).is_dir():
            with in_small_steps(batch, group):
                report = self.photos.add(self.folder / part, threads=threads)
            self._has_brought_up_to_date(self._covered(part), report, is_folder=True)

    @rule(keys=st.sets(NAMES, min_size=1, max_size=4))
    def add_files(self, keys: set[str]) -> None:
        report = self.photos.add([self.folder / key for key in keys])
        self._has_brought_up_to_date(keys, report, is_folder=False)

    @rule(seeds=MANY)
    def write_and_add_many(self, seeds: dict[str, int]) -> None:
        for key, seed in seeds.items():
            self.write(key, seed)
        self.add("", threads=1, batch=100, group=100)

    @rule(
        stops=st.lists(st.integers(1, 12), min_size=1, max_size=3),
        between=st.sampled_from(["nothing", "annotate", "prune", "remove", "compact"]),
        key=NAMES,
        batch=st.integers(1, 4),
    )
    def add_with_stops(self, stops: list[int], between: str, key: str, batch: int) -> None:
        """A run that is stopped again and again has the same outcome as one that is not."""
        for done in stops:
            if not self._stop_after(done, batch):  # it was through before
                self._update_model(self._covered(""))
            match between:
                case "annotate":
                    self.annotate(key, {"note": f"after {done}"})
                case "prune":
                    self.prune()
                case "remove":
                    self.remove({key})
                case "compact":
                    self.photos.build()
        self.photos.add(self.folder, threads=1)
        self._update_model(self._covered(""))

    @rule(done=st.integers(1, 12), batch=st.integers(1, 4))
    def add_a_part(self, done: int, batch: int) -> None:
        """A run is stopped, and then anything may happen."""
        self.is_exact = False
        self._stop_after(done, batch)

    def _stop_after(self, done: int, batch: int) -> bool:
        """Stops a run after so many files; returns False if it had no more."""
        try:
            with in_small_steps(batch, 1):
                self.photos.add(self.folder, threads=1, progress=stop_after(done))
        except KeyboardInterrupt:
            return True
        return False

    @rule(key=NAMES, values=ATTRIBUTES)
    def annotate(self, key: str, values: dict[str, str]) -> None:
        with self.photos._catalog.writing() as transaction:
            is_there = transaction.set_attributes(key, values)
        known = self.known()
        missing = [image for image in known.missing.values() if image.key == key]
        last = max(missing, key=lambda image: (image.since, image.id), default=None)
        image = known.images.get(key) or last
        assert is_there == (image is not None)
        if image:
            self.attributes[image.id] = self.attributes.get(image.id, {}) | values

    @rule(keys=st.sets(NAMES, max_size=3))
    def remove(self, keys: set[str]) -> None:
        gone = {image.id for image in self.known().by_id.values() if image.key in keys}
        assert self.photos.remove(sorted(keys)) == len(gone)
        self._forget(gone)
        self.model.skipped -= keys

    @rule()
    def prune(self) -> None:
        gone = set(self.known().missing)
        assert self.photos.prune() == len(gone)
        self._forget(gone)

    def _forget(self, ids: set[int]) -> None:
        self.model.forget(ids)
        self.attributes = {id_: values for id_, values in self.attributes.items() if id_ not in ids}

    @rule()
    def reopen(self) -> None:
        self.photos.close()
        self.photos = self.opened()

    # What the collection then knows

    def _update_model(self, covered: set[str]) -> dict[str, int]:
        """Tells the model of a run that is complete, and returns what is to be reported; {} if that is uncertain."""
        found = self.known()
        if self.is_exact:
            return self.model.bring_up_to_date(covered, {key: image.id for key, image in found.images.items()})
        self.is_exact = covered >= self._covered("")
        newest, runs = max(self.model.newest, found.newest), max(self.model.runs, found.runs)
        self.model = replace(found, files=self.model.files, newest=newest, runs=runs)
        return {}

    def _has_brought_up_to_date(self, covered: set[str], report: Report, *, is_folder: bool) -> None:
        if not (told := self._update_model(covered)):
            return
        missing = [image.since == self.model.runs for image in self.model.missing.values() if image.key in covered]
        assert report.added + report.updated + report.renamed + report.returned == told["changed"]
        assert (report.unchanged, report.missing) == (told["unchanged"], sum(missing))
        assert report.missing_before == (len(missing) - sum(missing) if is_folder else 0)
        not_there = 0 if is_folder else len(covered - self.model.files.keys())
        assert len(report.skipped) + report.skipped_before == told["skipped"] + not_there

    @property
    def images(self) -> dict[str, ModelImage]:
        """The images that the catalog has, by key."""
        return self.known().images

    def known(self) -> ImageModel:
        """What the catalog says, but for the files."""
        with self.photos._catalog._database.connection() as connection:
            images, missing = ([_image(*row) for row in connection.execute(query)] for query in (_IMAGES, _MISSING))
        return ImageModel(
            images={image.key: image for image in images},
            missing={image.id: image for image in missing},
            skipped={key for key, _ in self.photos._catalog.skipped()},
            newest=max((image.id for image in (*images, *missing)), default=0),
            runs=max((image.since for image in missing), default=0),
        )

    def _attributes(self) -> dict[int, dict[str, str]]:
        found: dict[int, dict[str, str]] = {}
        with self.photos._catalog._database.connection() as connection:
            for id_, name, value in connection.execute(_ATTRIBUTES):
                found.setdefault(id_, {})[name] = value
        return found

    @invariant()
    def keeps_all_that_is_known(self) -> None:
        """No id is ever lost, nor an attribute, whatever happens to files and runs."""
        if not hasattr(self, "photos"):
            return
        found, model = self.known(), self.model
        assert len(found.by_id) == len(found.images) + len(found.missing)
        assert found.by_id.keys() >= model.by_id.keys()
        assert self._attributes() == self.attributes
        if self.is_exact:
            assert (found.images, found.skipped) == (model.images, model.skipped)
            assert {id_: (image.key, image.contents) for id_, image in found.missing.items()} == {
                id_: (image.key, image.contents) for id_, image in model.missing.items()
            }

    def label_of(self, image: ModelImage) -> str | None:
        """The label that an image was given, else the name of its folder."""
        folder = image.key.rpartition("/")[0].rpartition("/")[2] or None
        return self.attributes.get(image.id, {}).get("label", folder)

    @invariant()
    def finds_no_missing_image(self) -> None:
        if hasattr(self, "photos"):
            found = self.photos.search_vector(np.ones(ColourEncoder.dim), k=1000, exact=True)
            expected = {(image.id, key, self.label_of(image)) for key, image in self.images.items()}
            assert {(match.id, match.key, match.label) for match in found} == expected

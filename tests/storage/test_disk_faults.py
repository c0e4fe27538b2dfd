"""A disk that is full or failing, at every single write: an error that says so, and all that was acknowledged.

One of 25 calls that write is tried, or of 60 if an index is built, with each kind of disk another one; all with
LOOKALIKE_THOROUGH=1 in the environment. This module also runs the attempts, in a process of its own:

    python -m tests.storage.test_disk_faults ROOT KIND SCENARIO TEMPLATE EVERY
"""

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

import lookalike
from lookalike import Collection
from lookalike.errors import DamagedIndexWarning, NoCollectionError, StorageError
from lookalike.images.reading import FileStatus
from lookalike.ingest import pipeline
from lookalike.storage.catalog import Catalog
from tests.support.catalogs import images_of
from tests.support.commands import run
from tests.support.failing_disk import KINDS, Say, attempt_all, numbers, shim
from tests.support.pictures import ColourEncoder, draw, picture, stored_vectors
from tests.support.project import THOROUGH, environment
from tests.support.small_policies import small_policies

__all__ = ["shim"]  # a fixture
EVERY, EVERY_BUILD = (1, 1) if THOROUGH else (25, 60)
POLICIES = small_policies(exact=16, young=3, growth=10)


# What is done, and what it says of itself


def scenario(folder: Path, say: Say, *, again: bool = False) -> None:
    """Makes a collection, adds to it, changes it, removes from it; each commit is of two files.

    After an error it may try again, without opening the collection anew.
    """
    with (
        mock.patch.object(pipeline, "_COMMIT_IMAGES", 2),
        mock.patch.object(pipeline, "_COMMIT_SECONDS", 1e9),
        mock.patch.object(FileStatus, "settled", lambda status, _: status),  # however young the files are
        lookalike.create(folder, encoder=ColourEncoder()) as photos,
    ):
        say("created")
        try:
            photos.add(folder, threads=1, progress=lambda progress: say(f"first {progress.done} {progress.committed}"))
            say("first done")
            change(folder)
            photos.add(folder, threads=1, progress=lambda progress: say(f"second {progress.done} {progress.committed}"))
            say("second done")
            photos.remove(["c.png", "d.png"])
            say("removed")
        except StorageError:
            say_what_is_found(photos, say)
            if again:
                photos.add(folder)
                say("again")
            raise


def lay_out(folder: Path) -> None:
    for seed, name in enumerate("abcdef"):
        draw(folder / f"{name}.png", seed)
    (folder / "text.png").write_bytes(b"text")


def change(folder: Path) -> None:
    draw(folder / "b.png", 20)
    os.utime(folder / "b.png", ns=(1, 1))
    (folder / "e.png").unlink()
    (folder / "f.png").rename(folder / "renamed.png")
    for seed in range(6, 9):
        draw(folder / f"new {seed}.png", seed)


def build_scenario(folder: Path, say: Say) -> None:
    """Builds and maintains the index of a collection that `lay_out_index` has made, and takes dead vectors out."""
    with opened(folder) as photos:
        try:
            photos.build(spec="IVF2,SQ8", recall=0.9)
            say("built")
            for seed in range(60, 64):
                draw(folder / f"{seed}.png", seed)
            photos.add([folder / f"{seed}.png" for seed in range(60, 64)], threads=1)
            say("added")
            photos.maintain()
            say("joined")
            photos.remove([folder / f"{seed}.png" for seed in range(20, 30)])
            say("removed")
            photos.maintain()
            say("maintained")
        except StorageError:
            say_what_is_found(photos, say)
            raise


@contextmanager
def opened(folder: Path) -> Iterator[Collection]:
    """A collection that is maintained as large ones are, where a damaged index is an error and not only a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DamagedIndexWarning)
        with lookalike.open(folder, encoder=ColourEncoder(), policies=POLICIES) as photos:
            yield photos


def lay_out_index(folder: Path) -> None:
    """A collection with an index, which has dead vectors in it and young ones beside it."""
    for seed in range(50):
        draw(folder / f"{seed}.png", seed)
    with lookalike.create(folder, encoder=ColourEncoder(), policies=POLICIES) as photos:
        photos.add([folder / f"{seed}.png" for seed in range(45)], threads=1)
        photos.build(spec="IVF2,SQ8", recall=0.9)
        photos.remove([folder / f"{seed}.png" for seed in range(6)])
        photos.add([folder / f"{seed}.png" for seed in range(45, 50)], threads=1)


def say_what_is_found(photos: Collection, say: Say) -> None:
    """A search in the process that met the error, while the disk is as it is."""
    try:
        say(f"found {sorted(match.key for match in photos.search(picture(0), k=100))}")
    except StorageError:
        say("found nothing")


# What is expected of it

State = list[tuple[int, str, str | None, bytes]]


@dataclass(frozen=True)
class Undisturbed:
    """What it says, how many commits are before each saying, and what each of them leaves."""

    said: list[str]
    commits: list[int]
    states: list[State]
    files: list[set[str]]


def state_of(directory: Path) -> State:
    catalog = Catalog(directory / "catalog.sqlite")
    vectors = stored_vectors(directory)
    state = [(image.id, image.key, image.label, vectors[image.key].tobytes()) for image in images_of(catalog)]
    state += [(0, key, reason, b"") for key, reason in catalog.skipped()]
    catalog.close()
    return sorted(state)


def named_files(directory: Path) -> set[str]:
    """The files of vectors and of the index that the catalog names."""
    catalog = Catalog(directory / "catalog.sqlite")
    state = catalog.state()
    catalog.close()
    if state.generation is None:
        return {state.vectors}
    return {state.vectors} | {f"index/{state.generation.number:06}.{suffix}" for suffix in ("faiss", "json")}


def files(directory: Path) -> set[str]:
    """Those that there are."""
    found = (*directory.glob("vectors*"), *directory.glob("index/*"))
    return {str(path.relative_to(directory)) for path in found}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first scenario begins with: some images."""
    folder = tmp_path_factory.mktemp("template").resolve() / "photos"
    lay_out(folder)
    return folder


@pytest.fixture(scope="module")
def index_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the other one begins with: a collection with an index."""
    folder = tmp_path_factory.mktemp("index template").resolve() / "photos"
    lay_out_index(folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed").resolve() / "photos"
    shutil.copytree(template, folder)
    return recorded(folder, scenario, Undisturbed([], [], [[]], [{"vectors.faiss"}]))


@pytest.fixture(scope="module")
def undisturbed_build(tmp_path_factory: pytest.TempPathFactory, index_template: Path) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed").resolve() / "photos"
    shutil.copytree(index_template, folder)
    directory = folder / ".lookalike"
    return recorded(folder, build_scenario, Undisturbed([], [], [state_of(directory)], [named_files(directory)]))


def recorded(folder: Path, scenario: Callable[[Path, Say], None], result: Undisturbed) -> Undisturbed:
    """What a scenario says and leaves, where nothing fails."""
    writing = Catalog.writing

    @contextmanager
    def watched(catalog: Catalog) -> Iterator[Any]:
        with writing(catalog) as transaction:
            yield transaction
        result.states.append(state_of(folder / ".lookalike"))
        result.files.append(named_files(folder / ".lookalike"))

    def say(line: str) -> None:
        result.said.append(line)
        result.commits.append(len(result.states) - 1)

    with mock.patch.object(Catalog, "writing", watched):
        scenario(folder, say)
    return result


def test_the_scenario_makes_many_commits_which_differ(undisturbed: Undisturbed) -> None:
    assert undisturbed.commits[-1] >= 8
    assert len({str(state) for state in undisturbed.states}) >= 8
    assert [entry[1] for entry in undisturbed.states[-1]] == [
        "text.png",
        "a.png",
        "b.png",
        "renamed.png",
        "new 6.png",
        "new 7.png",
        "new 8.png",
    ]


def test_the_build_scenario_makes_commits_that_name_other_files(undisturbed_build: Undisturbed) -> None:
    assert undisturbed_build.said == ["built", "added", "joined", "removed", "maintained"]
    kept = [tuple(sorted(files)) for files in undisturbed_build.files]
    assert [names[-1] for names in kept] == ["vectors.faiss", *["vectors.000001.faiss"] * 4, "vectors.000002.faiss"]
    assert [names[0] for names in kept] == [f"index/00000{number}.faiss" for number in (1, 2, 2, 3, 3, 4)]


def attempts(
    shim: Path, root: Path, kind: str, name: str, template: Path, every: int = EVERY
) -> Iterator[tuple[Path, list[str]]]:
    """The folder of each attempt, and what was said; the first, in which nothing fails, is left out."""
    command = [
        sys.executable,
        "-m",
        "tests.storage.test_disk_faults",
        str(root),
        str(KINDS[kind]),
        name,
        str(template),
        str(every),
    ]
    subprocess.run(command, env=environment(LD_PRELOAD=str(shim), OPENBLAS_NUM_THREADS="1"), check=True)
    for number in numbers(KINDS[kind], every, int((root / "0" / "calls").read_text())):
        yield root / str(number) / "photos", (root / str(number) / "said").read_text().splitlines()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_whichever_write_fails_what_was_acknowledged_is_there(
    shim: Path, undisturbed: Undisturbed, template: Path, tmp_path: Path, kind: str
) -> None:
    """The error is a StorageError, the state is one that was committed, and the next run completes."""
    attempted = list(attempts(shim, tmp_path.resolve(), kind, "add", template))
    for folder, said in attempted:
        assert_is_as_it_was_said(folder, said, undisturbed, kind)
        assert_next_run_completes(folder)
    assert (tmp_path / "0" / "said").read_text().splitlines() == [*undisturbed.said, "done"]
    assert len(attempted) >= 300 // EVERY
    assert_ends([said[-1] for _, said in attempted])


@pytest.mark.timeout(1800)
def test_a_collection_goes_on_when_the_disk_is_well_again(shim: Path, template: Path, tmp_path: Path) -> None:
    """Without being opened anew, as in a server."""
    went_on = 0
    for folder, said in attempts(shim, tmp_path.resolve(), "failing", "add again", template):
        if said[0] == "created" and said[-1] != "done":
            assert said[-2] == "again", (folder, said)
            went_on += 1
            assert_next_run_completes(folder)
    assert went_on > 200 // EVERY


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_whichever_write_of_a_build_fails_the_last_index_serves(
    shim: Path, undisturbed_build: Undisturbed, index_template: Path, tmp_path: Path, kind: str
) -> None:
    """No other error than StorageError; the state is one that was committed; nothing stays on a disk that is full."""
    attempted = list(attempts(shim, tmp_path.resolve(), kind, "build", index_template, EVERY_BUILD))
    for folder, said in attempted:
        if kind != "dying":
            assert files(folder / ".lookalike") == named_files(folder / ".lookalike"), (folder, said)
        assert_is_as_it_was_said(folder, said, undisturbed_build, kind)
        assert_next_build_completes(folder)
    assert (tmp_path / "0" / "said").read_text().splitlines() == [*undisturbed_build.said, "done"]
    assert len(attempted) >= 250 // EVERY_BUILD
    assert_ends([said[-1] for _, said in attempted])


def assert_ends(ends: list[str]) -> None:
    """Most attempts ended with an error, and none with any other than a StorageError."""
    assert [end for end in ends if end != "done" and not end.startswith("StorageError ")] == []
    assert ends.count("done") < len(ends) / 2


def assert_next_build_completes(folder: Path) -> None:
    with opened(folder) as photos:
        before = photos.search(picture(0), k=100, exact=True)
        assert len(photos.search(picture(0), k=100)) == len(before)  # by the last index
        photos.build(spec="IVF2,SQ8", recall=0.9)
        assert photos.check() == []
        assert photos.search(picture(0), k=100, exact=True) == before
        index = photos.info().index
        assert index
        assert index.rows == len(photos)
        assert files(photos.directory) == named_files(photos.directory)


def assert_is_as_it_was_said(folder: Path, said: list[str], undisturbed: Undisturbed, kind: str) -> None:
    found = [line.removeprefix("found ") for line in said if line.startswith("found ")]
    acknowledged = [line for line in said[:-1] if not line.startswith("found ")]
    assert acknowledged == undisturbed.said[: len(acknowledged)]
    if not (folder / ".lookalike" / "collection.json").exists():
        assert acknowledged == []
        return
    with lookalike.open(folder, encoder=ColourEncoder()) as photos:
        assert photos.check() == []
    first = undisturbed.commits[len(acknowledged) - 1] if acknowledged else 0
    last = undisturbed.commits[min(len(acknowledged), len(undisturbed.commits) - 1)]
    possible = undisturbed.states[first : last + 1]
    assert state_of(folder / ".lookalike") in possible
    assert named_files(folder / ".lookalike") in undisturbed.files[first : last + 1]
    if found and kind != "dying":  # it goes on answering although the disk is full
        assert found[0] in [str(sorted(key for id_, key, *_ in state if id_)) for state in possible]


def assert_next_run_completes(folder: Path) -> None:
    try:
        photos = lookalike.open(folder, encoder=ColourEncoder())
    except NoCollectionError:
        photos = lookalike.create(folder, encoder=ColourEncoder())
    with photos:
        photos.add(folder)
        assert photos.check() == []
        vectors = stored_vectors(photos.directory)
        assert vectors.keys() == {path.name for path in folder.glob("*.png")} - {"text.png"}
        for key, vector in vectors.items():
            np.testing.assert_allclose(vector, photos.embed(folder / key)[0], atol=1e-3)
        assert len(photos.search(picture(0), k=100)) == len(vectors)


@pytest.mark.parametrize(("kind", "number"), [("full", 1), ("failing", 12), ("full", 40), ("dying", 40)])
def test_the_command_line_ends_with_exit_code_5_and_an_explanation(
    shim: Path, tmp_path: Path, kind: str, number: int
) -> None:
    folder = tmp_path.resolve() / "photos"
    lay_out(folder)
    faults = {"FAULT_BELOW": str(folder / ".lookalike"), "FAULT_KIND": str(KINDS[kind]), "FAULT_AT": str(number)}
    command = [sys.executable, "-m", "lookalike", "index", str(folder)]
    done = subprocess.run(command, env=os.environ | faults | {"LD_PRELOAD": str(shim)}, capture_output=True, text=True)
    assert done.returncode == 5, done.stderr
    assert ".lookalike" in done.stderr
    assert "Traceback" not in done.stderr
    assert run("index", folder, "--strict", cwd=folder)[0] == 3  # since one of them is no image


SCENARIOS: dict[str, Callable[[Path, Say], None]] = {
    "add": scenario,
    "add again": partial(scenario, again=True),
    "build": build_scenario,
}

if __name__ == "__main__":
    attempt_all(Path(sys.argv[1]), int(sys.argv[2]), SCENARIOS[sys.argv[3]], Path(sys.argv[4]), int(sys.argv[5]))

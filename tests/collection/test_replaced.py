"""A collection that is open while another one, or a backup, takes its place on the disk."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike import Collection, Progress
from lookalike.errors import CorruptError, IncompatibleError
from tests.support.pictures import ColourEncoder, draw, everything, picture, stored_vectors


def make_anew(photos: Collection) -> Collection:
    """Deletes a collection and indexes its folder again, as another process does."""
    shutil.rmtree(photos.directory)
    other = lookalike.create(photos.folder, encoder=ColourEncoder())
    other.add(photos.folder)
    return other


def nearest(collection: Collection, seed: int) -> tuple[str, float]:
    [match] = collection.search(picture(seed), k=1)
    return match.key, round(match.score, 3)


def assert_is_sound(collection: Collection, seeds: dict[str, int]) -> None:
    """It holds just these pictures, each with its own vector, also on the disk."""
    assert collection.check() == []
    assert everything(collection).keys() == seeds.keys()
    for key, vector in stored_vectors(collection.directory).items():
        [[expected]] = collection.embed(picture(seeds[key]))[None].astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(vector, expected)


@pytest.fixture
def seeds(folder: Path) -> dict[str, int]:
    """The seed of each of the twelve pictures, by key."""
    return {path.relative_to(folder).as_posix(): int(path.stem) for path in folder.rglob("*.png")}


def test_a_search_answers_from_the_collection_that_is_there_now(photos: Collection, folder: Path) -> None:
    assert nearest(photos, 50) != ("50.png", 1.0)
    draw(folder / "50.png", 50)
    with make_anew(photos):
        assert nearest(photos, 50) == ("50.png", 1.0)
        assert len(photos) == 13


def test_what_is_added_to_the_new_collection_is_never_cut_off(
    photos: Collection, folder: Path, seeds: dict[str, int]
) -> None:
    """The old one knows of fewer vectors than the new file has."""
    for seed in range(20, 40):
        seeds[draw(folder / f"{seed}.png", seed).name] = seed
    with make_anew(photos) as other:
        seeds[draw(folder / "50.png", 50).name] = 50
        report = photos.add(folder)
        assert (report.added, report.unchanged) == (1, 32)
        assert_is_sound(other, seeds)
        assert_is_sound(photos, seeds)


def test_each_way_to_write_makes_sure_of_the_collection(photos: Collection, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("path,price\n00.png,7\n")
    with make_anew(photos) as other:
        photos.annotate(tmp_path / "table.csv")
        assert photos.remove([folder / "cats"]) == 4
        assert photos.prune() == 0
        assert photos.maintain().built is None
        assert everything(other)["00.png"].attributes == {"price": 7}
        assert len(other) == 8
        assert other.check() == []


def test_a_run_does_not_touch_the_collection_that_replaces_its_own(
    photos: Collection, folder: Path, seeds: dict[str, int]
) -> None:
    for seed in range(20, 60):
        draw(folder / f"{seed}.png", seed)
    others: list[Collection] = []

    def replace_it(progress: Progress) -> None:
        if progress.added >= 1 and not others:
            shutil.rmtree(photos.directory)
            others.append(lookalike.create(folder, encoder=ColourEncoder()))
            others[0].add([folder / key for key in seeds])

    photos.add([draw(folder / "19.png", 19)])
    # A thread that looks while there is none says that it is gone.
    with pytest.raises(IncompatibleError, match=r"(has taken the place of this one|it is gone; .*); open it again"):
        photos.add(folder, progress=lambda progress: replace_it(Progress(1, None, 1, 0, 0)))
    [other] = others
    assert_is_sound(other, seeds)
    assert len(photos) == 12
    other.close()


def test_threads_that_search_go_on_with_the_new_collection(photos: Collection, folder: Path) -> None:
    """Each has a connection of its own to the catalog."""
    found: list[str] = []
    begin, replaced = threading.Barrier(5), threading.Event()

    def search() -> None:
        assert nearest(photos, 3)[1] == 1.0
        begin.wait()
        replaced.wait()
        found.append(nearest(photos, 50)[0])

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    begin.wait()
    draw(folder / "50.png", 50)
    with make_anew(photos):
        replaced.set()
        for thread in threads:
            thread.join()
    assert found == ["50.png"] * 4


def test_a_collection_of_another_encoder_is_refused_each_time(photos: Collection, folder: Path) -> None:
    shutil.rmtree(photos.directory)
    with lookalike.create(folder, encoder=ColourEncoder("other")) as other:
        other.add(folder)
        for _ in range(2):
            with pytest.raises(IncompatibleError, match="open it again"):
                photos.search(picture(1))
            with pytest.raises(IncompatibleError, match="open it again"):
                photos.add(folder)
        assert len(other) == 12


def test_a_collection_that_is_gone_says_so_and_may_come_back(photos: Collection, folder: Path) -> None:
    away = photos.directory.rename(photos.directory.with_name("away"))
    with pytest.raises(IncompatibleError, match="it is gone"):
        photos.search(picture(1))
    away.rename(photos.directory)
    assert nearest(photos, 1)[1] == 1.0


@pytest.mark.parametrize("in_place", [False, True], ids=["beside", "in place"])
def test_a_backup_that_is_restored_is_what_answers(
    photos: Collection, folder: Path, tmp_path: Path, in_place: bool
) -> None:
    shutil.copytree(photos.directory, backup := tmp_path / "backup")
    photos.add([draw(folder / "50.png", 50)])
    assert nearest(photos, 50) == ("50.png", 1.0)
    if not in_place:
        shutil.rmtree(photos.directory)
    shutil.copytree(backup, photos.directory, dirs_exist_ok=True)
    assert len(photos) == 12
    assert nearest(photos, 50)[0] != "50.png"
    report = photos.add(folder)
    assert (report.added, report.unchanged) == (1, 12)
    assert nearest(photos, 50) == ("50.png", 1.0)
    assert photos.check() == []


def test_an_index_of_the_same_number_in_another_collection_is_read(photos: Collection, folder: Path) -> None:
    photos.build(spec="IVF2,Flat")
    assert nearest(photos, 1)[1] == 1.0
    draw(folder / "50.png", 50)
    with make_anew(photos) as other:
        other.build(spec="IVF3,Flat")
        index = photos.info().index
        assert index is not None
        assert index.spec == "IVF3,Flat"
        assert nearest(photos, 50) == ("50.png", 1.0)


@pytest.mark.parametrize("name", ["catalog.sqlite", "collection.json"])
def test_files_of_two_collections_do_not_become_one(photos: Collection, tmp_path: Path, name: str) -> None:
    shutil.copy2(photos.directory / name, tmp_path / name)
    make_anew(photos).close()
    shutil.copy2(tmp_path / name, photos.directory / name)
    with pytest.raises(CorruptError, match="restore both from one backup"):
        lookalike.open(photos.folder, encoder=ColourEncoder())


def test_a_catalog_of_an_older_backup_does_not_cut_vectors_off(
    photos: Collection, folder: Path, tmp_path: Path
) -> None:
    shutil.copy2(photos.directory / "catalog.sqlite", tmp_path)
    photos.add([draw(folder / "50.png", 50)])
    size = (photos.directory / "vectors.faiss").stat().st_size
    shutil.copy2(tmp_path / "catalog.sqlite", photos.directory)
    with (
        lookalike.open(folder, encoder=ColourEncoder()) as other,
        pytest.raises(CorruptError, match="13 vectors have been committed"),
    ):
        other.add(folder)
    assert (photos.directory / "vectors.faiss").stat().st_size == size

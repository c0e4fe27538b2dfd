"""Another model for a collection: everything is there again, the old serves until then, and nothing is ever mixed."""

import errno
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray

import lookalike
from lookalike import Collection, Progress
from lookalike.collection import migration
from lookalike.collection.reindex import explain, reindex, unfinished
from lookalike.errors import (
    CorruptError,
    ImageError,
    IncompatibleError,
    LockedError,
    NoCollectionError,
    StorageError,
    UsageError,
)
from lookalike.filters import Where
from lookalike.images import decode
from lookalike.images.decode import prepare
from lookalike.ingest import embedding
from lookalike.storage import layout as directories
from lookalike.storage import manifest, sqlite
from lookalike.storage.catalog import Catalog
from lookalike.storage.vectors import VectorWriter
from tests.campaigns import reindex_faults
from tests.campaigns.reindex_faults import CoarseEncoder
from tests.support.failing_disk import KINDS, shim
from tests.support.pictures import ColourEncoder, assert_best, cosines_ready, draw, picture, stored_vectors
from tests.support.small_policies import small_thresholds

__all__ = ["shim"]  # a fixture


class CountingEncoder(CoarseEncoder):
    """One that knows how many pictures it was given."""

    def __init__(self, fingerprint: str = "c0a45e01") -> None:
        super().__init__(fingerprint)
        self.pictures = 0

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.pictures += len(pixels)
        return super().encode(pixels)


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here loses power, so nothing waits for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(sqlite, "_set_durability", reindex_faults.only_foreign_keys)


@pytest.fixture
def coarse() -> CountingEncoder:
    return CountingEncoder()


def data(directory: Path) -> Path:
    """Where a collection's catalog, vectors and index are."""
    return manifest.read(directory).place(directory)


def stop_after(done: int) -> Callable[[Progress], None]:
    def stop(progress: Progress) -> None:
        if progress.done == done:
            raise KeyboardInterrupt

    return stop


def begin(photos: Collection, encoder: CoarseEncoder, done: int = 5) -> None:
    """A re-indexing that is stopped."""
    with mock.patch.object(embedding, "GROUP", 1), pytest.raises(KeyboardInterrupt):
        reindex(photos.folder, encoder=encoder, threads=1, progress=stop_after(done))


def facts_of(photos: Collection) -> dict[str, tuple[int, str | None, dict[str, object]]]:
    """What each image has besides its vector, by key."""
    found = photos.search_vector(np.ones(photos.made_by.dim), k=1000)
    assert len(found) == len(photos)
    return {match.key: (match.id, match.label, dict(match.attributes)) for match in found}


def annotate(photos: Collection, table: str) -> None:
    path = photos.folder.parent / "table.csv"
    path.write_text(table)
    photos.annotate(path)


# What comes of it


def test_the_vectors_are_those_of_a_collection_made_with_that_model(photos: Collection, tmp_path: Path) -> None:
    fresh = lookalike.create(photos.folder, directory=tmp_path / "fresh", encoder=CoarseEncoder())
    fresh.add(photos.folder)
    reindex(photos.folder, encoder=CoarseEncoder())
    with lookalike.open(photos.folder, encoder=CoarseEncoder()) as again:
        assert (again.made_by, again.check()) == (fresh.made_by, [])
        vectors, expected = stored_vectors(data(again.directory)), stored_vectors(fresh.directory)
        assert vectors.keys() == expected.keys()
        assert all(np.array_equal(vectors[key], expected[key]) for key in vectors)
        pixels = prepare(picture(3), CoarseEncoder.preprocessing).pixels[None]
        query = cosines_ready(CoarseEncoder().encode(pixels)[0])
        exact = {key: vector.astype(np.float64) for key, vector in vectors.items()}
        assert_best(again.search(picture(3), k=12), query, exact, 12)


def test_ids_attributes_and_labels_stay(photos: Collection) -> None:
    annotate(photos, "path,price,label,note\ncats/01.png,5,lions,\ndogs/02.png,2.5,,\n00.png,,,dear\n")
    photos.remove(["cats/04.png"])
    before = facts_of(photos)
    assert before["cats/01.png"] == (5, "lions", {"label": "lions", "price": 5})
    report = reindex(photos.folder, encoder=CoarseEncoder())
    assert (report.unchanged, report.added, report.removed, report.renamed) == (11, 1, 0, 0)
    with lookalike.open(photos.folder, encoder=CoarseEncoder()) as again:
        after = facts_of(again)
        assert after.pop("cats/04.png") == (13, "cats", {})  # its file had stayed
        assert after == before
        assert {match.key for match in again.search(picture(0), where=Where(attributes={"price": 5}))} == {
            "cats/01.png"
        }
        assert again.search_id(5).queries[0].key == "cats/01.png"


def test_an_id_that_an_image_has_had_is_not_used_again(photos: Collection) -> None:
    draw(photos.folder / "last.png", 40)
    photos.add(photos.folder)
    (photos.folder / "last.png").unlink()
    photos.add(photos.folder)
    reindex(photos.folder, encoder=CoarseEncoder())
    draw(photos.folder / "another.png", 41)
    with lookalike.open(photos.folder, encoder=CoarseEncoder()) as again:
        again.add(photos.folder)
        assert facts_of(again)["another.png"][0] == 14
    again.remove([photos.folder])
    reindex(photos.folder, encoder=ColourEncoder(), sources=[[photos.folder / "00.png"]])
    with lookalike.open(photos.folder, encoder=ColourEncoder()) as again:
        assert facts_of(again) == {"00.png": (15, None, {})}


def test_images_from_elsewhere_and_files_of_any_name_are_indexed_again(photos: Collection, tmp_path: Path) -> None:
    elsewhere = draw(tmp_path.resolve() / "elsewhere" / "x.png", 30)
    strange = os.fsdecode(b"caf\xe9 #1?%.png")
    draw(photos.folder / "link to nothing.png", 31).unlink()
    shutil.copy(elsewhere, photos.folder / strange)
    photos.add(elsewhere.parent)
    photos.add(photos.folder)
    annotate(photos, f"path,price\n{elsewhere},7\n")
    before = facts_of(photos)
    assert {str(elsewhere), strange} < before.keys()
    assert reindex(photos.folder, encoder=CoarseEncoder()).unchanged == 14
    with lookalike.open(photos.folder) as again:
        assert facts_of(again) == before


def test_what_is_renamed_new_changed_or_gone_by_then_is_noticed(photos: Collection, tmp_path: Path) -> None:
    annotate(photos, "path,price,label\ncats/01.png,5,lions\ndogs/05.png,6,\n")
    elsewhere = draw(tmp_path.resolve() / "elsewhere" / "x.png", 30)
    photos.add([elsewhere])
    before = facts_of(photos)
    elsewhere.write_text("text")
    (photos.folder / "cats" / "01.png").rename(photos.folder / "dogs" / "renamed.png")
    (photos.folder / "00.png").unlink()
    draw(photos.folder / "dogs" / "05.png", 50)
    draw(photos.folder / "new.png", 51)
    (photos.folder / "text.png").write_text("text")
    report = reindex(photos.folder, encoder=CoarseEncoder())
    assert (report.added, report.renamed, report.unchanged, report.removed) == (1, 1, 10, 2)
    assert {skipped.path for skipped in report.skipped} == {elsewhere, photos.folder / "text.png"}
    with lookalike.open(photos.folder, encoder=CoarseEncoder()) as again:
        after = facts_of(again)
        assert (
            after.pop("dogs/renamed.png") == before.pop("cats/01.png") == (5, "lions", {"label": "lions", "price": 5})
        )
        assert after.pop("new.png") == (14, None, {})
        assert after == {key: fact for key, fact in before.items() if key not in ("00.png", str(elsewhere))}
        assert again.search(picture(50), k=1)[0].key == "dogs/05.png"
        assert [skipped.path.name for skipped in again.skipped()] == ["x.png", "text.png"]


@pytest.fixture
def elsewhere(photos: Collection) -> Path:
    """A folder on another disk, with two images that the collection has too, one of them with an attribute."""
    folder = photos.folder.parent / "other disk"
    photos.add([draw(folder / name, seed) for seed, name in enumerate(("x.png", "y.png"), 30)])
    annotate(photos, f"path,colour\n{folder / 'x.png'},red\n")
    return folder


@pytest.mark.parametrize("moment", ["before", "meanwhile"])
def test_images_whose_disk_is_away_are_not_given_up(
    photos: Collection, coarse: CountingEncoder, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Where it is away before anything is done, nothing is; else the next run carries on once it is back."""
    before, away = facts_of(photos), elsewhere.with_name("away")

    def take_away_first(*arguments: Any) -> Any:
        elsewhere.rename(away)
        return VectorWriter(*arguments)

    if moment == "before":
        elsewhere.rename(away)
    else:
        monkeypatch.setattr(migration, "VectorWriter", take_away_first)
    with pytest.raises(UsageError) as raised:
        reindex(photos.folder, encoder=coarse)
    monkeypatch.setattr(migration, "VectorWriter", VectorWriter)
    assert f"2 images, such as {elsewhere / 'x.png'}, cannot be read now" in str(raised.value)
    assert f"lookalike remove -c {photos.directory} '{elsewhere / 'x.png'}'; nothing has been" in str(raised.value)
    assert facts_of(photos) == before
    assert coarse.pictures == (0 if moment == "before" else 12)
    with lookalike.open(photos.folder, encoder=ColourEncoder()) as again:
        assert again.add(photos.folder).unchanged == 12
    away.rename(elsewhere)
    reindex(photos.folder, encoder=coarse)
    assert coarse.pictures == 14
    with lookalike.open(photos.folder, encoder=coarse) as again:
        assert facts_of(again) == before
        assert facts_of(again)[str(elsewhere / "x.png")][2] == {"colour": "red"}


def test_an_image_that_may_not_be_read_when_it_is_its_turn_is_not_given_up(
    photos: Collection, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = decode.read

    def refuse(path: Path) -> object:
        if path.name == "x.png":
            raise ImageError("permission denied", str(path), lasting=False)
        return read(path)

    monkeypatch.setattr(decode, "read", refuse)
    with pytest.raises(UsageError, match=r"the image .*x\.png cannot be read now"):
        reindex(photos.folder, encoder=CoarseEncoder())
    monkeypatch.undo()
    before = facts_of(photos)
    reindex(photos.folder, encoder=CoarseEncoder())
    with lookalike.open(photos.folder, encoder=CoarseEncoder()) as again:
        assert facts_of(again) == before


def test_what_is_taken_out_first_does_not_come_back(photos: Collection, elsewhere: Path) -> None:
    begin(photos, CoarseEncoder())  # it has those from elsewhere by then
    begun = photos.directory / "data.000001"
    assert str(elsewhere / "x.png") in stored_vectors(begun)
    elsewhere.rename(elsewhere.with_name("away"))
    with pytest.raises(UsageError, match="2 images"):
        reindex(photos.folder, encoder=CoarseEncoder())
    photos.remove([elsewhere])
    before = facts_of(photos)
    assert reindex(photos.folder, encoder=CoarseEncoder()).added == 0
    with lookalike.open(photos.folder, encoder=CoarseEncoder()) as again:
        assert facts_of(again) == before


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(
    photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, scandir, lexists = facts_of(photos), os.scandir, os.path.lexists
    shut = photos.folder / "cats"

    def refuse(path: Path) -> Any:
        if Path(path) == shut:
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os.path, "lexists", lambda path: Path(path).parent != shut and lexists(path))
    with pytest.raises(UsageError, match=r"4 images, such as .*cats/01\.png, cannot be read now"):
        reindex(photos.folder, encoder=CoarseEncoder())
    monkeypatch.undo()
    assert facts_of(photos) == before
    shutil.rmtree(shut)  # which is what `add` takes for gone too
    assert reindex(photos.folder, encoder=CoarseEncoder()).removed == 4


def test_the_collections_own_folder_may_be_away_too(folder: Path, tmp_path: Path) -> None:
    place, elsewhere = tmp_path.resolve() / "place", tmp_path.resolve() / "other disk"
    with lookalike.create(folder, directory=place, encoder=ColourEncoder()) as photos:
        photos.add(folder)
        photos.add([draw(elsewhere / "x.png", 30)])
    folder.rename(folder.with_name("away"))
    with pytest.raises(UsageError, match="12 images, such as"):
        reindex(place, [elsewhere], encoder=CoarseEncoder())


def test_where_no_image_is_there_any_more_nothing_is_changed(photos: Collection) -> None:
    shutil.move(photos.folder / "cats", photos.folder.parent / "cats")
    shutil.move(photos.folder / "dogs", photos.folder.parent / "dogs")
    for path in photos.folder.glob("*.png"):
        path.unlink()
    with pytest.raises(UsageError, match="none of the 12 images"):
        reindex(photos.folder, encoder=CoarseEncoder())
    assert len(photos.search(picture(0), k=100)) == 12
    photos.remove([photos.folder])
    assert reindex(photos.folder, encoder=CoarseEncoder()).removed == 0  # of a collection that is empty


def test_a_large_collection_gets_an_index_and_one_that_had_one_keeps_its_promise(photos: Collection) -> None:
    for seed in range(20, 30):
        draw(photos.folder / f"{seed}.png", seed)
    with small_thresholds(exact=16):
        assert photos.info().index is None
        reindex(photos.folder, encoder=ColourEncoder("other"))
        with lookalike.open(photos.folder, encoder=ColourEncoder("other")) as again:
            assert again.build(recall=0.5)
        reindex(photos.folder, encoder=ColourEncoder())
        with lookalike.open(photos.folder, encoder=ColourEncoder()) as again:
            index = again.info().index
            assert index
            assert (index.rows, index.promise) == (22, 0.5)
            assert again.check() == []


def test_it_may_be_done_again_and_again_and_leaves_nothing_behind(photos: Collection) -> None:
    before = facts_of(photos)
    for number, encoder in enumerate((CoarseEncoder(), ColourEncoder("other"), CoarseEncoder("third")), 1):
        photos.build(spec="Flat") if number == 1 else None
        reindex(photos.folder, encoder=encoder)
        left = {path.name for path in photos.directory.iterdir()}
        assert left == {"collection.json", "lock", f"data.{number:06}"}
        with lookalike.open(photos.folder, encoder=encoder) as again:
            assert facts_of(again) == before
            assert again.add(photos.folder).unchanged == 12


def test_a_collection_in_a_directory_of_its_own_is_indexed_again_there(folder: Path, tmp_path: Path) -> None:
    place = tmp_path.resolve() / "elsewhere"
    with lookalike.create(folder, directory=place, encoder=ColourEncoder()) as photos:
        photos.add(folder)
    reindex(place, encoder=CoarseEncoder())
    with lookalike.open(place, encoder=CoarseEncoder()) as again:
        assert (len(again), again.folder) == (12, folder)
    assert not (folder / ".lookalike").exists()


def test_catalogs_with_a_write_ahead_log_are_indexed_again_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_WAL_IS_SAFE", True)
    with lookalike.create(folder, encoder=ColourEncoder()) as photos:
        photos.add(folder)
        before = facts_of(photos)
        assert (photos.directory / "catalog.sqlite-wal").exists()
        reindex(folder, encoder=CoarseEncoder())
        with pytest.raises(IncompatibleError, match="open it again"):
            photos.search(picture(0))
    with lookalike.open(folder, encoder=CoarseEncoder()) as again:
        assert facts_of(again) == before
        again.remove(["00.png"])
    left = {path.name for path in photos.directory.iterdir()}
    assert left == {"collection.json", "lock", "data.000001"}


def test_the_bundled_network_takes_over_by_its_name(photos: Collection) -> None:
    reindex(photos.folder, model="efficientnet-lite0", precision="f32", device="cpu")
    with lookalike.open(photos.folder) as again:
        assert (str(again.made_by), again.made_by.dim, len(again)) == ("efficientnet-lite0 (f32)", 1280, 12)
        assert again.search(photos.folder / "00.png", k=1)[0].score > 0.999
    with pytest.raises(UsageError, match=r"indexed with efficientnet-lite0 \(f32\) already"):
        reindex(photos.folder, model="efficientnet-lite0")


# What is refused


def test_the_model_that_there_is_and_no_collection_and_no_threads_are_refused(
    photos: Collection, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="indexed with colours already"):
        reindex(photos.folder, encoder=ColourEncoder())
    with pytest.raises(UsageError, match="threads=0"):
        reindex(photos.folder, encoder=CoarseEncoder(), threads=0)
    with pytest.raises(UsageError, match="no such file or folder"):
        reindex(photos.folder, encoder=CoarseEncoder(), sources=[photos.folder / "nowhere"])
    with pytest.raises(UsageError, match="there is no model 'nothing'"):
        reindex(photos.folder, model="nothing")
    with pytest.raises(NoCollectionError, match="lookalike index"):
        reindex(tmp_path / "nowhere", encoder=CoarseEncoder())
    assert {path.name for path in photos.directory.iterdir()} == {
        "catalog.sqlite", "collection.json", "lock", "vectors.faiss"
    }  # fmt: skip


def test_there_is_one_writer_and_readers_go_on(photos: Collection, encoder: ColourEncoder) -> None:
    expected, refused = photos.search(picture(0), k=12), []

    def progress(_: Progress) -> None:
        with lookalike.open(photos.folder, encoder=encoder) as another:
            assert another.search(picture(0), k=12) == photos.search(picture(0), k=12) == expected
            for write in (lambda: another.remove(["00.png"]), lambda: reindex(photos.folder, encoder=CoarseEncoder())):
                with pytest.raises(LockedError):
                    write()
                refused.append(write)

    reindex(photos.folder, encoder=CoarseEncoder(), progress=progress)
    assert len(refused) == 2 * 2 * 12


@pytest.mark.parametrize("failing", ["check", "create"])
def test_where_it_cannot_begin_no_catalog_stays_open(
    photos: Collection, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    still_open: list[Catalog] = []

    class Watched(Catalog):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            still_open.append(self)

        def close(self) -> None:
            super().close()
            still_open.remove(self)

    monkeypatch.setattr(migration, "Catalog", Watched)
    with mock.patch.object(Watched, failing, side_effect=StorageError("!")), pytest.raises(StorageError):
        reindex(photos.folder, encoder=CoarseEncoder())
    assert still_open == []


def test_a_damaged_catalog_is_not_replaced(photos: Collection) -> None:
    with closing(sqlite3.connect(photos.directory / "catalog.sqlite")) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("INSERT INTO dead VALUES (4711)")  # a row that is not there
        connection.commit()
    with pytest.raises(CorruptError, match=r"catalog\.sqlite"):
        reindex(photos.folder, encoder=CoarseEncoder())
    assert unfinished(photos.directory) is None


# What is said before


def test_it_is_explained_beforehand(photos: Collection) -> None:
    told = explain(photos.folder, model="efficientnet-lite0")
    assert told
    catalog = (photos.directory / "catalog.sqlite").stat().st_size
    assert (told.images, told.bytes, told.unfinished) == (12, 12 * 1280 * 2 + catalog, None)
    for said in (
        "12 images were indexed with colours",
        "those of efficientnet-lite0 (int8)",
        f"run: lookalike index {photos.folder} --model efficientnet-lite0 --reindex\n",
        f"lookalike plan {photos.folder} --model efficientnet-lite0\n",
        "ids, attributes and labels stay",
        "0.1 MB",
    ):
        assert said in str(told)
    assert explain(photos.folder, encoder=ColourEncoder()) is None
    with small_thresholds(exact=1):
        larger = explain(photos.folder, model="efficientnet-lite0", precision="bf16")
    assert larger
    assert larger.bytes > told.bytes
    assert "--precision bf16 --reindex" in str(larger)


def test_what_has_been_begun_is_told(photos: Collection) -> None:
    assert unfinished(photos.directory) is None
    begin(photos, CoarseEncoder())
    begun = unfinished(photos.directory)
    assert begun
    assert (begun.made_by.model, begun.done, begun.files) == ("coarse", 5, 12)
    assert begun.place == photos.directory / "data.000001"
    assert "begun with coarse: 5 of 12 files are done." in str(explain(photos.folder, encoder=CoarseEncoder()))
    told = str(explain(photos.folder, model="efficientnet-lite0"))
    assert "begun with coarse: 5 of 12 files are done, and would be given up" in told
    shutil.rmtree(begun.place)
    assert unfinished(photos.directory) is None
    reindex(photos.folder, encoder=CoarseEncoder())
    assert unfinished(photos.directory) is None


# What is stopped


def test_a_run_that_was_stopped_is_carried_on(photos: Collection, coarse: CountingEncoder) -> None:
    before = photos.search(picture(0), k=12)
    begin(photos, coarse)
    assert photos.search(picture(0), k=12) == before
    with lookalike.open(photos.folder, encoder=ColourEncoder()) as again:
        assert again.add(photos.folder).unchanged == 12
    stopped = coarse.pictures
    assert 5 <= stopped < 12
    committed = len(stored_vectors(photos.directory / "data.000001"))
    assert committed == 5
    reindex(photos.folder, encoder=coarse, threads=1)
    assert coarse.pictures == stopped + 12 - committed
    with lookalike.open(photos.folder, encoder=coarse) as again:
        assert (len(again), again.check()) == (12, [])


def test_what_the_old_collection_becomes_meanwhile_is_carried_over(photos: Collection, coarse: CountingEncoder) -> None:
    annotate(photos, "path,price\n00.png,1\n")
    begin(photos, coarse)
    draw(photos.folder / "0 new.png", 60)
    photos.add(photos.folder)  # and gets an id that an image of the new one has for the time being
    annotate(photos, "path,price,label\n00.png,2,lions\n0 new.png,3,\n")
    (photos.folder / "09.png").unlink()
    photos.add(photos.folder)
    before = facts_of(photos)
    assert before["0 new.png"][0] == 13
    reindex(photos.folder, encoder=coarse)
    with lookalike.open(photos.folder, encoder=coarse) as again:
        assert facts_of(again) == before


@pytest.mark.parametrize("moment", ["carried over", "switched"])
def test_what_happened_just_before_or_after_the_switch_can_happen_again(photos: Collection, moment: str) -> None:
    annotate(photos, "path,price,label\ncats/01.png,5,lions\ndogs/02.png,3,wolves\n")
    name = {"carried over": (manifest, "switch"), "switched": (directories, "sweep")}[moment]
    failing: Any = [None, StorageError("!")] if moment == "switched" else StorageError("!")
    with mock.patch.object(*name, side_effect=failing), pytest.raises(StorageError):
        reindex(photos.folder, encoder=CoarseEncoder())
    if moment == "switched":
        with pytest.raises(UsageError, match="already"):
            reindex(photos.folder, encoder=CoarseEncoder())
    else:
        annotate(photos, "path,price,label\ncats/01.png,6,\ndogs/02.png,,wolves\n")
        draw(photos.folder / "new.png", 60)
        photos.add(photos.folder)
        reindex(photos.folder, encoder=CoarseEncoder())
    with lookalike.open(photos.folder, encoder=CoarseEncoder()) as again:
        again.maintain()
        found = facts_of(again)
    assert len(found) == 12 if moment == "switched" else 13
    first, second = found["cats/01.png"], found["dogs/02.png"]
    if moment == "switched":
        assert (first, second[1]) == ((5, "lions", {"label": "lions", "price": 5}), "wolves")
    else:
        assert first == (5, "cats", {"price": 6})
        assert second == (9, "wolves", {"label": "wolves"})
        assert found["new.png"][0] == 13
    assert {path.name for path in photos.directory.iterdir()} == {"collection.json", "lock", "data.000001"}


def test_another_model_begins_anew(photos: Collection, coarse: CountingEncoder) -> None:
    begin(photos, coarse)
    reindex(photos.folder, encoder=ColourEncoder("other"))
    with lookalike.open(photos.folder, encoder=ColourEncoder("other")) as again:
        assert (len(again), again.check()) == (12, [])
    assert {path.name for path in photos.directory.iterdir()} == {"collection.json", "lock", "data.000001"}


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _spoil(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


@pytest.mark.parametrize("damage", [_cut, _spoil, Path.unlink])
@pytest.mark.parametrize("name", ["data.000001/catalog.sqlite", "data.000001/vectors.faiss", "reindexing.json"])
def test_what_is_damaged_is_begun_anew(
    photos: Collection, coarse: CountingEncoder, name: str, damage: Callable[[Path], None]
) -> None:
    begin(photos, coarse)
    damage(photos.directory / name)
    unfinished(photos.directory)
    stopped = coarse.pictures
    reindex(photos.folder, encoder=coarse)
    assert coarse.pictures == stopped + 12
    with lookalike.open(photos.folder, encoder=coarse) as again:
        assert (len(again), again.check()) == (12, [])


def test_a_folder_that_was_moved_meanwhile_is_carried_on_with(photos: Collection, coarse: CountingEncoder) -> None:
    begin(photos, coarse)
    photos.close()
    moved = photos.folder.rename(photos.folder.parent / "moved")
    stopped = coarse.pictures
    reindex(moved, encoder=coarse)
    assert coarse.pictures == stopped + 7
    with lookalike.open(moved, encoder=coarse) as again:
        assert (len(again), again.folder) == (12, moved)


def test_a_collection_that_lost_its_description_is_not_taken_for_an_empty_folder(photos: Collection) -> None:
    reindex(photos.folder, encoder=CoarseEncoder())
    (photos.directory / "collection.json").unlink()
    with pytest.raises(CorruptError, match=r"collection\.json: it is missing"):
        lookalike.create(photos.folder, encoder=CoarseEncoder())


@pytest.mark.parametrize("name", ["..", "/tmp", "data.1", "data.000001/..", 7, "index"])
def test_a_description_that_names_another_folder_is_damaged(photos: Collection, name: object) -> None:
    path = photos.directory / "collection.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data": name}))
    with pytest.raises(CorruptError, match=r"collection\.json"):
        lookalike.open(photos.folder, encoder=ColourEncoder())


# Whoever has it open


def _in_a_thread(use: Callable[[], object]) -> list[object]:
    """What a thread gets, which has not used the collection before: a result or an error."""
    got: list[object] = []

    def run() -> None:
        try:
            got.append(use())
        except Exception as error:
            got.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return got


USES: dict[str, Callable[[Collection], object]] = {
    "search": lambda photos: photos.search(picture(0)),
    "search_id": lambda photos: photos.search_id(5),
    "search_vector": lambda photos: photos.search_vector(np.ones(25)),
    "filtered": lambda photos: photos.search(picture(0), where=Where(label="cats")),
    "count": lambda photos: photos.count(Where(label="cats")),
    "len": len,
    "info": lambda photos: photos.info(),
    "check": lambda photos: photos.check(),
    "skipped": lambda photos: photos.skipped(),
    "evaluate": lambda photos: photos.evaluate(queries=5),
    "add": lambda photos: photos.add(photos.folder),
    "remove": lambda photos: photos.remove(["00.png"]),
    "build": lambda photos: photos.build(),
    "maintain": lambda photos: photos.maintain(),
    "annotate": lambda photos: annotate(photos, "path,price\n00.png,1\n"),
}
WRITES = {"add", "remove", "build", "maintain", "annotate"}


@pytest.fixture
def indexed(photos: Collection) -> Collection:
    with small_thresholds(exact=4):
        photos.build(spec="Flat")
    photos.close()
    return photos


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("how", ["warm", "cold", "in a thread"])
def test_who_has_it_open_goes_on_with_the_old_or_is_told_to_open_it_again(
    indexed: Collection, use: str, how: str
) -> None:
    """Never is a missing file taken for a damaged one, nor said to make searches slow."""
    if how != "cold":
        expected = USES[use](indexed) if use not in WRITES else None
    reindex(indexed.folder, encoder=CoarseEncoder())
    if how == "in a thread":
        [got] = _in_a_thread(lambda: USES[use](indexed))
    else:
        try:
            got = USES[use](indexed)
        except Exception as error:
            got = error
    if isinstance(got, Exception):
        assert isinstance(got, IncompatibleError), repr(got)
        assert "open it again" in str(got)
    else:
        assert use not in WRITES
        assert got == expected if use != "info" else got.images == 12  # type: ignore[attr-defined]
    assert {path.name for path in indexed.directory.iterdir()} == {"collection.json", "lock", "data.000001"}


@pytest.mark.parametrize("use", sorted(WRITES))
def test_who_has_it_open_does_not_write_into_what_no_longer_counts(photos: Collection, use: str) -> None:
    """Where a crash has left the old files behind."""
    with mock.patch.object(directories, "sweep"):
        reindex(photos.folder, encoder=CoarseEncoder())
    assert len(photos.search(picture(0), k=100)) == 12
    with pytest.raises(IncompatibleError, match="indexed again with coarse; open it again"):
        USES[use](photos)


def test_files_that_vanish_in_the_middle_of_a_search_are_not_taken_for_damage(
    indexed: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = indexed._catalog.state

    def then_reindex() -> Any:
        found = state()
        monkeypatch.undo()
        reindex(indexed.folder, encoder=CoarseEncoder())
        return found

    monkeypatch.setattr(indexed._catalog, "state", then_reindex)
    with pytest.raises(IncompatibleError, match="open it again"):
        indexed.search(picture(0))


def test_opening_at_the_very_moment_of_the_switch_gives_the_new_one(
    photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = manifest.read
    begin(photos, CoarseEncoder())

    def then_reindex(directory: Path, name: str = manifest.NAME) -> manifest.Origin:
        origin = read(directory, name)
        monkeypatch.undo()
        reindex(directory, encoder=CoarseEncoder())
        return origin

    monkeypatch.setattr(manifest, "read", then_reindex)
    with lookalike.open(photos.folder) as again:
        assert (again.made_by.model, len(again)) == ("coarse", 12)


def test_readers_in_other_processes_never_see_a_mixture(photos: Collection) -> None:
    expected = {"colours": reindex_faults.answer(photos)}
    heard = reindex_faults.answers_meanwhile(photos.folder, lambda: reindex(photos.folder, encoder=CoarseEncoder()))
    with lookalike.open(photos.folder) as again:
        expected["coarse"] = reindex_faults.answer(again)
    assert heard == [list(expected.items())] * 2


# Kills and failing disks


def test_kills_at_random_instants_leave_the_old_or_the_new_one(tmp_path: Path) -> None:
    tally = reindex_faults.run_kills(tmp_path.resolve(), kills=10)
    assert tally["kills"] == 10
    assert tally["completed"]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_whichever_write_fails_the_old_or_the_new_one_is_there_and_the_next_run_completes(
    shim: Path,
    tmp_path: Path,
    kind: str,
) -> None:
    ends = []
    for folder, template, said in reindex_faults.attempts(shim, tmp_path.resolve(), KINDS[kind]):
        assert said[-1] == "done" or said[-1].startswith("StorageError "), (folder, said)
        ends.append(said[-1])
        reindex_faults.complete(folder, template)
    assert len(ends) > 10
    assert ends.count("done") < len(ends) / 2

"""Images whose files are gone or cannot be used: kept, not found, and themselves again when their files are back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike import Collection
from lookalike.collection.reindex import reindex
from lookalike.errors import UsageError
from tests.support.file_history import in_small_steps
from tests.support.pictures import counts, draw, picture, stored_vectors
from tests.support.reindexing import CoarseEncoder, annotate, facts_of, stop_after

TABLE = "path,price,label\ncats/01.png,5,lions\ncats/04.png,6,\n00.png,7,\n"


@pytest.fixture
def photos(photos: Collection) -> Collection:
    """The twelve pictures, some with attributes, one with a label of its own."""
    annotate(photos, TABLE)
    return photos


@pytest.fixture
def away(photos: Collection) -> Path:
    """Where the folder `cats` has been taken to, as a drive that is unplugged; the collection has noticed."""
    away = photos.folder.with_name("away")
    (photos.folder / "cats").rename(away)
    assert counts(photos.add(photos.folder)) == {"unchanged": 8, "missing": 4}
    return away


def test_a_drive_that_is_back_brings_ids_attributes_labels_and_vectors(photos: Collection) -> None:
    before, vectors = facts_of(photos), stored_vectors(photos.directory)
    drive, away = photos.folder, photos.folder.with_name("away")
    directory = photos.directory.rename(photos.folder.with_name("collection"))
    drive.rename(away)
    drive.mkdir()
    directory.rename(drive / ".lookalike")
    for again in (False, True):
        report = photos.add(drive)
        assert counts(report) == ({"missing_before": 12} if again else {"missing": 12})
        assert report.misses_many
        assert (len(photos), photos.search(picture(0))) == (0, [])
    for path in [*away.iterdir()]:
        path.rename(drive / path.name)
    assert counts(photos.add(drive)) == {"returned": 12}
    assert facts_of(photos) == before
    assert stored_vectors(photos.directory).keys() == vectors.keys()
    assert all(np.array_equal(stored_vectors(photos.directory)[key], vectors[key]) for key in vectors)
    assert photos.check() == []


def test_a_missing_image_is_listed_and_never_found(photos: Collection, away: Path) -> None:
    names = ("01.png", "04.png", "07.png", "10.png")
    expected = [(id_, photos.folder / "cats" / name) for id_, name in enumerate(names, 5)]
    assert [(each.id, each.path) for each in photos.missing()] == expected
    now = datetime.now(UTC)
    assert all(now - timedelta(minutes=5) < each.since <= now for each in photos.missing())
    assert photos.info().missing == 4
    assert photos.search(picture(1), k=100, exact=True)[0].score < 0.95
    assert not {match.label for match in photos.search(picture(1), k=100)} & {"cats", "lions"}
    assert photos.count(lookalike.Where(label="lions")) == 0


def test_a_search_by_the_id_of_a_missing_image_says_so(photos: Collection, away: Path) -> None:
    with pytest.raises(UsageError, match=r"the image with the id 5 is missing; its file .*cats/01\.png is gone"):
        photos.search_id(5)
    with pytest.raises(UsageError, match="there is no image with the id 999"):
        photos.search_id(999)


def test_compaction_keeps_the_vectors_of_missing_images(photos: Collection, away: Path) -> None:
    photos.remove(["00.png", "dogs/02.png"])
    assert (photos.info().vectors, photos.info().dead) == (12, 2)
    photos.build()
    assert (photos.info().vectors, photos.info().dead, photos.info().missing) == (10, 0, 4)
    away.rename(photos.folder / "cats")
    assert photos.add(photos.folder / "cats").returned == 4
    assert facts_of(photos)["cats/01.png"] == (5, "lions", {"label": "lions", "price": 5})
    assert photos.info().vectors == 10  # none was made again
    assert photos.search(picture(4), k=1)[0].key == "cats/04.png"
    assert photos.check() == []


def test_missing_images_outlive_another_model(photos: Collection, away: Path) -> None:
    """They are read again when they are back, under other names too."""
    report = reindex(photos.folder, encoder=CoarseEncoder())
    assert (report.unchanged, report.missing, report.missing_before, report.misses_many) == (8, 0, 4, False)
    with lookalike.open(photos.folder, encoder=CoarseEncoder()) as again:
        assert (len(again), again.info().missing, again.check()) == (8, 4, [])
        away.rename(photos.folder / "wild")
        assert again.add(photos.folder).returned == 4
        facts = facts_of(again)
        assert facts["wild/01.png"] == (5, "lions", {"label": "lions", "price": 5})
        assert facts["wild/04.png"] == (6, "wild", {"price": 6})
        assert again.check() == []


def test_files_that_are_back_while_another_model_takes_over_are_known(photos: Collection, away: Path) -> None:
    away.rename(photos.folder / "cats")
    report = reindex(photos.folder, encoder=CoarseEncoder())
    assert (report.unchanged, report.returned, report.added, report.missing) == (8, 4, 0, 0)
    with lookalike.open(photos.folder, encoder=CoarseEncoder()) as again:
        assert facts_of(again)["cats/01.png"] == (5, "lions", {"label": "lions", "price": 5})


def test_images_follow_their_contents_to_another_model_too(photos: Collection) -> None:
    before = facts_of(photos)
    one, other, aside = photos.folder / "00.png", photos.folder / "cats" / "04.png", photos.folder / "aside"
    for old, new in ((one, aside), (other, one), (aside, other)):
        old.rename(new)
    draw(photos.folder / "cats" / "01.png", 40)
    report = reindex(photos.folder, encoder=CoarseEncoder())
    assert (report.renamed, report.unchanged, report.added, report.missing) == (2, 10, 0, 0)
    with lookalike.open(photos.folder, encoder=CoarseEncoder()) as again:
        after = facts_of(again)
        assert after["00.png"] == (before["cats/04.png"][0], None, {"price": 6})
        assert after["cats/04.png"] == (before["00.png"][0], "cats", {"price": 7})
        assert after["cats/01.png"] == before["cats/01.png"]


def test_another_model_settles_what_a_stopped_run_has_begun(photos: Collection) -> None:
    """A file was renamed and replaced; by the stop, only the new one had been met."""
    (photos.folder / "00.png").rename(photos.folder / "zz.png")
    draw(photos.folder / "00.png", 40)
    with in_small_steps(1, 1), pytest.raises(KeyboardInterrupt):
        photos.add(photos.folder, threads=1, progress=stop_after(1))
    assert facts_of(photos)["00.png"] == (1, None, {"price": 7})  # as if it were edited
    reindex(photos.folder, encoder=CoarseEncoder())
    with lookalike.open(photos.folder, encoder=CoarseEncoder()) as again:
        assert facts_of(again)["zz.png"] == (1, None, {"price": 7})
        assert facts_of(again)["00.png"] == (13, None, {})


# Forgetting


def test_pruned_images_are_forgotten_for_good(photos: Collection, away: Path) -> None:
    assert photos.prune() == 4
    assert (photos.prune(), photos.missing(), photos.info().dead) == (0, [], 4)
    away.rename(photos.folder / "cats")
    assert counts(photos.add(photos.folder)) == {"added": 4, "unchanged": 8}
    assert facts_of(photos)["cats/01.png"] == (13, "cats", {})


def test_only_what_has_been_missing_for_long_is_pruned(photos: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10**18, 10**19, 10**9))
    monkeypatch.setattr("lookalike.ingest.pipeline.time.time_ns", lambda: next(clock))
    for name in ("00.png", "cats/01.png", "dogs/02.png"):
        (photos.folder / name).unlink()
        photos.add(photos.folder)
    monkeypatch.setattr("lookalike.collection.missing.time.time_ns", lambda: 10**18 + 10 * 10**9)
    assert photos.prune(missing_for=10.5) == 0
    assert photos.prune(missing_for=timedelta(seconds=10)) == 1
    assert [image.path.name for image in photos.missing()] == ["01.png", "02.png"]
    assert photos.prune(missing_for=9) == 1
    assert photos.prune() == 1
    with pytest.raises(UsageError, match="missing_for=-1: give a time of at least 0 seconds"):
        photos.prune(missing_for=-1)


def test_a_missing_image_can_be_removed_by_its_path_or_folder(photos: Collection, away: Path) -> None:
    assert photos.remove([photos.folder / "cats" / "01.png"]) == 1
    assert [image.path.name for image in photos.missing()] == ["04.png", "07.png", "10.png"]
    assert photos.remove(["cats"]) == 3
    assert photos.missing() == []
    assert photos.remove(["cats"]) == 0


# When a drive may be away


@pytest.mark.parametrize(("gone", "many"), [(1, False), (2, False), (3, True), (10, True)])
def test_more_than_a_fifth_at_once_is_many(photos: Collection, gone: int, many: bool) -> None:
    """Of ten images."""
    for name in ("00.png", "cats/01.png"):
        (photos.folder / name).unlink()
    photos.add(photos.folder)
    photos.prune()
    for path in sorted(photos.folder.rglob("*.png"))[:gone]:
        path.unlink()
    report = photos.add(photos.folder)
    assert (report.missing, report.misses_many) == (gone, many)
    again = photos.add(photos.folder)
    assert (again.missing, again.missing_before, again.misses_many) == (0, gone, gone == 10)


def test_a_part_of_the_folder_counts_by_itself(photos: Collection, away: Path) -> None:
    (photos.folder / "cats").mkdir()
    report = photos.add(photos.folder / "cats")
    assert (report.missing_before, report.misses_many) == (4, True)
    report = photos.add(photos.folder / "dogs")
    assert (report.missing_before, report.misses_many) == (0, False)


def test_single_files_say_nothing_of_others_that_are_missing(photos: Collection, away: Path) -> None:
    (photos.folder / "00.png").unlink()
    report = photos.add([photos.folder / "00.png", photos.folder / "03.png"])
    assert (report.missing, report.missing_before, report.misses_many) == (1, 0, False)
    assert photos.info().missing == 5

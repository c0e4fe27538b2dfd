"""A collection from end to end: what is added is there as it is, and what is gone is gone."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike import Collection, Hint, Progress, encoders
from lookalike.errors import (
    IncompatibleError,
    NoCollectionError,
    UsageError,
)
from lookalike.ingest import pipeline
from tests.support.pictures import (
    ColourEncoder,
    assert_best,
    counts,
    draw,
    everything,
    path_keys,
    picture,
    stored_vectors,
    unit_of,
)

# Adding


def test_an_added_image_is_found_with_its_facts(photos: Collection, folder: Path) -> None:
    assert len(photos) == 12
    [best] = photos.search(folder / "cats" / "04.png", k=1)
    assert (best.key, best.path, best.label) == ("cats/04.png", folder / "cats" / "04.png", "cats")
    assert (best.width, best.height) == (16, 16)
    assert best.score == pytest.approx(1, abs=1e-3)
    assert {match.label for match in everything(photos).values()} == {None, "cats", "dogs"}


@pytest.mark.parametrize("k", [1, 5, 12])
def test_the_k_best_are_those_of_brute_force(photos: Collection, k: int) -> None:
    vectors = {("", "cats/", "dogs/")[seed % 3] + f"{seed:02}.png": unit_of(seed) for seed in range(12)}
    stored = {key: vector.astype(np.float64) for key, vector in stored_vectors(photos.directory).items()}
    assert stored.keys() == vectors.keys()
    for seed in range(20):
        assert_best(photos.search(picture(seed), k=k), unit_of(seed), vectors, k)
        assert_best(photos.search(picture(seed), k=k), unit_of(seed), stored, k)


def test_a_second_run_changes_nothing(photos: Collection, folder: Path) -> None:
    before = everything(photos), (photos.directory / "vectors.faiss").read_bytes()
    assert counts(photos.add(folder)) == {"unchanged": 12}
    assert (everything(photos), (photos.directory / "vectors.faiss").read_bytes()) == before


def test_the_same_folder_always_gives_the_same_vectors_in_the_same_order(
    photos: Collection, folder: Path, tmp_path: Path, encoder: ColourEncoder
) -> None:
    with lookalike.create(folder, directory=tmp_path / "other", encoder=encoder) as again:
        again.add(folder, threads=7)
        vectors = again.directory / "vectors.faiss"
        assert vectors.read_bytes() == (photos.directory / "vectors.faiss").read_bytes()


def test_new_changed_and_vanished_files_are_reported_and_found_as_they_are(photos: Collection, folder: Path) -> None:
    before = everything(photos)
    draw(folder / "new.png", 50)
    draw(folder / "cats" / "01.png", 51)
    (folder / "dogs" / "02.png").unlink()
    os.utime(folder / "00.png", ns=(1, 1))
    assert counts(photos.add(folder)) == {"added": 1, "updated": 1, "missing": 1, "unchanged": 10}
    after = everything(photos)
    assert after.keys() == before.keys() - {"dogs/02.png"} | {"new.png"}
    assert after["cats/01.png"].id == before["cats/01.png"].id
    assert [match.key for match in photos.search(picture(51), k=1)] == ["cats/01.png"]
    assert photos.search(picture(1), k=1)[0].score < 0.95  # what 01.png was before
    assert photos.info().dead == 1  # what 01.png was; a missing image keeps its vector


def test_a_renamed_file_keeps_its_id_and_gets_the_label_of_its_new_folder(photos: Collection, folder: Path) -> None:
    before = everything(photos)
    (folder / "birds").mkdir()
    (folder / "cats" / "01.png").rename(folder / "birds" / "a.png")
    (folder / "00.png").rename(folder / "zz.png")
    assert counts(photos.add(folder)) == {"renamed": 2, "unchanged": 10}
    after = everything(photos)
    assert after["birds/a.png"].id == before["cats/01.png"].id
    assert after["birds/a.png"].label == "birds"
    assert after["zz.png"].id == before["00.png"].id
    assert len(after) == 12
    assert photos.info().vectors == 12


def test_images_whose_files_exchange_their_names_follow_them(photos: Collection, folder: Path) -> None:
    before = everything(photos)
    first, second, aside = folder / "00.png", folder / "03.png", folder / "aside"
    for old, new in ((first, aside), (second, first), (aside, second)):
        old.rename(new)
    assert counts(photos.add(folder)) == {"renamed": 2, "unchanged": 10}
    assert [match.key for match in photos.search(picture(0), k=1)] == ["03.png"]
    assert [match.key for match in photos.search(picture(3), k=1)] == ["00.png"]
    after = everything(photos)
    assert (after["00.png"].id, after["03.png"].id) == (before["03.png"].id, before["00.png"].id)


def test_single_files_are_added_by_any_name_and_drop_nothing_else(
    photos: Collection, folder: Path, tmp_path: Path
) -> None:
    elsewhere = draw(tmp_path / "elsewhere.png", 60)
    odd = draw(folder / "odd.png", 61).rename(folder / "no_suffix")
    (folder / "00.png").unlink()
    assert counts(photos.add([elsewhere, odd, folder / "00.png"])) == {"added": 2, "missing": 1, "skipped": 1}
    after = everything(photos)
    assert len(after) == 13
    assert after[str(elsewhere)].path == elsewhere
    assert after["no_suffix"].label is None
    draw(elsewhere, 62)
    assert counts(photos.add(str(elsewhere))) == {"updated": 1}


def test_updating_the_collections_folder_keeps_images_of_another_folder(
    photos: Collection, folder: Path, tmp_path: Path
) -> None:
    other = draw(tmp_path / "other" / "o.png", 70)
    assert counts(photos.add(other.parent)) == {"added": 1}
    assert counts(photos.add(folder)) == {"unchanged": 12}
    assert everything(photos)[str(other)].label == "other"
    other.unlink()
    assert counts(photos.add(other.parent)) == {"missing": 1}


def test_only_a_part_of_the_folder_can_be_brought_up_to_date(photos: Collection, folder: Path) -> None:
    (folder / "cats" / "01.png").unlink()
    (folder / "dogs" / "02.png").unlink()
    assert counts(photos.add(folder / "cats")) == {"missing": 1, "unchanged": 3}
    assert {"dogs/02.png"} < everything(photos).keys()


def test_a_folder_that_contains_the_collections_own_is_refused(photos: Collection, folder: Path) -> None:
    """Its images would be in the collection twice."""
    with pytest.raises(UsageError, match="one by one"):
        photos.add(folder.parent)
    assert len(photos) == 12


def test_a_source_that_does_not_exist_is_an_error_and_drops_nothing(photos: Collection, folder: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        photos.add(folder / "nowhere")
    assert len(photos) == 12


@pytest.mark.parametrize("threads", [0, -1])
def test_there_has_to_be_a_thread(photos: Collection, folder: Path, threads: int) -> None:
    with pytest.raises(UsageError, match=f"threads={threads}"):
        photos.add(folder, threads=threads)


def test_names_that_are_not_utf8_or_hold_a_newline_or_a_quote(folder: Path, encoder: ColourEncoder) -> None:
    names = [os.fsdecode(b"caf\xe9.png"), "new\nline.png", "it's.png", '"so".png', os.fsdecode(b"\xff" * 20 + b".png")]
    for seed, name in enumerate(names):
        draw(folder / name, 80 + seed)
        draw(folder / name.removesuffix(".png") / "in.png", 90 + seed)
    with lookalike.create(folder, encoder=encoder) as photos:
        assert photos.add(folder).added == 12 + 2 * len(names)
        assert counts(photos.add(folder)) == {"unchanged": 22}
        for seed, name in enumerate(names):
            [match] = photos.search(picture(90 + seed), k=1)
            assert (match.key, match.label) == (f"{name.removesuffix('.png')}/in.png", name.removesuffix(".png"))
            [match] = photos.search(picture(80 + seed), k=1)
            assert match.path == folder / name
            match.path.unlink()
        assert counts(photos.add(folder)) == {"unchanged": 17, "missing": 5}


# Removing


def test_removed_images_never_come_back_until_their_folder_is_added_again(photos: Collection, folder: Path) -> None:
    assert photos.remove([folder / "cats" / "04.png", "dogs/05.png", "nothing.png", "dogs/05.png"]) == 2
    assert everything(photos).keys().isdisjoint({"cats/04.png", "dogs/05.png"})
    assert photos.search(picture(4), k=1)[0].score < 0.95
    assert photos.remove(["dogs/05.png"]) == photos.remove([]) == 0
    assert counts(photos.add(folder)) == {"added": 2, "unchanged": 10}
    assert photos.info().vectors == 12  # which were still there


def test_all_images_can_be_removed(photos: Collection) -> None:
    assert photos.remove(list(everything(photos))) == 12
    assert photos.search(picture(0), k=5) == []
    assert len(photos) == 0


def test_remove_takes_a_list_of_paths(photos: Collection) -> None:
    with pytest.raises(UsageError, match="expected a list"):
        photos.remove("00.png")


# Copies


def test_a_copy_that_goes_leaves_the_other(photos: Collection, folder: Path) -> None:
    shutil.copyfile(folder / "00.png", folder / "cats" / "copy.png")
    assert counts(photos.add(folder)) == {"added": 1, "unchanged": 12}
    assert [match.key for match in photos.search(picture(0), k=2)] == ["00.png", "cats/copy.png"]
    (folder / "00.png").unlink()
    photos.add(folder)
    assert [match.key for match in photos.search(picture(0), k=1)] == ["cats/copy.png"]
    assert photos.info().vectors == 12


def test_ten_thousand_copies_share_a_vector_and_all_come_back(tmp_path: Path, encoder: ColourEncoder) -> None:
    folder = tmp_path / "photos"
    first = draw(folder / "00000.png", 1)
    for number in range(1, 10_000):
        (folder / f"{number:05}.png").hardlink_to(first)
    draw(folder / "other.png", 2)
    with lookalike.create(folder, encoder=encoder) as photos:
        assert photos.add(folder).added == 10_001
        assert (photos.info().images, photos.info().vectors) == (10_001, 2)
        found = photos.search(first, k=20_000)
        assert [match.key for match in found] == [*(f"{number:05}.png" for number in range(10_000)), "other.png"]
        assert len({match.score for match in found[:-1]}) == 1
        assert len(photos.search(first, k=7)) == 7
        assert [match.key for match in photos.search_id(found[5].id, k=5)] == [
            f"0000{number}.png" for number in range(5)
        ]
        assert [match.key for match in photos.search_id(found[1].id, k=3)] == ["00000.png", "00002.png", "00003.png"]


# Stopping


class StopError(Exception):
    """A callback raises it to end a run."""


def test_a_stopped_run_has_committed_its_images_and_the_next_carries_on(folder: Path, encoder: ColourEncoder) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == 5:
            raise StopError

    with lookalike.create(folder, encoder=encoder) as photos:
        with pytest.raises(StopError):
            photos.add(folder, progress=stop)
        assert sorted(everything(photos)) == sorted(path_keys(folder))[:5]
        assert counts(photos.add(folder)) == {"added": 7, "unchanged": 5}


def test_an_exception_of_a_callback_is_raised_as_it_is(folder: Path, encoder: ColourEncoder) -> None:
    def fail(_: Progress) -> None:
        raise BrokenPipeError

    with lookalike.create(folder, encoder=encoder) as photos, pytest.raises(BrokenPipeError):
        photos.add(folder, progress=fail)


def test_progress_counts_up_to_all_and_never_says_committed_too_early(
    folder: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_COMMIT_IMAGES", 5)
    (folder / "bad.png").write_bytes(b"text")
    seen: list[Progress] = []
    with lookalike.create(folder, encoder=encoder) as photos:

        def look(progress: Progress) -> None:
            seen.append(progress)
            totals = photos.info()
            assert totals.images + totals.skipped == progress.committed
            assert (totals.images, totals.skipped) == (progress.added, progress.skipped)

        photos.add(folder, progress=look)
    assert [progress.done for progress in seen] == list(range(1, 14))
    assert [progress.committed for progress in seen] == [0] * 4 + [5] * 5 + [10] * 4
    assert {progress.total for progress in seen} <= {None, 13}


# Making and opening


def test_a_collection_is_reopened_as_it_was(photos: Collection, folder: Path, encoder: ColourEncoder) -> None:
    before = everything(photos)
    photos.close()
    for path in (folder, folder / ".lookalike", str(folder)):
        with lookalike.open(path, encoder=encoder) as again:
            assert everything(again) == before
    assert everything(photos) == before  # a closed one opens its files again


def test_a_folder_can_be_moved_with_its_collection(photos: Collection, folder: Path, encoder: ColourEncoder) -> None:
    photos.close()
    moved = folder.rename(folder.with_name("moved"))
    with lookalike.open(moved, encoder=encoder) as again:
        assert counts(again.add(moved)) == {"unchanged": 12}
        assert again.search(picture(4), k=1)[0].path == moved / "cats" / "04.png"


def test_a_directory_elsewhere_can_be_named_and_is_never_indexed(folder: Path, encoder: ColourEncoder) -> None:
    directory = folder / "index"
    with lookalike.create(folder, directory=directory, encoder=encoder) as photos:
        draw(directory / "not_mine.png", 1)
        assert counts(photos.add(folder)) == {"added": 12}
    assert not (folder / ".lookalike").exists()
    with lookalike.open(directory, encoder=encoder) as again:
        assert len(again) == 12


def test_where_there_is_none_a_hint_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NoCollectionError) as raised:
        lookalike.open(tmp_path)
    assert raised.value.message == f"{tmp_path}: there is no collection"
    assert raised.value.hints == (Hint("create", {"path": str(tmp_path)}),)


def test_a_collection_is_not_made_twice_nor_for_a_folder_that_is_not_there(
    photos: Collection, folder: Path, encoder: ColourEncoder
) -> None:
    with pytest.raises(UsageError, match="already"):
        lookalike.create(folder, encoder=encoder)
    with pytest.raises(UsageError, match="no such folder"):
        lookalike.create(folder / "nowhere", encoder=encoder)
    assert len(photos) == 12


def test_a_creation_that_was_cut_off_can_be_done_again(tmp_path: Path, encoder: ColourEncoder) -> None:
    directory = tmp_path / ".lookalike"
    directory.mkdir()
    for name in ("lock", "catalog.sqlite", "catalog.sqlite-journal", "vectors.faiss", "collection.json.new"):
        (directory / name).write_bytes(b"half of it")
    with pytest.raises(NoCollectionError):
        lookalike.open(tmp_path, encoder=encoder)
    draw(tmp_path / "a.png", 1)
    with lookalike.create(tmp_path, encoder=encoder) as photos:
        assert photos.add(tmp_path).added == 1
        assert photos.check() == []


def test_an_encoder_of_another_name_is_refused_naming_both_and_what_to_do(photos: Collection, folder: Path) -> None:
    other = ColourEncoder()
    other.name = "greys"
    with pytest.raises(IncompatibleError, match=r"made by colours.*those of greys.*lookalike\.reindex\(") as raised:
        lookalike.open(folder, encoder=other)
    assert raised.value.hints == (Hint("reindex", {"path": str(folder), "encoder": ...}),)


def test_another_version_of_its_encoder_is_refused_naming_both(photos: Collection, folder: Path) -> None:
    with pytest.raises(
        IncompatibleError, match=r"colours c0105001.*another version of it, colours c0105002.*lookalike\.reindex\("
    ) as raised:
        lookalike.open(folder, encoder=ColourEncoder("c0105002"))
    assert [hint.action for hint in raised.value.hints] == ["open_with_encoder", "reindex"]


def test_without_its_encoder_object_everything_else_still_works(
    photos: Collection, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "prices.csv").write_text("path,price\n00.png,5\n")
    vector = photos.embed(picture(1))[0]
    with lookalike.open(folder) as again:
        assert (len(again), again.check(), again.info().images) == (12, [], 12)
        assert again.search_id(1) == photos.search_id(1)
        assert again.search_vector(vector) == photos.search_vector(vector)
        assert again.annotate(tmp_path / "prices.csv").images == 1
        assert again.build(spec="Flat")
        assert again.remove(["00.png"]) == 1
        for needs_it in (lambda: again.search(picture(0)), lambda: again.add(folder), lambda: again.search_text("cat")):
            with pytest.raises(IncompatibleError, match="made by colours, which is not available here") as raised:
                needs_it()
            assert raised.value.hints == (
                Hint("open_with_encoder", {"path": str(folder), "encoder": ...}),
                Hint("reindex", {"path": str(folder), "model": "efficientnet-lite0"}),
            )
    with pytest.raises(IncompatibleError, match="made by colours"):
        lookalike.open(folder, precision="f32")


# With the bundled model


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """Twelve larger pictures, indexed by the bundled model."""
    folder = tmp_path_factory.mktemp("bundled") / "photos"
    for seed in range(12):
        large = Image.fromarray(picture(seed)).resize((320, 240), Image.Resampling.BICUBIC)
        path = folder / ("cats", "dogs")[seed % 2] / f"{seed:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        large.save(path, quality=90)
    with lookalike.create(folder) as photos:
        assert counts(photos.add(folder, threads=2)) == {"added": 12}
        yield photos


def test_the_bundled_model_ranks_as_brute_force_does(bundled: Collection) -> None:
    vectors = {key: vector.astype(np.float64) for key, vector in stored_vectors(bundled.directory).items()}
    assert {vector.shape for vector in vectors.values()} == {(1280,)}
    for key in sorted(vectors):
        found = bundled.search(bundled.folder / key, k=12)
        assert (found[0].key, found[0].width, found[0].height) == (key, 320, 240)
        assert found[0].score > 0.999
        assert_best(found, bundled.embed(bundled.folder / key)[0].astype(np.float64), vectors, 12)


def test_the_bundled_model_finds_the_original_of_a_scaled_copy(bundled: Collection) -> None:
    with Image.open(bundled.folder / "cats" / "04.jpg") as image:
        smaller = image.resize((280, 210), Image.Resampling.LANCZOS)
    first, second = bundled.search(smaller, k=2)
    assert first.key == "cats/04.jpg"
    assert first.score > 0.95 > second.score


def test_the_bundled_model_is_loaded_when_needed_and_for_more_threads(
    bundled: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, load = [], encoders.load

    def recorded(name: str, *, precision: str, threads: int, device: str) -> lookalike.Encoder:
        loaded.append(threads)
        return load(name, precision=precision, threads=threads, device=device)

    monkeypatch.setattr(encoders, "load", recorded)
    with lookalike.open(bundled.folder) as again:
        assert (len(again), loaded) == (12, [])
        for _ in range(2):
            again.search(picture(0))
            again.add(bundled.folder, threads=2)
        assert loaded == [1, 2]


def test_a_collection_of_the_bundled_model_opens_without_naming_it(bundled: Collection) -> None:
    with lookalike.open(bundled.folder) as again:
        assert (len(again), again.made_by) == (12, bundled.made_by)
        assert again.check() == []
    with pytest.raises(IncompatibleError, match=r"efficientnet-lite0 \(int8\).*those of colours"):
        lookalike.open(bundled.folder, encoder=ColourEncoder())

"""A collection from end to end: what is added comes back as brute force would have it, and nothing else does."""

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray
from PIL import Image

import lookalike
from conftest import ColourEncoder, draw, picture, stored_vectors
from lookalike import Collection, Match, Progress, Report, database, files, ingest
from lookalike.errors import (
    CorruptError,
    ImageError,
    IncompatibleError,
    LockedError,
    ModelError,
    NoCollectionError,
    StorageError,
    UsageError,
)
from lookalike.images import prepare


def counts(report: Report) -> dict[str, int]:
    """What is not zero in a report."""
    numbers = {name: getattr(report, name) for name in ("added", "updated", "renamed", "unchanged", "removed")}
    numbers |= {"skipped": len(report.skipped), "skipped_before": report.skipped_before}
    return {name: number for name, number in numbers.items() if number}


def everything(collection: Collection) -> dict[str, Match]:
    """All images by key."""
    found = {match.key: match for match in collection.search(picture(0), k=10**6)}
    assert len(found) == len(collection)
    return found


def unit_of(seed: int) -> NDArray[np.float64]:
    """The vector of `picture(seed)`, by NumPy alone."""
    return cosines_ready(ColourEncoder().encode(prepare(picture(seed), ColourEncoder.recipe).pixels[None])[0])


def cosines_ready(vector: NDArray[Any]) -> NDArray[np.float64]:
    return vector.astype(np.float64) / np.linalg.norm(vector.astype(np.float64))


def assert_best(
    found: list[Match], query: NDArray[np.float64], vectors: dict[str, NDArray[np.float64]], k: int
) -> None:
    """They are the k of these vectors that have the largest cosine to the query, best first."""
    exact = {key: float(query @ cosines_ready(vector)) for key, vector in vectors.items()}
    assert [match.score for match in found] == pytest.approx(sorted(exact.values(), reverse=True)[:k], abs=1e-3)
    for match in found:
        assert match.score == pytest.approx(exact[match.key], abs=1e-3)
        assert -1 <= match.score <= 1
        assert match.id >= 1
    assert len({match.key for match in found}) == len({match.id for match in found}) == len(found)
    assert all(first.score >= second.score for first, second in itertools.pairwise(found))


# Adding


def test_what_is_added_is_found_with_its_facts(photos: Collection, folder: Path) -> None:
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


def test_new_changed_and_vanished_files_are_told_and_found_as_they_are(photos: Collection, folder: Path) -> None:
    before = everything(photos)
    draw(folder / "new.png", 50)
    draw(folder / "cats" / "01.png", 51)
    (folder / "dogs" / "02.png").unlink()
    os.utime(folder / "00.png", ns=(1, 1))
    assert counts(photos.add(folder)) == {"added": 1, "updated": 1, "removed": 1, "unchanged": 10}
    after = everything(photos)
    assert after.keys() == before.keys() - {"dogs/02.png"} | {"new.png"}
    assert after["cats/01.png"].id == before["cats/01.png"].id
    assert [match.key for match in photos.search(picture(51), k=1)] == ["cats/01.png"]
    assert photos.search(picture(1), k=1)[0].score < 0.95  # what 01.png was before
    assert photos.info().dead == 2


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


def test_names_that_are_exchanged_exchange_the_pictures(photos: Collection, folder: Path) -> None:
    before = everything(photos)
    first, second, aside = folder / "00.png", folder / "03.png", folder / "aside"
    for old, new in ((first, aside), (second, first), (aside, second)):
        old.rename(new)
    for path in (first, second):
        os.utime(path)  # two files of the same size and time could not be told from each other
    assert counts(photos.add(folder)) == {"updated": 2, "unchanged": 10}
    assert [match.key for match in photos.search(picture(0), k=1)] == ["03.png"]
    assert [match.key for match in photos.search(picture(3), k=1)] == ["00.png"]
    assert everything(photos)["00.png"].id == before["00.png"].id


def test_single_files_are_added_whatever_their_names_and_nothing_else_is_dropped(
    photos: Collection, folder: Path, tmp_path: Path
) -> None:
    elsewhere = draw(tmp_path / "elsewhere.png", 60)
    odd = draw(folder / "odd.png", 61).rename(folder / "no_suffix")
    (folder / "00.png").unlink()
    assert counts(photos.add([elsewhere, odd, folder / "00.png"])) == {"added": 2, "removed": 1, "skipped": 1}
    after = everything(photos)
    assert len(after) == 13
    assert after[str(elsewhere)].path == elsewhere
    assert after["no_suffix"].label is None
    draw(elsewhere, 62)
    assert counts(photos.add(str(elsewhere))) == {"updated": 1}


def test_a_folder_elsewhere_is_kept_when_the_collections_own_is_brought_up_to_date(
    photos: Collection, folder: Path, tmp_path: Path
) -> None:
    other = draw(tmp_path / "other" / "o.png", 70)
    assert counts(photos.add(other.parent)) == {"added": 1}
    assert counts(photos.add(folder)) == {"unchanged": 12}
    assert everything(photos)[str(other)].label == "other"
    other.unlink()
    assert counts(photos.add(other.parent)) == {"removed": 1}


def test_only_a_part_of_the_folder_can_be_brought_up_to_date(photos: Collection, folder: Path) -> None:
    (folder / "cats" / "01.png").unlink()
    (folder / "dogs" / "02.png").unlink()
    assert counts(photos.add(folder / "cats")) == {"removed": 1, "unchanged": 3}
    assert {"dogs/02.png"} < everything(photos).keys()


def test_nothing_at_the_source_is_an_error_and_drops_nothing(photos: Collection, folder: Path) -> None:
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
        assert counts(photos.add(folder)) == {"unchanged": 17, "removed": 5}


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
    with pytest.raises(UsageError, match="list of paths"):
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
    """What a callback raises to end a run."""


def test_a_run_that_is_stopped_has_committed_all_it_had_done_and_the_next_carries_on(
    folder: Path, encoder: ColourEncoder
) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == 5:
            raise StopError

    with lookalike.create(folder, encoder=encoder) as photos:
        with pytest.raises(StopError):
            photos.add(folder, progress=stop)
        assert sorted(everything(photos)) == sorted(path_keys(folder))[:5]
        assert counts(photos.add(folder)) == {"added": 7, "unchanged": 5}


def path_keys(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*.png")]


def test_what_a_callback_raises_comes_out_as_it_is(folder: Path, encoder: ColourEncoder) -> None:
    def fail(_: Progress) -> None:
        raise BrokenPipeError

    with lookalike.create(folder, encoder=encoder) as photos, pytest.raises(BrokenPipeError):
        photos.add(folder, progress=fail)


def test_progress_counts_up_to_all_and_never_says_committed_too_early(
    folder: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "_COMMIT_IMAGES", 5)
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


# Searching


@pytest.mark.parametrize("k", [0, -1, -(10**30)])
def test_k_has_to_be_positive(photos: Collection, k: int) -> None:
    searches: list[Callable[[], Any]] = [
        lambda: photos.search(picture(0), k=k),
        lambda: photos.search_many([picture(0)], k=k),
        lambda: photos.search_id(1, k=k),
        lambda: photos.search_vector(np.ones(25), k=k),
    ]
    for search in searches:
        with pytest.raises(UsageError, match=f"k={k}"):
            search()


@pytest.mark.parametrize("k", [12, 13, 1000, sys.maxsize, 10**30])
def test_where_there_are_fewer_than_k_all_come_back(photos: Collection, k: int) -> None:
    assert len(photos.search(picture(0), k=k)) == len(photos.search_many([picture(0)], k=k)[0]) == 12
    assert len(photos.search_id(1, k=k)) == 11


def test_an_empty_collection_gives_empty_answers(tmp_path: Path, encoder: ColourEncoder) -> None:
    with lookalike.create(tmp_path, encoder=encoder) as photos:
        assert photos.search(picture(0)) == photos.search_vector(np.ones(25)) == []
        assert photos.search_many([picture(0), picture(1)]) == [[], []]
        assert photos.add(tmp_path) == Report(seconds=mock.ANY)
        assert photos.check() == []
        with pytest.raises(UsageError, match="no image with the id 1"):
            photos.search_id(1)


def test_the_answer_to_an_image_of_the_collection_leaves_it_out(photos: Collection) -> None:
    for key, image in everything(photos).items():
        found = photos.search_id(image.id, k=4)
        with_itself = photos.search(picture(int(key[-6:-4])), k=5)
        assert [match.key for match in found] == [match.key for match in with_itself[1:]]
        assert found.queries[0].key == key


def test_several_queries_at_once_get_the_answers_of_each(photos: Collection) -> None:
    queries = [picture(seed) for seed in range(30)]
    together = photos.search_many(queries, k=6)
    for query, found in zip(queries, together, strict=True):
        alone = photos.search(query, k=6)
        assert [match.key for match in found] == [match.key for match in alone]
        assert [match.score for match in found] == pytest.approx([match.score for match in alone], abs=1e-6)
    assert photos.search_many([]) == []


def test_queries_are_added_up_and_taken_away(photos: Collection) -> None:
    vectors = {key: vector.astype(np.float64) for key, vector in stored_vectors(photos.directory).items()}
    mean = cosines_ready(unit_of(1) + unit_of(40))
    assert_best(photos.search(picture(1), plus=[picture(40)]), mean, vectors, 10)
    less = cosines_ready(unit_of(1) + unit_of(40) - unit_of(41) - unit_of(42))
    found = photos.search(picture(1), plus=[picture(40)], minus=[picture(41), picture(42)])
    assert_best(found, less, vectors, 10)
    assert len(found.queries) == 2
    with pytest.raises(UsageError, match="not zero"):
        photos.search(picture(1), minus=[picture(1)])


@pytest.mark.parametrize("min_score", [-1.0, 0.0, 0.2, 0.999, 2.0])
def test_min_score_leaves_out_what_scores_less(photos: Collection, min_score: float) -> None:
    unlimited = photos.search(picture(3), k=12)
    expected = [match for match in unlimited if match.score >= min_score]
    assert photos.search(picture(3), k=12, min_score=min_score) == expected
    assert photos.search_many([picture(3)], k=12, min_score=min_score) == [expected]


@pytest.mark.parametrize("shape", [(24,), (26,), (1, 25), (25, 1), (), (0,)])
def test_a_vector_of_another_shape_is_refused(photos: Collection, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="25 dimensions"):
        photos.search_vector(np.ones(shape))


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_vector_without_a_direction_is_refused(photos: Collection, value: float) -> None:
    with pytest.raises(UsageError, match="finite and not zero"):
        photos.search_vector(np.full(25, value))


def test_a_vector_of_any_length_is_searched_for_by_its_direction(photos: Collection) -> None:
    expected = photos.search(picture(20), k=12)
    for scale in (1e-300, 1, 1e300):
        found = photos.search_vector((unit_of(20) * scale).tolist(), k=12)
        assert [match.key for match in found] == [match.key for match in expected]


def test_a_query_may_be_a_path_bytes_a_file_a_picture_or_an_array(photos: Collection, folder: Path) -> None:
    path = folder / "cats" / "04.png"
    with path.open("rb") as file:
        for query in (path, str(path), path.read_bytes(), file, Image.open(path), picture(4)):
            assert [match.key for match in photos.search(query, k=1)] == ["cats/04.png"]


@pytest.mark.parametrize("query", [b"text", "nowhere.png", b""])
def test_a_query_that_is_no_image_is_refused(photos: Collection, query: Any) -> None:
    with pytest.raises(ImageError):
        photos.search(query)


def test_a_file_that_was_read_is_read_from_its_start(photos: Collection, folder: Path) -> None:
    with (folder / "00.png").open("rb") as file:
        file.read()
        assert photos.search(file, k=1)[0].key == photos.search_many([file], k=1)[0][0].key == "00.png"


def test_a_query_that_is_text_is_refused(photos: Collection, folder: Path) -> None:
    with (folder / "00.png").open(encoding="latin-1") as file, pytest.raises(UsageError, match="binary"):
        photos.search(file)  # type: ignore[arg-type]


def test_threads_search_while_another_adds_and_removes(photos: Collection, folder: Path) -> None:
    """What stays is always found, with the right score; what is gone never is, once it was removed."""
    for seed in range(100, 160):
        draw(folder / "more" / f"{seed}.png", seed)
    done, errors = threading.Event(), []

    def search(seed: int) -> None:
        key = ("", "cats/", "dogs/")[seed % 3] + f"{seed:02}.png"
        try:
            while not done.is_set():
                [best] = photos.search(picture(seed), k=1)
                assert (best.key, round(best.score, 2)) == (key, 1)
        except BaseException as error:
            errors.append(error)

    searching = [threading.Thread(target=search, args=(seed,)) for seed in range(4)]
    with mock.patch.object(ingest, "_COMMIT_IMAGES", 7):
        for thread in searching:
            thread.start()
        for _ in range(3):
            assert photos.add(folder, threads=2).added == 60
            assert photos.remove([f"more/{seed}.png" for seed in range(100, 160)]) == 60
            assert len(photos.search(picture(0), k=1000)) == 12
        done.set()
        for thread in searching:
            thread.join()
    assert errors == []


def test_a_collection_that_is_open_elsewhere_sees_each_commit(
    photos: Collection, folder: Path, encoder: ColourEncoder
) -> None:
    with lookalike.open(folder, encoder=encoder) as other:
        assert other.search(picture(0), k=1)[0].key == "00.png"
        draw(folder / "new.png", 50)
        photos.add(folder)
        assert other.search(picture(50), k=1)[0].key == "new.png"
        photos.remove(["new.png"])
        assert other.search(picture(50), k=1)[0].key != "new.png"


# One writer, many readers

HELD = """
import sys
import lookalike
from conftest import ColourEncoder

def hold(progress):
    if progress.done == 3:
        print("held", flush=True)
        sys.stdin.read()

lookalike.open(sys.argv[1], encoder=ColourEncoder()).add(sys.argv[1], progress=hold)
"""


@contextlib.contextmanager
def another_writer(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in the midst of adding the folder."""
    path = {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", HELD, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=os.environ | path) as process:
        assert process.stdin
        assert process.stdout
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_writer_is_refused_at_once_while_readers_go_on(photos: Collection, folder: Path) -> None:
    for seed in range(20, 30):
        draw(folder / f"{seed}.png", seed)
    with another_writer(folder) as process:
        writes: list[Callable[[], object]] = [lambda: photos.add(folder), lambda: photos.remove(["00.png"])]
        for write in writes:
            start = time.monotonic()
            with pytest.raises(LockedError, match=r"\.lookalike.*another process"):
                write()
            assert time.monotonic() - start < 1
        assert len(everything(photos)) == 12
        assert photos.check() == []
        process.kill()
        process.wait()
        assert photos.add(folder).added == 10  # the lock went with the process


def test_a_collection_that_is_being_made_is_not_made_twice(tmp_path: Path, encoder: ColourEncoder) -> None:
    """Of many that try at once, one makes it; it is whole."""
    made: list[str] = []

    def make() -> None:
        try:
            lookalike.create(tmp_path, encoder=encoder).close()
            made.append("made")
        except (LockedError, UsageError) as error:
            made.append(type(error).__name__)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.count("made") == 1
    with lookalike.open(tmp_path, encoder=encoder) as photos:
        assert photos.check() == []


def test_what_it_is_can_be_asked_while_another_commits(photos: Collection) -> None:
    done = threading.Event()

    def commit() -> None:
        while not done.is_set():
            photos.remove(["nothing"])

    thread = threading.Thread(target=commit)
    thread.start()
    try:
        for _ in range(100):
            assert photos.info().images == 12
    finally:
        done.set()
        thread.join()


# Making and opening


def test_a_collection_is_reopened_as_it_was(photos: Collection, folder: Path, encoder: ColourEncoder) -> None:
    before = everything(photos)
    photos.close()
    for place in (folder, folder / ".lookalike", str(folder)):
        with lookalike.open(place, encoder=encoder) as again:
            assert everything(again) == before
    assert everything(photos) == before  # a closed one opens its files again


def test_a_folder_can_be_moved_with_its_collection(photos: Collection, folder: Path, encoder: ColourEncoder) -> None:
    photos.close()
    moved = folder.rename(folder.with_name("moved"))
    with lookalike.open(moved, encoder=encoder) as again:
        assert counts(again.add(moved)) == {"unchanged": 12}
        assert again.search(picture(4), k=1)[0].path == moved / "cats" / "04.png"


def test_a_directory_elsewhere_can_be_named_and_is_never_indexed(folder: Path, encoder: ColourEncoder) -> None:
    place = folder / "index"
    with lookalike.create(folder, directory=place, encoder=encoder) as photos:
        draw(place / "not_mine.png", 1)
        assert counts(photos.add(folder)) == {"added": 12}
    assert not (folder / ".lookalike").exists()
    with lookalike.open(place, encoder=encoder) as again:
        assert len(again) == 12


def test_where_there_is_none_the_message_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NoCollectionError, match="lookalike index"):
        lookalike.open(tmp_path)


def test_a_collection_is_not_made_twice_nor_for_a_folder_that_is_not_there(
    photos: Collection, folder: Path, encoder: ColourEncoder
) -> None:
    with pytest.raises(UsageError, match="already"):
        lookalike.create(folder, encoder=encoder)
    with pytest.raises(UsageError, match="no such folder"):
        lookalike.create(folder / "nowhere", encoder=encoder)
    assert len(photos) == 12


def test_a_creation_that_was_cut_off_can_be_done_again(tmp_path: Path, encoder: ColourEncoder) -> None:
    place = tmp_path / ".lookalike"
    place.mkdir()
    for name in ("catalog.sqlite", "catalog.sqlite-journal", "vectors.faiss", "collection.json.new"):
        (place / name).write_bytes(b"half of it")
    with pytest.raises(NoCollectionError):
        lookalike.open(tmp_path, encoder=encoder)
    draw(tmp_path / "a.png", 1)
    with lookalike.create(tmp_path, encoder=encoder) as photos:
        assert photos.add(tmp_path).added == 1
        assert photos.check() == []


def test_an_encoder_of_another_name_is_refused_naming_both_and_what_to_do(photos: Collection, folder: Path) -> None:
    other = ColourEncoder()
    other.name = "greys"
    with pytest.raises(IncompatibleError, match=r"made by colours.*those of greys.*delete .*lookalike index"):
        lookalike.open(folder, encoder=other)


def test_another_version_of_its_encoder_is_refused_naming_both(photos: Collection, folder: Path) -> None:
    with pytest.raises(IncompatibleError, match=r"colours c0105001.*another version of it, c0105002.*lookalike index"):
        lookalike.open(folder, encoder=ColourEncoder("c0105002"))


def test_a_collection_of_an_encoder_of_ones_own_does_not_open_without_it(photos: Collection, folder: Path) -> None:
    with pytest.raises(IncompatibleError, match=r"made by colours.*open it with that encoder"):
        lookalike.open(folder)


# Pictures and encoders that cannot be used


class SpoiltEncoder(ColourEncoder):
    """Gives a value that is of no use for a black picture."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        embeddings = super().encode(pixels)
        embeddings[pixels.max(axis=(1, 2, 3)) == 0] = 0
        embeddings[pixels.max(axis=(1, 2, 3)) == 0, 3] = self.value
        return embeddings


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0])
def test_a_vector_that_is_not_finite_or_zero_never_reaches_the_index(folder: Path, value: float) -> None:
    Image.new("RGB", (9, 9)).save(folder / "black.png")
    with lookalike.create(folder, encoder=SpoiltEncoder(value)) as photos:
        report = photos.add(folder)
        assert counts(report) == {"added": 12, "skipped": 1}
        assert report.skipped[0].path == folder / "black.png"
        assert "no usable vector" in report.skipped[0].reason
        assert photos.skipped() == list(report.skipped)
        vectors = stored_vectors(photos.directory)
        assert len(vectors) == photos.info().vectors == 12
        assert np.isfinite(np.array(list(vectors.values()))).all()
        assert counts(photos.add(folder)) == {"unchanged": 12, "skipped_before": 1}
        with pytest.raises(ImageError, match="no usable vector"):
            photos.search(folder / "black.png")


def test_an_encoder_that_does_not_keep_its_promise_of_a_dimension_writes_nothing(folder: Path) -> None:
    class WideEncoder(ColourEncoder):
        dim = 24

    with lookalike.create(folder, encoder=WideEncoder()) as photos:
        with pytest.raises(ModelError, match=r"colours.*\(1, 25\).*\(1, 24\)"):
            photos.add(folder)
        assert len(photos) == photos.info().vectors == 0
        assert photos.check() == []


def test_an_image_that_becomes_unusable_is_dropped_and_comes_back_when_it_is_whole(
    photos: Collection, folder: Path
) -> None:
    whole = (folder / "00.png").read_bytes()
    (folder / "00.png").write_bytes(whole[:60])
    report = photos.add(folder)
    assert counts(report) == {"unchanged": 11, "removed": 1, "skipped": 1}
    assert report.skipped[0].path == folder / "00.png"
    assert "00.png" not in everything(photos)
    assert counts(photos.add(folder)) == {"unchanged": 11, "skipped_before": 1}
    (folder / "00.png").write_bytes(whole)
    assert counts(photos.add(folder)) == {"added": 1, "unchanged": 11}
    assert photos.skipped() == []


def test_files_that_vanish_during_the_run_are_skipped_and_forgotten_by_the_next(folder: Path) -> None:
    class DeletingEncoder(ColourEncoder):
        def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            shutil.rmtree(folder / "dogs", ignore_errors=True)
            return super().encode(pixels)

    with lookalike.create(folder, encoder=DeletingEncoder()) as photos:
        report = photos.add(folder, threads=1)  # which has found the dogs before it encodes the first
        assert report.added == 8
        assert [(skipped.path.name, skipped.reason) for skipped in report.skipped] in (
            [(f"{seed:02}.png", "vanished") for seed in (2, 5, 8, 11)],
            [("dogs", "no such file or directory")],
            [],
        )
        assert counts(photos.add(folder)) == {"unchanged": 8}
        assert photos.skipped() == []
        assert everything(photos).keys() == set(path_keys(folder))


def test_a_file_that_changes_all_the_time_gives_one_of_its_contents_and_at_rest_the_last(
    folder: Path, encoder: ColourEncoder
) -> None:
    path, done = folder / "cats" / "01.png", threading.Event()
    contents = [draw(folder.parent / "aside.png", seed).read_bytes() for seed in (200, 201, 202)]

    def rewrite() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            path.write_bytes(contents[turn % 3])  # which is empty in between

    thread = threading.Thread(target=rewrite)
    with lookalike.create(folder, encoder=encoder) as photos:
        photos.add(folder)
        thread.start()
        try:
            for _ in range(15):
                photos.add(folder, threads=2)
                vector = stored_vectors(photos.directory).get("cats/01.png")
                if vector is None:
                    [skipped] = photos.skipped()
                    assert skipped.path == path
                else:
                    assert max(vector @ unit_of(seed) for seed in (1, 200, 201, 202)) > 0.999
        finally:
            done.set()
            thread.join()
        path.write_bytes(contents[0] + b" ")
        photos.add(folder)
        assert photos.search(picture(200), k=1)[0].key == "cats/01.png"
        assert photos.skipped() == []
        assert photos.check() == []


def test_a_file_that_changes_between_finding_and_reading_is_known_by_what_was_read(
    photos: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size and time in the catalog are those of the bytes that were encoded, so a later change is seen."""
    read, path = files.read, draw(folder / "new.png", 210)

    def read_after_a_change(name: Path) -> files.FileBytes:
        if name == path:
            monkeypatch.setattr("lookalike.images.read", read)
            draw(path, 211)
            os.utime(path, ns=(5, 5))
        return read(name)

    monkeypatch.setattr("lookalike.images.read", read_after_a_change)
    assert counts(photos.add(folder)) == {"added": 1, "unchanged": 12}
    assert photos.search(picture(211), k=1)[0].key == "new.png"
    assert counts(photos.add(folder)) == {"unchanged": 13}


# Damage


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_a_flipped_bit_of_a_vector_is_noticed_before_it_is_returned(
    photos: Collection, folder: Path, encoder: ColourEncoder
) -> None:
    vectors = photos.directory / "vectors.faiss"
    image = everything(photos)["cats/04.png"]
    sound = vectors.read_bytes()
    [row] = [row for row, key in enumerate(sorted(path_keys(folder), key=os.fsencode)) if key == "cats/04.png"]
    random = np.random.default_rng(0)
    for byte in range(50):
        place = len(sound) - (12 - row) * 50 + byte
        overwrite(vectors, place, bytes([sound[place] ^ 1 << random.integers(8)]))
        with lookalike.open(folder, encoder=encoder) as damaged:
            with pytest.raises(CorruptError, match=r"vectors\.faiss"):
                damaged.search(picture(4), k=12)
            with pytest.raises(CorruptError, match=r"vectors\.faiss"):
                damaged.search_id(image.id, k=1)
            assert damaged.check() == [f"{vectors}: the vector in row {row} is damaged"]
        overwrite(vectors, place, sound[place : place + 1])
    assert photos.check() == []


def test_damage_of_a_vector_that_is_not_returned_does_not_stop_a_search(photos: Collection, folder: Path) -> None:
    vectors = photos.directory / "vectors.faiss"
    overwrite(vectors, vectors.stat().st_size - 50, bytes(50))  # the last row, at right angles to every query
    assert [match.key for match in photos.search(picture(0), k=1)] == ["00.png"]
    assert photos.check() == [f"{vectors}: the vector in row 11 is damaged"]


def test_vectors_that_are_not_numbers_are_noticed(photos: Collection, folder: Path, encoder: ColourEncoder) -> None:
    vectors = photos.directory / "vectors.faiss"
    overwrite(vectors, vectors.stat().st_size - 50, b"\xff" * 50)
    with lookalike.open(folder, encoder=encoder) as damaged, pytest.raises(CorruptError, match=r"vectors\.faiss"):
        damaged.search(picture(0), k=12)
    assert photos.check() == [f"{vectors}: the vector in row 11 is damaged"]


@pytest.mark.parametrize("size", [0, 50, 81, -1])
def test_truncated_vectors_are_refused_naming_the_file(
    photos: Collection, folder: Path, encoder: ColourEncoder, size: int
) -> None:
    photos.close()
    vectors = photos.directory / "vectors.faiss"
    os.truncate(vectors, size if size >= 0 else vectors.stat().st_size + size)
    with lookalike.open(folder, encoder=encoder) as damaged:
        uses: list[Callable[[], object]] = [
            lambda: damaged.search(picture(0)),
            lambda: damaged.search_id(1),
            lambda: damaged.add(folder),
            lambda: damaged.remove(["00.png"]),
        ]
        for use in uses:
            with pytest.raises(CorruptError, match=r"vectors\.faiss"):
                use()
        [damage] = damaged.check()
        assert str(vectors) in damage


@pytest.mark.parametrize("missing", ["vectors.faiss", "catalog.sqlite"])
def test_a_missing_file_is_damage_and_is_named(
    photos: Collection, folder: Path, encoder: ColourEncoder, missing: str
) -> None:
    photos.close()
    (photos.directory / missing).unlink()
    with pytest.raises(CorruptError, match=missing):
        lookalike.open(folder, encoder=encoder).search(picture(0))
    with pytest.raises(CorruptError, match=missing):
        lookalike.open(folder, encoder=encoder).add(folder)


@pytest.mark.parametrize("start", [0, 100, 4096])
def test_an_overwritten_catalog_is_refused_naming_the_file(
    photos: Collection, folder: Path, encoder: ColourEncoder, start: int
) -> None:
    photos.close()
    catalog = photos.directory / "catalog.sqlite"
    overwrite(catalog, start, np.random.default_rng(0).bytes(catalog.stat().st_size - start))
    uses: list[Callable[[Collection], object]] = [
        lambda damaged: damaged.search(picture(0)),
        lambda damaged: damaged.search_id(1),
        lambda damaged: damaged.add(folder),
        lambda damaged: damaged.remove(["00.png"]),
    ]
    for use in uses:
        with pytest.raises(CorruptError, match=r"catalog\.sqlite"), lookalike.open(folder, encoder=encoder) as damaged:
            use(damaged)


def test_check_names_a_damaged_catalog(photos: Collection, folder: Path) -> None:
    photos.close()
    catalog = photos.directory / "catalog.sqlite"
    overwrite(catalog, 4096, np.random.default_rng(0).bytes(catalog.stat().st_size - 4096))
    damages = photos.check()
    assert damages
    assert all(damage.startswith(str(catalog)) for damage in damages)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "1",
        '{"format": 1}',
        '{"format": "1"}',
        "[" * 100_000,
        '{"format": 0, "model": "colours", "precision": "", "fingerprint": "c", "dim": 25, "dtype": "float16"}',
        '{"format": 1, "model": "colours", "precision": "", "fingerprint": "c", "dim": 1e999, "dtype": "float16"}',
        '{"format": 1, "model": "colours", "precision": "", "fingerprint": "c", "dim": 0, "dtype": "float16"}',
        '{"format": 1, "model": "colours", "precision": "", "fingerprint": "c", "dim": 25, "dtype": "float32"}',
        "\udcff",
    ],
    ids=lambda text: text[:90],
)
def test_a_damaged_description_is_refused_naming_the_file(
    photos: Collection, folder: Path, encoder: ColourEncoder, text: str
) -> None:
    (photos.directory / "collection.json").write_bytes(os.fsencode(text))
    with pytest.raises(CorruptError, match=r"collection\.json"):
        lookalike.open(folder, encoder=encoder)


def test_a_collection_of_a_newer_lookalike_asks_for_an_upgrade(
    photos: Collection, folder: Path, encoder: ColourEncoder
) -> None:
    path = photos.directory / "collection.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(IncompatibleError, match=r"collection\.json.*format 2.*upgrade"):
        lookalike.open(folder, encoder=encoder)


def test_a_place_that_cannot_be_written_to_is_a_fault_of_the_disk(tmp_path: Path, encoder: ColourEncoder) -> None:
    (tmp_path / ".lookalike").write_text("a file is in the way")
    with pytest.raises(StorageError, match=r"\.lookalike"):
        lookalike.create(tmp_path, encoder=encoder)


# With the network that comes with Lookalike


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """Twelve larger pictures, indexed by it."""
    folder = tmp_path_factory.mktemp("bundled") / "photos"
    for seed in range(12):
        large = Image.fromarray(picture(seed)).resize((320, 240), Image.Resampling.BICUBIC)
        path = folder / ("cats", "dogs")[seed % 2] / f"{seed:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        large.save(path, quality=90)
    with lookalike.create(folder) as photos:
        assert counts(photos.add(folder, threads=2)) == {"added": 12}
        yield photos


def test_the_bundled_network_finds_each_picture_and_ranks_as_brute_force_does(bundled: Collection) -> None:
    vectors = {key: vector.astype(np.float64) for key, vector in stored_vectors(bundled.directory).items()}
    assert {vector.shape for vector in vectors.values()} == {(1280,)}
    for key in sorted(vectors):
        found = bundled.search(bundled.folder / key, k=12)
        assert (found[0].key, found[0].width, found[0].height) == (key, 320, 240)
        assert found[0].score > 0.999
        assert_best(found, bundled.embed(bundled.folder / key)[0].astype(np.float64), vectors, 12)


def test_a_scaled_copy_of_a_picture_is_nearest_to_it_with_the_bundled_network(bundled: Collection) -> None:
    with Image.open(bundled.folder / "cats" / "04.jpg") as image:
        smaller = image.resize((280, 210), Image.Resampling.LANCZOS)
    first, second = bundled.search(smaller, k=2)
    assert first.key == "cats/04.jpg"
    assert first.score > 0.95 > second.score


def test_a_collection_of_the_bundled_network_opens_by_itself_and_not_with_another(bundled: Collection) -> None:
    with lookalike.open(bundled.folder) as again:
        assert (len(again), again.made_by) == (12, bundled.made_by)
        assert again.check() == []
    with pytest.raises(IncompatibleError, match=r"efficientnet-lite0 \(int8\).*those of colours"):
        lookalike.open(bundled.folder, encoder=ColourEncoder())


# Any sequence


NAMES = st.sampled_from([f"{folder}{name}.png" for folder in ("", "a/", "b/", "b/c/") for name in ("x", "y", "z")])
SEEDS = st.integers(0, 7)


@dataclass
class Known:
    """What the collection is to know of a file: of which picture it is (None: it is none), and its time."""

    seed: int | None
    time: int
    id: int = 0


class AnySequence(RuleBasedStateMachine):
    """Files come, change, go and are renamed, and the collection is brought up to date and searched."""

    def __init__(self) -> None:
        super().__init__()
        self.cleanup = contextlib.ExitStack()
        self.cleanup.enter_context(mock.patch.object(database, "_set_durability"))  # power is not lost here
        self.cleanup.enter_context(mock.patch.object(os, "fsync"))

    @initialize()
    def create(self) -> None:
        self.folder = Path(self.cleanup.enter_context(tempfile.TemporaryDirectory())).resolve()
        self.photos = lookalike.create(self.folder, encoder=ColourEncoder())
        self.there: dict[str, Known] = {}
        self.known: dict[str, Known] = {}
        self.time = 0
        self.newest = 0

    def teardown(self) -> None:
        if hasattr(self, "photos"):
            assert self.photos.check() == []
            self.photos.close()
        self.cleanup.close()

    @property
    def images(self) -> dict[str, int]:
        """The pictures that are to be found."""
        return {key: known.seed for key, known in self.known.items() if known.seed is not None}

    # What happens to the files

    def _stamp(self, key: str, seed: int | None) -> None:
        self.time += 1
        os.utime(self.folder / key, ns=(self.time, self.time))
        self.there[key] = Known(seed, self.time)

    @rule(key=NAMES, seed=SEEDS)
    def write(self, key: str, seed: int) -> None:
        draw(self.folder / key, seed)
        self._stamp(key, seed)

    @rule(key=NAMES)
    def write_what_is_no_image(self, key: str) -> None:
        (self.folder / key).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / key).write_bytes(b"text")
        self._stamp(key, None)

    @rule(key=NAMES)
    def touch(self, key: str) -> None:
        if key in self.there:
            self._stamp(key, self.there[key].seed)

    @rule(key=NAMES)
    def delete(self, key: str) -> None:
        if self.there.pop(key, None):
            (self.folder / key).unlink()

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        if old in self.there:
            (self.folder / new).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / old).rename(self.folder / new)
            self.there[new] = self.there.pop(old)

    # What happens to the collection

    @rule(part=st.sampled_from(["", "a", "b", "b/c"]), threads=st.integers(1, 3), batch=st.integers(1, 4))
    def add(self, part: str, threads: int, batch: int) -> None:
        if (self.folder / part).is_dir():
            with mock.patch.object(ingest, "_COMMIT_IMAGES", batch):
                report = self.photos.add(self.folder / part, threads=threads)
            within = f"{part}/" if part else ""
            looked_at = {key for key in self.there.keys() | self.known.keys() if key.startswith(within)}
            assert counts(report) == self._brought_up_to_date(looked_at)

    @rule(keys=st.sets(NAMES, min_size=1, max_size=4))
    def add_files(self, keys: set[str]) -> None:
        keys &= self.there.keys()
        report = self.photos.add([self.folder / key for key in keys])
        assert counts(report) == self._brought_up_to_date(keys)

    @rule(keys=st.sets(NAMES, max_size=3))
    def remove(self, keys: set[str]) -> None:
        removed = self.photos.remove(sorted(keys))
        assert removed == len(keys & self.images.keys())
        for key in keys:
            self.known.pop(key, None)

    @rule()
    def reopen(self) -> None:
        self.photos.close()
        self.photos = lookalike.open(self.folder, encoder=ColourEncoder())

    def _brought_up_to_date(self, keys: set[str]) -> dict[str, int]:
        """Does the same to what is known, and gives the report that is due."""
        told = dict.fromkeys(("added", "updated", "renamed", "unchanged", "removed", "skipped", "skipped_before"), 0)
        images_before, known_before = self.images, dict(self.known)
        for key in sorted(keys & self.there.keys()):
            there, known = self.there[key], self.known.get(key)
            was_image = known is not None and known.seed is not None
            if known and (known.seed, known.time) == (there.seed, there.time):
                told["skipped_before" if known.seed is None else "unchanged"] += 1
                continue
            self.known[key] = Known(there.seed, there.time, known.id if known and was_image else 0)
            if there.seed is None:
                told["skipped"] += 1
                told["removed"] += was_image
            elif known and was_image:
                told["unchanged" if known.seed == there.seed else "updated"] += 1
            else:
                told["added"] += 1
        gone = [key for key in sorted(keys - self.there.keys()) if self.known.pop(key)]
        new = [key for key in sorted(self.images) if key not in images_before]
        for key in gone:
            seed = images_before.get(key)
            if seed is None:
                continue
            again = next((name for name in new if self.images[name] == seed), None)
            if again:  # it was renamed, and keeps its id
                new.remove(again)
                self.known[again].id = known_before[key].id
                told["renamed"] += 1
                told["added"] -= 1
            else:
                told["removed"] += 1
        self._learn_ids()
        return {name: number for name, number in told.items() if number}

    def _learn_ids(self) -> None:
        """Those that are new have ids that were never used; all others keep theirs."""
        ids = {match.key: match.id for match in self.photos.search(picture(0), k=1000)}
        for key in self.images:
            known = self.known[key]
            if known.id:
                assert ids[key] == known.id
            else:
                assert ids[key] > self.newest
                known.id = ids[key]
        self.newest = max([self.newest, *ids.values()])

    # What is found

    @rule(seed=st.integers(0, 12), k=st.integers(1, 14))
    def search(self, seed: int, k: int) -> None:
        vectors = {key: unit_of(of_key) for key, of_key in self.images.items()}
        assert_best(self.photos.search(picture(seed), k=k), unit_of(seed), vectors, k)

    @rule(key=NAMES, k=st.integers(1, 14))
    def search_an_image(self, key: str, k: int) -> None:
        if key in self.images:
            others = {name: unit_of(seed) for name, seed in self.images.items() if name != key}
            found = self.photos.search_id(self.known[key].id, k=k)
            assert_best(found, unit_of(self.images[key]), others, k)

    @invariant()
    def knows_what_it_was_told(self) -> None:
        if not hasattr(self, "photos"):
            return
        assert len(self.photos) == len(self.images)
        unusable = sorted(key for key, known in self.known.items() if known.seed is None)
        assert [skipped.path for skipped in self.photos.skipped()] == [self.folder / key for key in unusable]
        stored = stored_vectors(self.photos.directory)
        assert stored.keys() == self.images.keys()
        for key, vector in stored.items():
            np.testing.assert_allclose(vector, unit_of(self.images[key]), atol=1e-3)


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(
    max_examples=int(os.environ.get("LOOKALIKE_SEQUENCES", "40")), stateful_step_count=30, deadline=None
)

"""A collection whose images an earlier version has decoded: those that are decoded otherwise now get other vectors."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike import Collection, Progress
from lookalike.cli.reports import print_info, print_report
from lookalike.images import revisions
from lookalike.images.decode import prepare
from lookalike.ingest import pipeline
from lookalike.ingest.embedding import Embedder
from lookalike.storage.catalog import Catalog
from tests.support.pictures import ColourEncoder, cosines_ready, counts, everything, picture, stored_vectors
from tests.support.profiles import PROPHOTO, SRGB, rgb_profile

PROFILE, OF_SRGB = rgb_profile(PROPHOTO, 1.8), rgb_profile(SRGB, None)
TAGGED = ["tagged/0.png", "tagged/1.jpg", "tagged/copy.png"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures without a profile, one with that of sRGB, and three with another, of which two are the same."""
    folder = tmp_path.resolve() / "photos"
    (folder / "tagged").mkdir(parents=True)
    for seed in range(4):
        Image.fromarray(picture(seed)).save(folder / f"{seed}.png")
    Image.fromarray(picture(4)).save(folder / "4.png", icc_profile=OF_SRGB)
    for seed, key in enumerate(TAGGED[:2], 5):
        Image.fromarray(picture(seed)).save(folder / key, icc_profile=PROFILE)
    shutil.copy(folder / TAGGED[0], folder / TAGGED[2])
    return folder


@pytest.fixture
def earlier(folder: Path, monkeypatch: pytest.MonkeyPatch, old_files: None) -> Iterator[Collection]:
    """The collection as an earlier version left it, which did not apply profiles."""
    with monkeypatch.context() as patch:
        patch.setattr("lookalike.images.rendering.conversion_of", lambda *_: None)
        patch.setattr(revisions, "CURRENT", 0)
        with lookalike.create(folder, encoder=ColourEncoder()) as collection:
            collection.add(folder, threads=2)
            write_table(folder.parent / "table.csv", [*TAGGED, "0.png"])
            collection.annotate(folder.parent / "table.csv")
    with lookalike.open(folder, encoder=ColourEncoder()) as collection:
        yield collection


def write_table(path: Path, keys: list[str]) -> None:
    path.write_text("path,note\n" + "".join(f"{key},note of {key}\n" for key in keys))


def execute(collection: Collection, statement: str) -> None:
    with closing(sqlite3.connect(collection.directory / "catalog.sqlite")) as connection, connection:
        connection.execute(statement)


def assert_up_to_date(collection: Collection, folder: Path) -> None:
    """Each image has the vector that its file gives now, and nothing is damaged or due."""
    for key, vector in stored_vectors(collection.directory).items():
        pixels = prepare(folder / key, ColourEncoder.preprocessing).pixels[None]
        expected = cosines_ready(ColourEncoder().encode(pixels)[0])
        np.testing.assert_allclose(vector, expected, atol=1e-3)
    assert collection.check() == []
    assert collection.info().outdated == 0


def facts(collection: Collection) -> dict[str, tuple[int, str | None, dict[str, object]]]:
    return {key: (match.id, match.label, dict(match.attributes)) for key, match in everything(collection).items()}


def test_images_with_a_profile_get_other_vectors_and_the_rest_does_not(earlier: Collection, folder: Path) -> None:
    before, known = stored_vectors(earlier.directory), facts(earlier)
    assert earlier.info().outdated == 8
    assert counts(earlier.add(folder)) == {"reencoded": 3, "unchanged": 5}
    assert_up_to_date(earlier, folder)
    assert facts(earlier) == known
    after = stored_vectors(earlier.directory)
    for key, vector in before.items():
        assert np.array_equal(after[key], vector) == (key not in TAGGED)
    assert counts(earlier.add(folder)) == {"unchanged": 8}
    [best] = earlier.search(folder / TAGGED[1], k=1)
    assert (best.key, round(best.score, 3)) == (TAGGED[1], 1)


def test_files_without_another_profile_are_not_decoded(
    earlier: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    real = Embedder._image

    def noting(embedder: Embedder, data: bytes, key: str) -> object:
        decoded.append(key)
        return real(embedder, data, key)

    monkeypatch.setattr(Embedder, "_image", noting)
    earlier.add(folder, threads=1)
    assert set(decoded) == set(TAGGED)


def test_earlier_vectors_are_dead_and_compacted_in_the_end(earlier: Collection, folder: Path) -> None:
    earlier.add(folder)
    assert earlier.info().dead == 2  # the copies share one
    known = facts(earlier)
    earlier.build()
    assert earlier.info().dead == 0
    assert facts(earlier) == known
    assert_up_to_date(earlier, folder)
    assert counts(earlier.add(folder)) == {"unchanged": 8}


def test_only_the_images_of_the_source_are_looked_at(earlier: Collection, folder: Path) -> None:
    assert counts(earlier.add(folder / "tagged")) == {"reencoded": 3}
    assert earlier.info().outdated == 5
    assert counts(earlier.add([folder / "0.png"])) == {"unchanged": 1}
    assert earlier.info().outdated == 4
    assert counts(earlier.add(folder)) == {"unchanged": 8}
    assert_up_to_date(earlier, folder)


@pytest.mark.parametrize("done", range(1, 9))
def test_a_run_that_is_stopped_is_carried_on(
    earlier: Collection, folder: Path, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = facts(earlier)
    monkeypatch.setattr(pipeline, "_COMMIT_IMAGES", 1)
    with pytest.raises(KeyboardInterrupt):
        earlier.add(folder, threads=1, progress=stop_after(done))
    assert earlier.check() == []
    assert facts(earlier) == known
    earlier.add(folder)
    assert facts(earlier) == known
    assert_up_to_date(earlier, folder)


def stop_after(done: int) -> Callable[[Progress], None]:
    def stop(progress: Progress) -> None:
        if progress.done >= done:
            raise KeyboardInterrupt

    return stop


def test_a_failure_before_the_commit_changes_nothing(
    earlier: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, known = stored_vectors(earlier.directory), facts(earlier)
    with monkeypatch.context() as patch:
        patch.setattr("lookalike.storage.transaction.Transaction.note_decoding", fail)
        with pytest.raises(RuntimeError):
            earlier.add(folder)
    after = stored_vectors(earlier.directory)
    assert all(np.array_equal(after[key], before[key]) for key in before)
    assert facts(earlier) == known
    assert counts(earlier.add(folder)) == {"reencoded": 3, "unchanged": 5}
    assert_up_to_date(earlier, folder)


def fail(*_: object) -> None:
    raise RuntimeError("the disk is gone")


def test_renamed_copied_and_touched_files_get_the_vectors_of_today(earlier: Collection, folder: Path) -> None:
    known = facts(earlier)
    (folder / TAGGED[1]).rename(folder / "renamed.jpg")
    shutil.copy(folder / TAGGED[0], folder / "another.png")
    os.utime(folder / TAGGED[0])
    found = counts(earlier.add(folder))
    assert found == {"renamed": 1, "added": 1, "reencoded": 2, "unchanged": 5}
    assert_up_to_date(earlier, folder)
    assert facts(earlier)["renamed.jpg"][0] == known[TAGGED[1]][0]
    assert facts(earlier)[TAGGED[0]] == known[TAGGED[0]]


def test_a_missing_image_gets_its_vector_when_it_is_back(earlier: Collection, folder: Path) -> None:
    known = facts(earlier)
    for key in (TAGGED[1], "1.png"):
        (folder / key).rename(folder.parent / Path(key).name)
    assert counts(earlier.add(folder)) == {"reencoded": 2, "unchanged": 4, "missing": 2}
    for key in (TAGGED[1], "1.png"):
        (folder.parent / Path(key).name).rename(folder / key)
    assert counts(earlier.add(folder)) == {"returned": 2, "unchanged": 6}
    assert facts(earlier) == known
    assert_up_to_date(earlier, folder)


def test_the_vector_of_a_missing_image_whose_copy_is_there_is_replaced(earlier: Collection, folder: Path) -> None:
    known = facts(earlier)
    (folder / TAGGED[0]).rename(folder.parent / "away.png")
    assert counts(earlier.add(folder)) == {"reencoded": 2, "unchanged": 5, "missing": 1}
    (folder.parent / "away.png").rename(folder / TAGGED[0])
    assert counts(earlier.add(folder)) == {"returned": 1, "unchanged": 7}
    assert facts(earlier) == known
    assert_up_to_date(earlier, folder)


def test_a_file_that_was_refused_is_tried_again(earlier: Collection, folder: Path) -> None:
    Image.fromarray(picture(9)).save(folder / "9.png")
    earlier.add(folder)
    execute(earlier, "DELETE FROM images WHERE key = '9.png'")
    status = (folder / "9.png").stat()
    execute(
        earlier,
        "INSERT INTO skipped (key, size, mtime_ns, ctime_ns, reason) VALUES"
        f" ('9.png', {status.st_size}, {status.st_mtime_ns}, {status.st_ctime_ns}, 'not supported')",
    )
    assert earlier.info().outdated == 1
    assert counts(earlier.add(folder)) == {"added": 1, "unchanged": 8}
    assert earlier.info().outdated == 0


def test_a_file_that_cannot_be_used_is_tried_once(earlier: Collection, folder: Path) -> None:
    (folder / "broken.png").write_bytes(b"no image")
    assert counts(earlier.add(folder))["skipped"] == 1
    execute(earlier, "UPDATE skipped SET decoding = 0")
    assert counts(earlier.add(folder)) == {"unchanged": 8, "skipped": 1}
    assert counts(earlier.add(folder)) == {"unchanged": 8, "skipped_before": 1}


def test_a_file_that_cannot_be_read_any_more_is_missing(
    earlier: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise lookalike.errors.ImageError("damaged: refused now")

    monkeypatch.setattr("lookalike.ingest.embedding.decode", refuse)
    assert counts(earlier.add(folder)) == {"unchanged": 5, "missing": 3, "skipped": 3}


def test_a_catalog_of_the_format_before_is_migrated(earlier: Collection, folder: Path) -> None:
    earlier.close()
    execute(earlier, "ALTER TABLE vectors DROP COLUMN decoding")
    execute(earlier, "ALTER TABLE skipped DROP COLUMN decoding")
    for table in ("regions", "region_storage", "augmentation"):
        execute(earlier, f"DROP TABLE {table}")
    execute(earlier, "ALTER TABLE generations DROP COLUMN of_regions")
    execute(earlier, "PRAGMA user_version = 3")
    with closing(Catalog(earlier.directory / "catalog.sqlite")) as catalog:
        assert catalog.count_outdated() == 8
    assert counts(earlier.add(folder)) == {"reencoded": 3, "unchanged": 5}
    assert_up_to_date(earlier, folder)


def test_vectors_of_earlier_decoders_are_taken_over_where_they_are_right(earlier: Collection, folder: Path) -> None:
    """By a collection around it: not those of images with a profile."""
    earlier.close()
    with lookalike.create(folder.parent, encoder=ColourEncoder()) as around:
        report = around.add(folder.parent, take_over=[folder])
        assert (report.added, report.taken_over) == (8, 5)
        assert_up_to_date(around, folder.parent)


def test_the_command_line_says_what_is_due_and_what_was_done(
    earlier: Collection, capsys: pytest.CaptureFixture[str]
) -> None:
    print_info(earlier.info(), as_json=False)
    print_report(earlier.add(earlier.folder), earlier, as_json=False)
    print_info(earlier.info(), as_json=False)
    due, done, after = capsys.readouterr().out.partition("3 encoded again, as they are read otherwise now")
    assert "outdated    8, read by an earlier version; lookalike index looks at them again\n" in due
    assert done
    assert "outdated" not in after

"""A collection that is indexed again with another model: its vectors, ids, attributes, labels and files."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike import Collection
from lookalike.collection import trust
from lookalike.collection.reindex import reindex
from lookalike.errors import IncompatibleError, UsageError
from lookalike.filters import Where
from lookalike.images.decode import prepare
from lookalike.storage import sqlite
from tests.support.pictures import ColourEncoder, assert_best, cosines_ready, draw, picture, stored_vectors
from tests.support.reindexing import CoarseEncoder, annotate, data_directory, facts_of, names_in
from tests.support.small_policies import small_policies


def test_the_vectors_are_those_of_a_collection_made_with_that_model(photos: Collection, tmp_path: Path) -> None:
    fresh = lookalike.create(photos.folder, directory=tmp_path / "fresh", encoder=CoarseEncoder())
    fresh.add(photos.folder)
    reindex(photos.folder, encoder=CoarseEncoder())
    with lookalike.open(photos.folder, encoder=CoarseEncoder()) as again:
        assert (again.made_by, again.check()) == (fresh.made_by, [])
        vectors, expected = stored_vectors(data_directory(again.directory)), stored_vectors(fresh.directory)
        assert vectors.keys() == expected.keys()
        assert all(np.array_equal(vectors[key], expected[key]) for key in vectors)
        pixels = prepare(picture(3), CoarseEncoder.preprocessing).pixels[None]
        query = cosines_ready(CoarseEncoder().encode(pixels)[0])
        exact = {key: vector.astype(np.float64) for key, vector in vectors.items()}
        assert_best(again.search(picture(3), k=12), query, exact, 12)


def test_a_collection_kept_elsewhere_stays_trusted(photos: Collection, tmp_path: Path) -> None:
    """Its folder is outside of it, and each model gives it another identity."""
    with lookalike.create(photos.folder, directory=tmp_path / "elsewhere", encoder=ColourEncoder()) as elsewhere:
        elsewhere.add(photos.folder)
        number = len(elsewhere)
    trust._TRUSTED.clear()  # as in another process
    for encoder in (CoarseEncoder(), ColourEncoder(), CoarseEncoder()):
        report = reindex(tmp_path / "elsewhere", encoder=encoder)
        trust._TRUSTED.clear()
        assert (report.unchanged, report.added, report.missing) == (number, 0, 0)
    with lookalike.open(tmp_path / "elsewhere", encoder=CoarseEncoder()) as again:
        assert again.update().unchanged == number


def test_ids_attributes_and_labels_stay(photos: Collection) -> None:
    annotate(photos, "path,price,label,note\ncats/01.png,5,lions,\ndogs/02.png,2.5,,\n00.png,,,dear\n")
    photos.remove(["cats/04.png"])
    before = facts_of(photos)
    assert before["cats/01.png"] == (5, "lions", {"label": "lions", "price": 5})
    report = reindex(photos.folder, encoder=CoarseEncoder())
    assert (report.unchanged, report.added, report.missing, report.renamed) == (11, 1, 0, 0)
    with lookalike.open(photos.folder, encoder=CoarseEncoder()) as again:
        after = facts_of(again)
        assert after.pop("cats/04.png") == (13, "cats", {})  # removed, but its file had stayed
        assert after == before
        assert {match.key for match in again.search(picture(0), where=Where(attributes={"price": 5}))} == {
            "cats/01.png"
        }
        assert again.search_id(5).queries[0].key == "cats/01.png"


def test_an_id_of_a_removed_image_is_not_used_again(photos: Collection) -> None:
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


def test_renamed_new_changed_and_deleted_files_are_noticed(photos: Collection, tmp_path: Path) -> None:
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
    assert (report.added, report.renamed, report.unchanged, report.missing) == (1, 1, 10, 2)
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


def test_a_large_collection_gets_an_index_with_its_former_target_recall(photos: Collection) -> None:
    policies = small_policies(exact=16)
    for seed in range(20, 30):
        draw(photos.folder / f"{seed}.png", seed)
    assert photos.info().index is None
    reindex(photos.folder, encoder=ColourEncoder("other"), policies=policies)
    with lookalike.open(photos.folder, encoder=ColourEncoder("other"), policies=policies) as again:
        assert again.info().index
        assert again.build(recall=0.5)
    reindex(photos.folder, encoder=ColourEncoder(), policies=policies)
    with lookalike.open(photos.folder, encoder=ColourEncoder(), policies=policies) as again:
        index = again.info().index
        assert index
        assert (index.rows, index.target_recall) == (22, 0.5)
        assert again.check() == []


def test_it_may_be_done_again_and_again_and_leaves_nothing_behind(photos: Collection) -> None:
    before = facts_of(photos)
    for number, encoder in enumerate((CoarseEncoder(), ColourEncoder("other"), CoarseEncoder("third")), 1):
        photos.build(spec="Flat") if number == 1 else None
        reindex(photos.folder, encoder=encoder)
        assert names_in(photos.directory) == {"collection.json", "lock", "sources.json", f"data.{number:06}"}
        with lookalike.open(photos.folder, encoder=encoder) as again:
            assert facts_of(again) == before
            assert again.add(photos.folder).unchanged == 12


def test_a_collection_in_a_directory_of_its_own_is_indexed_again_there(folder: Path, tmp_path: Path) -> None:
    directory = tmp_path.resolve() / "elsewhere"
    with lookalike.create(folder, directory=directory, encoder=ColourEncoder()) as photos:
        photos.add(folder)
    reindex(directory, encoder=CoarseEncoder())
    with lookalike.open(directory, encoder=CoarseEncoder()) as again:
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
    assert names_in(photos.directory) == {"collection.json", "lock", "sources.json", "data.000001"}


def test_the_bundled_model_takes_over_by_its_name(photos: Collection) -> None:
    reindex(photos.folder, model="efficientnet-lite0", precision="f32", device="cpu")
    with lookalike.open(photos.folder) as again:
        assert (str(again.made_by), again.made_by.dim, len(again)) == ("efficientnet-lite0 (f32)", 1280, 12)
        assert again.search(photos.folder / "00.png", k=1)[0].score > 0.999
    with pytest.raises(UsageError, match=r"indexed with efficientnet-lite0 \(f32\) already"):
        reindex(photos.folder, model="efficientnet-lite0")

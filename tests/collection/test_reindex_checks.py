"""What is refused before images are indexed again, and what is estimated of it."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest

import lookalike
from lookalike import Collection, Hint, Progress
from lookalike.collection import migration
from lookalike.collection.reindex import estimate_reindex, reindex, unfinished
from lookalike.errors import CorruptError, LockedError, NoCollectionError, StorageError, UsageError
from lookalike.storage.catalog import Catalog
from tests.support.pictures import ColourEncoder, picture
from tests.support.reindexing import CoarseEncoder, begin, names_in
from tests.support.small_policies import small_policies

# Refusals


def test_wrong_arguments_are_refused_and_change_nothing(photos: Collection, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="indexed with colours already"):
        reindex(photos.folder, encoder=ColourEncoder())
    with pytest.raises(UsageError, match="threads=0"):
        reindex(photos.folder, encoder=CoarseEncoder(), threads=0)
    with pytest.raises(UsageError, match="no such file or folder"):
        reindex(photos.folder, encoder=CoarseEncoder(), sources=[photos.folder / "nowhere"])
    with pytest.raises(UsageError, match="there is no model 'nothing'"):
        reindex(photos.folder, model="nothing")
    with pytest.raises(NoCollectionError, match="there is no collection") as raised:
        reindex(tmp_path / "nowhere", encoder=CoarseEncoder())
    assert raised.value.hints == (Hint("create", {"path": str(tmp_path / "nowhere")}),)
    assert names_in(photos.directory) == {"catalog.sqlite", "collection.json", "lock", "sources.json", "vectors.faiss"}


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
def test_if_it_cannot_begin_no_catalog_stays_open(
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
    with mock.patch.object(Catalog, failing, side_effect=StorageError("!")), pytest.raises(StorageError):
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


# Estimates


def test_its_size_is_estimated_beforehand(photos: Collection) -> None:
    change = estimate_reindex(photos.folder, model="efficientnet-lite0")
    assert change
    catalog = (photos.directory / "catalog.sqlite").stat().st_size
    assert (change.images, change.bytes, change.unfinished) == (12, 12 * 1280 * 2 + catalog, None)
    assert (change.directory, change.manifest.made_by) == (photos.directory, photos.made_by)
    assert str(change.wanted) == "efficientnet-lite0 (int8)"
    policies = small_policies(exact=1)
    larger = estimate_reindex(photos.folder, model="efficientnet-lite0", precision="bf16", policies=policies)
    assert larger
    assert larger.bytes > change.bytes
    assert str(larger.wanted) == "efficientnet-lite0 (bf16)"


def test_the_encoder_that_made_the_collection_would_change_nothing(photos: Collection) -> None:
    assert estimate_reindex(photos.folder, encoder=ColourEncoder()) is None


def test_a_run_that_has_begun_is_known(photos: Collection) -> None:
    assert unfinished(photos.directory) is None
    begin(photos, CoarseEncoder())
    begun = unfinished(photos.directory)
    assert begun
    assert (begun.made_by.model, begun.done, begun.files) == ("coarse", 5, 12)
    assert begun.data_directory == photos.directory / "data.000001"
    for change in (
        estimate_reindex(photos.folder, encoder=CoarseEncoder()),
        estimate_reindex(photos.folder, model="efficientnet-lite0"),
    ):
        assert change
        assert change.unfinished == begun
    shutil.rmtree(begun.data_directory)
    assert unfinished(photos.directory) is None
    reindex(photos.folder, encoder=CoarseEncoder())
    assert unfinished(photos.directory) is None

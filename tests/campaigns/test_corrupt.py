"""Damaged files of collections: a search that would answer wrongly notices, or `check` does."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike import Collection
from lookalike.errors import CorruptError
from lookalike.filters import Where
from lookalike.storage import checksums
from lookalike.storage.catalog import Catalog
from lookalike.storage.mapped_vectors import MappedVectors
from tests.campaigns.corrupt import campaign, damages
from tests.support.pictures import ColourEncoder
from tests.support.small_policies import quick_policies


def test_no_damaged_file_goes_unnoticed_and_no_process_dies(tmp_path: Path) -> None:
    report = campaign.run(tmp_path.resolve(), count=80)
    assert not report.problems, "\n".join(report.problems.values())
    assert report.outcomes.total() == 80
    assert {file for file, *_ in report.outcomes} == set(damages.WEIGHTS)  # enough for each kind of them
    assert {damage for _, damage, _ in report.outcomes} == {damage.__name__ for damage in damages.DAMAGES}


@pytest.fixture
def compacted(folder: Path) -> Path:
    """The directory of a collection whose dead vectors have been removed, and that has an index."""
    with lookalike.create(folder, encoder=ColourEncoder(), policies=quick_policies()) as photos:
        photos.add(folder, threads=1)
        photos.remove(["cats"])
        photos.build(spec="Flat")
        return photos.directory


def spoil(directory: Path, *statements: str) -> None:
    """Changes a catalog as only a failing disk would: no trigger puts anything right."""
    with closing(sqlite3.connect(directory / "catalog.sqlite")) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        dropped = [f"DROP TRIGGER {name}" for name, _ in triggers]
        for statement in (*dropped, *statements, *(sql for _, sql in triggers)):
            connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize("write", ["build", "maintain"])
def test_a_catalog_that_names_other_vectors_does_not_cost_the_right_ones(compacted: Path, write: str) -> None:
    """A build removes files that are not named, and the vectors would be among them."""
    before = (compacted / "vectors.000001.faiss").read_bytes()
    with lookalike.open(compacted, encoder=ColourEncoder()) as photos:
        spoil(compacted, "UPDATE storage SET vectors = 'vectors.000003.faiss'")
        with pytest.raises(CorruptError, match=r"vectors\.000003\.faiss: the file is missing"):
            getattr(photos, write)()
    assert (compacted / "vectors.000001.faiss").read_bytes() == before


def test_a_catalog_that_has_lost_rows_does_not_cost_their_vectors(compacted: Path, folder: Path) -> None:
    """They look like what a crash leaves, which the next writer cuts off."""
    before = (compacted / "vectors.000001.faiss").read_bytes()
    spoil(compacted, "DELETE FROM vectors WHERE row > 2", "DELETE FROM generations")
    with lookalike.open(compacted, encoder=ColourEncoder()) as photos:
        assert "damaged" in photos.check()[0]
        for write in (lambda: photos.add(folder), lambda: photos.remove(["dogs"])):
            with pytest.raises(CorruptError, match=r"catalog\.sqlite: the file is damaged"):
                write()
    assert (compacted / "vectors.000001.faiss").read_bytes() == before


def test_a_damaged_catalog_is_noticed_before_vectors_are_removed(compacted: Path, folder: Path) -> None:
    with lookalike.open(compacted, encoder=ColourEncoder()) as photos:
        photos.remove(["dogs"])
        spoil(compacted, "DELETE FROM vectors WHERE row = (SELECT MAX(row) FROM dead)")
        with pytest.raises(CorruptError, match=r"catalog\.sqlite: the file is damaged"):
            photos.build()
    assert (compacted / "vectors.000001.faiss").exists()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO dead VALUES (100)",
        "INSERT INTO dead VALUES (-1)",
        "UPDATE images SET row = 100 WHERE id = 1",
        "UPDATE images SET row = -1 WHERE id = 1",
    ],
)
def test_rows_that_do_not_exist_are_a_damaged_catalog(compacted: Path, statement: str) -> None:
    """Without a check, a row of -1 would be the last row."""
    spoil(compacted, statement)
    with (
        lookalike.open(compacted, encoder=ColourEncoder()) as photos,
        pytest.raises(CorruptError, match=r"catalog\.sqlite: the file is damaged"),
    ):
        photos.search_vector(np.ones(ColourEncoder.dim), where=Where(under=""))


def test_a_collection_that_has_lost_its_description_is_not_made_anew(compacted: Path, folder: Path) -> None:
    """This holds for a collection with an index, and with vectors in another file than at first, too."""
    (compacted / "collection.json").unlink()
    before = {path: path.read_bytes() for path in compacted.rglob("*") if path.is_file()}
    with pytest.raises(CorruptError, match=r"collection\.json: it is missing"):
        lookalike.create(folder, encoder=ColourEncoder())
    assert {path: path.read_bytes() for path in compacted.rglob("*") if path.is_file()} == before


def test_check_does_not_take_a_writer_that_compacts_meanwhile_for_damage(
    photos: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins again if the files that it reads have been replaced."""
    damages_of = checksums.find_damage

    def disturbed(catalog: Catalog, vectors: MappedVectors, count: int) -> Iterator[CorruptError]:
        monkeypatch.undo()
        photos.remove(["cats"])
        photos.build(spec="Flat")
        return damages_of(catalog, vectors, count)

    monkeypatch.setattr(checksums, "find_damage", disturbed)
    assert photos.check() == []
    assert photos.info().dead == 0

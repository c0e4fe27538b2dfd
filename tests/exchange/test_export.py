"""Exports are what NumPy, pyarrow and plain FAISS read of them, against the files of the collection itself."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from lookalike import Collection
from lookalike.errors import CorruptError, UsageError
from lookalike.exchange import blocks
from tests.exchange.conftest import DIM
from tests.support.attribute_tables import needs_pyarrow
from tests.support.pictures import stored_vectors
from tests.support.vector_collections import clustered, create, drop, keys_of, put, reopened


def expected(collection: Collection) -> tuple[list[str], np.ndarray[Any, np.dtype[np.float32]]]:
    """The keys and the vectors of all images by id, as SQLite and FAISS read them without Lookalike."""
    vectors = stored_vectors(collection.directory)
    keys = [image.key for image in collection.images(limit=10**6)]
    return keys, np.stack([vectors[key] for key in keys])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_IMAGES", 100)


def test_an_array_has_the_vectors_as_they_are_stored_by_id(filled: Collection, folder: Path) -> None:
    report = filled.export(folder / "a.npy")
    array = np.load(folder / "a.npy")
    assert array.dtype == np.float16
    assert np.array_equal(array, expected(filled)[1])
    assert report.images == len(filled) == 290
    assert report.files == ((folder / "a.npy", 128 + 290 * DIM * 2),)
    filled.export(folder / "b.npy", dtype="float32")
    assert np.load(folder / "b.npy").dtype == np.float32
    assert np.array_equal(np.load(folder / "b.npy", mmap_mode="r"), array.astype(np.float32))


@needs_pyarrow
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_parquet_file_has_the_catalog_and_the_vectors(filled: Collection, folder: Path, dtype: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    filled.export([folder / "a.parquet", folder / "a.npy"], dtype=dtype)
    table = pq.read_table(folder / "a.parquet")
    assert table.column_names == ["id", "key", "path", "label", "width", "height", "sha256", "attributes", "embedding"]
    number = pa.float16() if dtype == "float16" else pa.float32()
    assert table.schema.field("embedding").type == pa.list_(number, DIM)
    assert np.array_equal(np.stack(table["embedding"].to_numpy()), np.load(folder / "a.npy"))
    images = filled.images(limit=1000)
    rows = table.drop(["embedding"]).to_pylist()
    for row, image in zip(rows, images, strict=True):
        facts = image.id, image.key, str(image.path), image.label, image.width, image.height, image.sha256.hex()
        assert tuple(row.values())[:-1] == facts
        assert json.loads(row["attributes"] or "{}") == dict(image.attributes)
    assert repr(json.loads(rows[0]["attributes"])) == "{'name': 'é\\n=1', 'price': 7, 'weight': 7.0}"
    assert pq.ParquetFile(folder / "a.parquet").num_row_groups == 3


@needs_pyarrow
def test_the_catalog_alone_goes_into_a_parquet_file_or_a_table(filled: Collection, folder: Path) -> None:
    import pyarrow.parquet as pq

    filled.export([folder / "a.parquet", folder / "a.csv"], vectors=False)
    table = pq.read_table(folder / "a.parquet")
    assert "embedding" not in table.column_names
    with (folder / "a.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["id"]) for row in rows] == table["id"].to_pylist()
    assert [row["key"] for row in rows] == table["key"].to_pylist()
    assert json.loads(rows[0]["attributes"]) == {"price": 7, "weight": 7.0, "name": "é\n=1"}


def test_a_cell_that_a_spreadsheet_would_run_has_an_apostrophe(tmp_path: Path, folder: Path) -> None:
    collection = create(tmp_path / "photos", DIM)
    put(collection, clustered(2, DIM, seed=1), ["=cmd()", "a\nb.jpg"])
    collection.export(folder / "a.csv")
    with (folder / "a.csv").open(newline="", encoding="utf-8-sig") as file:
        assert [row["key"] for row in csv.DictReader(file)] == ["'=cmd()", "a\\nb.jpg"]


@pytest.mark.parametrize("flags", [0, faiss.IO_FLAG_MMAP_IFC])
def test_plain_faiss_finds_the_same_images_with_the_same_scores(filled: Collection, folder: Path, flags: int) -> None:
    with filled._catalog.writing() as transaction:  # a copy, which shares its vector
        image = filled._catalog.image_at("b/000204.jpg")
        assert image
        transaction.put_image("copy.jpg", image.row, transaction.images()[0].status)
    filled.export(folder / "a.faiss")
    index = faiss.read_index(str(folder / "a.faiss"), flags)
    queries = clustered(20, DIM, seed=1)
    scores, ids = index.search(queries, 10)
    for query, some, own in zip(queries, scores, ids, strict=True):
        matches = filled.search_vector(query, k=10)
        np.testing.assert_allclose(some, [match.score for match in matches], atol=3e-6)
        assert set(own[some > some[-1] + 1e-6]) <= {match.id for match in matches}
    for image_id in (11, 300, 301):
        image_key = filled.image(image_id).key
        assert np.array_equal(index.reconstruct(image_id), stored_vectors(filled.directory)[image_key])


def test_an_empty_collection_gives_files_of_no_rows(tmp_path: Path, folder: Path) -> None:
    create(tmp_path / "photos", DIM).export([folder / "a.npy", folder / "a.index", folder / "a.csv"])
    assert np.load(folder / "a.npy").shape == (0, DIM)
    assert faiss.read_index(str(folder / "a.index")).ntotal == 0
    assert (folder / "a.csv").read_text().count("\n") == 1


def test_images_that_come_and_go_meanwhile_leave_every_row_right(filled: Collection, folder: Path) -> None:
    """Also when the file of vectors is replaced between two blocks, since the dead ones are removed."""
    other = reopened(filled)
    new = clustered(3, DIM, seed=9)

    def change(done: int, _total: int) -> None:
        if done == 100:
            drop(other, keys_of(50, 150))
            put(other, new, ["x.jpg", "y.jpg", "z.jpg"])
            other.build()

    filled.export([folder / "a.npy", folder / "a.csv"], progress=change)
    with (folder / "a.csv").open(newline="", encoding="utf-8-sig") as file:
        keys = [row["key"] for row in csv.DictReader(file)]
    vectors = stored_vectors(filled.directory)
    assert keys == [*keys_of(140, 10), *keys_of(100, 200), "x.jpg", "y.jpg", "z.jpg"]
    assert np.array_equal(np.load(folder / "a.npy"), np.stack([vectors[key] for key in keys]))


def test_a_damaged_vector_ends_an_export_and_nothing_is_written(filled: Collection, folder: Path) -> None:
    (folder / "a.npy").write_bytes(b"earlier")
    with (filled.directory / "vectors.faiss").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x12")
    with pytest.raises(CorruptError, match="row 299 is damaged"):
        reopened(filled).export([folder / "a.npy", folder / "b.csv"], overwrite=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a.npy": b"earlier"}


def test_an_exception_of_the_callback_leaves_no_file(filled: Collection, folder: Path) -> None:
    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filled.export(folder / "a.npy", progress=stop)
    assert not list(folder.iterdir())


def test_files_of_the_user_are_not_replaced(filled: Collection, folder: Path) -> None:
    (folder / "a.npy").write_bytes(b"mine")
    with pytest.raises(UsageError, match="there is a file already"):
        filled.export(folder / "a.npy")
    filled.export(folder / "a.npy", overwrite=True)
    assert np.load(folder / "a.npy").shape == (290, DIM)


@pytest.mark.parametrize(
    ("names", "vectors", "reason"),
    [
        (["a.txt"], True, "the suffix says"),
        (["a.npy", "./a.npy"], True, "the same file"),
        (["a.npy"], False, "a file of vectors|is of vectors"),
        (["a.faiss"], False, "is of vectors"),
        (["none/a.npy"], True, "cannot be written there"),
        ([], True, "name a file"),
    ],
)
def test_what_cannot_be_written_is_refused(
    filled: Collection, folder: Path, names: list[str], vectors: bool, reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        filled.export([folder / name for name in names], vectors=vectors)
    assert not list(folder.iterdir())


def test_nothing_is_written_into_a_collection(filled: Collection) -> None:
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="in the directory of a collection"):
            filled.export(filled.directory / "vectors.npy", overwrite=overwrite)

"""FAISS indexes that hold vectors are imported; others, and what is none, are refused by name."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

import lookalike
from lookalike import import_embeddings
from lookalike.errors import UsageError
from lookalike.exchange import faiss_files
from tests.exchange.conftest import DIM, random_rows
from tests.exchange.test_import import imported, paths_of, table, units
from tests.support.pictures import stored_vectors

ROWS = random_rows(600)
IDS = np.arange(5000, 5000 - len(ROWS), -1)


def index(path: Path, factory: str, metric: int = faiss.METRIC_INNER_PRODUCT) -> Path:
    """An index of ROWS; if it has ids, they are IDS."""
    made = faiss.index_factory(DIM, factory, metric)
    made.train(ROWS)
    made.add_with_ids(ROWS, IDS) if factory.startswith("IDMap") else made.add(ROWS)
    faiss.write_index(made, str(path))
    return path


@pytest.mark.parametrize(
    "factory",
    [
        *("Flat", "SQfp16", "SQbf16", "SQ8", "IVF4,Flat", "IVF4,SQfp16", "HNSW8", "HNSW8,SQfp16", "Flat,Refine(Flat)"),
        *("PQ4,Refine(Flat)", "IDMap,Flat", "IDMap2,Flat", "IDMap2,IVF4,Flat", "IDMap,PQ4,Refine(SQfp16)"),
    ],
)
def test_the_vectors_of_an_index_are_found_by_their_ids(folder: Path, factory: str) -> None:
    collection = imported(folder, index(folder / "knn.index", factory))
    ids = IDS if factory.startswith("IDMap") else np.arange(len(ROWS))
    vectors = stored_vectors(collection.directory)
    found = np.stack([vectors[f"knn/{id_}"] for id_ in ids])
    np.testing.assert_allclose(found, units(ROWS), atol=0.02 if "SQ8" in factory else 4e-3)
    assert [image.key for image in collection.images(limit=999)] == [f"knn/{id_}" for id_ in sorted(ids)]


def test_a_table_describes_the_vectors_by_the_order_of_their_ids(folder: Path) -> None:
    made = faiss.IndexIDMap(faiss.IndexFlatL2(DIM))
    order = np.random.default_rng(1).permutation(len(ROWS))
    made.add_with_ids(ROWS[order], order)
    faiss.write_index(made, str(folder / "a.faiss"))
    collection = imported(folder, folder / "a.faiss", table(folder / "a.parquet", path=paths_of(len(ROWS))))
    vectors = stored_vectors(collection.directory)
    np.testing.assert_allclose([vectors[path] for path in paths_of(len(ROWS))], units(ROWS), atol=5e-4)


@pytest.mark.parametrize(
    ("factory", "name"),
    [("PQ4", "IndexPQ"), ("IVF4,PQ4", "IndexIVFPQ"), ("PCA8,Flat", "IndexPreTransform"), ("LSH", "IndexLSH")],
)
def test_an_index_of_codes_is_refused_by_name(folder: Path, factory: str, name: str) -> None:
    with pytest.raises(UsageError, match=f"a.faiss: it is an {name}, which does not hold the vectors themselves"):
        import_embeddings(index(folder / "a.faiss", factory, faiss.METRIC_L2), directory=folder / "imported")
    assert [path.name for path in folder.iterdir()] == ["a.faiss"]


def test_damaged_indexes_are_refused_whatever_they_do_to_faiss(folder: Path) -> None:
    path = index(folder / "a.faiss", "IVF4,Flat")
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for data in (b"", b"IxF2", whole[: len(whole) // 2], bytes(200), b"IxFI" + b"\xff" * 100):
        path.write_bytes(data)
        with pytest.raises(UsageError, match=r"a\.faiss"):
            import_embeddings(path, directory=folder / "imported")
    assert [each.name for each in folder.iterdir()] == ["a.faiss"]
    for number in range(6):  # of which some only change vectors
        flipped = bytearray(whole)
        for place in random.integers(0, 200, 4).tolist():
            flipped[place] ^= 255
        path.write_bytes(flipped)
        with suppress(UsageError):
            import_embeddings(path, directory=folder / f"{number}")
            assert lookalike.open(folder / f"{number}").check() == []


def test_a_process_that_faiss_ends_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = index(folder / "a.faiss", "Flat")
    monkeypatch.setattr(faiss_files, "_extract", _ended)
    with pytest.raises(UsageError, match="its process ends"):
        import_embeddings(path, directory=folder / "imported")


def _ended(_task: Any, _progress: Any) -> None:
    import os

    os.abort()


def test_an_index_goes_with_no_other_embeddings(folder: Path) -> None:
    np.save(folder / "a.npy", ROWS)
    with pytest.raises(UsageError, match="a FAISS index is imported alone"):
        import_embeddings([index(folder / "a.faiss", "Flat"), folder / "a.npy"], directory=folder / "imported")


def test_an_export_is_an_index_that_can_be_imported(filled: lookalike.Collection, folder: Path) -> None:
    filled.export([folder / "a.faiss", folder / "a.npy"])
    back = imported(folder, folder / "a.faiss")
    back.export(folder / "b.npy")
    assert (folder / "a.npy").read_bytes() == (folder / "b.npy").read_bytes()

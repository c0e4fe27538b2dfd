"""Imports of embeddings: what is found, and with which score, against NumPy; what is left out, and why."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import lookalike
from lookalike import Collection, Where, import_embeddings
from lookalike.errors import ImageError, IncompatibleError, StorageError, UsageError
from lookalike.exchange import sources
from lookalike.exchange.import_embeddings import SkippedRow
from lookalike.filters.where import MAX_TEXT
from lookalike.storage import layout
from tests.exchange.conftest import DIM, random_rows
from tests.support import tiny_models
from tests.support.optional_packages import needs
from tests.support.pictures import draw, picture, stored_vectors

needs("pyarrow")
import pyarrow as pa
import pyarrow.parquet as pq


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_ROWS", 100)


def units(rows: NDArray[Any]) -> NDArray[np.float64]:
    wide = rows.astype(np.float64)
    lengths: NDArray[np.float64] = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / lengths


def table(path: Path, /, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def array(path: Path, rows: NDArray[Any]) -> Path:
    np.save(path, rows)
    return path


def paths_of(count: int, first: int = 0) -> list[str]:
    return [f"{number % 3}/{number:04}.jpg" for number in range(first, first + count)]


def imported(folder: Path, /, *embeddings: Path, **options: Any) -> Collection:
    """The collection that an import makes, in which nothing is damaged."""
    import_embeddings(embeddings, directory=folder / "imported", **options)
    collection = lookalike.open(folder / "imported")
    assert collection.check() == []
    return collection


def reasons(folder: Path, /, *embeddings: Path, **options: Any) -> dict[str, int]:
    return import_embeddings(embeddings, directory=folder / "imported", **options).skipped


# What is imported


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
def test_arrays_and_tables_as_clip_retrieval_writes_them(folder: Path, dtype: str) -> None:
    """Eleven of each, which go together by the numbers in their names; the rows are found as NumPy finds them."""
    rows, paths, made = random_rows(330).astype(dtype), paths_of(330), folder / "made"
    for name in ("img_emb", "text_emb", "metadata"):
        (made / name).mkdir(parents=True)
    for number in range(11):
        part = slice(number * 30, number * 30 + 30)
        array(made / "img_emb" / f"img_emb_{number}.npy", rows[part])
        array(made / "text_emb" / f"text_emb_{number}.npy", -rows[part])
        captions = [f"caption of {path}" for path in paths[part]]
        table(made / "metadata" / f"metadata_{number}.parquet", image_path=paths[part], caption=captions)
    report = import_embeddings(made, directory=folder / "imported")
    assert (report.images, report.vectors, report.skipped) == (330, 330, {})
    assert (report.column, report.attributes, report.verified) == ("image_path", ("caption",), 0)
    collection = lookalike.open(folder / "imported")
    assert collection.check() == []
    assert collection.folder == folder
    vectors = stored_vectors(collection.directory)
    np.testing.assert_allclose([vectors[path] for path in paths], units(rows), atol=5e-4)
    true = units(rows) @ units(rows[7:8])[0]
    matches = collection.search_id(8, k=5)
    assert [match.key for match in matches] == [paths[place] for place in np.argsort(-true) if place != 7][:5]
    np.testing.assert_allclose([match.score for match in matches], np.sort(true)[::-1][1:6], atol=1e-3)
    assert collection.image(8).attributes == {"caption": f"caption of {paths[7]}"}
    assert collection.image(8).label == "1"
    assert len(collection.search_vector(rows[0], k=999, where=Where(label="2"))) == 110


@pytest.mark.parametrize("kind", ["list", "large", "fixed"])
@pytest.mark.parametrize("number", ["float16", "float32", "float64"])
def test_a_column_of_embeddings(folder: Path, kind: str, number: str) -> None:
    value = getattr(pa, number)()
    rows = random_rows(250).astype(number)
    kinds = {"list": pa.list_(value), "large": pa.large_list(value), "fixed": pa.list_(value, DIM)}
    column = pa.array(list(rows), kinds[kind])
    collection = imported(
        folder, table(folder / "a.parquet", url=[f"http://x/a/{n}.jpg" for n in range(250)], emb=column)
    )
    vectors = stored_vectors(collection.directory)
    np.testing.assert_allclose([vectors[f"http://x/a/{n}.jpg"] for n in range(250)], units(rows), atol=5e-4)
    assert (collection.image(1).label, str(collection.image(1).path)) == (None, collection.image(1).key)
    match = collection.search_id(1, k=1)[0]
    assert str(match.path) == match.key
    with pytest.raises(ImageError, match="imported without its file"):
        collection.original(1)


def test_an_export_comes_back_with_the_same_bits_and_all_that_is_known(filled: Collection, folder: Path) -> None:
    filled.export([folder / "a.parquet", folder / "a.npy"])
    back = imported(folder, folder / "a.parquet", folder=filled.folder)
    back.export(folder / "b.npy")
    assert (folder / "a.npy").read_bytes() == (folder / "b.npy").read_bytes()
    for image, other in zip(filled.images(limit=999), back.images(limit=999), strict=True):
        assert (image.key, image.label, image.sha256, image.attributes) == (
            *(other.key, other.label, other.sha256, other.attributes),
        )
    assert len(back.images(limit=999)) == 290


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_vectors_of_all_lengths_are_those_that_adding_would_store(folder: Path, dtype: Any) -> None:
    from lookalike.storage.vectors import stored_units, unit

    lengths = 10.0 ** np.arange(-38, 39, 4) if dtype == np.float32 else 10.0 ** np.arange(-5, 4.0)
    with np.errstate(over="ignore"):
        rows = (units(random_rows(len(lengths))) * lengths[:, None]).astype(dtype)
    stored, is_there = stored_units(rows)
    assert is_there.all()
    expected = unit(rows).astype(np.float16)
    assert np.abs(stored.view(np.int16).astype(int) - expected.view(np.int16)).max() <= 1
    same, _ = stored_units(expected)
    assert np.array_equal(same, expected)


def test_rows_without_a_table_are_named_by_file_and_row(folder: Path) -> None:
    collection = imported(folder, array(folder / "a.npy", random_rows(120)), array(folder / "b.npy", random_rows(1)))
    assert [image.key for image in collection.images(limit=999)] == [*(f"a/{n}" for n in range(120)), "b/0"]


def test_one_table_describes_several_arrays(folder: Path) -> None:
    arrays = [array(folder / f"{n}.npy", random_rows(count, seed=n)) for n, count in enumerate((70, 0, 60))]
    collection = imported(folder, *arrays, table(folder / "a.parquet", path=paths_of(130)))
    vectors = stored_vectors(collection.directory)
    rows = np.concatenate([random_rows(70, seed=0), random_rows(60, seed=2)])
    np.testing.assert_allclose([vectors[path] for path in paths_of(130)], units(rows), atol=5e-4)


def test_what_columns_say_of_images(folder: Path) -> None:
    sha256 = hashlib.sha256(b"a").hexdigest()
    rows = table(
        folder / "a.parquet",
        key=["000", "001", "002"],
        path=[str(folder / "x" / "a.jpg"), "/elsewhere/b.jpg", "x//./c.jpg"],
        width=pa.array([640.0, None, -3]),
        height=[480, 2**40, 5],
        sha256=[sha256, "no", None],
        label=["cat", None, ""],
        stars=[5, None, 4],
        weight=[0.5, float("inf"), float("nan")],
        tags=[["a"], [], None],
        long=["x" * (MAX_TEXT + 1), "y", None],
    )
    report = import_embeddings([rows, array(folder / "a.npy", random_rows(3))], directory=folder / "imported")
    assert report.left_out == (("tags", "of the type list<element: string>"),)
    collection = lookalike.open(folder / "imported")
    assert collection.check() == []
    first, second, third = collection.images()
    assert (first.key, first.label, first.width, first.height) == ("x/a.jpg", "cat", 640, 480)
    assert first.sha256.hex() == sha256
    assert first.attributes == {"key": "000", "label": "cat", "stars": 5, "weight": 0.5}
    assert (second.key, second.label, second.width, second.height) == ("/elsewhere/b.jpg", "elsewhere", 0, 0)
    assert second.attributes == {"key": "001", "long": "y"}
    assert (third.key, third.label, third.width, third.height) == ("x/c.jpg", "", 0, 5)


def test_another_column_names_the_images_if_it_is_named(folder: Path) -> None:
    given = table(folder / "a.parquet", image_path=["a", "b"], number=[7, 8]), array(folder / "a.npy", random_rows(2))
    assert [image.key for image in imported(folder, *given, key="number").images()] == ["7", "8"]


def test_images_of_the_same_file_share_a_vector_and_its_size(folder: Path) -> None:
    """In whichever block they are."""
    same = [hashlib.sha256(b"%d" % (number % 60)).hexdigest() for number in range(250)]
    rows = table(folder / "a.parquet", path=paths_of(250), sha256=same, width=list(range(1, 251)), stars=[3] * 250)
    report = import_embeddings([rows, array(folder / "a.npy", random_rows(250))], directory=folder / "imported")
    assert (report.images, report.vectors, report.verified) == (250, 60, 250)
    collection = lookalike.open(folder / "imported")
    assert collection.check() == []
    vectors = stored_vectors(collection.directory)
    expected = units(random_rows(250))[np.arange(250) % 60]
    np.testing.assert_allclose([vectors[path] for path in paths_of(250)], expected, atol=5e-4)
    assert [image.width for image in collection.images(limit=999)] == [number % 60 + 1 for number in range(250)]
    assert all(image.attributes == {"stars": 3} for image in collection.images(limit=999))


# What is left out


def test_rows_that_cannot_be_used_are_left_out_with_the_reason(folder: Path) -> None:
    rows = random_rows(240)
    rows[3], rows[150, 4], rows[151, 0] = 0, np.nan, -np.inf
    paths: list[str | None] = [*paths_of(240)]
    paths[5], paths[6], paths[7], paths[8] = None, " ", "../up.jpg", "a\0b"
    paths[200] = paths[9]
    report = import_embeddings(
        [table(folder / "a.parquet", path=paths), array(folder / "a.npy", rows)], directory=folder / "imported"
    )
    assert report.skipped == {
        "the embedding is zero or not finite": 3,
        "no name of an image": 2,
        "the name is no possible path": 2,
        "another row has that name": 1,
    }
    assert report.first_skipped[0] == SkippedRow(5, "", "no name of an image")
    assert len(report.first_skipped) == 5
    collection = lookalike.open(folder / "imported")
    assert len(collection) == report.images == 232
    assert collection.check() == []
    left = [place for place in range(240) if place not in {3, 5, 6, 7, 8, 150, 151, 200}]
    vectors = stored_vectors(collection.directory)
    np.testing.assert_allclose([vectors[str(paths[place])] for place in left], units(rows[left]), atol=5e-4)


def test_embeddings_of_a_table_that_are_missing_or_of_another_length(folder: Path) -> None:
    rows = [[1.0, 2.0], None, [1.0], [], [1.0, None], [float("nan"), 1.0], [3.0, 4.0]]
    column = pa.array(rows, pa.list_(pa.float32()))
    found = reasons(folder, table(folder / "a.parquet", path=paths_of(7), embedding=column))
    assert found == {
        "the embedding is zero or not finite": 2,
        "there is no embedding": 1,
        "the embedding has 1 numbers instead of 2": 1,
        "the embedding has 0 numbers instead of 2": 1,
    }
    vectors = stored_vectors(folder / "imported")
    np.testing.assert_allclose(vectors[paths_of(7)[6]], [0.6, 0.8], atol=5e-4)


def test_a_group_of_rows_for_each_row(folder: Path) -> None:
    path = folder / "a.parquet"
    pq.write_table(pa.table({"path": paths_of(230)}), path, row_group_size=1)
    assert len(imported(folder, path, array(folder / "a.npy", random_rows(230)))) == 230


# What is refused


def refused(folder: Path, reason: str, /, *embeddings: Path, **options: Any) -> None:
    """The import is refused, and leaves nothing."""
    before = sorted(folder.iterdir())
    with pytest.raises(UsageError, match=reason):
        import_embeddings(embeddings, directory=folder / "imported", **options)
    assert sorted(folder.iterdir()) == before


def test_arrays_that_are_none_are_refused(folder: Path) -> None:
    path = folder / "a.npy"
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    refused(folder, "pickled", path)
    for rows, reason in (
        (random_rows(4)[0], r"its shape is \(24,\)"),
        (random_rows(4)[None], r"its shape is \(1, 4, 24\)"),
        (np.asfortranarray(random_rows(4)), "in the order of columns"),
        (random_rows(4).astype(np.int32), "its numbers are int32"),
        (np.zeros((4, 0), np.float32), "from 1 to"),
    ):
        refused(folder, reason, array(path, rows))
    whole = array(path, random_rows(100)).read_bytes()
    path.write_bytes(whole[:-1])
    refused(folder, "ends after 99 of its 100 rows", path)
    for damaged in (b"", whole[:20], b"\x93NUMPY\x03\0" + whole[8:], whole.replace(b"descr", b"desc\xff")):
        path.write_bytes(damaged)
        refused(folder, "not an array of NumPy", path)
    path.write_bytes(whole.replace(b"(100, 24)", b"(10**9,)"))
    refused(folder, "not an array of NumPy", path)
    path.write_bytes(whole.replace(b"(100, 24)", b"(-1, 24) "))
    refused(folder, "its shape", path)


def test_files_that_do_not_fit_together_are_refused(folder: Path) -> None:
    rows, paths = array(folder / "a.npy", random_rows(10)), table(folder / "a.parquet", path=paths_of(9))
    refused(folder, "a.npy has 10 rows, and .*a.parquet has 9", rows, paths)
    refused(folder, "30 embeddings, and 9 rows", rows, rows, array(folder / "b.npy", random_rows(20)), paths)
    refused(folder, "12 dimensions, and those of .*a.npy have 24", rows, array(folder / "c.npy", random_rows(5, 12)))
    refused(folder, "no column of embeddings", paths)
    nameless = table(folder / "b.parquet", colour=["red"] * 10)
    refused(folder, "none of its columns", rows, nameless)
    refused(folder, "no column 'x'", rows, nameless, key="x")
    two = pa.array([[1.0]], pa.list_(pa.float32()))
    refused(folder, "may be the embeddings", table(folder / "d.parquet", path=["a"], x=two, y=two))
    refused(folder, "no such file", folder / "none.npy")
    empty = folder / "empty"
    empty.mkdir()
    refused(folder, "there is no .npy", empty)
    (folder / "a.txt").touch()
    refused(folder, "embeddings are read from", folder / "a.txt")
    os.mkfifo(folder / "pipe.parquet")
    refused(folder, "not a regular file", folder / "pipe.parquet")


def test_tables_that_are_none_are_refused(folder: Path) -> None:
    rows, path = array(folder / "a.npy", random_rows(2)), folder / "a.parquet"
    whole = table(path, path=["a", "b"]).read_bytes()
    for damaged in (b"", b"PAR1", whole[:-9], whole[:4] + bytes(60) + whole[64:]):
        path.write_bytes(damaged)
        refused(folder, "cannot be read as Parquet", rows, path)
    pq.write_table(pa.Table.from_arrays([pa.array(["a", "b"])] * 2, ["path", "path"]), path)
    refused(folder, "two columns are named 'path'", rows, path)
    nested = pa.array([{"x": 1}, {"x": 2}])
    refused(folder, "of the type struct", rows, table(path, path=nested), key="path")


def test_a_directory_with_something_in_it_is_left_alone(folder: Path) -> None:
    rows = array(folder / "a.npy", random_rows(2))
    (folder / "imported").mkdir()
    (folder / "imported" / "mine.txt").write_text("mine")
    refused(folder, "there and not empty", rows)
    (folder / "imported" / "mine.txt").unlink()
    assert len(imported(folder, rows)) == 2
    refused(folder, "there is a collection already", rows)


# Models


def test_a_collection_of_a_model_that_is_not_here_says_what_can_be_done(folder: Path) -> None:
    collection = imported(folder, array(folder / "a.npy", random_rows(20)), made_by="their ViT")
    assert str(collection.made_by) == "their ViT"
    for work in (lambda: collection.search(picture(0)), lambda: collection.add(folder), collection.update):
        with pytest.raises(IncompatibleError, match=r"the model that made them \(their ViT\) is not on this machine"):
            work()
    assert len(collection) == 20
    other = folder / "other"
    import_embeddings(folder / "a.npy", directory=other, made_by="their ViT")
    assert lookalike.open(other).made_by == collection.made_by
    import_embeddings(folder / "a.npy", directory=folder / "unnamed")
    import_embeddings(folder / "a.npy", directory=folder / "unnamed, too")
    assert lookalike.open(folder / "unnamed").made_by != lookalike.open(folder / "unnamed, too").made_by


def test_everything_that_needs_no_model_works(folder: Path) -> None:
    rows = random_rows(120)
    collection = imported(folder, array(folder / "a.npy", rows))
    assert collection.build(spec="HNSW16")
    assert collection.search_id(5, k=3)[0].score == pytest.approx(np.sort(units(rows) @ units(rows)[4])[-2], abs=1e-3)
    assert len(collection.duplicates().unread) == 120
    assert collection.remove(["a/7"]) == 1
    assert collection.info().images == len(collection) == 119
    collection.maintain()
    assert collection.check() == []


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "models"))
    tiny_models.save("tiny")
    return "tiny"


def test_images_are_searched_by_the_model_that_made_the_embeddings(folder: Path, model: str) -> None:
    photos = folder / "photos"
    files = [draw(photos / f"{seed}.png", seed) for seed in range(6)]
    made = lookalike.create(folder, directory=folder / "made", model=model)
    rows = np.concatenate([made.embed(file) for file in files]) * 3
    names = [*(file.name for file in files[:5]), "gone.png"]
    given = table(folder / "a.parquet", path=names), array(folder / "a.npy", rows.astype(np.float32))
    collection = imported(folder, *given, folder=photos, model=model)
    assert collection.search(picture(3), k=1)[0].key == "3.png"
    refused_dim = array(folder / "b.npy", random_rows(3))
    with pytest.raises(UsageError, match="12 dimensions, and these have 24"):
        import_embeddings(refused_dim, directory=folder / "other", model=model)
    # Its folder is indexed: the files that are there are read, and no image is lost.
    report = collection.add(photos)
    assert (report.updated, report.added, report.missing) == (5, 1, 0)
    assert {image.key for image in collection.images()} == {*names, "5.png"}
    assert (collection.update().missing, len(collection)) == (0, 7)
    assert collection.original(1).data == files[0].read_bytes()


# Files


def test_images_are_shown_if_their_files_are_what_the_table_says(folder: Path) -> None:
    files = [draw(folder / f"{seed}.png", seed) for seed in range(3)]
    sha256 = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    sha256[1] = "0" * 63 + "1"
    given = table(folder / "a.parquet", path=[file.name for file in files], sha256=[*sha256[:2], None])
    collection = imported(folder, given, array(folder / "a.npy", random_rows(3)))
    assert collection.original(1).data == files[0].read_bytes()
    for image_id, reason in ((2, "imported without its file|changed since"), (3, "imported without its file")):
        with pytest.raises(ImageError, match=reason):
            collection.original(image_id)


def test_files_are_hashed_as_they_are_if_that_is_asked_for(folder: Path) -> None:
    file = draw(folder / "a.png", 1)
    Image.fromarray(picture(1)).save(folder / "copy.png")
    os.mkfifo(folder / "pipe.png")
    given = table(folder / "a.parquet", path=["a.png", "copy.png", "gone.png", "pipe.png", "http://x/a.png"])
    rows = [given, array(folder / "a.npy", random_rows(5))]
    report = import_embeddings(rows, directory=folder / "imported", hash_files=True)
    assert (report.images, report.vectors, report.verified) == (5, 4, 2)
    collection = lookalike.open(folder / "imported")
    assert collection.check() == []
    assert collection.original(1).data == file.read_bytes()
    with pytest.raises(ImageError):
        collection.original(3)


# Interruptions

KILLED = """
import os, signal, sys
import lookalike
from lookalike.exchange import sources

def kill(done, total):
    if done > 150:
        os.kill(os.getpid(), signal.SIGKILL)

sources._ROWS = 100
lookalike.import_embeddings(sys.argv[1], directory=sys.argv[2], progress=kill)
"""


def test_an_import_that_is_killed_leaves_nothing_that_looks_like_a_collection(folder: Path) -> None:
    rows, directory = array(folder / "a.npy", random_rows(300)), folder / "imported"
    command = [sys.executable, "-c", KILLED, str(rows), str(directory)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not directory.exists()
    assert len(list(folder.iterdir())) == 2  # and what was begun, which is hidden
    assert not any(layout.find(path) for path in [folder, *folder.rglob("*")])
    import_embeddings(rows, directory=directory)
    assert sorted(path.name for path in folder.iterdir()) == ["a.npy", "imported"]
    assert len(lookalike.open(directory)) == 300


def test_an_exception_of_the_callback_leaves_nothing(folder: Path) -> None:
    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    rows = array(folder / "a.npy", random_rows(300))
    with pytest.raises(KeyboardInterrupt):
        import_embeddings(rows, directory=folder / "imported", progress=stop)
    assert list(folder.iterdir()) == [rows]


def test_a_full_disk_is_an_error_and_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lookalike.system import durable

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    rows = array(folder / "a.npy", random_rows(300))
    monkeypatch.setattr(durable, "sync", full)
    with pytest.raises(StorageError, match="No space left"):
        import_embeddings(rows, directory=folder / "imported")
    assert list(folder.iterdir()) == [rows]

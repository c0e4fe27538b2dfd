"""Making the directory of a collection, and removing from it what no longer counts."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lookalike.errors import CorruptError, LockedError, StorageError, UsageError
from lookalike.storage import directory as directories
from lookalike.storage import manifest, vectors
from lookalike.storage.catalog import Catalog
from lookalike.storage.manifest import Identity, Manifest
from lookalike.storage.records import Totals
from tests.support.catalogs import fill

MADE_BY = Identity("tiny", "f32", "0123456789", 7)


def make(directory: Path, *, data: str | None = None) -> Manifest:
    """Makes an empty collection."""
    made = Manifest(MADE_BY, directory.parent, data)
    with directories.making(directory):
        directories.create_data(directory, MADE_BY.dim)
        manifest.write(directory, made)
    return made


def names(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*")}


# Making


@pytest.mark.parametrize(
    "prepare", [lambda _: None, lambda directory: directory.mkdir(parents=True)], ids=["new", "empty"]
)
def test_a_collection_is_made_in_a_new_or_empty_directory(tmp_path: Path, prepare: Callable[[Path], None]) -> None:
    directory = tmp_path.resolve() / "a" / "b" / "c"
    prepare(directory)
    made = make(directory)
    assert {"lock", "catalog.sqlite", "vectors.faiss", "collection.json"} <= names(directory)
    assert manifest.read(directory) == made
    with closing(Catalog(directory / "catalog.sqlite")) as catalog:
        assert catalog.totals() == Totals(images=0, vectors=0, dead=0, skipped=0, missing=0)
    assert (directory / "vectors.faiss").read_bytes() == vectors.header(7, 0)


@pytest.mark.parametrize("name", ["photo.jpg", ".hidden", "data.1", "sub"])
def test_a_directory_with_foreign_files_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir() if name == "sub" else (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="it is no collection and not empty; name a directory that is new"):
        make(tmp_path)
    assert names(tmp_path) == {name}


def test_foreign_files_are_refused_even_among_a_collections_own(tmp_path: Path) -> None:
    for name in ("lock", "catalog.sqlite", "photo.jpg"):
        (tmp_path / name).write_text(name)
    with pytest.raises(UsageError, match="not empty"):
        make(tmp_path)
    assert names(tmp_path) == {"lock", "catalog.sqlite", "photo.jpg"}


def test_a_collections_names_without_its_lock_are_foreign_files(tmp_path: Path) -> None:
    """Somebody else's vectors.faiss is not removed."""
    (tmp_path / "vectors.faiss").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        make(tmp_path)
    assert (tmp_path / "vectors.faiss").read_text() == "mine"


def test_a_collection_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    make(tmp_path / "c")
    before = {name: (tmp_path / "c" / name).read_bytes() for name in names(tmp_path / "c")}
    with pytest.raises(UsageError, match="there is a collection already; open it, or name another directory"):
        make(tmp_path / "c")
    assert {name: (tmp_path / "c" / name).read_bytes() for name in names(tmp_path / "c")} == before


@pytest.mark.parametrize("data", [None, "data.000003"])
def test_a_collection_that_has_lost_its_manifest_is_not_overwritten(tmp_path: Path, data: str | None) -> None:
    directory = tmp_path / "c"
    made = make(directory)
    data_directory = directory / data if data else directory
    if data:
        data_directory.mkdir()
        directories.create_data(data_directory, MADE_BY.dim)
    with closing(Catalog(data_directory / "catalog.sqlite")) as catalog:
        fill(catalog, ["a.jpg"])
    (directory / "collection.json").unlink()
    with pytest.raises(CorruptError, match=r"collection\.json: it is missing, although the rest"):
        make(directory)
    manifest.write(directory, made)
    with closing(Catalog(data_directory / "catalog.sqlite")) as catalog:
        assert catalog.totals().images == 1


def test_what_an_interrupted_creation_left_behind_is_removed(tmp_path: Path) -> None:
    """It ends before the manifest is there, with a catalog that is empty or not even complete."""
    directory = tmp_path / "c"
    make(directory)
    (directory / "collection.json").rename(directory / "collection.json.new")
    make(directory)
    assert "collection.json.new" not in names(directory)
    for name in ("catalog.sqlite", "catalog.sqlite-journal", "vectors.faiss", "collection.json.new"):
        (directory / name).write_bytes(b"half")
    (directory / "collection.json").unlink()
    make(directory)
    with closing(Catalog(directory / "catalog.sqlite")) as catalog:
        assert catalog.damage() is None
    assert (directory / "vectors.faiss").read_bytes() == vectors.header(7, 0)


def test_only_one_process_makes_a_collection(tmp_path: Path) -> None:
    with directories.making(tmp_path / "c"):
        with pytest.raises(LockedError, match="another process is writing to it"):
            make(tmp_path / "c")
        directories.create_data(tmp_path / "c", 7)


def test_a_directory_that_cannot_be_made_is_a_fault_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/c: Not a directory"):
        make(tmp_path / "file" / "c")


# Sweeping


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with the first model's data, those of three later ones, and a few others."""
    directory = tmp_path / "c"
    make(directory)
    (directory / "vectors.000004.faiss").touch()
    for folder in (directory, *(directory / f"data.00000{number}" for number in (1, 2, 3))):
        (folder / "index").mkdir(parents=True)
        (folder / "index" / "000001.faiss").touch()
        (folder / "catalog.sqlite").touch()
    for name in ("data.1", "notes.txt", "data.000001.txt", "reindexing.json"):
        (directory / name).touch()
    return directory


KEPT = {"collection.json", "lock", "data.1", "notes.txt", "data.000001.txt", "reindexing.json"}


def test_the_data_of_earlier_models_are_removed(directory: Path) -> None:
    """The next model's stay, and whatever is not Lookalike's."""
    directories.sweep(directory, Manifest(MADE_BY, directory.parent, "data.000002"))
    assert set(os.listdir(directory)) == KEPT | {"data.000002", "data.000003"}
    assert names(directory / "data.000002") == {"catalog.sqlite", "index", "index/000001.faiss"}
    directories.sweep(directory, Manifest(MADE_BY, directory.parent, "data.000002"))  # there is nothing left to do


def test_the_first_models_data_stay_while_they_serve(directory: Path) -> None:
    before = names(directory)
    directories.sweep(directory, Manifest(MADE_BY, directory.parent))
    assert names(directory) == before


def test_catalogs_are_removed_before_the_files_that_they_name(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that misses another of the files asks the catalog for the reason."""
    removed: list[tuple[str, set[str]]] = []
    unlink = Path.unlink

    def watched(path: Path, missing_ok: bool = False) -> None:
        if path.name == "catalog.sqlite" and path.exists():
            removed.append((path.relative_to(directory).as_posix(), names(directory)))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", watched)
    everything = names(directory)
    directories.sweep(directory, Manifest(MADE_BY, directory.parent, "data.000003"))
    assert removed[0] == ("catalog.sqlite", everything)
    for catalog, before in removed[1:]:
        folder = catalog.removesuffix("/catalog.sqlite")
        assert {catalog, f"{folder}/index", f"{folder}/index/000001.faiss"} <= before
    assert {catalog for catalog, _ in removed} == {
        "catalog.sqlite",
        "data.000001/catalog.sqlite",
        "data.000002/catalog.sqlite",
    }


def test_what_cannot_be_removed_is_a_fault_of_the_disk(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: Path, missing_ok: bool = False) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "unlink", failing)
    with pytest.raises(StorageError, match=f"{directory}: Input/output error"):
        directories.sweep(directory, Manifest(MADE_BY, directory.parent, "data.000003"))

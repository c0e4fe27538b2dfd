"""The names of a collection's files, where it is found, and its lock."""

import os
from pathlib import Path

import pytest

import lookalike
from lookalike.errors import LockedError, NoCollectionError, StorageError, UsageError
from lookalike.storage import layout, lock

# Names


@pytest.mark.parametrize(
    ("name", "following"),
    [
        ("vectors.faiss", "vectors.000001.faiss"),
        ("vectors.000001.faiss", "vectors.000002.faiss"),
        ("vectors.000009.faiss", "vectors.000010.faiss"),
    ],
)
def test_files_of_vectors_are_numbered(name: str, following: str) -> None:
    assert layout.next_vectors(name) == following
    assert layout.is_vectors(name)
    assert layout.is_vectors(following)


@pytest.mark.parametrize(
    "name",
    [
        "vectors.1.faiss",
        "vectors.0000001.faiss",
        "vectors.00000a.faiss",
        "vectors..faiss",
        "vectors.faiss.new",
        "my vectors.faiss",
        "vectors.faiss\n",
        "vectors-faiss",
        "",
    ],
)
def test_other_files_are_not_taken_for_vectors(name: str) -> None:
    assert not layout.is_vectors(name)


def test_data_directories_are_numbered_and_only_lower_ones_are_earlier() -> None:
    assert (layout.next_data(None), layout.next_data("data.000001")) == ("data.000001", "data.000002")
    assert layout.next_data("data.000009") == "data.000010"
    names = ["data.000001", "data.000008", "data.000009", "data.000010", "data.8", "index", "collection.json"]
    assert [name for name in names if layout.is_earlier_data(name, "data.000009")] == ["data.000001", "data.000008"]
    assert not any(layout.is_earlier_data(name, None) for name in names)
    assert [name for name in names if layout.is_data(name)] == names[:4]


FIRST_DATA = [
    "catalog.sqlite",
    "catalog.sqlite-journal",
    "catalog.sqlite-wal",
    "catalog.sqlite-shm",
    "vectors.faiss",
    "vectors.000002.faiss",
    "index",
]
OTHERS_OF_COLLECTION = [
    "collection.json",
    "collection.json.new",
    "reindexing.json",
    "reindexing.json.new",
    "lock",
    "decoding",
    "marks.json",
    "marks.json.new",
    "marks.lock",
    "actions",
    "data.000001",
]
FOREIGN = [
    "photo.jpg",
    "catalog.sqlite.bak",
    "catalog_sqlite",
    "catalog.sqlite-wal2",
    "index.faiss",
    "data",
    "data.1",
    "locks",
    "collection.json.old",
    "reindexing",
    ".hidden",
    "",
]


@pytest.mark.parametrize("name", FIRST_DATA)
def test_the_first_models_data_are_known_by_their_names(name: str) -> None:
    assert layout.is_first_data(name)
    assert layout.is_of_collection(name)


@pytest.mark.parametrize("name", OTHERS_OF_COLLECTION)
def test_a_collections_other_files_are_known_by_their_names(name: str) -> None:
    assert not layout.is_first_data(name)
    assert layout.is_of_collection(name)


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_are_not_taken_for_a_collections(name: str) -> None:
    assert not layout.is_first_data(name)
    assert not layout.is_of_collection(name)


def test_a_generation_has_two_files_of_one_number() -> None:
    assert layout.index_folder(Path("/c")) == Path("/c/index")
    assert layout.index_files(Path("/c"), 12) == (Path("/c/index/000012.faiss"), Path("/c/index/000012.json"))
    assert layout.lock_file(Path("/c")) == Path("/c/lock")


def test_the_size_is_that_of_all_files_below(tmp_path: Path) -> None:
    assert layout.size(tmp_path) == 0
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "000001.faiss").write_bytes(bytes(100))
    (tmp_path / "catalog.sqlite").write_bytes(bytes(23))
    assert layout.size(tmp_path) == 123


def test_a_file_that_goes_while_sizes_are_added_counts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's journal comes and goes with every commit."""
    (tmp_path / "catalog.sqlite").write_bytes(bytes(23))
    (tmp_path / "catalog.sqlite-journal").write_bytes(bytes(100))
    lstat = Path.lstat

    def gone_since(path: Path) -> os.stat_result:
        if path.name.endswith("-journal"):
            path.unlink()
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", gone_since)
    assert layout.size(tmp_path) == 23


# Finding a collection


def make(directory: Path) -> Path:
    """Something that looks like a collection from outside."""
    directory.mkdir(parents=True)
    (directory / "collection.json").touch()
    return directory


def test_a_collection_is_named_by_its_directory_or_the_folder_around_it(tmp_path: Path) -> None:
    directory = make(tmp_path.resolve() / "photos" / ".lookalike")
    assert layout.find(directory) == layout.find(directory.parent) == directory
    assert layout.find_or_raise(str(directory.parent)) == directory
    assert layout.find(tmp_path) is layout.find(tmp_path / "nothing") is None
    elsewhere = make(tmp_path.resolve() / "elsewhere")
    assert layout.find(elsewhere) == elsewhere


def test_a_directory_is_found_through_a_link_by_its_own_name(tmp_path: Path) -> None:
    directory = make(tmp_path.resolve() / "photos" / ".lookalike")
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    assert layout.find(tmp_path / "link") == directory


def test_a_directory_that_is_a_link_itself_is_no_collection_of_its_folder(tmp_path: Path) -> None:
    """Its images would be those beside what it leads to. Named as what it leads to, it is found."""
    elsewhere = make(tmp_path.resolve() / "elsewhere" / "kept")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / ".lookalike").symlink_to(elsewhere)
    photos = tmp_path / "photos"
    assert layout.find(photos) is layout.find(photos / ".lookalike") is layout.nearest(photos) is None
    for use in (layout.find_or_raise, lookalike.open, lookalike.create):
        with pytest.raises(UsageError, match=f"a link to {elsewhere}, through which no collection is found"):
            use(photos)
    assert [*elsewhere.iterdir()] == [elsewhere / "collection.json"]
    assert layout.find(elsewhere) == elsewhere


def test_a_missing_collection_is_an_error_that_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NoCollectionError, match="there is no collection") as raised:
        layout.find_or_raise(tmp_path / "photos")
    [hint] = raised.value.hints
    assert (hint.action, hint.arguments) == ("create", {"path": str(tmp_path / "photos")})


def test_the_nearest_collection_is_in_the_folder_or_the_closest_above(tmp_path: Path) -> None:
    top = make(tmp_path.resolve() / ".lookalike")
    inner = make(tmp_path.resolve() / "a" / "b" / ".lookalike")
    (inner.parent / "c").mkdir()
    (tmp_path / "d").mkdir()
    assert layout.nearest(inner.parent / "c") == layout.nearest(inner.parent) == inner
    assert layout.nearest(tmp_path / "a") == layout.nearest(tmp_path / "d") == layout.nearest(tmp_path) == top


# The lock


def test_only_one_holds_the_lock_until_it_is_released(tmp_path: Path) -> None:
    with lock.locked(tmp_path):
        assert layout.lock_file(tmp_path).exists()
        with pytest.raises(LockedError, match="another process is writing to it"), lock.locked(tmp_path):
            pass
    with pytest.raises(ZeroDivisionError), lock.locked(tmp_path):
        raise ZeroDivisionError
    with lock.locked(tmp_path):
        pass


def test_a_lock_that_cannot_be_made_is_a_fault_of_the_disk(public_path: Path) -> None:
    (public_path / "c").mkdir()
    (public_path / "c").chmod(0o555)
    with (
        pytest.raises(StorageError, match=f"{public_path / 'c'}: this user may not write to it"),
        lock.locked(public_path / "c"),
    ):
        pass
    assert os.listdir(public_path / "c") == []

"""The files of a collection are regular ones, and no symlink is ever followed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike.errors import CorruptError
from lookalike.storage import files
from lookalike.system import durable

PLACES: dict[str, Callable[[Path, Path], object]] = {
    "symlink": lambda path, target: path.symlink_to(target),
    "loop": lambda path, target: path.symlink_to(path),
    "pipe": lambda path, target: os.mkfifo(path),
    "directory": lambda path, target: path.mkdir(),
    "link to a device": lambda path, target: path.symlink_to("/dev/zero"),
}
USES: dict[str, Callable[[Path], object]] = {
    "opened": files.opened,
    "opened for update": files.opened_for_update,
    "read": lambda path: files.read(path, max_bytes=100),
    "size": files.size,
    "check": files.check,
}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file of the user's, outside of the collection."""
    path = tmp_path / "of the user"
    path.write_bytes(b"precious")
    return path


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, target: Path, place: str, use: str) -> None:
    PLACES[place](path := tmp_path / "vectors.faiss", target)
    with pytest.raises(CorruptError, match=r"vectors\.faiss: it is a .* where a collection has a regular file"):
        USES[use](path)
    assert target.read_bytes() == b"precious"


@pytest.mark.parametrize("use", [*USES.values(), files.remove])
@pytest.mark.parametrize("name", ["index", "data.000001"])
def test_no_file_is_reached_through_a_linked_directory(
    tmp_path: Path, name: str, use: Callable[[Path], object]
) -> None:
    """Not even to find out whether it is there."""
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (elsewhere / "000001.faiss").write_bytes(b"precious")
    (tmp_path / name).symlink_to(elsewhere)
    for missing in ("000001.faiss", "000002.faiss"):
        with pytest.raises(CorruptError, match=rf"{name}: it is a symlink"):
            use(tmp_path / name / missing)
    assert (elsewhere / "000001.faiss").read_bytes() == b"precious"


def test_regular_files_are_read_and_measured(tmp_path: Path) -> None:
    (path := tmp_path / "collection.json").write_bytes(b"12345")
    assert files.read(path, max_bytes=5) == b"12345"
    assert (files.size(path), files.check(path), files.check(tmp_path / "missing")) == (5, True, False)
    with files.opened(path) as file:
        assert (file.read(), file.name) == (b"12345", str(path))
    with pytest.raises(CorruptError, match=r"collection\.json: .* more than"):
        files.read(path, max_bytes=4)


def test_of_a_symlink_only_the_link_is_removed(tmp_path: Path, target: Path) -> None:
    (folder := tmp_path / "folder").mkdir()
    (folder / "file").touch()
    for path, remove in ((target, files.remove), (folder, files.remove), (folder, files.remove_directory)):
        (link := tmp_path / "data.000001").symlink_to(path)
        remove(link)
        assert not link.is_symlink()
    assert target.read_bytes() == b"precious"
    assert (folder / "file").exists()


def test_a_directory_is_removed_only_where_one_is_meant(tmp_path: Path) -> None:
    (tmp_path / "data.000001" / "index").mkdir(parents=True)
    with pytest.raises(CorruptError, match=r"data\.000001: it is a directory"):
        files.remove(tmp_path / "data.000001")
    files.remove_directory(tmp_path / "data.000001")
    assert not (tmp_path / "data.000001").exists()


@pytest.mark.parametrize("write", [durable.write_bytes, durable.replace])
def test_nothing_is_written_through_a_link_that_is_in_the_way(
    tmp_path: Path, target: Path, write: Callable[[Path, bytes], object]
) -> None:
    path = tmp_path / "collection.json"
    for name in ("collection.json", "collection.json.new"):
        (tmp_path / name).symlink_to(target)
    write(path, b"new")
    assert path.read_bytes() == b"new"
    assert not path.is_symlink()
    assert target.read_bytes() == b"precious"

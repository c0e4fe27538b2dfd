"""The permissions of a collection's files: what the umask says, so that a group can share a collection, or nobody."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import lookalike
from lookalike import Collection
from lookalike.display import write_file
from lookalike.system import durable
from tests.support.copies_of_files import grouped, mark
from tests.support.forked_children import answer_of_child
from tests.support.pictures import ColourEncoder, draw

GROUP, OWNER, MEMBER = 6000, 5001, 5002


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(directory: Path) -> dict[str, int]:
    """The permissions of a collection's directory and of everything in it, by name."""
    return {path.name: path.stat().st_mode & 0o777 for path in (directory, *directory.rglob("*"))}


def use(photos: Collection, folder: Path) -> None:
    """Writes every kind of file that a collection has."""
    photos.add(folder, threads=1)
    photos.build(spec="SQ8")
    photos.remove([folder / "00.png"])
    photos.build(spec="IVF2,SQ8", recall=0.5)
    copy, keep = (image.key for image in photos.images(limit=2))
    mark(photos, copy)
    photos.act_on_copies(photos.plan_action(grouped(photos, (keep, copy)), "move", to=folder / ".copies"))


@pytest.mark.parametrize("mask", [0o002, 0o022, 0o077])
def test_every_file_and_directory_has_the_permissions_of_the_umask(folder: Path, mask: int) -> None:
    with umask(mask), lookalike.create(folder, encoder=ColourEncoder()) as photos:
        use(photos, folder)
        found = modes(photos.directory)
    assert {"marks.json", "marks.lock", "000001.jsonl"} < found.keys()
    assert {"collection.json", "catalog.sqlite", "lock", "vectors.000001.faiss", "000002.faiss"} < found.keys()
    directories = {".lookalike", "index", "actions"}
    expected = {name: (0o777 if name in directories else 0o666) & ~mask for name in found}
    assert found == expected


def as_user(user: int, work: Callable[[], Any]) -> str:
    """What a forked child answers that is run by another user of the group."""

    def with_its_rights() -> Any:
        os.umask(0o002)
        os.setgroups([GROUP])
        os.setgid(user)
        os.setuid(user)
        return work()

    return answer_of_child(with_its_rights)


@pytest.fixture
def shared(folder: Path, public_path: Path) -> Path:
    """A folder of images that belongs to the group, whose members have never used Lookalike."""
    if os.geteuid():
        os.seteuid(os.getuid())
    if os.geteuid():
        pytest.skip("only root can be several users")
    use(lookalike.create(folder, encoder=ColourEncoder()), folder)  # imports what other users may not be able to read
    shutil.rmtree(folder / ".lookalike")
    folder.rename(public_path / "photos")
    home = public_path / "photos"
    for path in (home, home / "cats", home / "dogs"):
        os.chown(path, OWNER, GROUP)
        path.chmod(0o2775)
    return home


def added(folder: Path) -> int:
    with lookalike.open(folder, encoder=ColourEncoder()) as photos:
        return photos.add(folder, threads=1).added


def test_members_of_a_group_share_a_collection(shared: Path) -> None:
    assert as_user(OWNER, lambda: use(lookalike.create(shared, encoder=ColourEncoder()), shared)) == "None"
    draw(shared / "new.png", 99)
    assert as_user(MEMBER, lambda: added(shared)) == "2"  # and the one that was removed
    assert as_user(MEMBER, lambda: use(lookalike.open(shared, encoder=ColourEncoder()), shared)) == "None"
    draw(shared / "newer.png", 100)
    assert as_user(OWNER, lambda: added(shared)) == "2"
    assert {path.stat().st_gid for path in (shared / ".lookalike").rglob("*")} == {GROUP}


@pytest.mark.parametrize(("mode", "right"), [(0o755, "write to it"), (0o700, "read it")])
def test_a_user_without_the_right_is_told_so(shared: Path, mode: int, right: str) -> None:
    with lookalike.create(shared, encoder=ColourEncoder()) as photos:
        directory = photos.directory
        durable.sync_folder(directory)
    (directory / "lock").unlink()
    directory.chmod(mode)
    reason = f"StorageError: {directory}: this user may not {right}; ask its owner for the right"
    assert as_user(MEMBER, lambda: added(shared)) == reason
    if mode == 0o700:
        assert as_user(MEMBER, lambda: lookalike.create(shared, encoder=ColourEncoder())).startswith("StorageError: ")


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with umask(0o022):
        durable.replace(path, b"1")
        assert path.stat().st_mode & 0o777 == 0o644
        for mode in (0o600, 0o664):
            path.chmod(mode)
            durable.replace(path, b"2")
            assert path.stat().st_mode & 0o777 == mode


def test_a_file_that_replaces_a_link_has_not_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "file").symlink_to("secret")
    with umask(0o077):
        durable.replace(tmp_path / "file", b"1")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_an_output_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    write_file.write(page, write_file.PAGE)
    page.chmod(0o600)
    write_file.write(page, write_file.PAGE + b"2")
    assert (page.stat().st_mode & 0o777, page.read_bytes()[-1:]) == (0o600, b"2")

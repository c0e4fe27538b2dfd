"""Moves of files: whole at one of two places at every instant, never in the place of another file."""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lookalike.system import moves
from lookalike.system.moves import Inode, Move, settled

DATA = bytes(range(256)) * 5000  # more than one piece
SHA256 = hashlib.sha256(DATA).digest()
TIMES = 1_500_000_000_123_456_789, 1_400_000_000_987_654_321
TOKEN = "0123456789abcdef"
Told = list[tuple[Inode, bool]]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    (tmp_path / "from").mkdir()
    path = tmp_path / "from" / "cat.jpg"
    path.write_bytes(DATA)
    path.chmod(0o604)
    os.utime(path, ns=TIMES)
    return path


@pytest.fixture
def new(tmp_path: Path) -> Path:
    (tmp_path / "to").mkdir()
    return tmp_path / "to" / "dog.jpg"


def no_links(error: int) -> Callable[..., Any]:
    """What `os.link` does where it cannot link files; within a folder, it can to another disk."""
    link = os.link

    def refuse(old: Path, new: Path) -> None:
        if error == errno.EXDEV and Path(old).parent == Path(new).parent:
            return link(old, new)
        raise OSError(error, os.strerror(error), str(new))

    return refuse


@pytest.fixture(params=["links", "another disk", "no links", "another disk without links"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How files can be linked."""
    way = str(request.param)
    if way == "another disk without links":
        linked = {errno.EXDEV: no_links(errno.EXDEV), errno.EPERM: no_links(errno.EPERM)}
        place = [errno.EXDEV]

        def refuse(old: Path, new: Path) -> None:
            code = errno.EXDEV if Path(old).parent != Path(new).parent else errno.EPERM
            place.append(code)
            linked[code](old, new) if code == errno.EPERM else no_links(code)(old, new)

        monkeypatch.setattr(os, "link", refuse)
    elif way != "links":
        monkeypatch.setattr(os, "link", no_links(errno.EXDEV if way == "another disk" else errno.EPERM))
    return way


def told(new: Path) -> tuple[Told, Callable[[Inode], object]]:
    """Notes the inodes of copies, and whether there is something at the new place by then."""
    notes: Told = []
    return notes, lambda inode: notes.append((inode, new.exists()))


def test_a_file_moves_with_all_that_it_has(old: Path, new: Path, way: str) -> None:
    notes, note = told(new)
    before = old.stat()
    Move(old, new, SHA256, TOKEN, note).do()
    after = new.stat()
    assert not old.exists()
    assert new.read_bytes() == DATA
    assert (after.st_mode, after.st_mtime_ns, after.st_nlink) == (before.st_mode, TIMES[1], 1)
    assert notes == ([(moves.inode(after), False)] if "another" in way else [])
    assert list(old.parent.iterdir()) == []
    assert list(new.parent.iterdir()) == [new]


def test_nothing_is_ever_replaced(old: Path, new: Path, way: str) -> None:
    new.write_bytes(b"another file")
    with pytest.raises(FileExistsError):
        Move(old, new, SHA256, TOKEN, lambda _: None).do()
    assert old.read_bytes() == DATA
    assert new.read_bytes() == b"another file"
    assert list(new.parent.iterdir()) == [new]


def test_a_file_with_other_contents_is_not_copied(old: Path, new: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", no_links(errno.EXDEV))
    with pytest.raises(OSError, match="changed while it was copied"):
        Move(old, new, bytes(32), TOKEN, lambda _: None).do()
    assert old.exists()
    assert list(new.parent.iterdir()) == []


def test_a_file_that_cannot_be_removed_stays_alone(
    old: Path, new: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink, replace = Path.unlink, Path.replace

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == old:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        unlink(path, missing_ok)

    def refuse_renaming(path: Path, target: Path) -> Path:
        if path == old:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return replace(path, target)

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(Path, "replace", refuse_renaming)
    with pytest.raises(PermissionError):
        Move(old, new, SHA256, TOKEN, lambda _: None).do()
    assert old.read_bytes() == DATA
    assert list(new.parent.iterdir()) == []


def test_a_real_other_disk(old: Path) -> None:
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK) or shared.stat().st_dev == old.stat().st_dev:
        pytest.skip("it takes two file systems")
    new = shared / f"lookalike-test-{os.getpid()}.jpg"
    try:
        Move(old, new, SHA256, TOKEN, lambda _: None).do()
        assert not old.exists()
        Move(new, old, SHA256, TOKEN, lambda _: None).do()
    finally:
        new.unlink(missing_ok=True)
    assert old.read_bytes() == DATA
    assert (old.stat().st_mode & 0o777, old.stat().st_mtime_ns) == (0o604, TIMES[1])


# After a process was killed. H has the contents at home, A has them away; L are both by links; - is nothing, E an empty
# file, X another one.
CASES = {
    ("H", "-"): (False, "H", "-"),
    ("-", "A"): (True, "-", "A"),
    ("-", "-"): (False, "-", "-"),
    ("L", "L"): (False, "H", "-"),
    ("H", "copy"): (False, "H", "-"),  # that was not known
    ("copy", "A"): (False, "H", "-"),  # when it was undone
    ("H", "A"): (False, "H", "A"),  # another program's, who knows
    ("H", "X"): (False, "H", "X"),
    ("X", "A"): (True, "X", "A"),
    ("X", "X"): (False, "X", "X"),
    ("H", "E"): (False, "H", "-"),  # it held the name
    ("E", "A"): (True, "-", "A"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_move_that_was_killed_is_settled(old: Path, new: Path, case: tuple[str, str]) -> None:
    old.unlink()
    copies = []
    for path, what in zip((old, new), case, strict=True):
        match what:
            case "L" if path == new:
                os.link(old, new)
            case "H" | "A" | "copy" | "L":
                path.write_bytes(DATA)
            case "X" | "E":
                path.write_bytes(b"another file" if what == "X" else b"")
        if what == "copy":
            copies.append(moves.inode(path.stat()))
    leftover = moves.temporary(new.parent, TOKEN)
    leftover.write_bytes(DATA[:100])
    is_away = settled(old, new, SHA256, copies=copies, temporaries=[leftover])
    assert (is_away, what_is(old), what_is(new)) == (CASES[case][0], *CASES[case][1:])
    assert not leftover.exists()
    assert settled(old, new, SHA256, copies=[], temporaries=[leftover]) == is_away


def what_is(path: Path) -> str:
    if not path.exists():
        return "-"
    data = path.read_bytes()
    return {DATA: "H" if path.parent.name == "from" else "A", b"": "E"}.get(data, "X")

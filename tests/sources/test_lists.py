"""Lists of files: one path a line, or ended by NUL characters."""

import os
from pathlib import Path

import pytest

from lookalike.errors import UsageError
from lookalike.sources.lists import FileList, listed_paths, paths_in

BASE = Path("/base")


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        (b"a.jpg\nx/b.jpg\n", ["/base/a.jpg", "/base/x/b.jpg"]),
        (b"a.jpg\r\nb.jpg\r\n", ["/base/a.jpg", "/base/b.jpg"]),
        (b"a.jpg\n\n\na.jpg\n/abs/c.jpg", ["/base/a.jpg", "/abs/c.jpg"]),
        (b"\xef\xbb\xbfa.jpg\n", ["/base/a.jpg"]),
        ("\ufeffä.jpg\r\nb.jpg\r\n".encode("utf-16-le"), ["/base/ä.jpg", "/base/b.jpg"]),
        ("\ufeffä.jpg\r\n".encode("utf-16-be"), ["/base/ä.jpg"]),
        (b"caf\xe9.jpg\n", [os.fsdecode(b"/base/caf\xe9.jpg")]),
        (b"#recycle.jpg\n a b .jpg \n-x.jpg\n", ["/base/#recycle.jpg", "/base/ a b .jpg ", "/base/-x.jpg"]),
        (b"", []),
        (b"\n\r\n", []),
    ],
)
def test_a_list_has_a_path_a_line(data: bytes, paths: list[str]) -> None:
    assert [str(path) for path in paths_in(data, base=BASE, name="list")] == paths


def test_paths_that_end_with_nul_characters_may_have_any_other() -> None:
    found = paths_in(b"a\nb.jpg\0c\r\0\0", base=BASE, null=True, name="list")
    assert [str(path) for path in found] == ["/base/a\nb.jpg", "/base/c\r"]


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"a.jpg\0b.jpg\0", "say so with null"), (b"x" * 4097, "line 1 is longer"), (b"\xff\xfea", "damaged")],
)
def test_what_is_no_list_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(UsageError, match=f"list: .*{says}"):
        paths_in(data, base=BASE, name="list")


def test_a_path_is_in_the_current_folder_or_beside_the_list(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    for name in ("here.jpg", "both.jpg", "lists/both.jpg", "lists/beside.jpg", "return\r"):
        (tmp_path / name).touch()
    (tmp_path / "lists" / "list.txt").write_bytes(b"here.jpg\nboth.jpg\nbeside.jpg\nnowhere.jpg\nreturn\r\n")
    found = listed_paths(FileList(tmp_path / "lists" / "list.txt", tmp_path))
    names = ["here.jpg", "both.jpg", "lists/beside.jpg", "nowhere.jpg", "return\r"]
    assert found == [tmp_path / name for name in names]


def test_a_list_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, says in (("nowhere", "no such file"), ("pipe", "not a regular file"), (".", "not a regular file")):
        with pytest.raises(UsageError, match=says):
            listed_paths(FileList(tmp_path / name))

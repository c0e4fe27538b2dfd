"""Which files of a folder are listed: by their names or, where these say nothing, by their first bytes."""

import errno
import os
from pathlib import Path

import pytest

from lookalike.images.reading import read_start
from lookalike.sources.folder import Folder, Found
from tests.support.image_samples import painting, samples, saved


def listed(folder: Path) -> tuple[set[str], int]:
    """The keys of the files of a folder, and the number of the others."""
    source = Folder(folder, base=folder)
    keys = {found.key for found in source.files() if isinstance(found, Found)}
    return keys, source.others


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path.resolve()


@pytest.mark.parametrize(
    "name",
    ["a.ppm", "a.pgm", "a.pbm", "a.pnm", "a.pam", "a.mpo", "a.JPG", "a.jfif", "a.apng", "a.CR2", "a.nef", "a.psd"],
)
def test_a_file_called_as_an_image_is_listed_whatever_is_in_it(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")
    assert listed(folder) == ({name}, 0)


@pytest.mark.parametrize(
    "name",
    ["photo", "media_x.jpg_large", "IMG_1.jpg!d", "photo.jpg~", "0a1b2c", "x.123", "scan.bak", "b.jpegli", "c.hdp"],
)
@pytest.mark.parametrize("kind", samples())
def test_an_image_of_another_name_is_listed(folder: Path, name: str, kind: str) -> None:
    (folder / name).write_bytes(samples()[kind][0])
    assert listed(folder) == ({name}, 0)


def test_an_image_of_a_kind_that_is_not_read_is_listed_to_be_named(folder: Path) -> None:
    (folder / "drawing").write_bytes(b'<svg xmlns="http://www.w3.org/2000/svg"/>')
    (folder / "new.jxlx").write_bytes(b"\xff\x0a\xfa\x7f")
    (folder / "layers.1").write_bytes(b"8BPS\0\1" + bytes(20))
    assert listed(folder) == ({"drawing", "new.jxlx", "layers.1"}, 0)


def test_other_files_are_counted_and_not_listed(folder: Path) -> None:
    jpeg = saved(painting(), "JPEG")
    contents = {
        "README": b"text",
        "notes.txt": jpeg,
        "clip.mp4": jpeg,
        "x.xyz": b"text",
        "empty": b"",
        "cache.db": jpeg,
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    (folder / ".hidden").write_bytes(jpeg)
    (folder / "sub").mkdir()
    (folder / "sub" / "Makefile").write_bytes(b"all:")
    (folder / "sub" / "a.png").write_bytes(saved(painting(), "PNG"))
    os.mkfifo(folder / "pipe")
    (folder / "gone").symlink_to("nowhere")
    assert listed(folder) == ({"sub/a.png"}, len(contents) + 1)
    assert listed(folder) == ({"sub/a.png"}, len(contents) + 1)  # counted anew


def test_a_link_to_an_image_is_listed(folder: Path) -> None:
    (folder / "target.bin").write_bytes(saved(painting(), "PNG"))
    (folder / "link").symlink_to("target.bin")
    assert listed(folder) == ({"target.bin", "link"}, 0)


def test_a_file_that_may_not_be_read_is_listed_only_if_its_name_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("unknown", "a.jpg"):
        (folder / name).write_bytes(saved(painting(), "JPEG"))

    def refuse(_path: str, _size: int) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("lookalike.sources.image_files.read_start", refuse)
    assert listed(folder) == ({"a.jpg"}, 1)


def test_only_files_whose_names_say_nothing_are_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def spy(path: str, size: int) -> bytes:
        opened.append(Path(path).name)
        return read_start(path, size)

    monkeypatch.setattr("lookalike.sources.image_files.read_start", spy)
    for name in ("a.jpg", "b.txt", "c.mp4", "d", "e.dat", "f.TIF", "g.json"):
        (folder / name).write_bytes(b"text")
    assert listed(folder)[0] == {"a.jpg", "f.TIF"}
    assert sorted(opened) == ["d", "e.dat"]

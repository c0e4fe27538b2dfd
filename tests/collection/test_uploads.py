"""Files that are put into a collection, and images that are deleted from it."""

import os
from pathlib import Path

import filelock
import pytest

from lookalike import Collection
from lookalike.collection.uploads import checked_key
from lookalike.errors import ImageError, LockedError, NameTakenError, NoImageError, UsageError
from lookalike.storage import layout
from tests.support.pictures import draw, picture


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    return draw(tmp_path / "new.png", 100).read_bytes()


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if ".lookalike/" not in f"{path}/"}


def test_a_file_that_is_put_is_there_and_found(photos: Collection, data: bytes) -> None:
    image = photos.put("2024/May trip/new.png", data)
    assert (image.key, image.label, image.width) == ("2024/May trip/new.png", "May trip", 16)
    assert (photos.folder / image.key).read_bytes() == data
    [best] = photos.search(picture(100), k=1)
    assert best.id == image.id
    assert best.score == pytest.approx(1, abs=1e-3)
    assert photos.put("2024/May trip/new.png", data) == image
    assert not [name for name in files_in(photos.folder) if ".tmp" in name]


def test_a_file_is_never_replaced(photos: Collection, data: bytes) -> None:
    before = (photos.folder / "00.png").read_bytes()
    with pytest.raises(NameTakenError, match=r"00\.png"):
        photos.put("00.png", data)
    assert (photos.folder / "00.png").read_bytes() == before
    outside = photos.folder.with_name("outside.png")
    (photos.folder / "link.png").symlink_to(outside)
    with pytest.raises(NameTakenError):
        photos.put("link.png", data)
    assert not outside.exists()


UNSAFE = [
    *("", "/", ".", "..", "../x.png", "a/../x.png", "/etc/x.png", "a//x.png", "./x.png", "a/", ".hidden.png"),
    *(".lookalike/x.png", "a\\x.png", "a:x.png", "x\0.png", "x\n.png", "x\u202e.png", "-x.png", "~x.png", " x.png"),
    *(
        "x.png ",
        "a./x.png",
        "*.png",
        "x.png/",
        "x",
        "x.svg",
        "x.html",
        "x.png.exe",
        "x" * 201 + ".png",
        "\udce9.png",
        "\ufffd.png",
    ),
    "/".join(["x" * 100] * 11) + ".png",
]


@pytest.mark.parametrize("key", UNSAFE)
def test_an_unsafe_name_is_refused_and_nothing_is_written(photos: Collection, data: bytes, key: str) -> None:
    before = files_in(photos.folder.parent)
    with pytest.raises(UsageError):
        photos.put(key, data)
    assert files_in(photos.folder.parent) == before


@pytest.mark.parametrize("key", ["x.png", "Käse/été 1 (2).JPG", "写真/猫.webp", "a/b/c.heic", "2024-05-01_x.tiff"])
def test_usual_names_are_safe(key: str) -> None:
    assert checked_key(key) == key


def test_a_folder_that_is_a_symlink_or_a_file_or_the_collection_is_refused(
    photos: Collection, data: bytes, tmp_path: Path
) -> None:
    (photos.folder / "link").symlink_to(tmp_path)
    for key in ("link/x.png", "00.png/x.png"):
        with pytest.raises(UsageError, match="not a folder"):
            photos.put(key, data)
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("bad", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_image_leaves_nothing(photos: Collection, bad: bytes) -> None:
    before = files_in(photos.folder)
    with pytest.raises(ImageError):
        photos.put("bad.png", bad)
    assert files_in(photos.folder) == before
    assert photos.skipped() == []


def test_while_another_process_writes_nothing_is_put_or_deleted(photos: Collection, data: bytes) -> None:
    with filelock.FileLock(layout.lock_file(photos.directory)):
        with pytest.raises(LockedError):
            photos.put("new.png", data)
        with pytest.raises(LockedError):
            photos.delete(1, file=True)
    assert not (photos.folder / "new.png").exists()
    assert photos.original(1).data


def test_deleting_forgets_an_image_and_its_file_only_if_told(photos: Collection) -> None:
    first, second, *_ = photos.images()
    assert photos.delete(first.id) == first
    assert photos.delete(second.id, file=True) == second
    assert (first.path.exists(), second.path.exists()) == (True, False)
    assert len(photos) == 10
    with pytest.raises(NoImageError):
        photos.delete(first.id)


def test_a_file_that_has_changed_or_is_elsewhere_is_not_deleted(photos: Collection) -> None:
    far = draw(photos.folder.with_name("other") / "far.png", 51)
    photos.add([far])
    first, *_, last = photos.images()
    draw(first.path, 99)
    for image in (first, last):
        with pytest.raises(ImageError):
            photos.delete(image.id, file=True)
        assert image.path.exists()
        assert photos.image(image.id) == image


def test_a_file_system_without_hard_links_gets_the_file_all_the_same(
    photos: Collection, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert photos.put("new.png", data).key == "new.png"
    with pytest.raises(NameTakenError):
        photos.put("00.png", data)
    assert not [name for name in files_in(photos.folder) if ".tmp" in name]

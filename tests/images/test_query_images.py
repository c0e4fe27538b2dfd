"""Query images of every kind, and thumbnails of them."""

import io
import mmap
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.errors import ImageError, UsageError
from lookalike.images.decode import ImageSource, Preprocessing, decode, prepare, thumbnail
from tests.support.image_samples import close, exif, painting, saved, smooth

WHOLE = Preprocessing(size=32, crop=1.0)


class Pipe(io.RawIOBase):
    """Gives three bytes at a time, of some data or, after them, without an end."""

    def __init__(self, data: bytes, *, endless: bool = False) -> None:
        self._data, self._endless, self.given = io.BytesIO(data), endless, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._data.read(min(3, len(buffer))) or (bytes(len(buffer)) if self._endless else b"")
        buffer[: len(part)] = part
        self.given += len(part)
        return len(part)


class Plain:
    """Has nothing but `read`, as the answers of some HTTP clients do."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


class Seekless(Plain):
    """Says that it can seek, and cannot."""

    def seekable(self) -> bool:
        return True

    def seek(self, _offset: int) -> int:
        raise io.UnsupportedOperation("seek")


class Positionless:
    """Gives all its bytes whenever it is asked."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, _size: int = -1) -> bytes:
        return self._data


def mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def spooled(data: bytes) -> Any:
    """A file that has been written to and not rewound, as frameworks hand over what was uploaded."""
    file = tempfile.SpooledTemporaryFile()  # noqa: SIM115 - its reader closes it
    file.write(data)
    return file


def sources(tmp_path: Path) -> dict[str, Callable[[], ImageSource]]:
    path = tmp_path / "a.png"
    path.write_bytes(saved(painting(), "PNG"))
    return {
        "str": lambda: str(path),
        "Path": lambda: path,
        "bytes": path.read_bytes,
        "bytearray": lambda: bytearray(path.read_bytes()),
        "memoryview": lambda: memoryview(path.read_bytes()),
        "part of a memoryview": lambda: memoryview(b"x" + path.read_bytes() + b"y")[1:-1],
        "numbers in a buffer": lambda: np.frombuffer(path.read_bytes(), np.uint8).data,
        "file": lambda: io.BytesIO(path.read_bytes()),
        "mapped file": lambda: cast("BinaryIO", mapped(path)),
        "spooled file": lambda: cast("BinaryIO", spooled(path.read_bytes())),
        "pipe": lambda: cast("BinaryIO", Pipe(path.read_bytes())),
        "without seek": lambda: cast("BinaryIO", Plain(path.read_bytes())),
        "that fails to seek": lambda: cast("BinaryIO", Seekless(path.read_bytes())),
        "without a position": lambda: cast("BinaryIO", Positionless(path.read_bytes())),
        "raw": lambda: cast("BinaryIO", io.FileIO(path)),
        "PIL": painting,
        "PIL file": lambda: Image.open(io.BytesIO(path.read_bytes())),
        "array": lambda: np.asarray(painting()),
        "view": lambda: np.asarray(painting())[::-1][::-1],
    }


KINDS = """str, Path, bytes, bytearray, memoryview, part of a memoryview, numbers in a buffer, file, mapped file,
    spooled file, pipe, without seek, that fails to seek, without a position, raw, PIL, PIL file, array, view"""


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("kind", [kind.strip() for kind in KINDS.split(",")])
def test_all_kinds_of_source_give_the_same_pixels(tmp_path: Path, kind: str) -> None:
    make = sources(tmp_path)[kind]
    decoded = prepare(make(), Preprocessing())
    assert (decoded.width, decoded.height) == (40, 30)
    np.testing.assert_array_equal(decoded.pixels, decode(saved(painting(), "PNG"), Preprocessing()).pixels)
    np.testing.assert_array_equal(np.asarray(thumbnail(make(), 100)), np.asarray(painting()))


@given(st.integers(1, 30), st.integers(1, 30), st.booleans(), st.integers(0, 2**32))
def test_an_array_is_decoded_like_its_file(height: int, width: int, grey: bool, seed: int) -> None:
    shape = (height, width) if grey else (height, width, 3)
    array = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    decoded = prepare(array, WHOLE)
    assert (decoded.width, decoded.height) == (width, height)
    np.testing.assert_array_equal(decoded.pixels, decode(saved(Image.fromarray(array), "PNG"), WHOLE).pixels)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_an_array_that_is_not_an_image_is_refused(array: Any) -> None:
    with pytest.raises(UsageError, match="give uint8 of"):
        prepare(array, Preprocessing())


@pytest.mark.parametrize(
    ("source", "message"), [(3, "int is not an image"), (None, "NoneType"), (io.StringIO("text"), "binary mode")]
)
def test_an_object_that_is_not_an_image_is_refused(source: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        prepare(source, Preprocessing())


def test_a_file_is_read_from_its_beginning() -> None:
    file = io.BytesIO()
    painting().save(file, "PNG")
    assert prepare(file, WHOLE).width == 40


def test_a_pipe_that_gives_less_than_it_is_asked_for_is_read_to_its_end() -> None:
    data = saved(painting(), "PNG")
    np.testing.assert_array_equal(prepare(cast("BinaryIO", Pipe(data)), WHOLE).pixels, decode(data, WHOLE).pixels)


def test_a_file_that_has_no_more_bytes_yet_is_not_taken_for_an_empty_one() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    try:
        with pytest.raises(ImageError, match="has no more bytes yet"), io.FileIO(reading) as file:
            prepare(cast("BinaryIO", file), WHOLE)
    finally:
        os.close(writing)


def test_no_more_of_an_endless_file_is_read_than_an_image_may_have() -> None:
    pipe = Pipe(saved(painting(), "PNG"), endless=True)
    with pytest.raises(ImageError, match="more than 3 MB, the limit for a file"):
        prepare(cast("BinaryIO", pipe), WHOLE, max_bytes=3 * 2**20)
    assert pipe.given == 3 * 2**20 + 1


def test_bytes_are_bounded_as_a_file_is() -> None:
    with pytest.raises(ImageError, match="image: more than 1 MB, the limit for a file"):
        prepare(bytes(2**20 + 1), WHOLE, max_bytes=2**20)


def test_errors_name_the_source_and_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    with pytest.raises(ImageError, match=r"a\.jpg: no such file$"):
        prepare(path, Preprocessing())
    path.write_bytes(b"text")
    with path.open("rb") as file:
        for source in (path, str(path), file):
            with pytest.raises(ImageError, match=r"a\.jpg: not an image$") as caught:
                prepare(source, Preprocessing())
            assert caught.value.name == str(path)
    with pytest.raises(ImageError, match=r"^image: more than 1 MB, the limit for a file$"):
        prepare(io.BytesIO(bytes(2**20 + 1)), Preprocessing(), max_bytes=2**20)
    with pytest.raises(ImageError, match="image: 40 x 30 pixels is over the limit"):
        prepare(painting(), Preprocessing(), max_pixels=1000)


def test_a_pil_image_is_not_changed() -> None:
    data = saved(painting(size=(900, 600)), "JPEG", exif=exif(6))
    image = Image.open(io.BytesIO(data))
    assert prepare(image, Preprocessing()).width == 600
    thumbnail(image, 10)
    assert image.copy() == Image.open(io.BytesIO(data)).copy()
    assert image.getexif()[0x0112] == 6


# Thumbnails


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((400, 300), (100, 75)), ((300, 400), (75, 100)), ((40, 30), (40, 30)), ((1, 20000), (1, 100)), ((1, 1), (1, 1))],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_thumbnail_is_the_whole_image_and_never_larger(
    shape: tuple[int, int], expected: tuple[int, int], kind: str
) -> None:
    image = smooth(shape)
    small = thumbnail(saved(image, kind), 100)
    assert (small.size, small.mode) == (expected, "RGB")
    close(np.asarray(small), np.asarray(image.resize(expected, Image.Resampling.BICUBIC)), mean=6)


def test_a_thumbnail_needs_a_size_and_an_image() -> None:
    with pytest.raises(UsageError, match="side=0: give at least 1"):
        thumbnail(painting(), 0)
    with pytest.raises(ImageError, match="image: not an image"):
        thumbnail(b"text", 10)

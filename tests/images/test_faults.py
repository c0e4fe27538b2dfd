"""`lookalike index` on a folder with bad files: each is skipped with its reason, and the rest is indexed."""

import importlib.util
import json
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike.demo import draw
from tests.support.commands import run
from tests.support.image_samples import HEIC, TURNS, exif, painting, png, saved

LIMIT = "is over the limit of 178 million; max_pixels="
TEXT = {
    "text.jpg": b"Dear diary,\n" * 50,
    "page.jpg": b"<!DOCTYPE html><html><body><img src=x></body></html>",
    "drawing.jpg": b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"></svg>',
    "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"></svg>',
}
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"


def sunset() -> Image.Image:
    return draw("lighthouse", np.random.default_rng(5)).resize((280, 240))


def write_bad_files(folder: Path) -> dict[str, str]:
    """Writes every kind of bad file to a folder; returns the reason for which each has to be skipped."""
    expected = {"empty.jpg": "empty file"}
    (folder / "empty.jpg").touch()
    for name, data in TEXT.items():
        (folder / name).write_bytes(data)
        expected[name] = "SVG is not read" if "drawing" in name else "not an image"
    for kind in ("JPEG", "PNG", "GIF", "WEBP"):
        data = saved(sunset(), kind)
        name = f"cut.{kind.lower()}"
        (folder / name).write_bytes(data[: len(data) // 2])
        expected[name] = "truncated"
    (folder / "bomb.png").write_bytes(png((30_000, 30_000), 1, 0, bytes(30_000 * 3751)))
    expected["bomb.png"] = f"30000 x 30000 pixels {LIMIT}900000000 allows it"
    (folder / "large.png").write_bytes(png((20_000, 9_000), 1, 0, bytes(9_000 * 2501)))
    expected["large.png"] = f"20000 x 9000 pixels {LIMIT}180000000 allows it"
    for name in ("figure.eps", "figure.jpg"):
        (folder / name).write_bytes(POSTSCRIPT)
        expected[name] = "PostScript (EPS) is not read"
    (folder / "icon.png").write_bytes(saved(sunset().resize((32, 32)), "ICO"))
    expected["icon.png"] = "ICO is not read"
    os.mkfifo(folder / "pipe.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "nowhere.jpg").symlink_to("gone")
    (folder / "null.jpg").symlink_to("/dev/null")
    (folder / "folder.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(folder)  # the path of a socket has to be short
        listening.bind("socket.jpg")
        os.chdir(here)
    expected |= {"pipe.jpg": "not a regular file", "null.jpg": "not a regular file", "folder.jpg": "is a directory"}
    expected |= {"socket.jpg": "not a regular file", "loop.jpg": "symlink loop", "nowhere.jpg": "vanished"}
    return expected


def write_odd_images(folder: Path) -> set[bytes]:
    """Writes odd images to a folder, all of which have to be indexed; returns their names."""
    image = sunset()
    broken = b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\x01\x12" * 20
    contents = {
        b"exif.jpg": saved(image, "JPEG", exif=broken),
        b"cmyk.jpg": saved(image.convert("CMYK"), "JPEG"),
        b"palette.png": saved(image.convert("P"), "PNG"),
        b"grey.jpg": saved(image.convert("L"), "JPEG"),
        b"one-bit.png": saved(image.convert("1"), "PNG"),
        b"deep.png": saved(painting("I;16"), "PNG"),
        b"alpha.png": saved(painting("RGBA"), "PNG"),
        b"moving.gif": saved(image.convert("P"), "GIF", save_all=True, append_images=[image.rotate(90).convert("P")]),
        b"moving.webp": saved(image, "WEBP", save_all=True, append_images=[image.rotate(90)]),
        b"dot.png": saved(Image.new("RGB", (1, 1), "red"), "PNG"),
        b"line.png": saved(Image.new("RGB", (1, 20_000), "red"), "PNG"),
        b"not utf-8 \xff\xfe.jpg": saved(image.rotate(1), "JPEG"),
        b"two\nlines.jpg": saved(image.rotate(2), "JPEG"),
        b"'quotes' \"and\" <tags>.jpg": saved(image.rotate(3), "JPEG"),
        b"\x1b[31mred.jpg": saved(image.rotate(4), "JPEG"),
        b"SHOUTED.JPEG": saved(image.rotate(5), "JPEG"),
    }
    for name, data in contents.items():
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(data)
    return set(contents)


def lookalike_index(folder: Path, *options: str) -> tuple[int, str, str]:
    """Runs `lookalike index`; returns the exit code, the output and the error output."""
    return run("index", folder, *options, cwd=folder)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults").resolve()


@pytest.fixture(scope="module")
def first_run(photos: Path) -> dict[str, Any]:
    """The result of the first run on a folder of bad files and odd images, and what is expected of it."""
    expected, odd = write_bad_files(photos), write_odd_images(photos)
    if importlib.util.find_spec("pillow_heif") is None:
        (photos / "phone.heic").write_bytes(HEIC)
        expected["phone.heic"] = 'HEIC needs an extra: pip install "lookalike[heic]"'
    code, out, err = lookalike_index(photos, "--json")
    return {"code": code, "report": json.loads(out), "err": err, "expected": expected, "odd": odd}


def test_every_bad_file_is_skipped_for_its_own_reason(first_run: dict[str, Any]) -> None:
    skipped = {Path(skip["path"]).name: skip["reason"] for skip in first_run["report"]["skipped"]}
    assert skipped == first_run["expected"]
    assert first_run["code"] == 0
    assert first_run["err"] == ""


def test_every_odd_image_is_indexed(first_run: dict[str, Any], photos: Path) -> None:
    with lookalike.open(photos) as collection:
        matches = collection.search(sunset(), k=1000)
        assert {os.fsencode(match.key) for match in matches} == first_run["odd"]
        assert all(match.path is not None and match.path.is_file() for match in matches)
        assert {match.width for match in matches} == {280, 40, 1}
    assert first_run["report"]["added"] == len(first_run["odd"])


def test_names_are_printed_without_control_characters(first_run: dict[str, Any], photos: Path) -> None:
    for options in ([], ["--json"]):
        code, out, _ = run("search", photos / "cmyk.jpg", "-c", photos, "-k", "1000", *options, cwd=photos)
        assert code == 0
        assert len(out.splitlines()) == len(first_run["odd"])
        assert "\x1b" not in out
    assert "not utf-8 \\\\xff\\\\xfe.jpg" in out


def test_a_skipped_file_is_tried_again_only_if_that_may_succeed(first_run: dict[str, Any], photos: Path) -> None:
    """That is, if the file has changed, or if the reason may be gone: a symlink to nowhere, a limit that was raised."""
    again = {"loop.jpg", "nowhere.jpg", "bomb.png", "large.png"}
    again |= first_run["expected"].keys() & {"phone.heic"}  # which an extra would open
    code, out, _ = lookalike_index(photos, "--json")
    report = json.loads(out)
    assert {Path(skip["path"]).name for skip in report["skipped"]} == again
    assert report["skipped_before"] == len(first_run["expected"]) - len(again)
    assert report["unchanged"] == len(first_run["odd"])
    assert code == 0
    assert lookalike_index(photos, "--strict")[0] == 3
    empty = photos / "empty.jpg"
    before = empty.read_bytes()
    try:
        empty.write_bytes(saved(sunset().rotate(9), "JPEG"))
        assert json.loads(lookalike_index(photos, "--json")[1])["added"] == 1
        assert json.loads(lookalike_index(photos, "--json", "--max-pixels", "180000000")[1])["added"] == 1
    finally:  # other tests go by what was there
        empty.write_bytes(before)
        lookalike_index(photos)


def test_orientation_depth_and_hidden_colours_do_not_change_a_vector(tmp_path: Path) -> None:
    """By the bundled model: rotated images, a 16-bit copy, and other colours in transparent pixels."""
    upright = sunset()
    with lookalike.create(tmp_path) as collection:

        def cosine(one: bytes, other: bytes) -> float:
            return float((collection.embed(one) @ collection.embed(other).T).item())

        plain = saved(upright, "JPEG", quality=95)
        for orientation, turn in TURNS.items():
            turned = saved(upright.transpose(turn), "JPEG", quality=95, exif=exif(orientation))
            assert cosine(plain, turned) >= 0.99, orientation
        grey = np.asarray(upright.convert("L"))
        deep = Image.fromarray(grey.astype(np.uint16) * 257)
        assert cosine(saved(Image.fromarray(grey), "PNG"), saved(deep, "PNG")) >= 0.99
        mask = Image.new("L", upright.size, 255)
        mask.paste(0, (0, 0, 140, 240))
        images = []
        for hidden in ("red", "blue"):
            image = Image.composite(upright, Image.new("RGB", upright.size, hidden), mask)
            image.putalpha(mask)
            images.append(saved(image, "PNG"))
        assert np.array_equal(collection.embed(images[0]), collection.embed(images[1]))

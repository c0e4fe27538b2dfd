"""The command line on folders with image files of other kinds and names."""

import json
from pathlib import Path

import pytest

from tests.support.commands import run
from tests.support.image_samples import painting, saved, smooth


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images whose names do not say so, one of a kind that is not read, and three other files."""
    folder = tmp_path.resolve() / "photos"
    folder.mkdir()
    (folder / "00000.ppm").write_bytes(saved(painting(), "PPM"))
    (folder / "media.jpg_large").write_bytes(saved(painting().rotate(90), "JPEG"))
    (folder / "new.jxl").write_bytes(b"\xff\x0a\xfa\x7f")
    for name in ("README", "notes.txt", "data.json"):
        (folder / name).write_bytes(b"text")
    return folder


def test_images_of_any_name_are_indexed_or_named_others_are_counted(folder: Path) -> None:
    _, out, err = run("index", ".", cwd=folder)
    assert "2 added, 1 skipped" in out
    assert "new.jxl: JPEG XL is not read" in err
    assert "README" not in out + err
    code, out, err = run("info", "--skipped", cwd=folder)
    assert (code, out) == (0, f"{folder}/new.jxl: JPEG XL is not read\n")
    assert err == "3 other files in the folder are no images.\n"
    code, out, err = run("info", "--skipped", "--json", cwd=folder)
    assert json.loads(out) == {"path": f"{folder}/new.jxl", "reason": "JPEG XL is not read"}
    (folder / "README").unlink()
    (folder / "notes.txt").unlink()
    assert run("info", "--skipped", cwd=folder)[2] == "1 other file in the folder is no image.\n"
    (folder / "data.json").unlink()
    assert run("info", "--skipped", cwd=folder)[2] == ""
    (folder / "new.jxl").unlink()
    assert run("index", ".", cwd=folder)[0] == 0
    assert run("info", "--skipped", cwd=folder) == (0, "", "No image was left out.\n")


def test_the_limit_of_pixels_holds_for_every_command_that_decodes_images(folder: Path) -> None:
    (folder / "large.png").write_bytes(saved(smooth((300, 200)), "PNG"))
    small, limit = ["--max-pixels", "50000"], "300 x 200 pixels is over the limit of 0.05 million; "
    assert f"cannot be used: {folder}/large.png: {limit}" in run("plan", ".", *small, cwd=folder)[2]
    assert f"large.png: {limit}" in run("index", ".", *small, cwd=folder)[2]
    assert limit in run("search", "large.png", *small, cwd=folder)[2]
    assert run("index", ".", cwd=folder)[1].startswith("1 added")
    assert run("search", "00000.ppm", "-k", "9", "--html", "page.html", *small, cwd=folder)[0] == 0
    assert limit in (folder / "page.html").read_text()
    assert run("search", "00000.ppm", "-k", "9", "--html", "page.html", cwd=folder)[0] == 0
    assert limit not in (folder / "page.html").read_text()

"""What is left out: names that devices and systems keep for themselves, and a user's globs."""

import fnmatch
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.errors import UsageError
from lookalike.sources.exclusion import DEFAULT, Exclusion, checked_globs
from lookalike.sources.folder import Files, Folder, Listing
from tests.support.pictures import draw

COMPOSED, SPLIT = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")


@pytest.mark.parametrize(
    ("glob", "left_out", "stays"),
    [
        ("*.png", ["a.png", "x/y/b.png", "x.png/c.jpg"], ["a.PNG", "a.pngs", "png"]),
        ("raw", ["raw", "raw/a.jpg", "x/raw/y/b.jpg"], ["raws/a.jpg", "Raw/a.jpg", "x/raw.jpg"]),
        ("raw/", ["raw/a.jpg", "x/raw/b.jpg"], ["raw", "x/raw"]),
        ("2019/raw", ["2019/raw/a.jpg", "2019/raw"], ["x/2019/raw/a.jpg", "raw/a.jpg", "2019/rawer"]),
        ("2019/*", ["2019/a.jpg", "2019/x/a.jpg"], ["2019", "2020/a.jpg", "x/2019/a.jpg"]),
        ("2019/*/scans", ["2019/x/scans/a.jpg"], ["2019/scans/a.jpg", "2019/x/y/scans/a.jpg"]),
        ("2019/**/scans", ["2019/scans/a.jpg", "2019/x/y/scans/a.jpg"], ["scans/a.jpg", "2019/x/scan"]),
        ("**/scans/x", ["scans/x", "a/b/scans/x/c.jpg"], ["scans/y"]),
        ("./a/b", ["a/b/c.jpg"], ["b/c.jpg"]),
        ("/mnt/disk/raw", ["/mnt/disk/raw/a.jpg"], ["mnt/disk/raw/a.jpg", "/mnt/disk/other/a.jpg"]),
        ("IMG_?[0-9]*", ["IMG_a1.jpg", "x/IMG_b22.png"], ["IMG_1.jpg", "IMG_ab.jpg"]),
        (f"caf{SPLIT}", [f"caf{COMPOSED}/a.jpg", f"caf{SPLIT}/a.jpg"], ["cafe/a.jpg"]),
        ("a b'\"$", ["a b'\"$/x.jpg"], ["a"]),
        ("**", ["a", "b/c"], []),
    ],
)
def test_a_glob_leaves_out_names_or_paths(glob: str, left_out: list[str], stays: list[str]) -> None:
    exclusion = Exclusion([glob])
    assert [key for key in [*left_out, *stays] if exclusion.leaves_out(key)] == left_out


@pytest.mark.parametrize("name", DEFAULT)
def test_default_names_are_left_out_in_any_case_unless_they_are_kept(name: str) -> None:
    for each in (name, name.upper(), name.lower()):
        assert Exclusion().leaves_out(f"a/{each}/b.jpg")
        assert not Exclusion(keep=[name]).leaves_out(f"a/{each}/b.jpg")
    assert not Exclusion().leaves_out(f"a/x{name}/b.jpg")


def test_a_folder_that_is_named_itself_is_listed_whatever_its_name(tmp_path: Path) -> None:
    draw(tmp_path / "@eaDir" / "a.png", 1)
    draw(tmp_path / "@eaDir" / "@eaDir" / "b.png", 2)
    found = Folder(tmp_path / "@eaDir", base=tmp_path)
    assert [file.key for file in found.files()] == ["@eaDir/a.png"]
    assert not found.leaves_out("@eaDir/a.png")
    assert found.leaves_out("@eaDir/@eaDir/b.png")


@pytest.mark.parametrize("glob", ["", "/", "//", "a\0b", "x" * 1001])
def test_what_is_no_glob_is_refused(glob: str) -> None:
    with pytest.raises(UsageError, match="no glob"):
        checked_globs(["*.png", glob])
    with pytest.raises(UsageError, match="include"):
        checked_globs(["!*.png"])


@given(st.lists(st.sampled_from(["a", "b.jpg", "@eaDir", "raw", "x.png"]), min_size=1, max_size=4))
def test_listing_and_asking_agree(names: list[str]) -> None:
    """A slow definition: a file is left out if a name of its path is, or a glob fits one of its names."""
    exclusion, key = Exclusion(["*.png", "raw/"]), "/".join(names)
    folders = names[:-1]
    slow = "@eaDir" in names or "raw" in folders or any(fnmatch.fnmatchcase(name, "*.png") for name in names)
    assert exclusion.leaves_out(key) == slow


def test_a_folder_lists_what_is_not_left_out(tmp_path: Path) -> None:
    for key in (
        "a.png",
        "@eaDir/a.png/THUMB.jpg",
        "#recycle/b.png",
        "x/c.png",
        "x/raw/d.png",
        "x/e.jpg",
        "$Recycle.Bin/f.png",
    ):
        draw(tmp_path / key, 1)
    listing = Listing(exclusion=Exclusion(["raw", "x/*.jpg"]))
    source = Folder(tmp_path, base=tmp_path, listing=listing)
    assert [found.key for found in source.files()] == ["a.png", "x/c.png"]
    everything = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert [key for key in everything if not source.leaves_out(key)] == ["a.png", "x/c.png"]


def test_of_a_list_only_what_globs_name_is_left_out(tmp_path: Path) -> None:
    paths = [draw(tmp_path / key, 1) for key in ("a.png", "@eaDir/b.png", "raw/c.png")]
    source = Files(paths, base=tmp_path, exclusion=Exclusion(["raw"], keep=DEFAULT))
    assert [found.key for found in source.files()] == ["@eaDir/b.png", "a.png"]


def test_patterns_of_many_stars_do_not_take_long() -> None:
    assert not Exclusion(["*a" * 100 + "b"]).leaves_out("a" * 255)
    assert not Exclusion(["**/" * 100 + "b"]).leaves_out("/".join(["a"] * 300))
    assert os.sep == "/"

"""The gallery of drawn pictures is the same for a seed, and never replaces other files."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import demo
from lookalike.errors import StorageError, UsageError

PER_KIND = 2


def contents(folder: Path) -> dict[str, bytes]:
    """Returns the bytes of all files below a folder, by relative path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery that tests may read but not change."""
    folder = tmp_path_factory.mktemp("demo") / "gallery"
    demo.write_gallery(folder, per_kind=PER_KIND)
    return folder


def test_there_are_twelve_kinds_named_after_their_functions() -> None:
    assert len(demo.KINDS) == 12
    assert all(name == kind.__name__ for name, kind in demo.KINDS.items())


@pytest.mark.parametrize("kind", demo.KINDS)
def test_every_kind_draws_a_colourful_picture_for_every_seed(kind: str) -> None:
    for seed in range(15):
        picture = demo.draw(kind, np.random.default_rng(seed), side=64)
        assert picture.mode == "RGB"
        assert max(picture.size) == 64
        assert np.asarray(picture).std(axis=(0, 1)).min() > 5


@pytest.mark.parametrize("kind", demo.KINDS)
def test_pictures_of_a_kind_vary(kind: str) -> None:
    """No two of eight are nearly the same, compared at a size at which grain does not matter."""
    small = [
        np.asarray(demo.draw(kind, np.random.default_rng(seed), side=128).resize((16, 16)), dtype=float)
        for seed in range(8)
    ]
    for i, first in enumerate(small):
        for second in small[:i]:
            assert abs(first - second).mean() > 5


def test_the_same_state_of_the_generator_draws_the_same_picture() -> None:
    first, again, other = (demo.draw("clock", np.random.default_rng(seed)).tobytes() for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_a_larger_side_draws_the_same_picture_larger() -> None:
    small, large = (demo.draw("mug", np.random.default_rng(5), side=side) for side in (100, 300))
    assert (large.width, large.height) == (small.width * 3, small.height * 3)
    difference = np.asarray(large.reduce(3), dtype=float) - np.asarray(small, dtype=float)
    assert abs(difference).mean() < 8


def test_an_unknown_kind_is_refused_and_the_kinds_are_named() -> None:
    with pytest.raises(UsageError, match=r"'dragon'.*balloon, butterfly"):
        demo.draw("dragon", np.random.default_rng(0))


def test_a_side_that_is_too_small_is_refused() -> None:
    with pytest.raises(UsageError, match="side 8"):
        demo.draw("clock", np.random.default_rng(0), side=8)


def test_a_gallery_has_a_folder_of_numbered_files_for_each_kind(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "gallery"
    paths = demo.write_gallery(folder, per_kind=1)
    assert paths == [folder / kind / f"{kind}-01.jpg" for kind in demo.KINDS]
    assert sorted(contents(folder)) == [path.relative_to(folder).as_posix() for path in sorted(paths)]


def test_the_files_are_small_jpegs_of_several_shapes(gallery: Path) -> None:
    sizes = set()
    for path in gallery.rglob("*.jpg"):
        with Image.open(path) as picture:
            assert picture.format == "JPEG"
            assert max(picture.size) == 320
            assert min(picture.size) >= 240
            sizes.add(picture.size)
        assert path.stat().st_size < 60_000
    assert len(sizes) >= 3


def test_only_the_same_seed_writes_the_same_bytes(gallery: Path, tmp_path: Path) -> None:
    demo.write_gallery(tmp_path / "same", per_kind=PER_KIND, seed=0)
    demo.write_gallery(tmp_path / "other", per_kind=PER_KIND, seed=1)
    first, same, other = contents(gallery), contents(tmp_path / "same"), contents(tmp_path / "other")
    assert first == same
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first)
    assert len(set(first.values())) == len(first)


def test_a_smaller_gallery_is_a_part_of_a_larger_one(gallery: Path, tmp_path: Path) -> None:
    demo.write_gallery(tmp_path, per_kind=1)
    assert contents(tmp_path).items() < contents(gallery).items()


def test_an_earlier_gallery_is_replaced_completely(gallery: Path, tmp_path: Path) -> None:
    demo.write_gallery(tmp_path, per_kind=PER_KIND + 1, seed=7)
    (tmp_path / "clock" / "clock-01.jpg").write_bytes(b"")  # as a full disk leaves it
    demo.write_gallery(tmp_path, per_kind=PER_KIND)
    assert contents(tmp_path) == contents(gallery)


def test_a_collection_and_files_of_file_managers_stay_in_the_gallery(tmp_path: Path) -> None:
    demo.write_gallery(tmp_path, per_kind=1)
    kept = {".lookalike/collection.json": b"{}", ".DS_Store": b"x", "clock/Thumbs.db": b"y"}
    for name, content in kept.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    demo.write_gallery(tmp_path, per_kind=1, seed=2)
    assert contents(tmp_path).items() > kept.items()


@pytest.mark.parametrize(
    "name",
    [
        "holiday.jpg",
        "holiday/clock-01.jpg",
        "clock",
        "clock/holiday.jpg",
        "clock/clock-1.jpg",
        "clock/clock-01.jpg",  # the right name, but not drawn by Lookalike
        "clock/clock-02.jpg/note.txt",
    ],
)
def test_a_folder_with_other_files_is_refused_and_left_unchanged(tmp_path: Path, name: str) -> None:
    demo.write_gallery(tmp_path / "gallery", per_kind=1, seed=3)
    foreign = tmp_path / "gallery" / name
    for path in (foreign, foreign.parent):
        if path.is_file():
            path.unlink()
    if foreign.is_dir():
        shutil.rmtree(foreign)
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_bytes(b"mine")
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="choose an empty folder") as error:
        demo.write_gallery(tmp_path / "gallery", per_kind=1)
    assert str(tmp_path / "gallery") in str(error.value)
    assert contents(tmp_path) == before


def test_a_file_instead_of_a_folder_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "gallery"
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match="not a folder"):
        demo.write_gallery(path, per_kind=1)
    assert path.read_bytes() == b"mine"


def test_a_symlink_out_of_the_gallery_is_not_followed(tmp_path: Path) -> None:
    elsewhere, gallery = tmp_path / "elsewhere", tmp_path / "gallery"
    demo.write_gallery(elsewhere, per_kind=1, seed=4)
    gallery.mkdir()
    try:
        (gallery / "clock").symlink_to(elsewhere / "clock", target_is_directory=True)
    except OSError:
        pytest.skip("this file system has no symlinks")
    before = contents(elsewhere)
    with pytest.raises(UsageError, match="holds clock"):
        demo.write_gallery(gallery, per_kind=1)
    assert contents(elsewhere) == before


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(StorageError, match="choose another folder"):
        demo.write_gallery(tmp_path / "file" / "gallery", per_kind=1)


@pytest.mark.parametrize(("option", "value"), [("per_kind", 0), ("seed", -1)])
def test_options_out_of_range_are_refused_by_name(tmp_path: Path, option: str, value: int) -> None:
    with pytest.raises(UsageError, match=f"{option} {value}"):
        demo.write_gallery(tmp_path / "gallery", **{option: value})  # type: ignore[arg-type]
    assert not (tmp_path / "gallery").exists()


def test_progress_counts_the_files(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    paths = demo.write_gallery(tmp_path, per_kind=2, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, len(paths)) for done in range(1, len(paths) + 1)]

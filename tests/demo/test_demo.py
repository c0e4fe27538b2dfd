"""The gallery of drawn pictures: the same for a seed, and never at the cost of anybody's files."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import demo
from lookalike.errors import StorageError, UsageError

PER_KIND = 2


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery that tests may read but not change."""
    folder = tmp_path_factory.mktemp("demo") / "gallery"
    demo.write_gallery(folder, per_kind=PER_KIND)
    return folder


def test_there_are_a_dozen_kinds_named_after_their_functions() -> None:
    assert len(demo.KINDS) == 12
    assert all(name == kind.__name__ for name, kind in demo.KINDS.items())


@pytest.mark.parametrize("kind", demo.KINDS)
def test_every_kind_draws_a_colourful_picture_whatever_the_generator_says(kind: str) -> None:
    for seed in range(40):
        picture = demo.draw(kind, np.random.default_rng(seed), side=64)
        assert picture.mode == "RGB"
        assert max(picture.size) == 64
        assert np.asarray(picture).std(axis=(0, 1)).min() > 5


@pytest.mark.parametrize("kind", demo.KINDS)
def test_pictures_of_a_kind_vary(kind: str) -> None:
    """No two of eight are nearly the same, compared at a size where grain does not count."""
    small = [
        np.asarray(demo.draw(kind, np.random.default_rng(seed)).resize((16, 16)), dtype=float) for seed in range(8)
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


def test_draw_names_the_kinds_when_there_is_no_such_kind() -> None:
    with pytest.raises(UsageError, match=r"'dragon'.*balloon, butterfly"):
        demo.draw("dragon", np.random.default_rng(0))


def test_draw_refuses_a_side_too_small_to_draw_on() -> None:
    with pytest.raises(UsageError, match="side 8"):
        demo.draw("clock", np.random.default_rng(0), side=8)


def test_a_gallery_has_a_folder_for_each_kind_and_numbered_files_in_it(tmp_path: Path) -> None:
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


def test_the_same_seed_writes_the_same_bytes_and_another_seed_writes_others(gallery: Path, tmp_path: Path) -> None:
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


def test_an_earlier_gallery_is_replaced_as_a_whole(gallery: Path, tmp_path: Path) -> None:
    demo.write_gallery(tmp_path, per_kind=PER_KIND + 1, seed=7)
    (tmp_path / "clock" / "clock-01.jpg").write_bytes(b"")  # what a full disk leaves
    demo.write_gallery(tmp_path, per_kind=PER_KIND)
    assert contents(tmp_path) == contents(gallery)


def test_a_collection_and_what_file_managers_leave_are_no_obstacle_and_stay(tmp_path: Path) -> None:
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
        "clock/clock-01.jpg",  # the right name, but not drawn by the program
        "clock/clock-02.jpg/note.txt",
    ],
)
def test_a_folder_with_anything_else_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
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


def test_a_file_in_the_place_of_the_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "gallery"
    place.write_bytes(b"mine")
    with pytest.raises(UsageError, match="not a folder"):
        demo.write_gallery(place, per_kind=1)
    assert place.read_bytes() == b"mine"


def test_a_link_out_of_the_gallery_is_not_followed(tmp_path: Path) -> None:
    elsewhere, gallery = tmp_path / "elsewhere", tmp_path / "gallery"
    demo.write_gallery(elsewhere, per_kind=1, seed=4)
    gallery.mkdir()
    try:
        (gallery / "clock").symlink_to(elsewhere / "clock", target_is_directory=True)
    except OSError:
        pytest.skip("links cannot be made here")
    before = contents(elsewhere)
    with pytest.raises(UsageError, match="holds clock"):
        demo.write_gallery(gallery, per_kind=1)
    assert contents(elsewhere) == before


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(StorageError, match="choose another folder"):
        demo.write_gallery(tmp_path / "file" / "gallery", per_kind=1)


@pytest.mark.parametrize(("option", "value"), [("per_kind", 0), ("seed", -1)])
def test_options_out_of_range_are_refused_by_name(tmp_path: Path, option: str, value: int) -> None:
    with pytest.raises(UsageError, match=f"{option} {value}"):
        demo.write_gallery(tmp_path / "gallery", **{option: value})
    assert not (tmp_path / "gallery").exists()

"""Which image of a group is suggested to be kept, and why."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

import lookalike
from lookalike.copies.changes import Changes, Extent
from lookalike.duplicates import keeping
from lookalike.duplicates.keeping import Traits
from lookalike.duplicates.results import CopyGroup, Duplicates
from lookalike.results import IndexedImage
from tests.support.edited_pictures import DimEncoder, part, scene, screenshot

Edit = Callable[[Image.Image], Image.Image]
OLD_NS = 10**18


def mount(colour: str, share: float = 0.1) -> Edit:
    return lambda image: ImageOps.expand(image, round(share * image.height), colour)


def passe_partout(image: Image.Image) -> Image.Image:
    return ImageOps.expand(ImageOps.expand(image, image.height // 5, "white"), image.height // 40, "#402010")


def caption(image: Image.Image) -> Image.Image:
    whole = Image.new("RGB", (image.width, image.height * 7 // 6), "white")
    whole.paste(image)
    font = ImageFont.load_default(image.height // 12)
    ImageDraw.Draw(whole).text((20, image.height * 37 // 36), "A day at the sea, 2019", "black", font)
    return whole


def letterbox(image: Image.Image) -> Image.Image:
    return ImageOps.pad(image, (image.width, image.height * 3 // 2), color="black")


def small(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)


def large(image: Image.Image) -> Image.Image:
    return image.resize((image.width * 3, image.height * 3), Image.Resampling.BICUBIC)


def same(image: Image.Image) -> Image.Image:
    return image


FRAMED = "{copy} shows {keep} within a frame or other content"
NOTHING = "nothing was added to it"
RESIZED = "{copy} is {keep}, at most compressed, resized or retouched"
# What is done to a picture, the quality of its JPEG, why the picture is kept, and why the other is a copy.
EDITS: dict[str, tuple[Edit, int, str, str]] = {
    "white mount": (mount("white"), 95, NOTHING, FRAMED),
    "grey mount": (mount("#808080"), 95, NOTHING, FRAMED),
    "beige mount": (mount("#d8cbb0", 0.25), 95, NOTHING, FRAMED),
    "thin border": (mount("white", 0.03), 95, NOTHING, FRAMED),
    "passe-partout": (passe_partout, 95, NOTHING, FRAMED),
    "caption": (caption, 95, NOTHING, FRAMED),
    "letterbox": (letterbox, 95, NOTHING, FRAMED),
    "screenshot": (screenshot, 95, NOTHING, FRAMED),
    "small in a mount": (lambda image: mount("white", 0.2)(small(image)), 95, "the most pixels", FRAMED),
    "crop": (lambda image: part(image, 0.1, 0.2, 0.9, 0.9), 95, "the whole picture", "{copy} is a crop of {keep}"),
    "large crop": (
        lambda image: large(part(image, 0, 0.2, 1, 1)),
        95,
        "the whole picture",
        "{copy} is a crop of {keep}",
    ),
    "grey": (lambda image: image.convert("L"), 95, "the whole picture", "{copy} is {keep}, in grey"),
    "small": (small, 95, "the most pixels", RESIZED),
    "quality 10": (same, 10, "the least compressed", RESIZED),
}


def save(image: Image.Image, path: Path, quality: int, *, age: int = 0) -> None:
    image.save(path, "JPEG", quality=quality, subsampling=0)
    os.utime(path, ns=(OLD_NS - age * 10**12,) * 2)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, CopyGroup]]:
    """The group of each picture, which is the younger file of two."""
    folder = tmp_path_factory.mktemp("kept").resolve() / "scenes"
    folder.mkdir()
    for seed, (name, (edit, quality, *_)) in enumerate(EDITS.items()):
        save(scene(seed, 800, 600), folder / f"{name}.jpg", 95)
        age = 0 if name == "quality 10" else 5
        save(edit(scene(seed, 800, 600)), folder / f"{name}, edited.jpg", quality, age=age)
    with lookalike.create(folder, encoder=DimEncoder()) as collection:
        collection.add(folder)
        found = collection.duplicates(nearest=2 * len(EDITS))
        yield {image.key.removesuffix(".jpg"): group for group in found.groups for image in group}


@pytest.mark.parametrize("name", EDITS)
def test_the_original_is_kept_though_its_copy_is_larger_or_older(name: str, kept: dict[str, CopyGroup]) -> None:
    _, _, why, reason = EDITS[name]
    keep, copy = f"{name}.jpg", f"{name}, edited.jpg"
    group = kept[name]
    assert (group.keep.key, group.why) == (keep, why)
    assert [each.reason for each in group.copies] == [reason.format(keep=keep, copy=copy)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (folder := tmp_path / "scenes").mkdir()
    return folder


def the_group(folder: Path) -> CopyGroup:
    with lookalike.create(folder, encoder=DimEncoder()) as collection:
        collection.add(folder)
        found: Duplicates = collection.duplicates()
        [group] = found.groups
        return group


def test_of_a_file_and_the_same_under_another_name_the_older_one_is_kept(folder: Path) -> None:
    save(scene(1), folder / "a.jpg", 90)
    shutil.copy(folder / "a.jpg", folder / "b.jpg")
    os.utime(folder / "b.jpg", ns=(OLD_NS - 1,) * 2)
    group = the_group(folder)
    assert (group.keep.key, group.why) == ("b.jpg", "the oldest file")


def test_more_bytes_make_no_younger_file_better(folder: Path) -> None:
    """Noise does, and so does saving a picture again that was compressed much."""
    save(scene(6), folder / "old.jpg", 40, age=5)
    noise = np.random.default_rng(1).normal(0, 12, (300, 400, 3))
    save(Image.fromarray(np.clip(np.asarray(scene(6)) + noise, 0, 255).astype(np.uint8)), folder / "noise.jpg", 95)
    assert (folder / "noise.jpg").stat().st_size > 2 * (folder / "old.jpg").stat().st_size
    group = the_group(folder)
    assert (group.keep.key, group.why) == ("old.jpg", "the oldest file")


def test_a_framed_copy_is_kept_before_a_thumbnail(folder: Path) -> None:
    save(scene(2, 800, 600).resize((200, 150)), folder / "thumbnail.jpg", 90, age=5)
    save(mount("white")(scene(2, 800, 600)), folder / "framed.jpg", 90)
    group = the_group(folder)
    assert (group.keep.key, group.why) == ("framed.jpg", "the most pixels")
    assert group.copies[0].reason == FRAMED.format(copy="framed.jpg", keep="thumbnail.jpg")


def test_among_many_framed_copies_the_one_without_a_frame_is_kept(folder: Path) -> None:
    original = scene(3, 800, 600)
    framed = passe_partout(original)
    for number, copy in enumerate([framed, small(framed), ImageOps.mirror(framed), framed.convert("L")]):
        save(copy, folder / f"{number}.jpg", 90, age=5)
    save(original, folder / "original.jpg", 90)
    group = the_group(folder)
    assert len(group.copies) == 4
    assert (group.keep.key, group.why) == ("original.jpg", NOTHING)


def test_a_margin_that_goes_on_in_the_picture_makes_no_picture_better(folder: Path) -> None:
    """A thing on white, tight and sharp, and once more with much white around it, larger but of fewer pixels."""
    thing = Image.new("RGB", (800, 600), "white")
    thing.paste(scene(4, 560, 420), (120, 90))
    save(thing, folder / "tight.jpg", 90)
    save(mount("white", 0.5)(thing.resize((640, 480))), folder / "wide.jpg", 90, age=5)
    group = the_group(folder)
    assert group.keep.width == 800
    assert (group.keep.key, group.why) == ("tight.jpg", "the most pixels")
    assert group.copies[0].reason == "tight.jpg is a crop of wide.jpg"


def image(number: int, width: int = 100, height: int = 100, key: str = "a.png") -> IndexedImage:
    return IndexedImage(number, key, Path("/nowhere", f"{number}"), None, width, height, {}, b"")


def done(extent: Extent, area: float = 1.0, *, tone: str = "", only_margin: bool = False) -> Changes:
    return Changes(extent, False, 0.0, False, tone, area, only_margin)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([done("crop", 0.5)], [Traits(), Traits(lacks=True, area=0.5)]),
        ([done("crop", 0.5, only_margin=True)], [Traits(), Traits(area=0.5)]),
        ([done("cropped", 2)], [Traits(lacks=True), Traits(area=2)]),
        ([done("cropped", 2), done("same")], [Traits(lacks=True), Traits(area=2), Traits(lacks=True)]),
        ([done("cropped", 2, only_margin=True), done("same")], [Traits(), Traits(area=2), Traits()]),
        ([done("frame", 1.5)], [Traits(), Traits(added=True, area=1.5)]),
        ([done("framed", 0.6), done("same")], [Traits(added=True), Traits(area=0.6), Traits(added=True)]),
        ([done("same", tone="grey")], [Traits(), Traits(lacks=True)]),
        ([done("same", tone="colourless"), done("same")], [Traits(lacks=True), Traits(), Traits(lacks=True)]),
    ],
)
def test_what_was_done_to_the_centre_tells_what_each_image_shows(
    changes: list[Changes], expected: list[Traits]
) -> None:
    found = keeping.traits(dict(enumerate(changes, 1)), 0)
    assert [found[number] for number in range(len(expected))] == expected


def test_pixels_are_counted_where_the_images_show_the_same() -> None:
    centre = image(1, 100, 80)
    half = keeping.member(image(2, 150, 60), Traits(area=0.5), centre)
    assert half.pixels == 18_000
    assert keeping.member(image(3, 50, 80), Traits(area=0.49), centre).pixels == 8000  # but for the error
    assert keeping.member(image(4, 101, 80), Traits(), centre).pixels == 8080  # without any


def test_as_many_pixels_with_something_around_them_count_a_quarter() -> None:
    centre = image(1, 100, 100)
    for width, kept in ((199, 1), (200, 1), (201, 2)):
        members = [
            keeping.member(centre, Traits(), centre),
            keeping.member(image(2, width, width), Traits(added=True), centre),
        ]
        assert keeping.best(members, same_pixels=False)[0].id == kept


def test_one_image_alone_is_kept_without_a_reason() -> None:
    only = image(7)
    assert keeping.best([keeping.member(only, Traits(), only)], same_pixels=True) == (only, "")

"""The contact sheet, checked by its pixels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lookalike.display import fonts, lettering
from lookalike.display.fonts import PILLOWS
from lookalike.display.sheet import sheet, write_sheet
from lookalike.errors import FontWarning, UsageError
from lookalike.results import Match, Matches
from lookalike.search.terms import Term

COLOURS = ((220, 20, 20), (20, 150, 20), (20, 20, 220), (150, 20, 150), (200, 120, 20), (20, 150, 150))
SIDE = 90


@pytest.fixture
def matches(tmp_path: Path) -> Matches:
    """A query and five matches, squares of one colour each."""
    paths = [tmp_path / f"{number}.png" for number in range(len(COLOURS))]
    for path, colour in zip(paths, COLOURS, strict=True):
        Image.new("RGB", (200, 200), colour).save(path)
    found = [Match(i, path.name, path, 1 - i / 8, f"label{i}") for i, path in enumerate(paths[1:], 1)]
    return Matches(found, queries=[paths[0]])


def extent(paper: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Returns the left, top, right and bottom of all pixels of a colour."""
    rows, columns = np.nonzero((np.asarray(paper) == colour).all(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def grey(paper: Image.Image, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    return np.asarray(paper.convert("L").crop(box))


def has_text(paper: Image.Image, box: tuple[int, int, int, int], text: str) -> bool:
    """Returns whether a text is drawn anywhere in a box, in black or grey, pixel by pixel."""
    font = fonts.load(fonts.faces()[0], 10)
    assert font
    left, top, right, bottom = map(int, font.getbbox(text))
    there = grey(paper, box)
    for ink in ("#222222", "#707070"):
        image = Image.new("RGB", (right - left, bottom - top), "white")
        ImageDraw.Draw(image).text((-left, -top), text, ink, font)
        letters = np.asarray(image.convert("L"))
        windows = np.lib.stride_tricks.sliding_window_view(there, letters.shape)
        if (windows == letters).all(axis=(2, 3)).any():
            return True
    return False


def test_images_are_in_a_regular_grid_query_first(matches: Matches) -> None:
    paper = sheet(matches, columns=4, side=SIDE)
    boxes = [extent(paper, colour) for colour in COLOURS]
    assert all((right - left, bottom - top) == (SIDE, SIDE) for left, top, right, bottom in boxes)
    lefts, tops = [box[0] for box in boxes], [box[1] for box in boxes]
    step = lefts[1] - lefts[0]
    assert step > SIDE
    assert lefts == [lefts[0] + column * step for column in (0, 1, 2, 3, 0, 1)]
    assert tops[:4] == [tops[0]] * 4
    assert tops[4:] == [tops[4]] * 2
    assert tops[4] > tops[0] + SIDE
    assert lefts[0] == paper.width - boxes[3][2] == tops[0]  # the same margin on three sides


def cells(paper: Image.Image) -> list[tuple[int, int, int, int]]:
    """The boxes of the captions below the images of `COLOURS`."""
    found = []
    for colour in COLOURS:
        left, _, right, bottom = extent(paper, colour)
        found.append((left - 5, bottom + 1, right + 5, min(bottom + 50, paper.height)))
    return found


def test_each_caption_is_below_its_own_image(matches: Matches) -> None:
    paper = sheet(matches, columns=3, side=SIDE)
    captions = [["query", "0.png"]]
    captions += [[f"{m.id}   {m.score:.3f}   label{m.id}", f"{m.id}.png"] for m in matches]
    for cell, own in zip(cells(paper), captions, strict=True):
        for line in (line for caption in captions for line in caption):
            assert has_text(paper, cell, line) == (line in own)


def test_copies_of_one_name_are_told_apart_by_their_folders(matches: Matches) -> None:
    keys = ["a/x.png", "b/c/x.png", "b/d/x.png", "e/y.png", "e/y.png"]
    copies = [replace(match, key=key, label=None) for match, key in zip(matches, keys, strict=True)]
    paper = sheet(Matches(copies, queries=matches.queries), columns=3, side=SIDE)
    shown = ["0.png", "a/x.png", "c/x.png", "d/x.png", "y.png", "y.png"]
    for cell, name in zip(cells(paper), shown, strict=True):
        assert [other for other in set(shown) if has_text(paper, cell, other)] in ([name], ["x.png", name])


def test_the_query_among_the_matches_says_so_instead_of_its_label(matches: Matches) -> None:
    paper = sheet(Matches([replace(matches[0], is_query=True), *matches[1:]], queries=matches.queries), side=SIDE)
    for cell, caption in zip(cells(paper)[1:3], ("1   0.875   query", "2   0.750   label2"), strict=True):
        assert has_text(paper, cell, caption)


def test_a_negative_query_has_a_frame_and_a_word_of_its_own(matches: Matches) -> None:
    terms = [Term(matches.queries[0]), Term(matches[0].path, weight=-1), Term(matches[1].path, weight=-0.5)]
    paper = sheet(Matches(matches[2:], queries=terms), columns=3, side=SIDE)
    frames = []
    for cell, words in zip(cells(paper), ("query", "minus", "minus x 0.5"), strict=False):
        assert has_text(paper, cell, words)
        left, bottom = cell[0], cell[3]
        middle = np.asarray(paper)[bottom - 51 - SIDE // 2, left : left + 5]
        frames.append({tuple(pixel) for pixel in middle.tolist()} - {(255, 255, 255)})
    assert frames == [{(0x4A, 0x8A, 0x86)}, {(0xC0, 0x57, 0x3D)}, {(0xC0, 0x57, 0x3D)}]


def test_only_the_query_has_a_frame(matches: Matches) -> None:
    """From the edge of an image outwards there is paper, then the frame, then paper."""
    paper = sheet(matches, columns=3, side=SIDE)
    for number, colour in enumerate(COLOURS):
        left, top, _, bottom = extent(paper, colour)
        outside = np.asarray(paper)[(top + bottom) // 2, left - 8 : left]
        changes = (np.diff(outside.astype(int), axis=0) != 0).any(axis=1).sum()
        assert changes == (2 if number == 0 else 0)


def test_an_image_keeps_its_shape_and_is_centred(tmp_path: Path) -> None:
    Image.new("RGB", (400, 200), COLOURS[0]).save(tmp_path / "wide.png")
    Image.new("RGB", (10, 30), COLOURS[1]).save(tmp_path / "small.png")
    found = [Match(1, "wide", tmp_path / "wide.png", 1.0), Match(2, "small", tmp_path / "small.png", 0.5)]
    paper = sheet(Matches(found), columns=1, side=SIDE)
    left, top, right, bottom = extent(paper, COLOURS[0])
    assert (right - left, bottom - top) == (SIDE, SIDE // 2)
    small = extent(paper, COLOURS[1])
    assert (small[2] - small[0], small[3] - small[1]) == (10, 30)
    assert small[0] + small[2] == left + right


def test_an_unreadable_image_is_a_gap_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"broken")
    gaps = []
    for name in ("broken.png", "gone.png", "gone as well.png"):
        paper = sheet(Matches([Match(1, name, tmp_path / name, 0.5)]), side=150)
        box = (20, 20, 170, 170)
        assert all(paper.getpixel(corner) == (238, 238, 238) for corner in ((20, 20), (169, 20), (169, 169)))
        gaps.append(grey(paper, box))
    assert (gaps[0] < 150).sum() > 50  # text
    assert (gaps[0] != gaps[1]).any()  # that depend on the reason
    assert (gaps[1] == gaps[2]).all()  # and on nothing else


@pytest.mark.parametrize("side", [32, 40, 64])
def test_the_smallest_sheets_have_gaps_and_texts_too(side: int, tmp_path: Path) -> None:
    gap = Matches([Match(1, "gone.png", tmp_path / "gone.png", 0.5)])
    for one in (gap, Matches(queries=[Term(text="a red mug on a table")])):
        paper = sheet(one, side=side)
        tile = grey(paper, (20, 20, 20 + side, 20 + side))
        assert (tile[0] == 238).all()
        assert (tile < 170).sum() > 20  # text


def test_a_long_caption_ends_in_an_ellipsis_within_its_column(matches: Matches) -> None:
    odd = Matches([replace(matches[0], label="x" * 99, key="y" * 99)])
    paper = sheet(odd, columns=1, side=SIDE)
    left, _, right, bottom = extent(paper, COLOURS[1])
    setting = lettering.Lettering(10)
    for text in ("1   0.875   " + "x" * 99, "y" * 99):
        short = setting.shortened(text, SIDE)
        assert short.endswith("…")
        assert has_text(paper, (left, bottom, right, bottom + 50), short)
    assert (grey(paper, (right, bottom, right + 10, bottom + 50)) == 255).all()


def test_letters_that_no_font_has_are_escaped_and_named(matches: Matches, monkeypatch: pytest.MonkeyPatch) -> None:
    lettering._face_for.cache_clear()
    monkeypatch.setattr(fonts, "faces", lambda: (PILLOWS,))
    odd = Matches([replace(matches[0], label="Élan", key="a/猫.png")])
    with pytest.warns(FontWarning, match=r'no font that has É 猫.*pip install "lookalike\[fonts\]"'):
        paper = sheet(odd, columns=1, side=SIDE)
    left, _, right, bottom = extent(paper, COLOURS[1])
    assert has_text(paper, (left, bottom, right, bottom + 50), "1   0.875   Elan")
    assert has_text(paper, (left, bottom, right, bottom + 50), r"\u732b.png")
    lettering._face_for.cache_clear()


def test_without_a_number_of_columns_the_sheet_is_about_square(matches: Matches) -> None:
    assert 0.6 < (paper := sheet(matches, side=40)).width / paper.height < 1.6
    assert sheet(Matches()).width > 0


@pytest.mark.parametrize(("name", "kind"), [("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("a.png", "PNG")])
def test_the_suffix_decides_the_format(name: str, kind: str, matches: Matches, tmp_path: Path) -> None:
    write_sheet(matches, tmp_path / name, side=40)
    with Image.open(tmp_path / name) as image:
        assert image.format == kind
        difference = np.asarray(image.convert("RGB")).astype(int) - np.asarray(sheet(matches, side=40))
        assert abs(difference).mean() < 3


def test_options_that_are_out_of_range_are_refused(matches: Matches, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.gif.*\.jpg or \.png"):
        write_sheet(matches, tmp_path / "a.gif")
    with pytest.raises(UsageError, match="side: 3"):
        sheet(matches, side=3)
    with pytest.raises(UsageError, match="columns: 0"):
        sheet(matches, columns=0)
    with pytest.raises(UsageError, match="too large"):
        sheet(Matches(matches[:1] * 1000), columns=1)

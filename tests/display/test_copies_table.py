"""Groups of copies in a terminal and through a pipe, and the words in which they are told."""

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.ansi import AnsiDecoder
from rich.cells import cell_len
from rich.console import Console

from lookalike.copies.changes import Changes, Extent
from lookalike.display.copies_table import lines, print_duplicates
from lookalike.display.copies_text import file_bytes, freed_bytes, grade_text, reason_text, totals_text
from lookalike.display.text import safe_text
from lookalike.duplicates.names import Grade
from lookalike.duplicates.results import Copy, CopyGroup, Duplicates
from lookalike.results import IndexedImage
from tests.support.copied_images import HOSTILE, changes, edited_group, hostile_groups


def image(key: str, number: int = 1) -> IndexedImage:
    return IndexedImage(number, key, Path("/photos", key), None, 400, 300, {}, b"")


def shown(duplicates: Duplicates, *, width: int = 80, limit: int = 100, terminal: bool = True) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=width, color_system="truecolor" if terminal else None)
    print_duplicates(duplicates, console, limit=limit)
    return [line.plain.rstrip() for line in AnsiDecoder().decode(file.getvalue().removesuffix("\n"))]


def many(groups: int, copies: int = 1) -> Duplicates:
    keep = image("keep.png")
    found = CopyGroup(keep, "", tuple(Copy(image("b.png"), "same bytes", 1.0, keep) for _ in range(copies)))
    return Duplicates((found,) * groups, 5000, 7)


def test_a_wide_terminal_gets_a_row_for_each_image_with_its_reason(tmp_path: Path) -> None:
    rows = shown(edited_group(tmp_path), width=200)
    assert rows[0].split() == ["id", "grade", "score", "size", "path", "why"]
    assert [" ".join(row.split()) for row in rows[2:]] == [
        f"1 4 keep 400x300 {tmp_path}/scene.png the most pixels",
        f"7 same bytes 1.000 400x300 {tmp_path}/twice.png",
        f"2 edited copy 0.953 400x300 {tmp_path}/logo.png at most compressed, resized or retouched",
        f"11 edited copy 0.800 200x150 {tmp_path}/sub/crop.png a crop of it",
    ]


def test_a_narrow_terminal_gets_the_reasons_below_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(edited_group(tmp_path)) == [
        "   id  grade        score     size  path",
        "─" * 80,
        "1   4  keep                400x300  scene.png",
        "                                    the most pixels",
        "    7  same bytes   1.000  400x300  twice.png",
        "    2  edited copy  0.953  400x300  logo.png",
        "                                    at most compressed, resized or retouched",
        "   11  edited copy  0.800  200x150  sub/crop.png",
        "                                    a crop of it",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 109, 110, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = image("a long folder/" * 9 + "a_long_name_" * 12 + "猫.png")
    group = CopyGroup(long, "the oldest file", (Copy(long, "edited copy", 0.6, image("x" * 300), changes("crop")),))
    rows = shown(Duplicates((group,), 9, 1), width=width)
    assert max(map(cell_len, rows)) <= width
    assert any("…" in row for row in rows)


def test_a_terminal_shows_some_groups_and_some_copies_and_says_how_many_more_there_are() -> None:
    rows = shown(many(groups=7), limit=3)
    assert sum("keep.png" in row for row in rows) == 3
    assert rows[-1] == "and 4 more groups; --limit shows more, --json, --csv and a pipe have all"
    assert shown(many(groups=4), limit=3)[-1].startswith("and 1 more group;")
    assert "more" not in "".join(shown(many(groups=3), limit=3))
    rows = shown(many(groups=1, copies=25))
    assert sum("b.png" in row for row in rows) == 20
    assert rows[-1].strip() == "and 5 more copies"
    assert shown(many(groups=1, copies=21))[-1].strip() == "and 1 more copy"


def test_a_pipe_gets_every_image_of_every_group_uncut(tmp_path: Path) -> None:
    rows = shown(edited_group(tmp_path), width=20, limit=1, terminal=False)
    assert [row.replace("\t", "|").replace(str(tmp_path), "~") for row in rows] == [
        "1|keep|4||400x300|~/scene.png|the most pixels",
        "1|same bytes|7|1.000|400x300|~/twice.png|twice.png has the same bytes as scene.png",
        "1|edited copy|2|0.953|400x300|~/logo.png|logo.png is scene.png, at most compressed, resized or retouched",
        "1|edited copy|11|0.800|200x150|~/sub/crop.png|sub/crop.png is a crop of scene.png",
    ]
    assert len(shown(many(groups=150, copies=30), terminal=False)) == 150 * 31


def test_hostile_names_are_one_line_of_printable_text(tmp_path: Path) -> None:
    found = hostile_groups(tmp_path)
    assert [line.count("\t") for line in lines(found)] == [6] * 2 * len(HOSTILE)
    assert all(character.isprintable() or character == "\t" for line in lines(found) for character in line)
    for width in (80, 250):
        rows = shown(found, width=width)
        assert sum(safe_text(name) in row for name in HOSTILE for row in rows) >= len(HOSTILE)
        assert all(character.isprintable() for row in rows for character in row)


def test_nothing_is_printed_if_there_are_no_copies() -> None:
    assert shown(Duplicates((), 9, 3)) == [""]
    assert shown(Duplicates((), 9, 3), terminal=False) == [""]


def test_images_of_another_collection_are_called_references() -> None:
    found = replace(many(groups=1), against=Path("/other"))
    assert [line.split("\t")[1] for line in lines(found)] == ["reference", "same bytes"]
    assert "reference" in shown(found)[2]


def mirrored(extent: Extent) -> Changes:
    return changes(extent, mirrored=True)


@pytest.mark.parametrize(
    ("done", "whole", "brief"),
    [
        (
            changes("same"),
            "A is B, at most compressed, resized or retouched",
            "at most compressed, resized or retouched",
        ),
        (changes("same", mirrored=True, tone="grey"), "A is B, mirrored, in grey", "mirrored, in grey"),
        (changes("same", tone="colourless"), "B is A, in grey", "it is this, in grey"),
        (mirrored("crop"), "A is a crop of B, mirrored", "a crop of it, mirrored"),
        (mirrored("cropped"), "B is a crop of A, mirrored", "it is a crop of this, mirrored"),
        (changes("frame"), "A shows B within a frame or other content", "shows it within a frame or other content"),
        (
            changes("framed"),
            "B shows A within a frame or other content",
            "it shows this within a frame or other content",
        ),
        (mirrored("part"), "A and B show parts of one picture, mirrored", "both show parts of one picture, mirrored"),
    ],
    ids=lambda value: value.extent if isinstance(value, Changes) else "",
)
def test_a_reason_below_the_image_to_keep_needs_no_names(done: Changes, whole: str, brief: str) -> None:
    copy = Copy(image("A", 2), "edited copy", 0.9, image("B"), done)
    assert copy.reason == whole
    assert reason_text(copy, image("B")) == brief


@pytest.mark.parametrize(
    ("extent", "grade", "brief"),
    [
        ("same", "edited copy", "B, mirrored"),
        ("crop", "edited copy", "a crop of B, mirrored"),
        ("cropped", "edited copy", "B is a crop of this, mirrored"),
        ("frame", "edited copy", "shows B within a frame or other content, mirrored"),
        ("part", "edited copy", "shows a part of one picture, as B does, mirrored"),
        (None, "same scene", "shows the same scene as B"),
        (None, "alike", "looks like B"),
    ],
)
def test_a_copy_of_another_image_of_the_group_names_it(extent: Extent | None, grade: Grade, brief: str) -> None:
    copy = Copy(image("A", 2), grade, 0.9, image("B", 3), extent and mirrored(extent))
    assert reason_text(copy, image("C")) == brief


@pytest.mark.parametrize(
    ("grade", "whole", "brief"),
    [
        ("same scene", "A and B show the same scene", "both show the same scene"),
        ("alike", "A and B look alike", "looks like it"),
        ("same pixels", "A shows the same pixels as B", ""),
        ("same bytes", "A has the same bytes as B", ""),
    ],
)
def test_a_copy_without_changes_is_told_by_its_grade(grade: Grade, whole: str, brief: str) -> None:
    copy = Copy(image("A", 2), grade, 0.9, image("B"))
    assert (copy.reason, reason_text(copy, image("B"))) == (whole, brief)


def test_names_that_look_like_words_of_a_reason_change_nothing() -> None:
    for name in ("this", "it", "it is a crop of this", "is", "A, mirrored", "a cat.png"):
        copy = Copy(image(name, 2), "edited copy", 0.9, image("cat.png"), mirrored("crop"))
        assert copy.reason == f"{name} is a crop of cat.png, mirrored"
        assert reason_text(copy, image("cat.png")) == "a crop of it, mirrored"


def test_the_totals_are_a_sentence(tmp_path: Path) -> None:
    found = edited_group(tmp_path)
    sizes = [(tmp_path / name).stat().st_size for name in ("twice.png", "logo.png", "sub/crop.png")]
    assert freed_bytes(found) == sum(sizes)
    assert totals_text(found) == f"3 copies in 1 group, among 20 images, taking {sum(sizes) / 1000:.0f} kB."
    assert totals_text(Duplicates((), 2000, 3)) == "No copies among 2,000 images."
    assert totals_text(many(groups=2)) == "2 copies in 2 groups, among 5,000 images."


def test_the_totals_against_another_collection_name_it() -> None:
    other = Path("/data/test\n")
    assert totals_text(Duplicates((), 1, 0, against=other)) == r"None of 1 image is a copy of an image of /data/test\n."
    one, three = replace(many(1), against=other), replace(many(1, 3), against=other)
    assert totals_text(one) == r"1 of 5,000 images is a copy of 1 image of /data/test\n."
    assert totals_text(three) == r"3 of 5,000 images are copies of 1 image of /data/test\n."


def test_a_file_that_is_gone_or_no_regular_file_takes_nothing(tmp_path: Path) -> None:
    found = edited_group(tmp_path)
    (tmp_path / "twice.png").unlink()
    (tmp_path / "logo.png").unlink()
    (tmp_path / "logo.png").symlink_to(tmp_path / "scene.png")
    [group] = found.groups
    assert [file_bytes(copy.image) for copy in group.copies] == [None, None, (tmp_path / "sub/crop.png").stat().st_size]
    assert freed_bytes(found) == (tmp_path / "sub/crop.png").stat().st_size


def test_a_hard_link_frees_nothing_while_another_name_of_the_file_stays(tmp_path: Path) -> None:
    found = edited_group(tmp_path)
    rest = freed_bytes(found) - (tmp_path / "twice.png").stat().st_size
    (tmp_path / "twice.png").unlink()
    os.link(tmp_path / "scene.png", tmp_path / "twice.png")
    assert freed_bytes(found) == rest
    (tmp_path / "scene.png").unlink()  # now the copy has the only name
    assert freed_bytes(found) == rest + (tmp_path / "twice.png").stat().st_size


def test_an_edited_copy_that_may_be_none_says_how_probable_it_is() -> None:
    """Nothing is said of what is as good as certain, and of what is no edited copy."""
    told = [(0.875, " 88%"), (0.9949, " 99%"), (0.995, ""), (None, "")]
    for probability, expected in told:
        assert (
            grade_text(Copy(image("a.png"), "edited copy", 0.7, image("b.png"), None, probability))
            == f"edited copy{expected}"
        )
        assert grade_text(Copy(image("a.png"), "same scene", 0.5, image("b.png"), None, probability)) == "same scene"

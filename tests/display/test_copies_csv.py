"""Groups of copies as a table, read back by the standard library and as a spreadsheet reads it."""

import csv
import io
import os
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.display.copies_csv import HEAD, table, write_table
from lookalike.display.write_file import COPIES
from lookalike.duplicates.results import Copy, CopyGroup, Duplicates
from lookalike.errors import UsageError
from lookalike.results import IndexedImage
from tests.support.copied_images import HOSTILE, edited_group, hostile_groups


def rows(duplicates: Duplicates) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table(duplicates), newline=""), strict=True))


def test_each_image_has_a_row(tmp_path: Path) -> None:
    found = edited_group(tmp_path)
    size = {name: (tmp_path / name).stat().st_size for name in ("scene.png", "logo.png", "sub/crop.png")}
    likenesses = [
        "keep|||the most pixels",
        "copy|same bytes|1.000|twice.png has the same bytes as scene.png",
        "copy|edited copy|0.953|logo.png is scene.png, at most compressed, resized or retouched",
        "copy|edited copy|0.800|sub/crop.png is a crop of scene.png",
    ]
    files = [
        f"4|scene.png|~/scene.png|400|300|{size['scene.png']}",
        f"7|twice.png|~/twice.png|400|300|{size['scene.png']}",
        f"2|logo.png|~/logo.png|400|300|{size['logo.png']}",
        f"11|sub/crop.png|~/sub/crop.png|200|150|{size['sub/crop.png']}",
    ]
    probable = ["", "", "0.9999", ""]
    read = ["|".join(row.values()).replace(str(tmp_path), "~") for row in rows(found)]
    assert read == [
        f"1|{likeness}|{file}|{told}" for likeness, file, told in zip(likenesses, files, probable, strict=True)
    ]
    assert list(rows(found)[0]) == list(HEAD)


def test_groups_are_numbered_and_images_of_another_collection_are_references(tmp_path: Path) -> None:
    group = edited_group(tmp_path).groups[0]
    found = Duplicates((group, replace(group, copies=group.copies[:1])), 20, 0, against=tmp_path)
    assert [(row["group"], row["role"]) for row in rows(found)] == [
        ("1", "reference"),
        ("1", "copy"),
        ("1", "copy"),
        ("1", "copy"),
        ("2", "reference"),
        ("2", "copy"),
    ]


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_cell_is_a_formula(start: str) -> None:
    """A spreadsheet would run it, so an apostrophe comes before it; a path begins with a slash."""
    name = f"{start}cmd|' /C calc'!A0.png"
    image = IndexedImage(1, name, Path("/photos", name), None, 0, 0, {}, b"")
    found = Duplicates((CopyGroup(image, "", (Copy(image, "same bytes", 1.0, image),)),), 2, 0)
    keep, copy = rows(found)
    assert (keep["key"], copy["key"], copy["reason"]) == (
        f"'{name}",
        f"'{name}",
        f"'{name} has the same bytes as {name}",
    )
    assert keep["path"] == f"/photos/{name}"
    assert (keep["width"], keep["height"], keep["bytes"]) == ("", "", "")


def test_hostile_names_are_escaped_and_others_are_as_they_are(tmp_path: Path) -> None:
    found = hostile_groups(tmp_path)
    text = table(found)
    assert all(character.isprintable() or character in "\r\n" for character in text)
    keys = [row["key"] for row in rows(found) if row["role"] == "keep"]
    assert keys == [
        HOSTILE[0],
        HOSTILE[1],
        "'=1+1.png",
        r"a\nb\tc.png",
        r"exe.\u202egnp.png",
        r"b\xff\xfe.png",
        HOSTILE[6],
        r"\x1b[31mred.png",
        HOSTILE[8],
    ]
    image = IndexedImage(1, r"back\slash, and ü.png", Path("/p"), None, 1, 1, {}, b"")
    assert rows(Duplicates((CopyGroup(image, "", ()),), 1, 0))[0]["key"] == r"back\slash, and ü.png"


def test_without_copies_there_is_only_the_head() -> None:
    assert table(Duplicates((), 5, 0)) == ",".join(HEAD) + "\r\n"


def test_a_file_begins_with_the_mark_by_which_excel_knows_utf8(tmp_path: Path) -> None:
    write_table(edited_group(tmp_path), tmp_path / "copies.csv")
    data = (tmp_path / "copies.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf" + COPIES)
    assert data.decode("utf-8-sig") == table(edited_group(tmp_path))
    assert data.count(b"\r\n") == data.count(b"\n") == 5


def test_an_earlier_table_is_replaced_only_if_that_is_asked_for(tmp_path: Path) -> None:
    """Somebody may have noted in it what to do with each image."""
    path = tmp_path / "copies.csv"
    write_table(edited_group(tmp_path), path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="a table of copies, which somebody may have edited; give another path"):
        write_table(Duplicates((), 5, 0), path)
    assert path.read_bytes() == before
    write_table(Duplicates((), 5, 0), path, overwrite=True)
    assert path.stat().st_size < len(before)
    assert os.listdir(tmp_path).count("copies.csv") == 1


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"duplicates=\[\]: give what Collection\.duplicates returns"):
        write_table([], tmp_path / "a.csv")  # type: ignore[arg-type]

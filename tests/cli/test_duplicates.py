"""`lookalike duplicates`: what it prints, writes and says, and how it ends."""

import csv
import io
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lookalike
from tests.cli.conftest import Run
from tests.support.commands import records
from tests.support.edited_pictures import logo, part, recompressed, scene
from tests.support.pictures import ColourEncoder
from tests.support.pseudo_terminal import run_in_terminal


def draw(path: Path, picture: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a scene, a file with the same bytes, a crop, one with a logo, and others that are no copies."""
    home = tmp_path_factory.mktemp("home").resolve()
    photos = home / "photos"
    original = scene(5)
    draw(photos / "scene.png", original)
    (photos / "sub").mkdir()
    (photos / "sub" / "twice.png").write_bytes((photos / "scene.png").read_bytes())
    draw(photos / "logo.png", logo(original).resize((200, 150)))
    draw(photos / "pixels.bmp", original)
    os.utime(photos / "scene.png", (1e9, 1e9))  # the oldest
    for seed in range(20, 26):
        draw(photos / "others" / f"{seed}.jpg", scene(seed))
    with lookalike.create(photos, encoder=ColourEncoder()) as collection:
        collection.add(photos)
    other = home / "other"
    draw(other / "crop.jpg", recompressed(part(original, 0.05, 0.05, 0.95, 0.95)))
    draw(other / "else.jpg", scene(40))
    with lookalike.create(other, encoder=ColourEncoder()) as collection:
        collection.add(other)
    return home


@pytest.fixture
def home(indexed: Path) -> Iterator[Path]:
    """The same, checked afterwards: no file of the user's is another one."""
    before = {path: path.read_bytes() for path in indexed.rglob("*.*") if ".lookalike" not in path.parts}
    yield indexed
    assert {path: path.read_bytes() for path in before} == before


def test_through_a_pipe_there_is_a_line_for_each_image(home: Path, call: Run) -> None:
    code, out, err = call("duplicates", "photos", cwd=home)
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert [(row[0], row[1], Path(row[5]).name) for row in rows] == [
        ("1", "keep", "scene.png"),
        ("1", "same bytes", "twice.png"),
        ("1", "same pixels", "pixels.bmp"),
        ("1", "edited copy", "logo.png"),
    ]
    assert rows[3][6].startswith("logo.png is scene.png, ")
    size = sum((home / "photos" / name).stat().st_size for name in ("sub/twice.png", "pixels.bmp", "logo.png"))
    assert err == f"3 copies in 1 group, among 10 images, taking {size / 1000:.0f} kB.\n"


def test_only_grades_that_are_as_strict_count(home: Path, call: Run) -> None:
    found = {}
    for grade in ("same-bytes", "same-pixels", "edited-copy"):
        out = call("duplicates", "photos", "--grade", grade, cwd=home)[1]
        found[grade] = [line.split("\t")[1] for line in out.splitlines()]
    assert found == {
        "same-bytes": ["keep", "same bytes"],
        "same-pixels": ["keep", "same bytes", "same pixels"],
        "edited-copy": ["keep", "same bytes", "same pixels", "edited copy"],
    }


def test_json_is_an_object_for_each_group_and_one_with_the_totals(home: Path, call: Run) -> None:
    code, out, err = call("duplicates", "photos", "--json", cwd=home)
    assert (code, err) == (0, "")
    group, totals = records(out)
    assert group["keep"]["path"] == str(home / "photos" / "scene.png")
    assert [copy["key"] for copy in group["copies"]] == ["sub/twice.png", "pixels.bmp", "logo.png"]
    assert (totals["images"], totals["groups"], totals["copies"], totals["unread"]) == (10, 1, 3, [])
    assert totals["bytes"] == sum(copy["bytes"] for copy in group["copies"])


def test_a_table_and_a_page_are_written(home: Path, tmp_path: Path, call: Run) -> None:
    page, table = str(tmp_path / "copies.html"), str(tmp_path / "copies.csv")
    code, _, err = call("duplicates", "photos", "--html", page, "--csv", table, cwd=home)
    assert code == 0
    assert err.endswith(f"Wrote {table}\nWrote {page}\n")
    read = list(csv.DictReader(io.StringIO(Path(table).read_text("utf-8-sig"), newline="")))
    assert [row["role"] for row in read] == ["keep", "copy", "copy", "copy"]
    text = Path(page).read_text()
    assert "<title>Copies in photos</title>" in text
    assert text.count('<section class="group"') == 1
    assert text.count('<img class="mark"') == 1
    assert call("duplicates", "photos", "--html", page, cwd=home)[0] == 0  # an earlier page is replaced


def test_copies_of_another_collection_are_found(home: Path, tmp_path: Path, call: Run) -> None:
    page = str(tmp_path / "leaks.html")
    code, out, err = call("duplicates", "other", "--against", "photos", "--html", page, cwd=home)
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert [(row[1], Path(row[5]).name) for row in rows][1:] == [("edited copy", "crop.jpg")]
    assert rows[0][1] == "reference"
    assert Path(rows[0][5]).parent == home / "photos"
    size = (home / "other" / "crop.jpg").stat().st_size
    sentence = f"1 of 2 images is a copy of 1 image of {home}/photos, taking {size / 1000:.1f} kB."
    assert err == f"{sentence}\nWrote {page}\n"
    assert "<title>Images of photos in other</title>" in Path(page).read_text()
    for given in ("photos/.lookalike", str(home / "photos")):
        assert call("duplicates", "other", "--against", given, cwd=home)[1] == out


def test_without_copies_it_is_done_and_says_so(home: Path, tmp_path: Path, call: Run) -> None:
    page, table = tmp_path / "none.html", tmp_path / "none.csv"
    assert call("duplicates", "other", "--html", str(page), "--csv", str(table), cwd=home) == (
        0,
        "",
        f"No copies among 2 images.\nWrote {table}\nWrote {page}\n",
    )
    assert "Nothing was found." in page.read_text()
    assert len(table.read_text("utf-8-sig").splitlines()) == 1
    assert call("duplicates", "other", "--against", "other/../photos", "--grade", "same-bytes", cwd=home)[1:] == (
        "",
        f"None of 2 images is a copy of an image of {home}/photos.\n",
    )


def test_a_collection_is_not_compared_with_itself_nor_with_a_part(home: Path, call: Run) -> None:
    code, out, err = call("duplicates", "photos", "--against", "photos", cwd=home)
    assert (code, out) == (2, "")
    assert err == "Error: photos: the same collection; to find copies within it, leave out --against\n"
    code, out, err = call("duplicates", "other", "--against", "photos/sub", cwd=home)
    assert (code, out) == (2, "")
    assert err == (
        "Error: photos/sub: a part of the collection of photos; to compare it with another one, give it a collection of"
        " its own: lookalike index photos/sub -c DIR\n"
    )
    code, _, err = call("duplicates", "other", "--against", "nowhere", cwd=home)
    assert (code, "nowhere" in err) == (2, True)


def test_an_output_that_is_there_is_refused_before_the_work(home: Path, tmp_path: Path, call: Run) -> None:
    (tmp_path / "notes.csv").write_text("mine")
    for option, name in (("--csv", "notes.csv"), ("--html", "notes.csv")):
        code, out, err = call("duplicates", "photos", option, str(tmp_path / name), cwd=home)
        assert (code, out) == (2, "")
        assert err.endswith("give another path; to write there anyway: --overwrite\n")
    both = str(tmp_path / "both")
    code, _, err = call("duplicates", "photos", "--csv", both, "--html", both, cwd=home)
    assert (code, err) == (2, f"Error: {both}: is to be both the page and the table; give two paths\n")
    code, _, err = call("duplicates", "photos", "--csv", str(tmp_path / "no" / "a.csv"), cwd=home)
    assert (code, err) == (2, f"Error: {tmp_path}/no/a.csv: there is no folder {tmp_path}/no\n")
    image = str(home / "photos" / "logo.png")
    assert call("duplicates", "photos", "--csv", image, cwd=home)[0] == 2


def test_images_that_cannot_be_compared_are_named_with_what_to_do(tmp_path: Path, call: Run) -> None:
    original = scene(5)
    for name in ("a.png", "b.png", "c.png", "d.png", "e.png", "f.png"):
        draw(tmp_path / "photos" / name, recompressed(original) if name == "a.png" else scene(ord(name[0])))
    draw(tmp_path / "photos" / "z.png", original)
    with lookalike.create(tmp_path / "photos", encoder=ColourEncoder()) as photos:
        photos.add(tmp_path / "photos")
    (tmp_path / "photos" / "a.png").rename(tmp_path / "away.png")
    code, out, err = call("duplicates", "photos", cwd=tmp_path)
    assert (code, out) == (0, "")
    assert err == (
        f"No copies among 7 images.\nnot compared: {tmp_path}/photos/a.png\n"
        "Their files are gone, have changed since they were indexed, or cannot be used. To bring the collection up to"
        f" date: lookalike index {tmp_path}/photos\n"
    )
    for name in ("b.png", "c.png"):
        (tmp_path / "photos" / name).rename(tmp_path / name)
    for path in (tmp_path / "photos" / ".lookalike").glob("pictures*"):  # made of the files while these were there
        path.unlink()
    code, out, err = call("duplicates", "photos", "--json", cwd=tmp_path)
    assert code == 3  # many are away
    assert [image["key"] for image in records(out)[-1]["unread"]] == ["a.png", "b.png", "c.png"]
    assert err.count("not compared: ") == 3


def test_a_terminal_shows_a_table_the_totals_and_what_to_do_next(home: Path) -> None:
    session = run_in_terminal(["-m", "lookalike", "duplicates", "photos", "--grade", "same-pixels"], home)
    assert session.code == 0
    rows = [line for line in session.lines if line]
    size = sum((home / "photos" / name).stat().st_size for name in ("sub/twice.png", "pixels.bmp"))
    assert rows[0] == "   id  grade        score     size  path"
    assert [" ".join(row.split()) for row in rows[2:7]] == [
        "1 9 keep 400x300 photos/scene.png",
        "the oldest file",
        "10 same bytes 1.000 400x300 photos/sub/twice.png",
        "8 same pixels 1.000 400x300 photos/pixels.bmp",
        f"2 copies in 1 group, among 10 images, taking {size / 1000:.0f} kB.",
    ]
    assert rows[7:] == ["To see them side by side, with what differs marked, add: --open", "$"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--grade", "similar"], "'similar' is not one of"),
        (["--limit", "0"], "0 is not in the range x>=1"),
        (["--processes", "0"], "0 is not in the range x>=1"),
        (["--against", ""], "the path is empty"),
        (["--csv", "-"], "name a file"),
        (["--threads", "2"], "Did you mean: --processes"),
        (["-k", "2"], "Did you mean: --limit"),
        (["--threshold", "0.9"], "Did you mean: --grade"),
    ],
)
def test_wrong_usage_is_explained(arguments: list[str], message: str, home: Path, call: Run) -> None:
    code, out, err = call("duplicates", "photos", *arguments, cwd=home)
    assert (code, out) == (2, "")
    assert message in err


def test_ctrl_c_stops_a_comparison_between_two_steps_and_says_how_to_go_on(
    home: Path, call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[int]()

    def slow(_: object, *, progress: Callable[[int, int], None], **__: object) -> None:
        for done in range(5):
            if done == 2:
                signal.raise_signal(signal.SIGINT)
            progress(done, 5)
            seen.append(done)

    monkeypatch.setattr(lookalike.Collection, "duplicates", slow)
    code, out, err = call("duplicates", "photos", cwd=home)
    assert (code, out, seen) == (130, "", [0, 1])
    assert err == "Stopped. What was done is kept: run the same command again to carry on.\n"

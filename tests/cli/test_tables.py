"""The command `attributes` and filters by what it imports, in real processes."""

import shutil
import unicodedata
from pathlib import Path

import pytest

from lookalike.demo import write_gallery
from tests.support.commands import records, run


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `photos` with 12 pictures, indexed, of which two have attributes."""
    home = tmp_path_factory.mktemp("home").resolve()
    write_gallery(home / "photos", per_kind=1)
    (home / "photos" / "mug").rename(home / "photos" / unicodedata.normalize("NFD", "Möbel"))
    (home / "t.csv").write_text("path,stars,note\nphotos/fish/fish-01.jpg,5,good\nphotos/pizza/pizza-01.jpg,2,bad\n")
    assert run("index", "photos", cwd=home)[0] == 0
    assert run("attributes", "t.csv", cwd=home)[0] == 0
    return home


def found(home: Path, *options: str) -> list[str]:
    code, out, err = run("search", "--id", "12", "-k", "99", "--json", *options, cwd=home)
    assert (code, err) == (0, "")
    return sorted(Path(match["key"]).parent.name for match in records(out))


def test_the_column_that_names_images_is_said_and_so_is_what_may_surprise(gallery: Path, tmp_path: Path) -> None:
    table = tmp_path / "exif.csv"
    photo = gallery / "photos" / "fish" / "fish-01.jpg"
    table.write_text(
        f"FileName,SourceFile,ISO,a\x1b[0m\nfish-01.jpg,{photo},100,NA\npizza-01.jpg,/none.jpg,many,NaN\n"
        f"x,{photo},200,\nx,{photo},400,\n"
    )
    code, out, err = run("attributes", str(table), "-c", "photos", cwd=gallery)
    assert (code, out) == (0, "3 images, named by column 'SourceFile', now with: FileName, ISO, a\\x1b[0m\n")
    assert err.splitlines() == [
        "2 cells with NA, NaN, None or the like: taken as empty",
        "ISO is text, since line 3 has 'many': a filter like \"ISO>=1\" leaves it out",
        "/none.jpg: not in the collection",
    ]
    (report,) = records(run("attributes", str(table), "-c", "photos", "--json", cwd=gallery)[1])
    assert (report["column"], report["no_value"]) == ("SourceFile", 2)
    assert report["not_numbers"] == [{"column": "ISO", "line": 3, "cell": "many"}]


def test_images_named_by_an_index_without_a_name_are_said_to_be(gallery: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f",year\n{gallery}/photos/fish/fish-01.jpg,2019\n")
    code, out, err = run("attributes", str(tmp_path / "t.csv"), "-c", "photos", cwd=gallery)
    assert (code, err) == (0, "")
    assert out == "1 image, named by a column without a name, now with: year\n"


def test_a_table_that_names_no_image_says_which_column_was_read(gallery: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("FileName,x\nnowhere.jpg,1\n")
    code, out, err = run("attributes", str(tmp_path / "t.csv"), "-c", "photos", cwd=gallery)
    assert (code, out) == (3, "0 images, named by column 'FileName', now with: x\n")
    assert err == "nowhere.jpg: not in the collection\n"


@pytest.mark.parametrize(
    ("condition", "labels"),
    [
        ("stars>2", ["fish"]),
        ("stars<5", ["pizza"]),
        ("stars>=2", ["fish", "pizza"]),
        ("stars==5", ["fish"]),
        ("note=good", ["fish"]),
    ],
)
def test_conditions_find_images(gallery: Path, condition: str, labels: list[str]) -> None:
    assert found(gallery, "--where", condition) == labels


def test_an_exclusion_finds_images_without_the_attribute_too(gallery: Path) -> None:
    others = found(gallery, "--where", "stars!=5")
    assert len(others) == 10  # of twelve, without the query and the fish
    assert "fish" not in others
    assert found(gallery, "--where", "note!=good", "--where", "stars>=0") == ["pizza"]


@pytest.mark.parametrize("name", [unicodedata.normalize("NFC", "Möbel"), unicodedata.normalize("NFD", "Möbel")])
def test_labels_and_folders_are_typed_in_either_spelling(gallery: Path, name: str) -> None:
    for option, given in (("--label", name), ("--under", name), ("--under", f"photos/{name}")):
        assert found(gallery, option, given) == [unicodedata.normalize("NFD", "Möbel")]


@pytest.mark.parametrize("name", [unicodedata.normalize("NFC", "Möbel"), unicodedata.normalize("NFD", "Möbel")])
def test_a_query_is_found_by_its_name_in_either_spelling(gallery: Path, name: str) -> None:
    code, out, err = run("search", f"photos/{name}/mug-01.jpg^2", "-c", "photos", "-k", "1", "--json", cwd=gallery)
    assert (code, err) == (0, "")
    assert records(out)[0]["key"] == unicodedata.normalize("NFD", "Möbel/mug-01.jpg")


@pytest.mark.parametrize("name", [unicodedata.normalize("NFC", "Möbel"), unicodedata.normalize("NFD", "Möbel")])
def test_images_are_removed_by_names_in_either_spelling(gallery: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(gallery / "photos", tmp_path / "photos")
    code, out, err = run("remove", f"photos/{name}/mug-01.jpg", cwd=tmp_path)
    assert (code, out, err) == (0, "Removed 1 image.\n", "")
    assert run("remove", f"{name}\\mug-01.jpg", cwd=tmp_path)[0] == 2  # it is gone


@pytest.mark.parametrize("condition", ["stars", "my stars "])
def test_a_condition_that_the_shell_has_eaten_asks_for_quotes(gallery: Path, condition: str) -> None:
    code, out, err = run("search", "--id", "1", "--where", condition, cwd=gallery)
    name = condition.strip()
    assert (code, out) == (2, "")
    assert err.startswith(f"Error: --where {name}: a name without a condition. The shell takes < and > for itself")
    assert err.endswith(f"in quotes they stay: --where '{name}>=10'\n")


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("note>5", "note is a text in all images that have it, and 5 is a number."),
        ("note<=5", "note is a text in all images that have it, and 5 is a number."),
        ("stars>a", "stars is a number in all images that have it, and 'a' is a text."),
        ("stars>100", None),
        ("note>zzz", None),
        ("stars=3", "No image has stars=3."),
        ("note=bat", "No image has note=bat. Did you mean 'bad'?"),
        ("note=GOOD", "No image has note=GOOD. Did you mean 'good'?"),
    ],
)
def test_a_condition_that_no_image_meets_is_explained(gallery: Path, condition: str, reason: str | None) -> None:
    code, out, err = run("search", "--id", "1", "--where", condition, cwd=gallery)
    assert (code, out) == (0, "")
    assert err.splitlines() == ["No matches.", *([reason] if reason else [])]


def test_names_of_a_stranger_are_harmless_in_every_message(tmp_path: Path) -> None:
    """Names of columns, labels and files with escapes and line breaks, on their way through all commands."""
    evil = "a\nError: \x1b[31m\u202ex"
    write_gallery(tmp_path / "photos", per_kind=1)
    (tmp_path / "photos" / "fish").rename(tmp_path / "photos" / evil)
    (tmp_path / "photos" / evil / "fish-01.jpg").rename(tmp_path / "photos" / evil / f"{evil}.jpg")
    assert run("index", "photos", cwd=tmp_path)[0] == 0
    (tmp_path / "t.csv").write_text(f'path,label,"{evil}",big\n"photos/{evil}/{evil}.jpg","{evil}","{evil}",1\n')
    (tmp_path / "none.csv").write_text(f'path,"{evil}"\n"{evil}",1\n')
    (tmp_path / "twice.csv").write_text(f'path,"{evil}","{evil}"\n"{evil}",1,2\n')
    (tmp_path / "long.csv").write_text(f'path,"{evil}"\n"x",{"y" * 1_100_000}\n')
    (tmp_path / "t.csv.bak").touch()
    commands: list[list[str]] = [
        *(["attributes", name, "-c", "photos"] for name in ("t.csv", "none.csv", "twice.csv", "long.csv", "t.csv.bak")),
        ["search", "--id", "1"],
        ["search", "--id", "1", "--where", "none=1"],
        ["search", "--id", "1", "--where", f"{evil}=1"],
        ["search", "--id", "1", "--where", f"{evil}>5"],
        ["search", "--id", "1", "--where", evil],
        ["search", "--id", "1", "--label", evil + "x", "--under", evil],
        ["search", f"photos/{evil}/{evil}.jpg", "-k", "2"],
        ["search", f"photos/{evil}/none.jpg"],
        ["search", f"photos/{evil}"],
        ["evaluate", "--queries", "5"],
        ["remove", f"photos/{evil}/none.jpg"],
        ["remove", f"photos/{evil}"],
        ["info"],
        [evil],
    ]
    for command in commands:
        _, out, err = run(*command, cwd=tmp_path, COLUMNS="300")
        for printed in (out, err):
            assert not set("\x1b\u202e\r") & set(printed), command
            assert not [line for line in printed.splitlines() if line.startswith("Error: \\x1b")], command

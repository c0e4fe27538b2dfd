"""The commands about the index, filters, attributes and evaluation, in real processes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import lookalike
from lookalike.demo import write_gallery
from tests.support.commands import records, run

SPEC = "IVF4,PQ320x4fs"


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `photos` with 60 pictures of 12 kinds, indexed, with a quantized index and a few attributes."""
    home = tmp_path_factory.mktemp("home").resolve()
    pictures = write_gallery(home / "photos", per_kind=5)
    lines = [
        f"photos/{path.relative_to(home / 'photos')},{place},{'odd' if place % 2 else 'even'}"
        for place, path in enumerate(pictures)
    ]
    (home / "table.csv").write_text("path,number,parity\n" + "\n".join([*lines, "photos/nowhere.jpg,1,odd"]))
    assert run("index", "photos", cwd=home)[0] == 0
    assert run("build", "--spec", SPEC, "--recall", "0.9", cwd=home)[0] == 0
    return home


@pytest.fixture
def home(gallery: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    shutil.copytree(gallery, tmp_path, dirs_exist_ok=True)
    return tmp_path.resolve()


def info(home: Path) -> dict[str, Any]:
    (facts,) = records(run("info", "--json", cwd=home)[1])
    return facts


def index_file(home: Path) -> Path:
    (path,) = (home / "photos" / ".lookalike" / "index").glob("*.faiss")
    return path


def keys(home: Path, *arguments: str) -> list[str]:
    code, out, err = run("search", "--id", "7", "--json", *arguments, cwd=home)
    assert (code, err) == (0, "")
    return [match["key"] for match in records(out)]


def test_build_tells_how_long_it_takes_and_then_what_it_is_worth(home: Path) -> None:
    code, out, err = run("build", "--spec", "IVF2,SQ8", "--recall", "0.9", cwd=home)
    assert code == 0
    assert err.startswith("Building IVF2,SQ8: about ")
    assert out.startswith("IVF2,SQ8: ")
    assert "of the 10 nearest; an exact search takes" in out
    assert "IVF2,SQ8" in run("info", cwd=home)[1]


def test_a_small_collection_needs_no_index_and_says_so(home: Path) -> None:
    code, out, _ = run("build", cwd=home)
    assert code == 0
    assert out == "60 images need no index: comparing with all of them takes milliseconds.\n"
    assert info(home)["index"] is None


def test_a_recall_target_that_is_not_reached_is_named(home: Path) -> None:
    code, out, err = run("build", "--spec", "IVF8,PQ16x4fs", "--recall", "1", cwd=home)
    assert code == 0
    assert out.startswith("IVF8,PQ16x4fs: ")
    assert "below the recall target of 1" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--spec", "PQ320x4fs"], "put IVF in front of it"),
        (["--spec", "IVF4,PQ320x4fs,RFlat"], "ranked by the stored vectors already"),
        (["--spec", "IVF100,SQ8"], "100 lists for 60 vectors"),
        (["--spec", "IVF4,SQ8", "--memory", "1kB"], "may take 1,000"),
        (["--memory", "much"], "give a size, such as 500MB"),
        (["--recall", "1.5"], "1.5"),
    ],
)
def test_what_cannot_be_built_is_refused_in_a_sentence(gallery: Path, arguments: list[str], says: str) -> None:
    code, out, err = run("build", *arguments, cwd=gallery)
    assert (code, out) == (2, "")
    assert says in err
    assert info(gallery)["index"]["spec"] == SPEC


def test_info_shows_the_recall_and_time_of_each_operating_point(gallery: Path) -> None:
    out = run("info", cwd=gallery)[1]
    assert SPEC in out
    assert "recall target of the 10 nearest: 0.9" in out
    assert "nprobe" in out


def test_an_exact_search_and_one_for_all_of_the_recall_agree(gallery: Path) -> None:
    assert keys(gallery, "--exact") == keys(gallery, "--recall", "1")


def test_a_refined_order_has_the_images_in_the_order_of_python(gallery: Path) -> None:
    with lookalike.open(gallery / "photos") as photos:
        refined = photos.search_id(7, k=60, refine=True)
        assert [match.key for match in refined] != [match.key for match in photos.search_id(7, k=60)]
    assert keys(gallery, "-k", "60", "--refine") == [match.key for match in refined]


def test_filters_by_label_and_folder_leave_the_others_out(gallery: Path) -> None:
    assert {key.split("/")[0] for key in keys(gallery, "--label", "fish", "--label", "mug")} == {"fish", "mug"}
    for folder in ("fish", "photos/fish", "photos/fish/", str(gallery / "photos" / "fish")):
        assert {key.split("/")[0] for key in keys(gallery, "--under", folder)} == {"fish"}


def test_a_label_or_folder_that_no_image_has_is_named(gallery: Path) -> None:
    code, out, err = run("search", "--id", "7", "--label", "Fish", "--label", "mug", "--under", "fish", cwd=gallery)
    assert (code, out, err) == (0, "", "No matches.\nNo image has the label 'Fish'. Did you mean 'fish'?\n")
    code, out, err = run("search", "--id", "7", "--under", "fisch", cwd=gallery)
    reason = "No image is in a folder 'fisch' of the collection. Did you mean 'fish'?"
    assert (code, out, err) == (0, "", f"No matches.\n{reason}\n")
    assert (
        run("search", "--id", "7", "--label", "zzz", cwd=gallery)[2] == "No matches.\nNo image has the label 'zzz'.\n"
    )


def test_attributes_of_a_table_filter_searches(home: Path) -> None:
    code, out, err = run("attributes", "table.csv", cwd=home)
    assert code == 0
    assert out == "60 images, named by column 'path', now with: number, parity\n"
    assert err == "photos/nowhere.jpg: not in the collection\n"
    found = records(
        run("search", "--id", "7", "-k", "60", "--where", "number=10..19", "--where", "parity=odd", "--json", cwd=home)[
            1
        ]
    )
    assert sorted(match["attributes"]["number"] for match in found) == [11, 13, 15, 17, 19]
    code, out, err = run("search", "--id", "7", "--where", "colour=red", cwd=home)
    assert (code, out) == (2, "")
    assert "number, parity" in err


def test_a_path_in_a_table_that_names_two_images_is_told(home: Path) -> None:
    photos = home / "photos"
    shutil.copy(photos / "fish/fish-01.jpg", photos / "one.jpg")
    shutil.copy(photos / "fish/fish-02.jpg", photos / "fish/one.jpg")
    (photos / "fish" / "table.csv").write_text("path,number\none.jpg,1\nfish-01.jpg,2\n")
    run("index", "photos", cwd=home)
    code, out, err = run("attributes", "photos/fish/table.csv", cwd=home)
    assert (code, out) == (0, "2 images, named by column 'path', now with: number\n")
    assert err == "one.jpg: fish/one.jpg, beside the table, is taken; one.jpg is an image, too\n"
    found = records(run("search", "--id", "1", "-k", "99", "--where", "number=1..2", "--json", cwd=home)[1])
    assert {match["key"]: match["attributes"] for match in found} == {
        "fish/one.jpg": {"number": 1},
        "fish/fish-01.jpg": {"number": 2},
    }


def test_evaluate_prints_numbers_and_writes_a_report(gallery: Path, tmp_path: Path) -> None:
    code, out, err = run("evaluate", "--html", str(tmp_path / "report.html"), cwd=gallery)
    assert (code, err) == (0, f"Wrote {tmp_path / 'report.html'}\n")
    assert {"recall@10", "precision@1", "precision@10", "mAP"} <= set(out.split())
    assert "data:image/jpeg;base64" in (tmp_path / "report.html").read_text()
    (record,) = records(run("evaluate", "--json", cwd=gallery)[1])
    assert record["spec"] == SPEC
    assert 0.9 < record["precision_at_1"] <= 1  # the kinds of the drawn gallery are easily told apart
    assert len(record["labels"]) == 12
    assert [order["name"] for order in record["orders"]] == ["cosine", "refined"]
    assert all(0.5 < order["copies_first"] <= 1 for order in record["orders"])
    assert "For copies of one picture" in out
    assert "For copies of one picture" in run("info", cwd=gallery)[1]
    assert records(run("info", "--json", cwd=gallery)[1])[0]["orders"]["images"] == record["images"]
    assert "--refine" in out or "both orders are as good" in out or "by cosine is better" in out


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "card"])
def test_a_damaged_index_is_warned_of_until_it_is_built_again(home: Path, damage: str) -> None:
    right = keys(home, "--exact")
    path = index_file(home)
    if damage == "card":
        path = path.with_suffix(".json")
        path.write_text(json.dumps({**json.loads(path.read_text()), "reached": 0.1}))
    elif damage == "delete":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content if damage == "flip" else content[: len(content) // 2])

    code, out, err = run("search", "--id", "7", "--json", cwd=home)
    assert code == 0
    assert [match["key"] for match in records(out)] == right
    assert err.startswith(f"Warning: {path}")
    assert err.count("\n") == 1

    code, out, err = run("check", cwd=home)
    assert code == 4
    assert str(path) in out
    assert "lookalike index" in out

    assert run("build", "--spec", SPEC, "--recall", "0.9", cwd=home)[0] == 0
    assert run("check", cwd=home)[0] == 0
    assert run("search", "--id", "7", "--json", cwd=home)[2] == ""


def test_indexing_again_takes_the_vectors_of_deleted_images_out(home: Path) -> None:
    for path in (home / "photos" / "fish").iterdir():
        path.unlink()
    for path in (home / "photos" / "mug").iterdir():
        path.unlink()
    code, out, _ = run("index", "photos", "--prune", cwd=home)
    assert code == 0
    assert "10 missing" in out
    assert "Forgot 10 missing images." in out
    assert info(home)["dead"] == 10  # a sixth is not worth a new file
    for path in (home / "photos" / "clock").iterdir():
        path.unlink()
    out = run("index", "photos", "--prune", cwd=home)[1]
    assert "Removed 15 vectors of deleted images." in out
    assert (info(home)["dead"], info(home)["vectors"]) == (0, 45)
    assert run("check", cwd=home)[0] == 0

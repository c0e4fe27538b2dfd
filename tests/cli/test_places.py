from tests.cli.conftest import Run

"""Which collection a command asks, and that it says so: folders, collections inside others, the query's own folder."""

import shutil
from pathlib import Path

import pytest

from lookalike.demo import write_gallery
from tests.support.commands import records, run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures in photos/2023 and photos/2024, each with the same names, and a collection of either."""
    home = tmp_path_factory.mktemp("made").resolve()
    pictures = write_gallery(home / "gallery", per_kind=2)
    for place, path in enumerate(pictures):
        target = home / "photos" / ("2023", "2024")[place % 2] / f"{path.parent.name}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
    assert run("index", "photos/2023", cwd=home)[0] == 0
    assert run("index", "photos/2024", cwd=home)[0] == 0
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(made, tmp_path / "home")
    return tmp_path.resolve() / "home"


@pytest.fixture
def nested(home: Path) -> Path:
    """The same, with a collection of photos around those of 2023 and 2024."""
    code, out, err = run("index", "photos", "--no-take-over", cwd=home)
    assert (code, out.splitlines()[-1]) == (0, f"24 images in {home}/photos/.lookalike")
    assert (
        err
        == "In photos, photos/2023, photos/2024 have collections of their own, which this command leaves as they are.\n"
    )
    return home


def first(out: str) -> str:
    return str(records(out)[0]["path"])


# The collection of the query's own folder


def test_a_search_asks_the_collection_of_its_image_before_one_below(home: Path) -> None:
    for folder in ("2023", "2024"):
        code, out, err = run("search", f"photos/{folder}/mug.jpg", "-k1", "--json", cwd=home)
        assert (code, err) == (0, f"Using the collection of photos/{folder}.\n")
        assert first(out) == f"{home}/photos/{folder}/mug.jpg"
    code, out, err = run("search", f"{home}/photos/2023/mug.jpg^2", "-k1", "--json", cwd=home / "gallery")
    assert (code, err) == (0, f"Using the collection of {home}/photos/2023.\n")


def test_an_image_from_elsewhere_asks_the_only_collection_below(home: Path) -> None:
    shutil.copy(home / "photos" / "2023" / "mug.jpg", home / "query.jpg")
    code, out, err = run("search", "../query.jpg", "-k1", "--json", cwd=home / "photos")
    assert code == 2
    assert "several collections here (2023, 2024); say which with -c" in err
    shutil.rmtree(home / "photos" / "2024" / ".lookalike")
    code, out, err = run("search", "../query.jpg", "-k1", "--json", cwd=home / "photos")
    assert (code, err) == (0, "Using the collection of 2023.\n")
    assert first(out) == f"{home}/photos/2023/mug.jpg"


def test_images_of_several_collections_need_a_word(home: Path) -> None:
    code, out, err = run("search", "photos/2023/mug.jpg", "photos/2024/mug.jpg", cwd=home)
    assert (code, out) == (2, "")
    assert "several collections (photos/2023, photos/2024); say which with -c" in err


def test_the_current_folders_collection_comes_first_the_other_is_named(home: Path) -> None:
    code, out, err = run("search", "../2024/mug.jpg", "-k1", "--json", cwd=home / "photos" / "2023")
    assert code == 0
    assert first(out) == f"{home}/photos/2023/mug.jpg"
    assert err == (
        f"Using the collection of {home}/photos/2023, where you are; ../2024/mug.jpg belongs to that of"
        f" {home}/photos/2024; to use that, add: -c {home}/photos/2024\n"
    )


def test_a_table_finds_the_collection_of_its_own_folder(home: Path) -> None:
    (home / "photos" / "2024" / "table.csv").write_text("path,stars\nmug.jpg,5\n")
    code, out, _ = run("attributes", "photos/2024/table.csv", cwd=home)
    assert (code, out) == (0, "1 image, named by column 'path', now with: stars\n")


# Collections inside others


def test_a_collection_inside_another_one_is_mentioned_when_either_is_used(nested: Path, call: Run) -> None:
    inside = "photos/2023 is inside photos, which has a collection, too; to use that, add: -c photos\n"
    around = (
        "In photos, photos/2023, photos/2024 have collections of their own, which this command leaves as they are.\n"
    )
    for command in (["info"], ["check"]):
        assert call(*command, "photos/2023", cwd=nested)[::2] == (0, inside)
        assert call(*command, "photos", cwd=nested)[::2] == (0, around)
    assert run("index", "photos/2023", cwd=nested)[::2] == (0, inside)


def test_it_is_mentioned_once_when_the_image_is_in_the_other_one(nested: Path) -> None:
    shutil.rmtree(nested / "photos" / "2024" / ".lookalike")
    _, _, err = run("search", "../2024/mug.jpg", "-k1", cwd=nested / "photos" / "2023")
    assert err.splitlines() == [
        f"Using the collection of {nested}/photos/2023, where you are; ../2024/mug.jpg belongs to that of"
        f" {nested}/photos; to use that, add: -c {nested}/photos"
    ]


# Taking vectors over


def test_vectors_are_taken_over_only_when_that_is_said(home: Path) -> None:
    code, out, err = run("index", "photos", cwd=home)
    assert (code, out.startswith("24 added in")) == (0, True)
    assert err.splitlines()[0] == (
        f"{home}/photos/2023, {home}/photos/2024 have collections of 24 images; to take over their vectors and"
        " attributes instead of starting anew, add --take-over"
    )
    shutil.rmtree(home / "photos" / ".lookalike")
    code, out, err = run("index", "photos", "--take-over", cwd=home)
    assert (code, out.startswith("24 added, 24 of the vectors taken over in")) == (0, True)
    assert "add --take-over" not in err


@pytest.mark.parametrize(("answer", "taken"), [("y\n", True), ("\n", True), ("n\n", False)])
def test_a_person_is_asked_about_vectors_below(
    home: Path, call: Run, monkeypatch: pytest.MonkeyPatch, answer: str, taken: bool
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: answer.strip())
    code, out, _ = call("index", "photos", cwd=home)
    assert (code, "24 of the vectors taken over" in out) == (0, taken)


def test_another_precision_has_no_use_for_the_vectors(home: Path) -> None:
    code, out, err = run("index", "photos", "--precision", "f32", "--take-over", cwd=home)
    assert (code, "taken over" in out) == (0, False)
    assert (
        "made with efficientnet-lite0 (int8), whose vectors are of no use to one made with efficientnet-lite0 (f32)"
        in err
    )
    assert "There is no collection below whose vectors could be taken over." in err


# A folder instead of -c


def test_commands_take_a_folder_as_index_does(nested: Path, call: Run) -> None:
    for folder, name in (("photos", ""), ("photos/2023", "2023"), ("photos/2023/.lookalike", "2023")):
        (facts,) = records(call("info", folder, "--json", cwd=nested)[1])
        assert facts["folder"] == str(nested / "photos" / name)
    assert call("check", "photos/2023", cwd=nested)[:2] == (0, "No damage found: 12 images, all checksums match.\n")
    assert call("build", "photos/2023", cwd=nested)[0] == 0
    assert call("prune", "photos/2023", cwd=nested)[:2] == (0, "Forgot 0 missing images.\n")
    assert call("evaluate", "photos", "--json", cwd=nested)[0] == 0
    (nested / "table.csv").write_text("path,stars\nmug.jpg,5\n")
    assert call("attributes", "table.csv", "photos/2023", cwd=nested)[:2] == (
        0,
        "1 image, named by column 'path', now with: stars\n",
    )


def test_a_folder_in_a_collection_names_it(nested: Path, call: Run) -> None:
    shutil.rmtree(nested / "photos" / "2024" / ".lookalike")
    code, out, err = call("check", "photos/2024", cwd=nested)
    assert (code, out) == (0, "No damage found: 24 images, all checksums match.\n")
    assert err.splitlines()[0] == "photos/2024 is part of the collection of photos."


def test_a_folder_goes_before_the_environment_but_not_beside_c(
    nested: Path, call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_COLLECTION", str(nested / "photos"))
    (facts,) = records(call("info", "photos/2024", "--json", cwd=nested)[1])
    assert facts["folder"] == str(nested / "photos" / "2024")
    code, _, err = call("info", "photos/2024", "-c", "photos", cwd=nested)
    assert (code, err) == (2, "Error: photos/2024: give a folder or -c, not both\n")


def test_a_folder_without_a_collection_is_named(home: Path, call: Run) -> None:
    code, _, err = call("info", "gallery", cwd=home)
    assert (code, err) == (2, "Error: gallery: there is no collection; to make one: lookalike index gallery\n")
    code, _, err = call("info", "nowhere", cwd=home)
    assert (code, err) == (2, "Error: nowhere: there is no such folder\n")


# The query in its own answer


def test_the_query_is_marked_in_its_own_answer(home: Path) -> None:
    shutil.copy(home / "photos" / "2023" / "mug.jpg", home / "photos" / "2023" / "copy.jpg")
    (home / "link.jpg").symlink_to(home / "photos" / "2023" / "mug.jpg")
    assert run("index", "photos/2023", cwd=home)[0] == 0
    for query in ("photos/2023/mug.jpg", f"{home}/photos/../photos/2023/mug.jpg", "link.jpg"):
        out = run("search", query, "-k3", "-c", "photos/2023", "--json", cwd=home)[1]
        assert {match["key"] for match in records(out) if match["is_query"]} == {"mug.jpg"}
        assert {match["key"] for match in records(out)} >= {"mug.jpg", "copy.jpg"}
    out = run("search", "photos/2024/mug.jpg", "-c", "photos/2023", "--json", cwd=home)[1]
    assert not any(match["is_query"] for match in records(out))

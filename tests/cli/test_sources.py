"""What `lookalike index` is told to index, to leave out and to trust; and its exit codes."""

import os
import shutil
from pathlib import Path

import pytest

import lookalike
from lookalike.collection import trust
from lookalike.demo import write_gallery
from tests.cli.conftest import Run
from tests.support.commands import records, run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `photos` with 12 pictures of 12 kinds, indexed."""
    home = tmp_path_factory.mktemp("made").resolve()
    write_gallery(home / "photos", per_kind=1)
    assert run("index", "photos", cwd=home)[0] == 0
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(made, tmp_path / "home")
    return tmp_path.resolve() / "home"


def names(home: Path, place: str = "photos") -> set[str]:
    """The keys of the images of a collection, without their numbers."""
    with lookalike.open(home / place) as collection:
        number = len(collection)
        found = collection.search_vector([1, *[0] * (collection.made_by.dim - 1)], k=number + 1)
    return {Path(match.key).parent.name for match in found}


# Exit codes


def test_a_broken_file_is_named_and_the_search_goes_on(home: Path) -> None:
    """`index && search` works; --strict says that something was left out, also the next time."""
    (home / "photos" / "broken.jpg").write_text("no image")
    code, out, err = run("index", "photos", cwd=home)
    assert (code, out.startswith("12 unchanged, 1 skipped in")) == (0, True)
    assert err.startswith(f"skipped {home}/photos/broken.jpg: ")
    code, out, err = run("index", "photos", cwd=home)
    assert (code, err) == (0, "")
    assert run("index", "photos", "--strict", cwd=home)[0] == 3
    (home / "photos" / "broken.jpg").unlink()
    assert run("index", "photos", "--strict", cwd=home)[0] == 0


def test_where_nothing_can_be_read_the_exit_code_is_3(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert run("index", "photos", cwd=tmp_path)[0] == 0
    for name in ("a.jpg", "b.png"):
        (tmp_path / "photos" / name).write_text("no image")
    assert run("index", "photos", cwd=tmp_path)[0] == 3
    assert run("index", "photos", cwd=tmp_path)[0] == 3


# What is left out


def test_thumbnails_of_a_network_drive_are_left_out(home: Path) -> None:
    for path in [*(home / "photos").glob("*/*.jpg")]:
        target = path.parent / "@eaDir" / path.name / "SYNOPHOTO_THUMB_S.jpg"
        target.parent.mkdir(parents=True)
        shutil.copy(path, target)
    for name in ("#recycle", "$RECYCLE.BIN", ".Trash-1000", ".Trashes", ".thumbnails", "lost+found", "Thumbs.db"):
        (home / "photos" / name).mkdir()
        shutil.copy(next((home / "photos").glob("mug/*.jpg")), home / "photos" / name / "x.jpg")
    code, out, err = run("index", "photos", cwd=home)
    assert (code, out.startswith("12 unchanged in"), err) == (0, True, "")


def test_globs_are_kept_with_the_collection_until_they_are_dropped(home: Path) -> None:
    code, out, err = run("index", "photos", "--exclude", "mug", "--exclude", "photos/fish/", cwd=home)
    assert (code, out.startswith("10 unchanged, 2 excluded in"), err) == (0, True, "")
    assert "mug" not in names(home)
    code, out, err = run("index", "photos", cwd=home)
    assert out.startswith("10 unchanged in")
    out = run("info", "photos", cwd=home)[1]
    assert "made of     its folder\n" in out
    assert "leaves out  mug, fish/; 2 images, kept until they are pruned\n" in out
    assert "missing     0\n" in out
    out = run("info", "photos", "--missing", cwd=home)[1]
    assert [line.endswith(", left out") for line in out.splitlines()] == [True, True]
    code, out, err = run("index", "photos", "--include", "mug", cwd=home)
    assert out.startswith("1 returned, 10 unchanged in")
    code, out, err = run("index", "photos", "--include", "mug", cwd=home)
    assert (code, err) == (2, "Error: 'mug' is not what the collection leaves out, which is: fish/\n")
    code, out, err = run("index", "photos", "--prune", cwd=home)
    assert (code, out.splitlines()[-1]) == (0, "Forgot 1 missing image.")


def test_a_new_collection_leaves_out_what_it_is_told(home: Path) -> None:
    shutil.rmtree(home / "photos" / ".lookalike")
    code, out, _ = run("index", "photos", "--exclude", "mug*", "--include", "lost+found", cwd=home)
    assert (code, out.startswith("11 added in")) == (0, True)
    (facts,) = records(run("info", "photos", "--json", cwd=home)[1])
    assert facts["made_of"]["exclude"] == ["mug*"]
    assert facts["made_of"]["include"] == ["lost+found"]
    assert run("plan", "photos", cwd=home)[1].startswith("files       11, ")


# Lists


def paths(home: Path, *kinds: str) -> list[str]:
    return [str(path.relative_to(home)) for kind in kinds for path in (home / "photos" / kind).glob("*.jpg")]


def test_a_list_makes_a_collection_that_does_the_same_again(home: Path) -> None:
    (home / "list.txt").write_text("\n".join([*paths(home, "mug", "fish"), "photos/clock"]) + "\n")
    code, out, err = run("index", "--from-file", "list.txt", "-c", "kept", cwd=home)
    assert (code, out.startswith("1 added in"), err) == (0, False, "")
    assert names(home, "kept") == {"mug", "fish", "clock"}
    (home / "list.txt").write_text("\n".join([*paths(home, "mug", "planet"), "photos/nowhere.jpg"]))
    code, out, err = run("index", "-c", "../kept", cwd=home / "photos")  # from another folder
    assert (code, err) == (0, f"skipped {home}/photos/nowhere.jpg: there is no such file\n")
    assert out.startswith("1 added, 1 unchanged, 2 excluded, 1 skipped in")
    assert names(home, "kept") == {"mug", "planet"}
    assert run("index", "-c", "kept", "--strict", cwd=home)[0] == 3
    assert f"made of     the list {home}/list.txt\n" in run("info", "-c", "kept", cwd=home)[1]
    code, out, err = run("remove", "list.txt", "-c", "kept", cwd=home)
    assert (code, out) == (0, "Removed 0 images.\n")
    assert "made of     nothing yet" in run("info", "-c", "kept", cwd=home)[1]


@pytest.mark.parametrize("arguments", [["-"], ["--from-file", "-"]])
def test_a_list_on_standard_input_is_indexed(home: Path, arguments: list[str]) -> None:
    listed = "\n".join(paths(home, "mug", "fish")).encode()
    code, out, err = run("index", *arguments, "-c", "kept", cwd=home, stdin=listed)
    assert (code, out.startswith("2 added in"), err) == (0, True, "")
    next((home / "photos" / "mug").glob("*.jpg")).unlink()
    code, out, err = run("index", "-c", "kept", cwd=home)
    assert (code, out.startswith("1 unchanged, 1 missing in"), err) == (0, True, "")


def test_paths_with_new_lines_end_with_nul_characters(home: Path) -> None:
    shutil.copy(home / paths(home, "mug")[0], home / "photos" / "a\nb.jpg")
    listed = b"\0".join(map(os.fsencode, ["photos/a\nb.jpg", *paths(home, "fish")])) + b"\0"
    code, out, _ = run("index", "-0", "-", "-c", "kept", cwd=home, stdin=listed)
    assert (code, out.startswith("2 added in")) == (0, True)
    code, _, err = run("index", "-", "-c", "kept", cwd=home, stdin=listed)
    assert (code, "NUL characters" in err) == (2, True)


@pytest.mark.parametrize("listed", [b"", b"\n\n"])
def test_an_empty_list_is_refused_and_nothing_is_made(home: Path, listed: bytes) -> None:
    code, _, err = run("index", "-", "-c", "kept", cwd=home, stdin=listed)
    assert (code, err) == (2, "Error: standard input: the list names no file\n")
    (home / "list.txt").write_bytes(listed)
    code, _, err = run("index", "--from-file", "list.txt", "-c", "kept", cwd=home)
    assert (code, "the list names no file" in err) == (2, True)
    assert not (home / "kept").exists()


def test_a_list_has_to_say_where_its_collection_is(home: Path) -> None:
    code, _, err = run("index", "-", cwd=home, stdin=b"photos/mug")
    assert (code, err) == (
        2,
        "Error: a list of files does not say where its collection is: name a new directory with -c\n",
    )
    code, out, _ = run("index", "-", cwd=home / "photos", stdin=b"mug")  # in the folder of a collection
    assert (code, out.startswith("1 unchanged in")) == (0, True)


def test_a_list_that_is_gone_is_named(home: Path) -> None:
    code, _, err = run("index", "--from-file", "nowhere.txt", "-c", "kept", cwd=home)
    assert (code, "nowhere.txt: the list cannot be read: no such file" in err) == (2, True)


# Trust


@pytest.fixture
def kept(home: Path) -> Path:
    """A collection of photos/mug and photos/fish in a directory beside them; who made it is somebody else."""
    assert run("index", "photos/mug", "photos/fish", "-c", "kept", cwd=home)[0] == 0
    return home


def test_several_folders_are_updated_again(kept: Path) -> None:
    code, out, err = run("index", "-c", "kept", cwd=kept)
    assert (code, out.startswith("2 unchanged in"), err) == (0, True, "")


def test_a_collection_of_somebody_else_has_to_be_trusted(kept: Path, tmp_path: Path) -> None:
    mine = str(tmp_path / "mine")
    code, out, err = run("index", "-c", "kept", cwd=kept, LOOKALIKE_TRUST=mine)
    assert (code, out) == (2, "")
    assert err == (
        f"Error: {kept}/kept: it says that it was made of {kept}/photos/mug, {kept}/photos/fish, which is outside of it"
        " and which you have not named yet as this user; name what to index instead; to trust it:"
        f" lookalike index -c {kept}/kept --trust\n"
    )
    assert run("index", "-c", "kept", "--trust", cwd=kept, LOOKALIKE_TRUST=mine)[0] == 0
    assert run("index", "-c", "kept", cwd=kept, LOOKALIKE_TRUST=mine)[0] == 0


@pytest.mark.parametrize(("answer", "expected"), [("y\n", 0), ("\n", 130)])
def test_a_person_is_asked_about_trust(
    kept: Path, call: Run, monkeypatch: pytest.MonkeyPatch, answer: str, expected: int
) -> None:
    monkeypatch.setenv("LOOKALIKE_TRUST", str(kept / "mine"))
    monkeypatch.setattr(trust, "_TRUSTED", set())
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: answer.strip())
    assert call("index", "-c", "kept", cwd=kept)[0] == expected


def test_a_damaged_record_of_sources_is_named_and_searches_go_on(home: Path) -> None:
    path = home / "photos" / ".lookalike" / "sources.json"
    path.write_text("{")
    assert run("search", "--id", "1", "--json", cwd=home)[::2] == (0, "")
    for command in (["check", "photos"], ["index", "photos"]):
        code, out, err = run(*command, cwd=home)
        assert code == 4
        assert f"{path}: the file is damaged" in out + err
        assert f"to forget what it was made of: rm {path}" in out + err
        assert "rebuild" not in err
    path.unlink()
    assert run("index", "photos", cwd=home)[0] == 0


# --reindex


def test_reindex_says_what_it_did(home: Path) -> None:
    code, out, err = run("index", "photos", "--precision", "f32", "--reindex", cwd=home)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == (
        "Indexed again with efficientnet-lite0 (f32) instead of efficientnet-lite0 (int8): 12 images with their ids and"
        " attributes. The data of efficientnet-lite0 (int8) are deleted."
    )
    code, out, err = run("index", "photos", "--precision", "f32", "--reindex", cwd=home)
    assert (code, err) == (
        0,
        "The collection is already indexed with efficientnet-lite0 (f32); --reindex has no effect.\n",
    )
    found = records(run("index", "photos", "--precision", "int8", "--reindex", "--json", cwd=home)[1])
    assert found[-1] == {"reindexed": 12, "from": "efficientnet-lite0 (f32)", "to": "efficientnet-lite0 (int8)"}

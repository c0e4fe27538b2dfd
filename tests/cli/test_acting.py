"""`lookalike duplicates --mark --apply --undo`: what is touched, what is asked, and how it comes back."""

import os
from pathlib import Path

import pytest

import lookalike
from tests.support.commands import records, run
from tests.support.edited_pictures import scene


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three scenes; one twice as the same bytes, one also as a file with the same pixels."""
    folder = tmp_path.resolve() / "photos"
    (folder / "sub").mkdir(parents=True)
    for seed in (1, 2, 3):
        scene(seed).save(folder / f"{seed}.png")
        os.utime(folder / f"{seed}.png", (1e9, 1e9))  # the oldest
    (folder / "sub" / "1.png").write_bytes((folder / "1.png").read_bytes())
    scene(2).save(folder / "sub" / "2.bmp")
    assert run("index", folder, cwd=tmp_path)[0] == 0
    return folder


def files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and ".lookalike" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_marked_copies_are_moved_and_come_back(photos: Path, tmp_path: Path) -> None:
    before, away = files(photos), tmp_path / "away"
    code, out, err = run("duplicates", photos, "--mark", "--apply", "move", "--to", away, "--yes", cwd=tmp_path)
    assert (code, out.splitlines()[-1]) == (0, "2 copies moved")
    assert "2 copies marked" in err
    assert f"sub/1.png (same bytes) -> {away}/sub/1.png" in err
    assert f"To undo it: lookalike duplicates {photos} --undo 1" in err
    assert files(away) == {name: before[name] for name in ("sub/1.png", "sub/2.bmp")}
    assert files(photos) == {name: before[name] for name in ("1.png", "2.png", "3.png")}
    code, out, _ = run("duplicates", photos, "--undo", cwd=tmp_path)
    assert (code, out) == (0, "2 files of run 1 restored\n")
    assert files(photos) == before
    code, _, err = run("duplicates", photos, "--undo", cwd=tmp_path)
    assert code == 2
    assert "there is nothing to undo" in err


def test_nothing_is_touched_without_a_mark_or_a_word(photos: Path, tmp_path: Path) -> None:
    before, away = files(photos), tmp_path / "away"
    code, _, err = run("duplicates", photos, "--apply", "trash", "--yes", cwd=tmp_path)
    assert (code, files(photos)) == (0, before)
    assert "no copy is marked" in err
    code, _, err = run("duplicates", photos, "--mark", "--apply", "move", "--to", away, cwd=tmp_path)
    assert (code, files(photos), away.exists()) == (2, before, False)
    assert "add --yes" in err


def test_what_was_decided_to_be_kept_is_not_marked(photos: Path, tmp_path: Path) -> None:
    with lookalike.open(photos) as collection:
        collection.keep_copies([image.id for image in collection.images() if image.key == "sub/1.png"])
    _, _, err = run("duplicates", photos, "--mark", cwd=tmp_path)
    assert "1 copy marked; 1 stay, as was decided" in err


def test_json_tells_what_was_done(photos: Path, tmp_path: Path) -> None:
    given = ("duplicates", photos, "--grade", "same-bytes", "--mark", "--apply", "link", "--yes", "--json")
    code, out, _ = run(*given, cwd=tmp_path)
    done = records(out)[-1]
    assert (code, done) == (
        0,
        {"run": 1, "action": "link", "done": [{"key": "sub/1.png", "place": str(photos / "1.png")}], "left": []},
    )
    assert (photos / "1.png").samefile(photos / "sub" / "1.png")
    assert records(run("duplicates", photos, "--undo", "1", "--json", cwd=tmp_path)[1]) == [
        {"run": 1, "restored": ["sub/1.png"], "left": []}
    ]
    assert not (photos / "1.png").samefile(photos / "sub" / "1.png")


def test_a_folder_is_needed_to_move_and_refused_otherwise(photos: Path, tmp_path: Path) -> None:
    before = files(photos)
    for wrong in (("--apply", "move"), ("--apply", "trash", "--to", tmp_path), ("--apply", "move", "--to", photos)):
        code, _, err = run("duplicates", photos, "--mark", *wrong, "--yes", cwd=tmp_path)
        assert (code, "to=" in err) == (2, True), err
    assert files(photos) == before

"""The command line in real processes: words, exit codes, and what a person would do to it."""

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import lookalike
from lookalike.cli.main import cli
from lookalike.demo import write_gallery
from tests.support.commands import records, run

LOOKALIKE = [sys.executable, "-m", "lookalike"]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `photos` with 48 pictures of 12 kinds, indexed."""
    home = tmp_path_factory.mktemp("home").resolve()
    write_gallery(home / "photos", per_kind=4)
    code, out, err = run("index", "photos", cwd=home)
    assert (code, err) == (0, "")
    assert out.startswith("48 added in ")
    return home


@pytest.fixture
def home(gallery: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    shutil.copytree(gallery / "photos", tmp_path / "photos")
    return tmp_path.resolve()


def test_a_folder_that_was_copied_with_its_collection_is_unchanged(home: Path) -> None:
    code, out, _ = run("index", "photos", cwd=home)
    assert code == 0
    assert out.startswith("48 unchanged in ")


def test_search_finds_the_same_kind(gallery: Path) -> None:
    code, out, err = run("search", "photos/fish/fish-01.jpg", "-k", "4", "--json", cwd=gallery)
    assert (code, err) == (0, "Using the collection of photos.\n")
    found = records(out)
    assert [match["label"] for match in found] == ["fish"] * 4
    assert found[0]["key"] == "fish/fish-01.jpg"
    assert found[0]["score"] == pytest.approx(1, abs=1e-3)
    assert [match["score"] for match in found] == sorted((match["score"] for match in found), reverse=True)


def test_search_agrees_with_the_library(gallery: Path) -> None:
    _, out, _ = run("search", "photos/mug/mug-02.jpg", "-k", "48", "--json", cwd=gallery)
    with lookalike.open(gallery / "photos") as photos:
        matches = photos.search(gallery / "photos/mug/mug-02.jpg", k=48)
    assert [(match["id"], match["score"]) for match in records(out)] == [(match.id, match.score) for match in matches]


def test_search_by_id_leaves_that_image_out(gallery: Path) -> None:
    _, out, _ = run("search", "--id", "7", "--json", "-k", "100", cwd=gallery)
    assert sorted(match["id"] for match in records(out)) == [number for number in range(1, 49) if number != 7]


def test_the_query_may_come_on_standard_input(gallery: Path) -> None:
    image = (gallery / "photos/planet/planet-03.jpg").read_bytes()
    _, out, _ = run("search", "-", "-k", "1", "--json", cwd=gallery, stdin=image)
    assert records(out)[0]["key"] == "planet/planet-03.jpg"


def test_endless_standard_input_is_refused(gallery: Path) -> None:
    with Path("/dev/zero").open("rb") as endless:
        done = subprocess.run([*LOOKALIKE, "search", "-"], cwd=gallery, stdin=endless, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (2, b"Error: <stdin>: more than 256 MB, the limit for a file\n")


def test_minus_moves_away_from_an_image(gallery: Path) -> None:
    pictures = ["photos/cactus/cactus-01.jpg", "photos/pizza/pizza-01.jpg"]
    _, both, _ = run("search", *pictures, "-k", "48", "--json", cwd=gallery)
    _, less, _ = run("search", pictures[0], "--minus", pictures[1], "-k", "48", "--json", cwd=gallery)
    ranks = [[match["label"] for match in records(out)] for out in (both, less)]
    assert set(ranks[0][:2]) == {"cactus", "pizza"}
    assert "pizza" not in ranks[1][:24]


def test_the_page_and_the_sheet_are_written(gallery: Path, tmp_path: Path) -> None:
    outputs: list[str | Path] = ["--html", tmp_path / "page.html", "--sheet", tmp_path / "sheet.png"]
    code, _, err = run("search", "photos/clock/clock-01.jpg", "-k", "5", *outputs, cwd=gallery)
    assert code == 0
    assert "page.html" in err
    assert "sheet.png" in err
    assert (tmp_path / "page.html").read_text().count("<img") == 6
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG"


@pytest.mark.parametrize("place", ["photos", "photos/mug", "."])
def test_the_collection_is_found_from_within_the_folder_and_from_above_it(gallery: Path, place: str) -> None:
    code, out, _ = run("info", "--json", cwd=gallery / place)
    assert code == 0
    assert records(out)[0]["images"] == 48


def test_the_collection_may_be_named_by_option_and_by_environment(gallery: Path, tmp_path: Path) -> None:
    for names in (["-c", str(gallery / "photos")], ["-c", str(gallery / "photos/.lookalike")]):
        assert records(run("info", "--json", *names, cwd=tmp_path)[1])[0]["images"] == 48
    _, out, _ = run("info", "--json", cwd=tmp_path, LOOKALIKE_COLLECTION=str(gallery / "photos"))
    assert records(out)[0]["images"] == 48


def test_a_collection_may_be_kept_elsewhere(home: Path, tmp_path: Path) -> None:
    shutil.rmtree(home / "photos/.lookalike")
    assert run("index", "photos/mug", "photos/fish", "-c", tmp_path / "kept", cwd=home)[0] == 0
    assert records(run("info", "-c", tmp_path / "kept", "--json", cwd=home)[1])[0]["images"] == 8
    assert not (home / "photos/.lookalike").exists()
    _, out, _ = run("search", "photos/fish/fish-02.jpg", "-k", "1", "--json", "-c", tmp_path / "kept", cwd=home)
    assert records(out)[0]["path"] == str(home / "photos/fish/fish-02.jpg")


def test_changes_are_noticed_and_counted(home: Path) -> None:
    photos = home / "photos"
    (photos / "mug/mug-01.jpg").unlink()
    (photos / "fish/fish-01.jpg").rename(photos / "fish/carp.jpg")
    shutil.copy(photos / "clock/clock-01.jpg", photos / "clock/clock-99.jpg")
    shutil.copy(photos / "pizza/pizza-01.jpg", photos / "pizza/pizza-02.jpg")
    (photos / "notes.txt").write_text("not asked about")
    _, out, _ = run("index", "photos", "--json", cwd=home)
    [report] = records(out)
    counts = {name: report[name] for name in ("added", "updated", "renamed", "missing", "unchanged")}
    assert counts == {"added": 1, "updated": 1, "renamed": 1, "missing": 1, "unchanged": 45}
    assert report["images"] == 48
    _, out, _ = run("search", "photos/fish/carp.jpg", "-k", "1", "--json", cwd=home)
    assert records(out)[0]["key"] == "fish/carp.jpg"


def test_remove_takes_an_image_out_at_once(home: Path) -> None:
    assert run("remove", "photos/mug/mug-01.jpg", "fish/fish-01.jpg", cwd=home)[1] == "Removed 2 images.\n"
    _, out, _ = run("search", "photos/mug/mug-01.jpg", "-k", "48", "--json", cwd=home)
    keys = {match["key"] for match in records(out)}
    assert len(keys) == 46
    assert keys.isdisjoint({"mug/mug-01.jpg", "fish/fish-01.jpg"})
    code, _, err = run("remove", "photos/mug/mug-01.jpg", cwd=home)
    assert code == 2
    assert "in the collection" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["search"], "give one or more images"),
        (["search", "photos/mug/mug-01.jpg", "--id", "3"], "give one or more images"),
        (["search", "photos/mug/mug-01.jpg", "-k", "0"], "'-k': 0: give at least 1"),
        (["search", "photos/mug/mug-01.jpg", "-k", "-5"], "'-k': -5: give at least 1"),
        (["search", "nowhere.jpg"], "nowhere.jpg"),
        (["search", "--id", "999"], "999"),
        (["index", "nowhere"], "nowhere"),
        (["index", "photos", "--precision", "f99"], "f99"),
        (["info", "-c", "nowhere"], "lookalike index nowhere"),
        (["serach"], "serach"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence_and_exits_with_2(gallery: Path, arguments: list[str], says: str) -> None:
    code, out, err = run(*arguments, cwd=gallery)
    assert (code, out) == (2, "")
    assert says in err


def test_several_collections_have_to_be_told_apart(home: Path) -> None:
    shutil.copytree(home / "photos", home / "more")
    code, _, err = run("info", cwd=home)
    assert code == 2
    assert "more, photos" in err


def test_another_precision_than_the_collections_is_refused(gallery: Path) -> None:
    code, _, err = run("index", "photos", "--precision", "f32", cwd=gallery)
    assert code == 4
    assert "(int8)" in err
    assert "(f32)" in err
    assert "--precision f32 --reindex" in err


@pytest.mark.parametrize("name", ["collection.json", "catalog.sqlite", "vectors.faiss"])
@pytest.mark.parametrize("damage", ["cut", "overwritten", "gone"])
def test_a_damaged_file_is_named_and_exits_with_4(home: Path, name: str, damage: str) -> None:
    file = home / "photos/.lookalike" / name
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(data[: len(data) // 2] if damage == "cut" else b"\xa5" * 100 + data[100:])
    for command in (["search", "photos/mug/mug-01.jpg"], ["check"]):
        code, out, err = run(*command, "-c", "photos", cwd=home)
        missing = name == "collection.json" and damage == "gone"  # then there is no collection
        assert code == (2 if missing else 4)
        assert missing or name in out + err
        assert "1.000" not in out


def test_check_finds_a_single_flipped_bit(home: Path) -> None:
    file = home / "photos/.lookalike/vectors.faiss"
    data = bytearray(file.read_bytes())
    data[-1000] ^= 1
    file.write_bytes(data)
    code, out, _ = run("check", cwd=home)
    assert code == 4
    assert "vectors.faiss: the vector in row 47 is damaged" in out


def test_a_second_writer_is_told_so_at_once_and_readers_go_on(home: Path) -> None:
    with lookalike.open(home / "photos") as photos, photos._write_access.locked():
        code, _, err = run("remove", "mug/mug-01.jpg", cwd=home)
        assert code == 6
        assert "another process is writing" in err
        assert run("search", "--id", "1", cwd=home)[0] == 0


def many_pictures(folder: Path, count: int) -> None:
    """Copies of one picture whose bytes differ."""
    folder.mkdir()
    image = Image.radial_gradient("L").resize((400, 400)).convert("RGB")
    image.save(folder / "0.jpg")
    data = (folder / "0.jpg").read_bytes()
    for number in range(1, count):
        (folder / f"{number}.jpg").write_bytes(data + str(number).encode())


def test_ctrl_c_stops_cleanly_and_the_next_run_carries_on(tmp_path: Path) -> None:
    many_pictures(tmp_path / "photos", 900)
    command = [*LOOKALIKE, "index", "photos", "--threads", "1"]  # which takes several times the second to a commit
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as indexing:
        while stored_bytes(tmp_path / "photos/.lookalike/vectors.faiss") < 1000:
            time.sleep(0.01)
        indexing.send_signal(signal.SIGINT)
        _, err = indexing.communicate(timeout=30)
    assert indexing.returncode == 130
    assert err == "Stopped. What was done is kept: run the same command again to carry on.\n"
    with lookalike.open(tmp_path / "photos") as photos:
        done = len(photos)
        assert photos.check() == []
        left = {f"{number}.jpg" for number in range(900)} - {image.key for image in photos.images(limit=900)}
    assert 0 < done < 900
    for name in sorted(left)[50:]:  # 50 are enough to see that the next run carries on
        (tmp_path / "photos" / name).unlink()
    [report] = records(run("index", "photos", "--json", cwd=tmp_path)[1])
    assert (report["unchanged"], report["added"]) == (done, min(900 - done, 50))


def stored_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_a_terminal_gets_a_progress_bar_and_a_table(home: Path) -> None:
    shutil.rmtree(home / "photos/.lookalike")
    shown = in_terminal([*LOOKALIKE, "index", "photos"], home)
    assert "Indexing" in shown
    assert "48 added" in shown
    shown = in_terminal([*LOOKALIKE, "search", "photos/mug/mug-01.jpg", "--no-thumbnails"], home)
    assert "score" in shown
    assert "mug-01.jpg" in shown


def in_terminal(command: list[str], cwd: Path) -> str:
    """What a command writes to a terminal that it is alone with."""
    here, there = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", "LINES": "50"}
    with subprocess.Popen(command, cwd=cwd, stdin=there, stdout=there, stderr=there, env=environment) as process:
        os.close(there)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            while part := os.read(here, 65536):
                shown += part
        assert process.wait(60) == 0
    os.close(here)
    return shown.decode()


def test_a_reader_that_has_seen_enough_is_no_error(gallery: Path) -> None:
    command = f"{sys.executable} -m lookalike search photos/mug/mug-01.jpg --json | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=gallery, capture_output=True, check=False)
    assert done.stderr == b"Using the collection of photos.\n"
    assert done.returncode == 128 + signal.SIGPIPE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_the_shell(tmp_path: Path, shell: str) -> None:
    assert "_LOOKALIKE_COMPLETE" in run("completion", shell, cwd=tmp_path)[1]


@pytest.fixture
def small_demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], Result]:
    """Runs `lookalike demo gallery` in a folder of its own, with two images of each kind instead of 25."""
    monkeypatch.setattr("lookalike.demo.write_gallery", partial(write_gallery, per_kind=2))
    monkeypatch.chdir(tmp_path)
    return lambda: CliRunner().invoke(cli, ["demo", "gallery"])


def test_the_demo_writes_a_page_and_can_be_run_again(small_demo: Callable[[], Result]) -> None:
    for told in ("24 added", "24 unchanged"):
        result = small_demo()
        assert result.exit_code == 0
        assert told in result.stdout
        assert "gallery.html" in result.stderr
    rows = [line.split("\t") for line in result.stdout.splitlines() if "\t" in line]
    assert len(rows) == 10
    assert len({row[3] for row in rows[:2]}) == 1


def test_the_demo_is_made_anew_with_another_version_of_the_network(
    small_demo: Callable[[], Result], tmp_path: Path
) -> None:
    write_gallery(tmp_path / "gallery", per_kind=1)
    with lookalike.create(tmp_path / "gallery", precision="f32") as collection:
        identity = collection.directory / "collection.json"
        facts = json.loads(identity.read_text())
    identity.write_text(json.dumps({**facts, "fingerprint": "0" * 32}))
    result = small_demo()
    assert result.exit_code == 0
    assert "24 added" in result.stdout


def test_every_command_and_option_is_explained() -> None:
    for name, command in cli.commands.items():
        assert command.help, name
        assert len(command.get_short_help_str(limit=80)) < 60, name
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or getattr(parameter, "help", None), (name, parameter.name)

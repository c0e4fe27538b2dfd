"""Runs of actions that are undone: once, twice, in another order, after a kill, by a stranger."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lookalike
from lookalike import Collection
from lookalike.duplicates import action_log
from lookalike.errors import CorruptError, UsageError
from lookalike.system import durable, moves
from tests.support.copies_of_files import FileFacts, by_key, facts, grouped, mark
from tests.support.pictures import ColourEncoder, draw

COPY, OTHER = "cats/01.png", "dogs/02.png"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    return tmp_path.resolve() / "elsewhere"


@pytest.fixture
def before(photos: Collection) -> dict[str, FileFacts]:
    return facts(photos.folder)


def move(photos: Collection, to: Path, *keys: str) -> int:
    """Moves files away; returns the number of the run."""
    mark(photos, *keys)
    report = photos.act_on_copies(photos.plan_action(grouped(photos, ("00.png", *keys)), "move", to=to))
    assert {each.key for each in report.done} == set(keys)
    assert report.run
    return report.run


def test_undoing_again_changes_nothing(photos: Collection, elsewhere: Path, before: dict[str, FileFacts]) -> None:
    run = move(photos, elsewhere, COPY)
    assert photos.undo_action(run).restored == (COPY,)
    assert photos.undo_action(run).restored == ()
    assert facts(photos.folder) == before
    with pytest.raises(UsageError, match="nothing to undo"):
        photos.undo_action()
    with pytest.raises(UsageError, match="run=7"):
        photos.undo_action(7)


def test_runs_are_listed_and_the_last_one_is_undone_first(
    photos: Collection, elsewhere: Path, before: dict[str, FileFacts]
) -> None:
    assert [move(photos, elsewhere, COPY), move(photos, elsewhere, OTHER)] == [1, 2]
    assert [(run.number, run.done, run.undone, run.to, run.is_own) for run in photos.action_runs()] == [
        (1, 1, 0, elsewhere, True),
        (2, 1, 0, elsewhere, True),
    ]
    assert photos.undo_action().run == 2
    assert [(run.done, run.undone) for run in photos.action_runs()] == [(1, 0), (0, 1)]
    assert photos.undo_action().run == 1
    assert facts(photos.folder) == before


PROBLEMS: dict[str, Callable[[Path, Path], object]] = {
    "another file has its place; it stays at {away}": lambda home, away: draw(home, 900),
    "{away} has changed since": lambda home, away: draw(away, 900),
    "it is not at {away} any more": lambda home, away: away.unlink(),
    "a symlink": lambda home, away: away.symlink_to(away.rename(away.with_name("x"))),
}


@pytest.mark.parametrize("reason", PROBLEMS)
def test_a_file_that_cannot_come_back_is_told(photos: Collection, elsewhere: Path, reason: str) -> None:
    move(photos, elsewhere, COPY, OTHER)
    home, away = photos.folder / COPY, elsewhere / COPY
    PROBLEMS[reason](home, away)
    there = facts(photos.folder) | {f"away {key}": found for key, found in facts(elsewhere).items()}
    report = photos.undo_action()
    assert report.restored == (OTHER,)
    assert [(each.key, each.reason) for each in report.left] == [(COPY, reason.format(away=away))]
    now = facts(photos.folder) | {f"away {key}": found for key, found in facts(elsewhere).items()}
    assert now.pop(OTHER) == there.pop(f"away {OTHER}")
    assert now == there


def test_what_could_not_come_back_comes_back_later(
    photos: Collection, elsewhere: Path, before: dict[str, FileFacts]
) -> None:
    move(photos, elsewhere, COPY)
    draw(photos.folder / COPY, 900)
    photos.undo_action()
    (photos.folder / COPY).unlink()
    assert photos.undo_action().restored == (COPY,)
    assert facts(photos.folder) == before


def test_times_and_permissions_come_back(photos: Collection, elsewhere: Path, before: dict[str, FileFacts]) -> None:
    move(photos, elsewhere, COPY)
    os.utime(elsewhere / COPY)
    (elsewhere / COPY).chmod(0o600)
    photos.undo_action()
    assert facts(photos.folder) == before


def test_a_folder_that_is_gone_is_made_again_and_a_symlink_is_not_followed(
    photos: Collection, elsewhere: Path, before: dict[str, FileFacts], tmp_path: Path
) -> None:
    move(photos, elsewhere, COPY, OTHER)
    shutil.move(photos.folder / "cats", tmp_path / "cats")
    (tmp_path / "outside").mkdir()
    (photos.folder / "cats").symlink_to(tmp_path / "outside")
    report = photos.undo_action()
    assert [(each.key, each.reason) for each in report.left] == [(COPY, "in a folder behind a symlink")]
    assert list((tmp_path / "outside").iterdir()) == []
    (photos.folder / "cats").unlink()
    photos.undo_action()
    assert facts(photos.folder)[COPY] == before[COPY]


def test_other_files_in_the_folder_stay(photos: Collection, elsewhere: Path) -> None:
    move(photos, elsewhere, COPY, OTHER)
    draw(elsewhere / "dogs" / "mine.png", 1)
    photos.undo_action()
    assert set(facts(elsewhere)) == {"dogs/mine.png"}
    assert not (elsewhere / "cats").exists()


# A log that is not as it was written


def test_a_torn_end_is_passed_over(photos: Collection, elsewhere: Path, before: dict[str, FileFacts]) -> None:
    move(photos, elsewhere, COPY)
    with (photos.directory / "actions" / "000001.jsonl").open("ab") as file:
        file.write(b'{"number": 2, "act": {"key": "03.p')
    [run] = photos.action_runs()
    assert (run.done, run.undone) == (1, 0)
    photos.undo_action()
    assert [(run.done, run.undone) for run in photos.action_runs()] == [(0, 1)]
    assert facts(photos.folder) == before


def test_a_log_without_a_whole_line_is_none(photos: Collection) -> None:
    (photos.directory / "actions").mkdir()
    for number, data in enumerate((b"", b'{"format": 1, "ru'), 1):
        (photos.directory / "actions" / f"{number:06}.jsonl").write_bytes(data)
    assert photos.action_runs() == []
    with pytest.raises(UsageError, match="nothing to undo"):
        photos.undo_action()


def test_lines_that_say_nothing_are_passed_over(
    photos: Collection, elsewhere: Path, before: dict[str, FileFacts]
) -> None:
    move(photos, elsewhere, COPY)
    path = photos.directory / "actions" / "000001.jsonl"
    first, *rest = path.read_bytes().splitlines(keepends=True)
    act = json.loads(next(line for line in rest if b'"act"' in line))
    changes: list[dict[str, Any]] = [
        {"key": "../x.png"},
        {"key": "/etc/passwd"},
        {"place": "relative"},
        {"token": "../../x"},
        {"stay": [1]},
        {"mtime_ns": 2**70},
        {"mode": True},
        {"sha256": "x"},
    ]
    lines = [json.dumps(act | {"act": act["act"] | change}).encode() for change in changes]
    lines += [b"[]", b"1", b"\x00" * 50, b"{}", b'{"number": 5, "state": "done"}', b'{"number": [1], "state": "back"}']
    path.write_bytes(first + b"\n".join([*lines, b""]) + b"".join(rest))
    assert photos.undo_action().restored == (COPY,)
    assert facts(photos.folder) == before


def test_what_is_no_log_is_told_by_its_name(photos: Collection, elsewhere: Path) -> None:
    move(photos, elsewhere, COPY)
    (photos.directory / "actions" / "000002.jsonl").write_text('{"format": 9}\n')
    with pytest.raises(CorruptError, match=r"000002\.jsonl"):
        photos.action_runs()
    assert move(photos, elsewhere, OTHER) == 3
    assert photos.undo_action(1).restored == (COPY,)


def test_a_folder_of_logs_behind_a_symlink_is_refused(photos: Collection, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (photos.directory / "actions").symlink_to(tmp_path / "logs")
    mark(photos, COPY)
    plan = photos.plan_action(grouped(photos, ("00.png", COPY)), "move", to=tmp_path / "away")
    with pytest.raises(CorruptError, match="symlink"):
        photos.act_on_copies(plan)
    assert list((tmp_path / "logs").iterdir()) == []


def test_the_log_of_somebody_else_moves_nothing_unless_it_is_trusted(
    photos: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = draw(tmp_path.resolve() / "secret" / "x.png", 700)
    log, _ = action_log.ActionLog.create(photos.directory, action_log.new_token(), "move", secret.parent)
    sha256 = FileFacts.of(secret).sha256.hex()
    log.act(1, action_log.Act("x.png", sha256, 0o644, 0, 0, str(secret), (0, 0), moves.new_token()))
    log.close()
    [run] = photos.action_runs()
    assert not run.is_own
    with pytest.raises(UsageError, match="not done by this user"):
        photos.undo_action()
    move(photos, tmp_path / "away", COPY)  # which would settle a run of its own
    assert secret.exists()
    photos.undo_action(1, trust_log=True)
    assert (photos.folder / "x.png").exists()


# Processes that are killed


def in_a_process_that_dies(photos: Collection, function: Callable[[Collection], object], *, at: int) -> None:
    """Lets a function work in a process of its own, which is killed the n-th time that it waits for a folder."""
    child = os.fork()
    if not child:
        seen, sync_folder = list[Path](), durable.sync_folder

        def die(path: Path) -> None:
            seen.append(path)
            if len(seen) == at:
                os.kill(os.getpid(), signal.SIGKILL)
            sync_folder(path)

        durable.sync_folder = die
        with lookalike.open(photos.folder, encoder=ColourEncoder()) as opened:
            function(opened)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


def test_the_next_action_finds_out_what_became_of_each_file(
    photos: Collection, elsewhere: Path, before: dict[str, FileFacts]
) -> None:
    # It waits for the folder of the marks, two for the log, two new ones, that which the file is in, and the old one.
    in_a_process_that_dies(photos, lambda opened: move(opened, elsewhere, COPY, OTHER), at=7)
    assert facts(elsewhere) == {COPY: before[COPY]}
    assert COPY not in facts(photos.folder)
    assert set(by_key(photos)) == set(before)  # nobody has told the collection
    move(photos, elsewhere, OTHER)
    assert set(by_key(photos)) == set(before) - {COPY, OTHER}
    photos.undo_action(2)
    photos.undo_action(1)
    assert facts(photos.folder) == before
    assert set(by_key(photos)) == set(before)


def test_undoing_that_was_killed_goes_on(photos: Collection, elsewhere: Path, before: dict[str, FileFacts]) -> None:
    move(photos, elsewhere, COPY, OTHER)
    in_a_process_that_dies(photos, lambda opened: opened.undo_action(), at=1)
    assert (photos.folder / OTHER).samefile(elsewhere / OTHER)
    assert photos.undo_action().restored == (COPY,)
    assert facts(photos.folder) == before
    assert not elsewhere.exists()
    assert set(by_key(photos)) == set(before)

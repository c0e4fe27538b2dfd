"""Indexing for a cluster, without one: how sources are divided, and what a worker makes of its part."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike import FileList
from lookalike.cluster.indexing import worker as workers
from lookalike.cluster.indexing.parts import Part, parts_of
from lookalike.cluster.indexing.worker import Job, Worker, remove_begun
from lookalike.errors import UsageError
from tests.support.pictures import ColourEncoder, draw, picture
from tests.support.shards import png, write_tar


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    for shard in range(3):
        write_tar(tmp_path / "lake" / f"{shard}.tar", {f"{n}.png": png(8 * shard + n) for n in range(8)})
    return tmp_path / "lake"


def job(lake: Path) -> Job:
    (lake / "big").mkdir(exist_ok=True)
    return Job(lake / "big", lake, {"encoder": ColourEncoder()}, threads=1)


def parts(lake: Path) -> list[Part]:
    return parts_of(sorted(map(str, lake.glob("*.tar"))), lake / "big")


def test_each_archive_is_a_part_of_the_same_name(lake: Path) -> None:
    found = parts(lake)
    assert [part.source for part in found] == [str(lake / f"{number}.tar") for number in range(3)]
    assert [part.name for part in found] == [part.name for part in parts(lake)]
    assert all(part.name.startswith(f"{number}.tar-") for number, part in enumerate(found))
    assert len({part.name for part in found}) == 3


def test_a_list_is_divided_and_a_longer_one_has_the_same_parts(tmp_path: Path) -> None:
    for number in range(10):
        draw(tmp_path / f"{number:02}.png", number)
    listed, big = tmp_path / "list.txt", tmp_path / "big"
    listed.write_text("".join(f"{number:02}.png\n" for number in range(7)))
    first = parts_of([FileList(listed, tmp_path)], big, files=3)
    assert [_paths(part) for part in first] == [
        ["00.png", "01.png", "02.png"],
        ["03.png", "04.png", "05.png"],
        ["06.png"],
    ]
    listed.write_text("".join(f"{number:02}.png\n" for number in range(10)))
    second = parts_of([FileList(listed, tmp_path)], big, files=3)
    assert [part.name for part in second[:3]] == [part.name for part in first]
    assert _paths(second[3]) == ["09.png"]


def _paths(part: Part) -> list[str]:
    assert isinstance(part.source, FileList)
    return [Path(os.fsdecode(each)).name for each in Path(part.source.path).read_bytes().split(b"\0") if each]


def test_workers_make_what_one_collection_has(lake: Path) -> None:
    worker = Worker(job(lake))
    assert [worker.index(part).added for part in parts(lake)] == [8, 8, 8]
    assert worker.progress(parts(lake)[-1].name) == 8
    assert worker.progress("another") == 0
    assert [worker.index(part).unchanged for part in parts(lake)] == [8, 8, 8]
    with (
        lookalike.create(lake, directory=lake.with_name("alone"), encoder=ColourEncoder()) as alone,
        lookalike.combine(lake / "big", encoder=ColourEncoder()) as whole,
    ):
        alone.add(sorted(lake.glob("*.tar")))
        for seed in range(30):
            ours, theirs = whole.search(picture(seed), k=24), alone.search(picture(seed), k=24)
            assert [match.key for match in ours] == [match.key for match in theirs]
            assert np.allclose([match.score for match in ours], [match.score for match in theirs], atol=1e-3)


def test_a_collection_is_there_when_it_is_finished(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is stopped leaves nothing under the name of its part, and one that is killed nothing for long."""
    first, second = parts(lake)[:2]
    worker = Worker(job(lake))

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "_note", stop)
    with pytest.raises(KeyboardInterrupt):
        worker.index(first)
    assert os.listdir(lake / "big") == []
    (lake / "big" / f"{workers._BEGUN}x").mkdir()
    remove_begun(lake / "big")
    assert os.listdir(lake / "big") == []
    monkeypatch.undo()
    assert worker.index(second).added == 8
    assert os.listdir(lake / "big") == [second.name]


def test_a_worker_that_comes_second_is_not_needed(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part, publish = parts(lake)[0], workers._publish

    def publish_twice(begun: Path, place: Path) -> None:
        monkeypatch.setattr(workers, "_publish", publish)
        assert Worker(job(lake)).index(part).added == 8
        publish(begun, place)

    monkeypatch.setattr(workers, "_publish", publish_twice)
    assert Worker(job(lake)).index(part).added == 8
    assert os.listdir(lake / "big") == [part.name]


def test_an_archive_that_cannot_be_read_is_named(lake: Path) -> None:
    (lake / "bad.tar").write_bytes(b"no archive" * 1000)
    [part] = parts_of([str(lake / "bad.tar")], lake / "big")
    report = Worker(job(lake)).index(part)
    assert [str(skip.path) for skip in report.skipped] == [str(lake / "bad.tar")]


@pytest.mark.parametrize(
    ("name", "message"), [("folder", "no file; name archives"), ("a.png", "no archive"), ("none.tar", "no file")]
)
def test_what_is_no_part_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    draw(tmp_path / "a.png", 0)
    with pytest.raises(UsageError, match=message):
        parts_of([str(tmp_path / name)], tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ray", "local", "a.tar"], "name the directory for the collections with -c"),
        (["--ray", "local", "folder", "-c", "big"], "no file; name archives"),
        (["--ray", "local", "a.png", "-c", "big"], "no archive"),
        (["--ray", "local", "a.tar", "a.tar", "-c", "big"], "named twice"),
        (["--ray", "local", "a.tar", "-c", "big", "--prune"], "--prune: not with --ray"),
    ],
)
def test_what_cannot_be_done_is_said_before_a_cluster_is_asked(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    write_tar(tmp_path / "a.tar", {"a.png": png(0)})
    (tmp_path / "a.png").write_bytes(png(0))
    (tmp_path / "folder").mkdir()
    process = subprocess.run(
        [sys.executable, "-m", "lookalike", "index", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert message in process.stderr

"""Indexing on a Ray cluster of this machine: the same images as one process, whatever is killed meanwhile.

pytest tests/campaigns/ray_indexing.py; `test_ray_indexing.py` does the same in short.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lookalike
from tests.support.pictures import picture
from tests.support.ray_cluster import RayCluster, ray_cluster, wait_until
from tests.support.shards import png, write_parquet, write_tar

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None or find_spec("pyarrow") is None, reason="ray is not installed"),
    pytest.mark.timeout(900),
]
_SEARCH = """
import json, sys
import lookalike
with lookalike.open(sys.argv[1], ray=sys.argv[2]) as collection:
    found = collection.search(sys.argv[3], k=1000)
    print(json.dumps([{match.key: match.score for match in found}, found.missing_shards]))
"""
SHARDS, PER_SHARD = 8, 24  # archives of each kind, and pictures in each


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster() as started:
        yield started


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_lake(tmp_path_factory.mktemp("lake"), SHARDS, PER_SHARD)


def made_lake(here: Path, shards: int, per_shard: int) -> Path:
    """So many archives and so many Parquet files, of so many pictures each, of which some are the same bytes."""
    for shard in range(shards):
        numbers = [per_shard * shard + number for number in range(per_shard)]
        write_tar(here / f"{shard:03}.tar", {f"cat{number % 3}/{number:04}.png": png(number) for number in numbers})
        images = [{"bytes": png(1000 * (number % 5 > 0) + number), "path": None} for number in numbers]
        write_parquet(here / f"{shard:03}.parquet", {"image": images, "n": numbers}, row_group_size=10)
    return here


def shards(lake: Path) -> list[str]:
    return sorted(map(str, lake.iterdir()))


class Run:
    """`lookalike index --ray` in a process of its own; its output goes to files, so that it waits for no reader."""

    def __init__(self, cluster: RayCluster, sources: list[str], big: Path, **environment: str) -> None:
        self._out, self._err = big.with_name("out.json"), big.with_name("err.txt")
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lookalike", "index", "--ray", cluster.address, *sources, "-c", big, "--json"],
                env={**cluster.environment, **environment},
                stdout=out,
                stderr=err,
            )

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def is_over(self) -> bool:
        return self.process.poll() is not None

    def finished(self) -> tuple[int, dict[str, Any], str]:
        """The exit code, the report and the messages, when it is over."""
        code, err = self.process.wait(300), self._err.read_text()
        assert "Traceback" not in err
        return code, json.loads(self._out.read_text() or "{}"), err


def finished(cluster: RayCluster, sources: list[str], big: Path, **environment: str) -> tuple[int, dict[str, Any], str]:
    """What a run has done that nothing happens to."""
    with Run(cluster, sources, big, **environment) as run:
        return run.finished()


@pytest.fixture(scope="module")
def alone(lake: Path) -> dict[str, Any]:
    return made_alone(lake)


def made_alone(lake: Path) -> dict[str, Any]:
    """What one process makes of the same images: answers by key, and the images."""
    with lookalike.create(lake, directory=lake.with_name("alone")) as collection:
        collection.add(shards(lake))
        return facts(collection)


def facts(collection: lookalike.Collection) -> dict[str, Any]:
    """All images by their keys, with labels and attributes, and their scores for some queries."""
    found = [collection.search(picture(seed), k=1000) for seed in (3, 500, 1003, 7777)]
    return {
        "images": {match.key: (match.label, dict(match.attributes)) for match in found[0]},
        "answers": [{match.key: match.score for match in matches} for matches in found],
    }


def check_same(big: Path, alone: dict[str, Any]) -> None:
    with lookalike.open(big) as collection:
        found = facts(collection)
        assert len(collection) == len(alone["images"])
    assert found["images"] == alone["images"]
    for ours, theirs in zip(found["answers"], alone["answers"], strict=True):
        assert ours.keys() == theirs.keys()
        assert np.allclose([ours[key] for key in theirs], [*theirs.values()], atol=1e-3)
    assert [name for name in os.listdir(big) if name.startswith(".begun-")] == []


def test_a_cluster_finds_what_one_process_does(
    cluster: RayCluster, lake: Path, alone: dict[str, Any], tmp_path: Path
) -> None:
    code, report, err = finished(cluster, shards(lake), tmp_path / "big")
    assert (code, report["added"], report["failed"], report["workers"]) == (0, 2 * SHARDS * PER_SHARD, [], 2), err
    check_same(tmp_path / "big", alone)
    code, report, err = finished(cluster, shards(lake), tmp_path / "big")
    assert (code, report["added"], report["unchanged"]) == (0, 0, 2 * SHARDS * PER_SHARD), err
    check_same(tmp_path / "big", alone)
    check_searched_by_machines(cluster, tmp_path / "big", alone)


def test_killed_workers_are_replaced(cluster: RayCluster, lake: Path, alone: dict[str, Any], tmp_path: Path) -> None:
    big = tmp_path / "big"
    with Run(cluster, shards(lake), big) as run:
        for _ in range(2):
            wait_until(lambda: (begun(big) and cluster.kill_workers()) or run.is_over)
        code, report, err = run.finished()
    assert (code, report["failed"]) == (0, []), err
    check_same(big, alone)


def test_a_killed_driver_is_carried_on(cluster: RayCluster, lake: Path, alone: dict[str, Any], tmp_path: Path) -> None:
    big = tmp_path / "big"
    with Run(cluster, shards(lake), big) as run:
        wait_until(lambda: len(there(big)) >= 3 or run.is_over)
    code, report, err = finished(cluster, shards(lake), big)
    assert (code, report["failed"]) == (0, []), err
    assert report["unchanged"] >= 3 * PER_SHARD
    check_same(big, alone)


def test_poisoned_archives_are_named_and_the_others_are_there(cluster: RayCluster, lake: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.tar").write_bytes(b"no archive" * 1000)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1" + bytes(1000))
    big = tmp_path / "big"
    sources = [*shards(lake)[:2], str(tmp_path / "bad.tar"), str(tmp_path / "bad.parquet")]
    code, report, err = finished(cluster, sources, big)
    assert report["added"] == 2 * PER_SHARD, err
    reasons = {each["path"]: each["reason"] for each in report["skipped"]}
    assert reasons[f"{tmp_path}/bad.tar"].startswith(("not a tar archive", "damaged"))
    assert reasons[f"{tmp_path}/bad.parquet"].startswith("cannot be read as Parquet")
    assert code == 0


def test_a_wrong_token_is_refused(cluster: RayCluster, lake: Path, tmp_path: Path) -> None:
    code, report, err = finished(cluster, shards(lake)[:1], tmp_path / "big", RAY_AUTH_TOKEN="w" * 64)
    assert (code, report) == (2, {})
    assert "no Ray cluster that lets us in" in err


def test_a_killed_node_is_done_without(cluster: RayCluster, lake: Path, alone: dict[str, Any], tmp_path: Path) -> None:
    """It is the last one, since the cluster has one node less from then on."""
    big = tmp_path / "big"
    with Run(cluster, shards(lake), big) as run:
        wait_until(lambda: begun(big) or run.is_over)
        cluster.kill_node()
        code, report, err = run.finished()
    assert (code, report["failed"]) == (0, []), err
    check_same(big, alone)


def check_searched_by_machines(cluster: RayCluster, big: Path, alone: dict[str, Any]) -> None:
    """That the machines of a cluster find the same."""
    query = big.with_name("query.png")
    query.write_bytes(png(3))
    searched = subprocess.run(
        [sys.executable, "-c", _SEARCH, str(big), cluster.address, str(query)],
        env=cluster.environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert searched.returncode == 0, searched.stderr
    found, missing = json.loads(searched.stdout)
    expected = alone["answers"][0]
    assert found.keys() == expected.keys()
    assert np.allclose([found[key] for key in expected], [*expected.values()], atol=1e-3)
    assert missing == []


def begun(big: Path) -> list[str]:
    return [name for name in os.listdir(big) if name.startswith(".begun-")] if big.exists() else []


def there(big: Path) -> list[str]:
    return [path.parent.name for path in big.glob("*/collection.json") if not path.parent.name.startswith(".")]

"""Indexes on a Ray cluster of this machine, loses workers and a node, and finds what one process does."""

from pathlib import Path

import pytest

from tests.campaigns.ray_indexing import (
    Run,
    begun,
    check_same,
    check_searched_by_machines,
    finished,
    made_alone,
    made_lake,
    shards,
)
from tests.support.optional_packages import needs
from tests.support.ray_cluster import ray_cluster, wait_until


@pytest.mark.timeout(600)
def test_a_cluster_finds_what_one_process_does_whatever_is_killed(tmp_path: Path) -> None:
    needs("ray", "pyarrow")
    lake = made_lake(tmp_path / "lake", shards=2, per_shard=12)
    alone = made_alone(lake)
    bad = lake / "bad.tar"
    bad.write_bytes(b"no archive" * 1000)
    with ray_cluster() as cluster:
        code, report, err = finished(cluster, shards(lake)[:1], tmp_path / "refused", RAY_AUTH_TOKEN="w" * 64)
        assert (code, report) == (2, {})
        assert "no Ray cluster that lets us in" in err
        big = tmp_path / "big"
        with Run(cluster, shards(lake), big) as run:
            wait_until(lambda: (begun(big) and cluster.kill_workers()) or run.is_over)
            code, report, err = run.finished()
        assert (code, report["failed"]) == (0, []), err
        assert [each["path"] for each in report["skipped"]] == [str(bad)]
        check_same(big, alone)
        check_searched_by_machines(cluster, big, alone)
        with Run(cluster, shards(lake), tmp_path / "other") as run:
            wait_until(lambda: begun(tmp_path / "other") or run.is_over)
            cluster.kill_node()
            code, report, err = run.finished()
        assert (code, report["failed"]) == (0, []), err
        check_same(tmp_path / "other", alone)

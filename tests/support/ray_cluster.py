"""A Ray cluster on this machine: a head without cores and two nodes with one core each, in a process of its own.

The process prints the address; each line that it is given kills a node. It ends when its standard input does.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TOKEN = "t" * 64
_START_S = 180.0


@dataclass(frozen=True)
class RayCluster:
    """A running cluster: its process, its address, and the environment of whoever may use it."""

    process: "subprocess.Popen[str]"
    address: str
    environment: Mapping[str, str]

    def kill_node(self) -> None:
        """Kills one of the two nodes."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "killed\n"

    def kill_workers(self) -> int:
        """Kills the processes that index at the moment, and returns their number."""
        count = 0
        for pid in _descendants(self.process.pid):
            if _command(pid).startswith(b"ray::Worker"):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    count += 1
        return count


@contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """Starts a cluster, and ends it."""
    environment = dict(os.environ) | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else Ray takes another address of this machine for the loopback one
        "PYTHONWARNINGS": "ignore",
    }
    process = subprocess.Popen(
        [sys.executable, __file__],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout
        address = process.stdout.readline().strip()
        assert address, "the cluster does not start"
        yield RayCluster(process, address, environment)
    finally:
        assert process.stdin
        process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        for pid in [*_descendants(process.pid), process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        assert process.stdout
        process.stdout.close()


def wait_until(holds: Callable[[], object], seconds: float = 120) -> None:
    """Waits until something holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, waiting = list[int](), [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _serve() -> None:
    from ray.cluster_utils import Cluster

    here = {"node_ip_address": "127.0.0.1"}
    cluster = Cluster(head_node_args={"num_cpus": 0, "include_dashboard": False, **here})
    nodes = [cluster.add_node(num_cpus=1, **here) for _ in range(2)]
    cluster.wait_for_nodes(timeout=_START_S)
    print(cluster.address, flush=True)
    for _ in sys.stdin:
        cluster.remove_node(nodes.pop(), allow_graceful=False)
        print("killed", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    _serve()

"""A service that runs as a process of its own, as `lookalike serve` starts it."""

import http.client
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.project import environment

_START_S = 120


@dataclass(frozen=True)
class ServiceProcess:
    """A service, and where it listens at 127.0.0.1."""

    process: "subprocess.Popen[bytes]"
    port: int

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    def memory(self, *, peak: bool = False) -> int:
        """Its resident memory in bytes, now or at most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    def cpu_seconds(self) -> float:
        """The CPU time that it has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def status(self, path: str, method: str = "GET", body: bytes | None = None, kind: str = "image/jpeg") -> int:
        """The status of an answer; raises OSError if there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {} if body is None else {"Content-Type": kind})
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()


@contextmanager
def serving(
    *arguments: str | Path, log: Path, program: Sequence[str] = ("-m", "lookalike", "serve", "--port", "0")
) -> Iterator[ServiceProcess]:
    """Runs `lookalike serve` at a free port until the end of the block, ready to answer.

    Args:
        arguments: the folder, and options.
        log: the file for what it says on standard error.
        program: what Python is to run instead; it has to print its address in the same way.
    """
    command = [sys.executable, *program, *map(str, arguments)]
    variables = environment()
    variables.pop("LOOKALIKE_TOKEN", None)
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=variables)
    try:
        assert process.stdout
        found = re.search(rb":(\d+)/", process.stdout.readline())
        assert found, log.read_text()
        service = ServiceProcess(process, int(found[1]))
        _wait_until_ready(service)
        yield service
    finally:
        process.kill()
        process.communicate()


def _wait_until_ready(service: ServiceProcess) -> None:
    until = time.monotonic() + _START_S
    while True:
        with suppress(OSError):
            if service.status("/ready") == 200:
                return
        assert service.is_running
        assert time.monotonic() < until
        time.sleep(0.05)

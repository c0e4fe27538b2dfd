"""Runs the writer in one process, a service in another, and many clients of it."""

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import lookalike
from lookalike.server.serving import serve as run_service
from lookalike.server.settings import Limits, Settings
from tests.campaigns.soak.campaign import POLICIES, prepared
from tests.campaigns.soak.history import History, HistoryWriter
from tests.campaigns.soak.http_reader import HttpReader
from tests.campaigns.soak.reader import Tally
from tests.campaigns.soak.writer import Work, Writer
from tests.support.pictures import ColourEncoder
from tests.support.service_process import ServiceProcess, serving
from tests.support.threads import working

CLIENTS = 64
_PROGRAM = "-m", "tests.campaigns.soak", "serve"
_WARM_S = 10  # after which memory has to stay as it is
_MORE_MEMORY = 64 * 2**20  # bytes that it may grow by all the same
# Clients, judges, writer and service share the cores, so that 64 clients may wait for longer than usual.
_PATIENT = Limits(patience_s=120, deadline_s=600)


@dataclass
class Outcome:
    """What the writer, the service and its clients have done.

    Attributes:
        work: of the writer.
        generations: the number of indexes that were published.
        clients: what the clients have done.
        memory: of the service in bytes: after the first seconds, and at the end.
        said: what the service has said on standard error.
    """

    work: Work
    generations: int
    clients: Tally
    memory: tuple[int, int]
    said: str

    @property
    def wrong(self) -> list[str]:
        """What must not be."""
        wrong = [*self.clients.wrong]
        if self.said:
            wrong.append(f"the service said: {self.said[:2000]}")
        if self.memory[1] - self.memory[0] > _MORE_MEMORY:
            wrong.append(f"the service grew from {self.memory[0] // 2**20} to {self.memory[1] // 2**20} MB")
        return wrong

    def __str__(self) -> str:
        done = ", ".join(f"{name} {count}" for name, count in sorted(self.work.done.items()))
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.clients.kinds.items()))
        return (
            f"{self.work.commits} commits, {self.generations} generations: {done}\n"
            f"{self.clients.searches} answers to searches ({self.clients.during_writes} during a write), recall"
            f" {self.clients.recall:.3f}, {self.clients.gone} for what was gone; {kinds}; {len(self.wrong)} wrong\n"
            f"memory {self.memory[0] / 2**20:.0f} MB after {_WARM_S} s, {self.memory[1] / 2**20:.0f} MB at the end"
        )


def run(root: Path, *, seconds: float, generations: int = 0, clients: int = CLIENTS, seed: int = 0) -> Outcome:
    """Writes and searches for that many seconds, and until that many indexes have been published.

    Raises:
        AssertionError: an answer was wrong, or none, or the contents at the end are.
    """
    folder, path = root / "photos", root / "history"
    folder.mkdir()
    with (
        prepared(wal=False),
        lookalike.create(folder, encoder=ColourEncoder(), policies=POLICIES) as photos,
        closing(HistoryWriter(path)) as written,
        closing(History(path)) as history,
    ):
        writer = Writer(photos, written, seed)
        with serving(folder, log=root / "log", program=_PROGRAM) as service:
            readers = [HttpReader(service.port, history, seed * 1000 + number) for number in range(clients)]
            with working([reader.search_until for reader in readers]):
                memory = _write(writer, readers, service, time.monotonic() + seconds, generations)
            for reader in readers:
                reader.close()
        tally = sum((reader.tally for reader in readers), Tally())
        outcome = Outcome(writer.work, writer.generation, tally, memory, (root / "log").read_text())
        assert not outcome.wrong, "\n\n".join([str(outcome), *outcome.wrong[:5]])
        writer.check_end()
    return outcome


def _write(
    writer: Writer, readers: list[HttpReader], service: ServiceProcess, until: float, generations: int
) -> tuple[int, int]:
    """Writes until then, or until an answer is wrong; returns the service's memory early and at the end."""
    early, early_at = 0, time.monotonic() + _WARM_S
    while time.monotonic() < until or writer.generation < generations:
        writer.write_once()
        if not early and time.monotonic() > early_at:
            early = service.memory()
        if any(reader.tally.wrong for reader in readers):
            break
    last = service.memory()
    return early or last, last


def serve(folder: Path) -> None:
    """Serves a collection, as a process of its own, until it is killed."""
    with lookalike.open(folder, encoder=ColourEncoder(), policies=POLICIES) as photos:
        run_service(
            photos, Settings(port=0, limits=_PATIENT), on_ready=lambda address: print(f"{address}/", flush=True)
        )

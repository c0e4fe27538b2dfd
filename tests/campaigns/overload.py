"""Gives a service ten times what it can take, and then 200 clients that are slow; both must leave it well.

    python -m tests.campaigns.overload --seconds 20

First a few clients find out how many uploads a second the service takes. Then ten times as many are sent: every answer
has to be a match or 503, memory has to stay as it was, and 5 s later everything has to be as before. The slow clients
stop in the head, or send a body or take an answer byte by byte: they have to be cut off within 10 s, while others are
served. The service is a process of its own with its usual settings.
"""

import asyncio
import itertools
import select
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

import lookalike
from lookalike.demo import write_gallery
from tests.campaigns import command_line
from tests.support.http_load import Load, load, request
from tests.support.service_process import ServiceProcess, serving

TIMES = 10  # what the service can take
_FEW, _MANY = 8, 400  # connections: to find out what it can take, and for the overload
_MORE_MEMORY = 48 * 2**20  # bytes that it may grow by
_WELL_S, _CLOSED_S, _SERVED_S = 5.0, 10.0, 2.0
_SLOW = 200
_IMAGE = b"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
_HEADS = (b"", b"GET / HTTP/1.1\r\n", _IMAGE, _IMAGE + b"Content-Length: 5000\r\n\r\n")
_LARGE = "large.png"  # more than the buffers of a connection hold, so that its clients have to take it


@dataclass
class Outcome:
    """What has come of the overload and of the slow clients.

    Attributes:
        taken: the uploads a second that the service takes.
        offered: the requests a second that were sent in the overload.
        answers: how many answers had each status in the overload.
        matched: the uploads a second that had matches meanwhile.
        refused_ms: the median time of a refusal.
        memory: of the service in bytes: before, at most, and after.
        well_s: after so many seconds an upload took no longer than before.
        closed_s: after so many seconds all slow clients were cut off.
        served_s: the longest that others waited meanwhile.
        problems: what must not be.
    """

    taken: float = 0
    offered: float = 0
    answers: Counter[int] = field(default_factory=Counter)
    matched: float = 0
    refused_ms: float = 0
    memory: tuple[int, int, int] = (0, 0, 0)
    well_s: float = 0
    closed_s: float = 0
    served_s: float = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        before, most, after = (size // 2**20 for size in self.memory)
        counts = ", ".join(f"{count} {status}" for status, count in self.answers.most_common())
        return (
            f"takes {self.taken:.0f} uploads a second; offered {self.offered:.0f}: {counts}\n"
            f"{self.matched:.0f} a second had matches meanwhile, a refusal took {self.refused_ms:.0f} ms\n"
            f"memory {before} MB before, {most} MB at most, {after} MB after; well after {self.well_s:.1f} s\n"
            f"{_SLOW} slow clients were cut off after {self.closed_s:.1f} s; others waited {self.served_s:.2f} s"
        )


def run(folder: Path, *, seconds: float) -> Outcome:
    """Overloads a service of images that are drawn into an empty folder for so many seconds."""
    write_gallery(folder / "photos", per_kind=2)
    noise = np.random.default_rng(1).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "photos" / _LARGE)
    with lookalike.create(folder / "photos") as collection:
        collection.add(folder / "photos")
        large = next(image.id for image in collection.images(limit=100) if image.key == _LARGE)
    files = [path.read_bytes() for path in sorted((folder / "photos").rglob("*.jpg"))]
    outcome = Outcome()
    with serving(folder / "photos", log=folder / "log") as service:
        _overload(service, files, seconds, outcome)
        _be_slow(service, large, outcome)
    if said := (folder / "log").read_text():
        outcome.problems.append(f"the service said: {said[:2000]}")
    return outcome


def _overload(service: ServiceProcess, files: Sequence[bytes], seconds: float, outcome: Outcome) -> None:
    uploads = itertools.cycle([request("POST", "/v1/search?k=5", "image/jpeg", file) for file in files])

    def sent(clients: int, seconds: float, per_second: float | None = None) -> Load:
        return asyncio.run(
            load(service.port, uploads.__next__, clients=clients, seconds=seconds, per_second=per_second)
        )

    sent(_FEW, min(seconds, 3))  # warm
    alone = sent(_FEW, min(seconds, 5))
    outcome.taken, before = alone.rate(), service.memory()
    with _highest(service.memory) as most:
        over = sent(_MANY, seconds, per_second=TIMES * outcome.taken)
    begun = time.monotonic()
    outcome.well_s = _seconds_until_well(service, files[0], alone.milliseconds(0.99) / 1e3, begun)
    outcome.offered, outcome.answers, outcome.matched = over.per_second, over.statuses, over.rate()
    outcome.refused_ms = over.milliseconds(0.5, 503)
    outcome.memory = before, most[0], service.memory()
    if others := set(over.statuses) - {200, 503}:
        outcome.problems.append(f"answers {others}")
    if 503 not in over.statuses:
        outcome.problems.append("nothing was refused: it was no overload")
    if outcome.memory[1] - before > _MORE_MEMORY:
        outcome.problems.append(f"memory grew from {before // 2**20} to {most[0] // 2**20} MB")
    if outcome.well_s > _WELL_S:
        outcome.problems.append(f"it was well again only after {outcome.well_s:.1f} s")


def _seconds_until_well(service: ServiceProcess, image: bytes, usual_s: float, begun: float) -> float:
    while time.monotonic() - begun < 60:
        asked = time.monotonic()
        if service.status("/v1/search", "POST", image) == 200 and time.monotonic() - asked <= 2 * usual_s:
            break
        time.sleep(0.05)
    return time.monotonic() - begun


@contextmanager
def _highest(measure: Callable[[], int]) -> Iterator[list[int]]:
    """The highest of the values that are measured ten times a second, as the only element of a list."""
    found, ended = [measure()], threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            found[0] = max(found[0], measure())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        ended.set()
        watcher.join()


def _be_slow(service: ServiceProcess, large: int, outcome: Outcome) -> None:
    """Has clients stop in all stages of a request, while another one asks."""
    answer = f"GET /v1/images/{large}/original HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    kinds = itertools.cycle([*((head, True) for head in _HEADS), (answer, False)])
    begun = time.monotonic()
    slow = [(_connected(service.port, head), sends) for head, sends in itertools.islice(kinds, _SLOW)]
    while slow and time.monotonic() - begun < 30:
        asked = time.monotonic()
        if (status := service.status("/v1/info")) != 200:
            outcome.problems.append(f"others were answered {status} while clients were slow")
        outcome.served_s = max(outcome.served_s, time.monotonic() - asked)
        slow = [(connection, sends) for connection, sends in slow if not _is_closed(connection, sends)]
        time.sleep(0.1)
    outcome.closed_s = time.monotonic() - begun
    for connection, _ in slow:
        connection.close()
    if outcome.closed_s > _CLOSED_S:
        outcome.problems.append(f"slow clients were cut off only after {outcome.closed_s:.1f} s")
    if outcome.served_s > _SERVED_S:
        outcome.problems.append(f"others waited {outcome.served_s:.1f} s while clients were slow")


def _connected(port: int, head: bytes) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    connection.sendall(head)
    connection.setblocking(False)
    return connection


def _is_closed(connection: socket.socket, sends: bool) -> bool:
    """Whether the service has closed a connection, on which a byte is sent or received otherwise."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)  # which is told before what is still to be read
    if poll.poll(0):
        connection.close()
        return True
    with suppress(OSError):
        if sends:
            connection.send(b"x")
        else:
            connection.recv(1)
    return False


def main() -> int:
    """Runs the campaign; the exit code says whether anything is wrong."""
    parser = command_line.parser(sys.modules[__name__])
    parser.add_argument("--seconds", type=float, default=20, help="of the overload; default: 20")
    options = parser.parse_args()
    with command_line.scratch(options) as folder:
        outcome = run(folder, seconds=options.seconds)
    return command_line.tell(outcome, dict(enumerate(outcome.problems)))


if __name__ == "__main__":
    sys.exit(main())

"""Damages small images of every format and decodes them: each has to give an image or an ImageError, without output.

    python -m tests.campaigns.fuzz_images --count 100000 --seed 1

Worker processes decode the images. If one dies, or takes more than ten seconds for an image, the image is written to a
file, and another worker continues. An image is a function of the seed and of its number.
"""

import argparse
import multiprocessing
import os
import random
import resource
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.errors import ImageError
from lookalike.images import decode
from lookalike.images.decode import Preprocessing
from lookalike.images.formats import open_image
from lookalike.images.limits import draft_of
from lookalike.images.rendering import Rendered, View, render
from tests.support.image_samples import samples

START_SECONDS = 60  # to import everything, on a busy machine
MEMORY = 6 * 2**30  # bytes of address space of a worker


def flip(rng: random.Random, data: bytearray) -> None:
    """Flips bits."""
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def cut(rng: random.Random, data: bytearray) -> None:
    """Cuts off the end."""
    del data[rng.randrange(len(data)) :]


def drop(rng: random.Random, data: bytearray) -> None:
    """Removes bytes."""
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 2, 4, 30))]


def insert(rng: random.Random, data: bytearray) -> None:
    """Inserts random bytes, or repeats some."""
    at = rng.randrange(len(data))
    data[at:at] = rng.choice((rng.randbytes(rng.choice((1, 2, 4, 30))), data[at : at + 200]))


def splice(rng: random.Random, data: bytearray) -> None:
    """Continues as another image."""
    other = rng.choice(rng.choice(list(samples().values())))
    data[rng.randrange(len(data)) :] = other[rng.randrange(len(other)) :]


def number(rng: random.Random, data: bytearray) -> None:
    """Writes an extreme number at a random offset, where a size or length may be, more often near the beginning."""
    at = rng.randrange(min(len(data), rng.choice((32, 128, len(data)))))
    width = rng.choice((1, 2, 4))
    value = rng.choice((0, 1, 3, 127, 128, 255, 256, 5000, 32767, 65535, 2**31 - 1, 2**32 - 1, len(data)))
    data[at : at + width] = (value % 256**width).to_bytes(width, rng.choice(("big", "little")))


Damage = Callable[[random.Random, bytearray], None]
DAMAGES: tuple[Damage, ...] = (flip, cut, drop, insert, splice, number, number)


def mutant(seed: int, index: int) -> bytes:
    """Returns the damaged image of this number."""
    rng = random.Random(f"{seed}-{index}")
    data = bytearray(rng.choice(rng.choice(list(samples().values()))))
    for _ in range(rng.choice((1, 1, 2, 4))):
        rng.choice(DAMAGES)(rng, data)
        data = data or bytearray(1)
    return with_checksums(data) if data[:4] == b"\x89PNG" and rng.random() < 0.8 else bytes(data)


def with_checksums(data: bytearray) -> bytes:
    """Corrects the checksums of a damaged PNG, so that the damage is decoded."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 <= len(data):
            data[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return bytes(data)


def trial(data: bytes) -> str:
    """Decodes an image; returns what is wrong with the result, or ""."""
    try:
        image = decode.decode(data, Preprocessing(size=32))
    except ImageError as error:
        return error.reason if error.reason.startswith("not enough memory") else ""
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    valid = image.pixels.shape == (32, 32, 3) and min(image.width, image.height) > 0
    return "" if valid else f"a strange {image}"


def render_here(data: bytes, view: View, max_pixels: int) -> Rendered:
    """Replaces the process of its own that would decode an image, which would hide that the image ends it."""
    return render(draft_of(open_image(data), view.covers, data, max_pixels), view)


@dataclass(frozen=True)
class Campaign:
    """Which images are decoded, and how.

    Attributes:
        seed: of the damaged images.
        check: decodes the bytes of an image and returns what is wrong, or "".
        seconds: the time limit for an image.
    """

    seed: int
    check: Callable[[bytes], str] = trial
    seconds: float = 10


def work(campaign: Campaign, indices: range, current: Any, pipe: Any, folder: str) -> None:
    """Runs in a worker process: publishes the number of each image, decodes it, and reports what is wrong."""
    warnings.simplefilter("error")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    stderr = os.open(f"{folder}/{indices.start}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(stderr, 2)  # libraries in C write there directly
    vars(decode)["render_apart"] = render_here
    samples()  # takes a while, and is cached before the time limit applies
    written = 0
    for index in indices:
        current.value = index
        problem = campaign.check(mutant(campaign.seed, index))
        if (size := os.fstat(2).st_size) > written:
            problem, written = f"{problem} {size - written} bytes on standard error", size
        if problem:
            pipe.send((index, problem))


class Worker:
    """A worker process and its supervision."""

    def __init__(self, campaign: Campaign, indices: range, folder: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other_end = context.Pipe(duplex=False)
        self._current = context.Value("q", -1, lock=False)
        self._seen = (-1, time.monotonic())
        arguments = (campaign, indices, self._current, other_end, folder)
        self._process = context.Process(target=work, args=arguments, daemon=True)
        self._process.start()
        other_end.close()
        self._campaign = campaign
        self._indices = indices
        self.rest = range(0)  # the images that are left for another worker
        self.problems: dict[int, str] = {}

    def watch(self) -> bool:
        """Receives its reports, and kills it if it hangs. Returns whether it is still running."""
        alive = self._process.is_alive()
        hangs = alive and self._hangs()
        if hangs:
            self._process.kill()
            self._process.join()
        while self._pipe.poll():
            try:
                index, problem = self._pipe.recv()
            except EOFError:
                break
            self.problems[index] = problem
        if hangs:
            self._give_up(f"took more than {self._campaign.seconds} seconds")
        elif not alive and self._process.exitcode:
            self._give_up(f"process died with exit code {self._process.exitcode}")
        return alive and not hangs

    def _hangs(self) -> bool:
        if self._current.value != self._seen[0]:
            self._seen = (self._current.value, time.monotonic())
        limit = START_SECONDS if self._seen[0] == -1 else self._campaign.seconds
        return time.monotonic() - self._seen[1] > limit

    def _give_up(self, problem: str) -> None:
        index = self._current.value
        if index == -1:
            raise RuntimeError(f"a worker does not start: {problem}")
        self.problems[index] = problem
        self.rest = range(index + self._indices.step, self._indices.stop, self._indices.step)


def run(campaign: Campaign, count: int, *, processes: int = 2) -> dict[int, str]:
    """Decodes `count` damaged images; returns the numbers of those that went wrong, with the problem."""
    problems: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        workers = [Worker(campaign, range(first, count, processes), folder) for first in range(processes)]
        while workers:
            time.sleep(0.05)
            for worker in [worker for worker in workers if not worker.watch()]:
                workers.remove(worker)
                problems.update(worker.problems)
                if worker.rest:
                    workers.append(Worker(campaign, worker.rest, folder))
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description="Decode damaged images.")
    parser.add_argument("--count", type=int, default=100_000, help="number of images (default: 100000)")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: one for each core")
    parser.add_argument(
        "--keep", type=Path, default=Path(tempfile.gettempdir()), help="folder for the images that go wrong"
    )
    options = parser.parse_args()
    started = time.monotonic()
    problems = run(Campaign(options.seed), options.count, processes=options.processes)
    for index, problem in sorted(problems.items()):
        path = options.keep / f"fuzz-{options.seed}-{index}"
        path.write_bytes(mutant(options.seed, index))
        print(f"{path}: {problem}")
    print(f"{options.count} images, {len(problems)} problems, {time.monotonic() - started:.0f} s")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())

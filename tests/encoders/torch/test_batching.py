"""Batches gathered from several threads: each thread gets its own embeddings, whatever happens to the others."""

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lookalike.encoders.torch.batching import Batcher, Embeddings, Finish, Pixels


class Sums:
    """A slow device that sums pixels, and records the sizes of its batches."""

    def __init__(self, *, memory: int = 1000, seconds: float = 0.0, late: bool = False) -> None:
        self.memory, self.seconds, self.late = memory, seconds, late
        self.batches: list[int] = []
        self.in_flight = self.most_in_flight = 0

    def start(self, groups: Sequence[Pixels]) -> Finish:
        pixels = np.concatenate(groups)
        self.batches.append(len(pixels))
        if len(pixels) > self.memory and not self.late:
            raise MemoryError
        self.in_flight += 1
        self.most_in_flight = max(self.in_flight, self.most_in_flight)

        def finish() -> Embeddings:
            time.sleep(self.seconds)
            self.in_flight -= 1
            if len(pixels) > self.memory:
                raise MemoryError
            if (pixels == 13).any():
                raise RuntimeError("it fails")
            return sums(pixels)

        return finish


def sums(pixels: Pixels) -> Embeddings:
    return np.asarray(pixels.sum(axis=(1, 2)), np.float32)


def images(*numbers: int) -> Pixels:
    """Images of one pixel each, grey of that brightness."""
    return np.array(numbers, np.uint8)[:, None, None, None].repeat(3, axis=3)


def ask_all(batcher: Batcher, groups: Sequence[Pixels]) -> None:
    """Encodes each group in a thread of its own, and checks its embeddings."""
    with ThreadPoolExecutor(len(groups)) as pool:
        for group, given in zip(groups, pool.map(batcher.encode, groups), strict=True):
            np.testing.assert_array_equal(given, sums(group))


GROUPS = [images(*range(first, first + 5)) for first in range(20, 100, 5)]


def test_each_thread_gets_the_embeddings_of_its_images_in_order() -> None:
    device = Sums(seconds=0.002)
    for _ in range(5):
        ask_all(Batcher(device.start, limit=32), GROUPS)
    assert max(device.batches) <= 32


def test_waiting_images_are_computed_together() -> None:
    device = Sums(seconds=0.02)
    ask_all(Batcher(device.start, limit=1000), GROUPS)
    assert len(device.batches) < len(GROUPS) / 2


def test_exactly_one_batch_is_prepared_while_another_is_computed() -> None:
    device = Sums(seconds=0.005)
    ask_all(Batcher(device.start, limit=10), GROUPS)
    assert device.most_in_flight == 2


def test_more_images_than_the_limit_are_computed_in_several_batches() -> None:
    device = Sums()
    ask_all(Batcher(device.start, limit=4), [images(*range(1, 12))])
    assert device.batches == [4, 4, 3]


@pytest.mark.parametrize("late", [False, True])
def test_a_batch_that_does_not_fit_is_halved_and_the_limit_is_kept(late: bool) -> None:
    """The lack of memory shows when the batch is started, or (`late`) when it is finished."""
    device = Sums(memory=5, seconds=0.002, late=late)
    batcher = Batcher(device.start, limit=64)
    ask_all(batcher, [*GROUPS, images(*range(40, 90))])
    assert batcher.limit <= 5
    device.batches.clear()
    ask_all(batcher, GROUPS)
    assert max(device.batches) <= 5


def test_a_device_without_memory_for_one_image_raises_memory_error() -> None:
    batcher = Batcher(Sums(memory=0).start, limit=8)
    with pytest.raises(MemoryError):
        batcher.encode(images(1, 2, 3))


def test_an_error_reaches_its_own_callers_and_the_next_are_served() -> None:
    batcher = Batcher(Sums().start, limit=8)
    with pytest.raises(RuntimeError, match="it fails"):
        batcher.encode(images(12, 13))
    ask_all(batcher, GROUPS)


def test_the_thread_ends_when_the_batcher_is_collected() -> None:
    before = set(threading.enumerate())
    batcher = Batcher(Sums().start, limit=8)
    [thread] = set(threading.enumerate()) - before
    del batcher
    gc.collect()
    assert not thread.is_alive()


@pytest.mark.parametrize("ending", ["", "raise SystemExit(0)"])
def test_a_program_can_end_while_a_batcher_exists(ending: str) -> None:
    program = f"""
import numpy as np
from lookalike.encoders.torch.batching import Batcher
batcher = Batcher(lambda groups: lambda: np.zeros((1, 2), np.float32), limit=4)
print(batcher.encode(np.zeros((1, 2, 2, 3), np.uint8)).shape)
{ending}
"""
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert (child.stdout, child.stderr, child.returncode) == ("(1, 2)\n", "", 0)


def test_no_request_is_lost_while_a_batch_fails() -> None:
    """Either of the two batches in flight may fail, when it is started or when it is finished."""
    for late in (False, True):
        device = Sums(memory=12, seconds=0.001, late=late)
        batcher = Batcher(device.start, limit=64)
        with ThreadPoolExecutor(3) as pool:
            for done in [pool.submit(ask_all, batcher, GROUPS) for _ in range(3)]:
                done.result(timeout=20)
        assert device.in_flight == 0

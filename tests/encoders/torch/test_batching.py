"""Batches out of what several threads ask: each gets its own, in order, whatever becomes of the others."""

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
    """A processor that sums up pixels, slowly, and remembers how many pictures it was given at once."""

    def __init__(self, *, memory: int = 1000, seconds: float = 0.0, late: bool = False) -> None:
        self.memory, self.seconds, self.late = memory, seconds, late
        self.batches: list[int] = []
        self.under_way = self.most_under_way = 0

    def start(self, groups: Sequence[Pixels]) -> Finish:
        pixels = np.concatenate(groups)
        self.batches.append(len(pixels))
        if len(pixels) > self.memory and not self.late:
            raise MemoryError
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)

        def finish() -> Embeddings:
            time.sleep(self.seconds)
            self.under_way -= 1
            if len(pixels) > self.memory:
                raise MemoryError
            if (pixels == 13).any():
                raise RuntimeError("it fails")
            return sums(pixels)

        return finish


def sums(pixels: Pixels) -> Embeddings:
    return np.asarray(pixels.sum(axis=(1, 2)), np.float32)


def pictures(*numbers: int) -> Pixels:
    return np.array(numbers, np.uint8)[:, None, None, None].repeat(3, axis=3)


def ask_all(batcher: Batcher, groups: Sequence[Pixels]) -> None:
    """Asks from one thread for each group, and compares what each gets."""
    with ThreadPoolExecutor(len(groups)) as pool:
        for group, given in zip(groups, pool.map(batcher.encode, groups), strict=True):
            np.testing.assert_array_equal(given, sums(group))


GROUPS = [pictures(*range(first, first + 5)) for first in range(20, 100, 5)]


def test_each_thread_gets_the_embeddings_of_its_own_pictures_in_order() -> None:
    processor = Sums(seconds=0.002)
    for _ in range(5):
        ask_all(Batcher(processor.start, limit=32), GROUPS)
    assert max(processor.batches) <= 32


def test_what_waits_is_computed_together() -> None:
    processor = Sums(seconds=0.02)
    ask_all(Batcher(processor.start, limit=1000), GROUPS)
    assert len(processor.batches) < len(GROUPS) / 2


def test_one_batch_is_made_ready_while_another_is_computed_and_no_more_than_that() -> None:
    processor = Sums(seconds=0.005)
    ask_all(Batcher(processor.start, limit=10), GROUPS)
    assert processor.most_under_way == 2


def test_more_pictures_than_a_batch_may_have_are_computed_in_several() -> None:
    processor = Sums()
    ask_all(Batcher(processor.start, limit=4), [pictures(*range(1, 12))])
    assert processor.batches == [4, 4, 3]


@pytest.mark.parametrize("late", [False, True])
def test_a_batch_that_does_not_fit_is_halved_and_the_limit_is_remembered(late: bool) -> None:
    processor = Sums(memory=5, seconds=0.002, late=late)
    batcher = Batcher(processor.start, limit=64)
    ask_all(batcher, [*GROUPS, pictures(*range(40, 90))])
    assert batcher.limit <= 5
    processor.batches.clear()
    ask_all(batcher, GROUPS)
    assert max(processor.batches) <= 5


def test_a_processor_without_memory_for_one_picture_says_so() -> None:
    batcher = Batcher(Sums(memory=0).start, limit=8)
    with pytest.raises(MemoryError):
        batcher.encode(pictures(1, 2, 3))


def test_an_error_reaches_those_whose_pictures_it_struck_and_the_next_are_computed() -> None:
    batcher = Batcher(Sums().start, limit=8)
    with pytest.raises(RuntimeError, match="it fails"):
        batcher.encode(pictures(12, 13))
    ask_all(batcher, GROUPS)


def test_the_thread_ends_when_nobody_uses_the_batcher_any_more() -> None:
    before = set(threading.enumerate())
    batcher = Batcher(Sums().start, limit=8)
    [thread] = set(threading.enumerate()) - before
    del batcher
    gc.collect()
    assert not thread.is_alive()


@pytest.mark.parametrize("ending", ["", "raise SystemExit(0)"])
def test_a_program_ends_although_a_batcher_is_still_there(ending: str) -> None:
    program = f"""
import numpy as np
from lookalike.encoders.torch.batching import Batcher
batcher = Batcher(lambda groups: lambda: np.zeros((1, 2), np.float32), limit=4)
print(batcher.encode(np.zeros((1, 2, 2, 3), np.uint8)).shape)
{ending}
"""
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert (child.stdout, child.stderr, child.returncode) == ("(1, 2)\n", "", 0)


def test_what_is_asked_for_while_a_batch_fails_is_not_lost() -> None:
    """Whichever of two batches under way fails, and when."""
    for late in (False, True):
        processor = Sums(memory=12, seconds=0.001, late=late)
        batcher = Batcher(processor.start, limit=64)
        with ThreadPoolExecutor(3) as pool:
            for done in [pool.submit(ask_all, batcher, GROUPS) for _ in range(3)]:
                done.result(timeout=20)
        assert processor.under_way == 0

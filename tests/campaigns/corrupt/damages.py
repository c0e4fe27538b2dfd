"""The ways in which a file is damaged."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.campaigns.corrupt.originals import CARD, CATALOG, IDENTITY, INDEX, VECTORS, Original

WEIGHTS = {INDEX: 7, CARD: 2, VECTORS: 7, CATALOG: 4, IDENTITY: 1}  # how often a file of each kind is damaged

Damage = Callable[[random.Random, bytes, bytes], bytes | None]


def flip(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Flips bits, more often near the beginning."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        damaged[rng.randrange(min(len(data), rng.choice((32, 128, len(data), len(data)))))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def cut(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Cuts off the end."""
    return data[: rng.choice((0, rng.randrange(len(data)), len(data) - 1, rng.randrange(min(len(data), 200))))]


def append(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Appends random bytes or zeros."""
    return data + rng.choice((rng.randbytes, bytes))(rng.choice((1, 7, 50, 5000)))


def zero(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Overwrites a block with zeros."""
    return _overwritten(rng, data, bytes)


def garble(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Overwrites a block with random bytes."""
    return _overwritten(rng, data, rng.randbytes)


def _overwritten(rng: random.Random, data: bytes, block: Callable[[int], bytes]) -> bytes:
    start, size = rng.randrange(len(data)), rng.choice((1, 4, 50, 512, 4096))
    return data[:start] + block(len(data[start : start + size])) + data[start + size :]


def mix(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Overwrites a block with the one at the same offset of the other collection's file, as a stray write would."""
    start, size = rng.randrange(len(data)), rng.choice((50, 512, 4096))
    return (data[:start] + other[start : start + size] + data[start + size :])[: len(data)]


def swap(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Puts the other collection's file there."""
    return other


def delete(rng: random.Random, data: bytes, other: bytes) -> None:
    """Deletes the file."""


DAMAGES: tuple[Damage, ...] = (flip, flip, flip, flip, cut, cut, append, zero, garble, mix, swap, delete)


@dataclass(frozen=True)
class Case:
    """One damaged file.

    Attributes:
        number: of the case.
        original: the collection that it belongs to.
        kind: of the file.
        damage: the name of the function that damaged it.
        data: what the file holds then; None if it is deleted.
    """

    number: int
    original: Original
    kind: str
    damage: str
    data: bytes | None

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.original.names[self.kind]

    @property
    def is_harmless(self) -> bool:
        """Whether only bytes behind the committed vectors were added, which do not count: a crash leaves such bytes."""
        return self.kind == VECTORS and self.data is not None and self.data.startswith(self.original.files[self.name])


def case(seed: int, number: int, pairs: Sequence[tuple[Original, Original]], only: str) -> Case:
    """The damaged file of this number, of any kind or `only` one kind."""
    rng = random.Random(f"{seed}-{number}")
    original, other = rng.choice(pairs)
    kind = only or rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    data = original.files[original.names[kind]]
    while True:
        damage = rng.choice(DAMAGES)
        damaged = damage(rng, data, other.files[other.names[kind]])
        if damaged != data:  # zeros may have been there before
            return Case(number, original, kind, damage.__name__, damaged)

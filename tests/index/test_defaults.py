"""Which indexes are the default, by the number and dimension of the vectors."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from lookalike.index import defaults
from lookalike.index.faiss_index import Index
from lookalike.index.policies import TuningPolicy
from lookalike.system import durable
from tests.support.vector_collections import clustered

DIMS = [1, 2, 3, 25, 64, 383, 512, 768, 1279, 1280, 2048, 4097]
SIZES = [1, 39, 100, 5_000, 50_000, 180_000, 10**6, 10**7, 10**8]
POLICY = TuningPolicy()


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("rows", SIZES)
def test_the_default_indexes_are_possible_and_ascend_in_size(dim: int, rows: int) -> None:
    specs, small = defaults.specs(dim, rows), defaults.small_specs(dim, rows)
    assert len(specs) == 3
    assert small[1:] == specs
    assert all(spec.dim == dim and spec.kind == "ivf" for spec in small)
    assert all(1 <= spec.lists <= max(rows / 39 * 2**0.5, 1) for spec in small)  # enough vectors to train each list
    if not POLICY.searches_exactly(dim, rows):
        for spec in small:
            spec.check(rows)
        sizes = [spec.bytes(rows) for spec in small]
        assert dim < 16 or all(first < second for first, second in itertools.pairwise(sizes))


@pytest.mark.parametrize(
    ("dim", "rows", "factories"),
    [
        (1280, 180_000, tuple(f"IVF1024(HNSW32,SQfp16),{code}" for code in ("PQ320x4fs", "PQ640x4fs", "SQ8"))),
        (1280, 10**6, tuple(f"IVF4096(HNSW32,SQfp16),{code}" for code in ("PQ320x4fs", "PQ640x4fs", "SQ8"))),
        (
            383,
            10**6,
            (*[f"Pad384,IVF4096(HNSW32,SQfp16),PQ{codes}x4fs" for codes in (96, 192)], "IVF4096(HNSW32,SQfp16),SQ8"),
        ),
        (25, 100, ("Pad28,IVF2,PQ7x4fs", "Pad26,IVF2,PQ13x4fs", "IVF2,SQ8")),
    ],
)
def test_the_default_indexes_are_these(dim: int, rows: int, factories: tuple[str, ...]) -> None:
    assert tuple(spec.factory for spec in defaults.specs(dim, rows)) == factories


def test_at_180_000_images_the_default_takes_a_bit_per_dim_and_64_bytes() -> None:
    coarse, fine, finest = (spec.bytes(180_000) / 180_000 for spec in defaults.specs(1280, 180_000))
    assert coarse <= 1280 / 8 + 64
    assert 1280 / 4 < fine <= 1280 / 4 + 80
    assert 1280 < finest <= 1280 + 64
    assert defaults.small_specs(1280, 180_000)[0].bytes(180_000) / 180_000 <= 1280 / 16 + 64


@pytest.mark.parametrize("dim", [24, 25, 64, 130])
def test_the_sizes_of_the_defaults_are_those_of_their_files(dim: int, tmp_path: Path) -> None:
    rows = 3000
    units = clustered(rows, dim, seed=1).astype(np.float16).astype(np.float32)
    for spec in defaults.small_specs(dim, rows):
        index = Index.trained(spec, units)
        index.add(units)
        written = durable.write(tmp_path / "i.faiss", index.write)
        assert spec.bytes(rows) == pytest.approx(written.size, rel=0.1)


@pytest.mark.parametrize(("dim", "least"), [(1280, 50_000), (640, 100_000), (25, 2_560_000), (64_000_000, 1)])
def test_few_vectors_are_searched_exactly(dim: int, least: int) -> None:
    assert POLICY.searches_exactly(dim, least - 1)
    assert not POLICY.searches_exactly(dim, least)
    assert POLICY.searches_exactly(dim, 0)

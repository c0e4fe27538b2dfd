"""Training an index: what is refused, what is copied from another index, warnings, and GPUs."""

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
import pytest

from lookalike.errors import DeviceWarning, UsageError
from lookalike.index.faiss_index import Index
from lookalike.index.spec import IndexSpec, quantizer_of
from lookalike.storage.rows import RowSet
from tests.support.built_indexes import EXHAUSTIVE, ROWS, assert_best, built, case, heaped, search, trained


def test_an_error_of_faiss_in_training_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise RuntimeError("Error in faiss at VectorTransform.cpp:1: it cannot be learned")

    monkeypatch.setattr(faiss.IndexPreTransform, "train", refused)
    with pytest.raises(UsageError, match=r"^PCA16,Flat: FAISS refuses it: it cannot be learned$"):
        trained("PCA16,Flat", case(32).stored.astype(np.float32))


def test_a_rotation_for_codes_that_do_not_divide_the_dim_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^OPQ7,Flat: FAISS refuses it: .*multiple of the number of subquantizers"):
        trained("OPQ7,Flat", case(32).stored.astype(np.float32))


def test_an_interrupted_training_raises_keyboard_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise RuntimeError("Error in faiss at Clustering.cpp:1: computation interrupted")

    monkeypatch.setattr(faiss.IndexIVFFlat, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained("IVF8,Flat", case(32).stored.astype(np.float32))


def test_training_transforms_and_codes_on_few_vectors_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    for factory in ("OPQ8,IVF4,PQ8x4fs", "OPQ8,OPQ4,Flat", "IVF8,PQ8", "PCA16,IVF8,SQ8"):
        trained(factory, case(32).stored[:300].astype(np.float32))
    assert capfd.readouterr() == ("", "")


def test_training_lists_on_few_vectors_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    for factory in ("IVF8,PQ8", "IVF8,PQ8x4fs", "IVF64,SQ8"):
        trained(factory, case(32).stored[:300].astype(np.float32))
    assert capfd.readouterr() == ("", "")


def test_the_centroids_of_an_index_with_the_same_lists_are_copied() -> None:
    data = case(32).stored.astype(np.float32)
    coarse = built("IVF8,PQ8x4fs", 32)
    fine = trained("IVF8,PQ16x4fs", data, like=coarse)
    other = trained("IVF4,PQ16x4fs", data, like=coarse)
    centroids = [index._inner.quantizer.reconstruct_n(0, index.spec.lists) for index in (coarse, fine, other)]
    np.testing.assert_array_equal(centroids[0], centroids[1])
    assert centroids[2].shape == (4, 32)
    fine.add(data)
    assert_best(*search(fine, EXHAUSTIVE, RowSet(ROWS)), 32)


# GPUs


def on_gpus(monkeypatch: pytest.MonkeyPatch, move: Callable[[Any], Any]) -> None:
    """Makes FAISS behave as with a GPU, to which `move` moves an index."""
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", move)


@pytest.mark.parametrize("factory", ["IVF8,PQ4x4fs", "IVF8(HNSW8,SQfp16),PQ4x4fs", "PCA8,IVF8,SQ8"])
def test_a_gpu_trains_the_same_lists_as_the_cpu(factory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, spec = heaped(400, 16, 1), IndexSpec(factory, 16)
    moved = []

    def moving(index: Any) -> Any:
        moved.append(index)
        return index

    on_cpu = Index.trained(spec, vectors)
    on_gpus(monkeypatch, moving)
    on_gpu = Index.trained(spec, vectors)
    assert len(moved) == 1
    expected, found = (quantizer_of(index._inner).reconstruct_n(0, 8) for index in (on_cpu, on_gpu))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_if_a_gpu_fails_there_is_one_warning_and_the_cpu_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(index: Any) -> Any:
        raise RuntimeError("Error in gpu::StandardGpuResources\nout of memory")

    on_gpus(monkeypatch, failing)
    with pytest.warns(DeviceWarning, match="trains on the CPU.*out of memory") as warned:
        index = Index.trained(IndexSpec("IVF8,PQ4x4fs", 16), heaped(400, 16, 1))
    assert len(warned) == 1
    assert quantizer_of(index._inner).ntotal == 8

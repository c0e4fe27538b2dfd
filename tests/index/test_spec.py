"""Factory strings: which are refused and why, and the memory and training that an index takes."""

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.index.spec import IndexSpec
from tests.support.built_indexes import FACTORIES, ROWS, both, case, serialized, trained


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("PQ8", "cannot exclude deleted vectors; put IVF"),
        ("PQ8x4", "cannot exclude deleted vectors; put IVF"),
        ("PQ8x4fs", "cannot exclude deleted vectors; put IVF"),
        ("PCA16,PQ8x4fs", "cannot exclude deleted vectors; put IVF"),
        ("RaBitQfs", "an index of this kind cannot exclude deleted vectors"),
        ("RQ4x8", "cannot exclude deleted vectors"),
        ("IVF8,RQ4x8", "cannot exclude deleted vectors"),
        ("LSH", "METRIC_L2"),
        ("NSG32,Flat", "NSG cannot exclude deleted vectors; HNSW can"),
        ("HNSW16,PQ8", "not for inner products"),
        ("IDMap,Flat", "leave IDMap out"),
        ("IDMap2,Flat", "leave IDMap2 out"),
        ("IDMap2,IVF8,Flat", "leave IDMap2 out"),
        ("IVF8,PQ8,RFlat", "leave out RFlat"),
        ("IVF8,PQ8x4fs,Refine(SQfp16)", "leave out the part after the last comma"),
        ("IMI2x4,SQ8", "inner prod"),
        ("IVF8_NSG16,Flat", "its coarse quantizer is not supported"),
        ("IVF8(IVF2,Flat),Flat", "its coarse quantizer is not supported"),
        ("IVF8,PQ7", "multiple of the number of subquantizers"),
        ("IVF8,PQ7x4fs", "multiple of the number of subquantizers"),
        ("IVF0,Flat", "0 lists; give from 1 to 4,194,304"),
        ("IVF99999999,Flat", "99999999 lists"),
        ("IVF5M,Flat", "5M lists"),
        ("HNSW0", "0 links per vector; give from 2 to 512"),
        ("HNSW1,SQ8", "1 links"),
        ("IVF8_HNSW1,SQ8", "1 links"),
        ("HNSW100000", "100000 links"),
        ("IVF8,PQ8x0", "0 bits per code; give from 1 to 16"),
        ("IVF8,PQ8x24", "24 bits"),
        ("SQ0", "its codes have no bits"),
        ("ITQ,SQ8", "ITQ is for codes of one bit"),
        ("PCA16,ITQ,SQ8", "ITQ is for codes of one bit"),
        ("PCA0,Flat", "0 dimensions; give from 1 to 64"),
        ("RR65,Flat", "65 dimensions"),
        ("Pad100000,Flat", "100000 dimensions"),
        ("OPQ8_320000,IVF8,PQ8", "320000 dimensions"),
        ("IVF8,RQ4x30", "30 bits per code"),
        ("OPQ99999999,IVF8,PQ8", "99999999 as a number; give from 0 to 4,194,304"),
        ("IVF8,PQ1" + "0" * 100, "as a number"),
        ("IVF8(IVF4(IVF2(Flat),Flat),Flat),Flat", "3 parentheses within each other; give at most 2"),
        ("IVF8(,Flat", "unbalanced parentheses"),
        ("IVF8", "could not parse"),
        ("IVF8,", "could not parse"),
        ("IVF8,Flat,Flat", "could not parse"),
        ("SQ7", "could not parse"),
        ("nonsense", "could not parse"),
        ("x" * 200, "could not parse"),
    ],
    ids=lambda value: value[:30],
)
def test_an_unusable_factory_string_is_refused_with_the_reason(factory: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as refusal:
        IndexSpec(factory, 32)
    assert str(refusal.value).startswith(f"{factory}: ")
    assert ".cpp" not in str(refusal.value)  # FAISS's messages name the lines of its sources


@pytest.mark.parametrize("factory", ["", " Flat", "Flat\x00", "Flat\n", "Flat;", "IVF\u0664,Flat", "Flat\x1b[31m"])
def test_what_cannot_be_a_factory_string_never_reaches_faiss(factory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faiss.index_factory", lambda *_: pytest.fail("it did"))
    with pytest.raises(
        UsageError, match=r"^spec='.*': give a FAISS index factory string, such as IVF4096,PQ320x4fs$"
    ) as e:
        IndexSpec(factory, 32)
    assert str(e.value).isprintable()


@pytest.mark.parametrize("part", ["IVF8,", "(", "PCA16,", "IVF8(", "x", "1", "IVF8(IVF8,"])
def test_a_long_factory_string_never_reaches_faiss(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAISS would use up the stack."""
    monkeypatch.setattr("faiss.index_factory", lambda *_: pytest.fail("it did"))
    factory = part * (20_000 // len(part)) + "Flat"
    with pytest.raises(UsageError, match=rf"^spec='.*'?\.\.\.: {len(factory):,} characters; give at most 200$"):
        IndexSpec(factory, 32)


@pytest.mark.parametrize(
    ("factory", "rows", "reason"),
    [
        ("IVF64,Flat", 63, r"64 lists for 63 vectors; use fewer, such as IVF1"),
        ("IVF1000,Flat", 400, r"1,000 lists for 400 vectors; use fewer, such as IVF10"),
        ("IVF8,PQ8", 255, "codebooks of 256 entries cannot be trained on 255 vectors"),
        ("IVF8,PQ8x4fs", 15, "codebooks of 16 entries cannot be trained on 15 vectors"),
        ("PCA16,IVF2,PQ8x6", 63, "codebooks of 64 entries"),
        ("PCA16,Flat", 15, "a transform to 16 dimensions cannot be trained on 15 vectors"),
        # FAISS would write beyond its memory.
        ("OPQ8,Flat", 31, "a transform to 32 dimensions cannot be trained on 31 vectors"),
        ("OPQ8_24,IVF4,SQ8", 23, "a transform to 24 dimensions cannot be trained on 23 vectors"),
    ],
)
def test_too_few_vectors_to_train_on_are_refused(factory: str, rows: int, reason: str) -> None:
    """By the check beforehand, and by training itself."""
    spec, sample = IndexSpec(factory, 32), case(32).stored[:rows].astype(np.float32)
    with pytest.raises(UsageError, match=reason):
        spec.check(rows)
    with pytest.raises(UsageError, match=reason):
        trained(factory, sample)
    spec.check(rows + 1 if rows != 400 else 1000)


@pytest.mark.parametrize(
    ("factory", "kind", "lists"),
    [("IVF8,SQ8", "ivf", 8), ("PCA16,IVF4,SQ8", "ivf", 4), ("HNSW16,SQ8", "hnsw", 0), ("SQ8", "flat", 0)],
)
def test_a_spec_knows_its_kind_and_number_of_lists(factory: str, kind: str, lists: int) -> None:
    assert (IndexSpec(factory, 32).kind, IndexSpec(factory, 32).lists) == (kind, lists)


@pytest.mark.parametrize(("factory", "dim"), FACTORIES)
def test_the_predicted_size_is_that_of_the_file(factory: str, dim: int) -> None:
    made, _ = both(factory, dim)
    assert made.spec.bytes(ROWS) == pytest.approx(len(serialized(made)), rel=0.1)


def test_the_training_sample_grows_with_the_lists_up_to_all_rows() -> None:
    assert IndexSpec("Flat", 32).training_rows(10**6) == 0
    assert IndexSpec("SQ8", 32).training_rows(10**6) == 25_600
    assert IndexSpec("IVF16,SQ8", 32).training_rows(10**6) == 25_600
    assert IndexSpec("IVF4096,SQ8", 32).training_rows(10**6) == 163_840
    assert IndexSpec("IVF4096,SQ8", 32).training_rows(100_000) == 100_000
    assert IndexSpec("Flat", 32).training_cost(10**6) == 0
    assert IndexSpec("IVF4096,SQ8", 32).training_cost(10**6) > 10 * IndexSpec("IVF64,SQ8", 32).training_cost(10**6)

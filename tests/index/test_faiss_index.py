"""Every kind of index against brute force over the stored vectors, what is refused, and FAISS's sharp edges."""

import gc
import io
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.errors import CorruptError, DeviceWarning, UsageError
from lookalike.index.faiss_index import Effort, Index
from lookalike.index.spec import IndexSpec, quantizer_of
from lookalike.storage import vectors
from lookalike.storage.rows import Rows, RowSet
from lookalike.storage.vectors import Part, VectorReader, Vectors, VectorWriter, unit
from lookalike.system import durable

ROWS, K = 600, 10
EVERYTHING = Effort(4096, ROWS / K)  # all lists or nodes, and every vector is a candidate

# By the number of dimensions: whether it is a multiple of what a code takes decides what FAISS does.
FACTORIES = [
    *[(factory, 32) for factory in ("Flat", "SQ8", "SQ4", "SQ6", "SQfp16", "SQbf16", "RaBitQ", "RaBitQ4")],
    *[
        (f"IVF8,{code}", 32)
        for code in ("Flat", "SQ8", "SQ4", "SQfp16", "PQ8x4", "PQ8x6", "PQ8", "PQ8x4fs", "PQ8x4fsr")
    ],
    *[(f"IVF8,{code}", 32) for code in ("PQ16x4fs_64", "RaBitQ", "RaBitQ4", "RaBitQfs", "RaBitQfs2")],
    *[("IVF1,SQ8", 32), ("IVF8_HNSW32,PQ8x4fs", 32), ("IVF8_HNSW,SQ8", 32), ("IVF8(SQfp16),PQ16x4fs", 32)],
    *[("IVF8(HNSW32,SQfp16),PQ8x4fs", 32), ("IVF8(HNSW16,SQ8),SQ8", 32)],
    *[("HNSW16", 32), ("HNSW16,Flat", 32), ("HNSW16,SQ8", 32), ("HNSW16,SQfp16", 32)],
    *[("PCA16,Flat", 32), ("PCA16,IVF8,SQ8", 32), ("PCAR16,IVF8,PQ8x4fs", 32), ("PCA16,HNSW16,SQ8", 32)],
    *[("L2norm,IVF8,SQ8", 32), ("RR32,IVF8,SQ4", 32), ("PCA16,L2norm,SQ8", 32), ("OPQ8_16,IVF8,PQ8x4fs", 32)],
    *[("Pad28,IVF8,PQ7x4fs", 25), ("Pad26,IVF8,PQ13x4fs", 25), ("IVF8,SQ4", 25), ("IVF8,RaBitQfs2", 25), ("SQ6", 25)],
    *[("Pad384,IVF8,PQ96x4fs", 383), ("IVF8,SQ8", 383), ("PCA64,IVF8,SQ8", 383), ("IVF8,RaBitQfs", 383)],
]
ALL_KINDS = pytest.mark.parametrize(("factory", "dim"), FACTORIES)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """With so few vectors, more of FAISS's threads only wait for each other."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)


@dataclass(frozen=True)
class Case:
    """Vectors as they are stored, and queries with their true scores."""

    stored: NDArray[np.float16]
    part: Part
    queries: Vectors
    exact: NDArray[np.float64]  # (queries, rows)


def clustered(count: int, dim: int, seed: int) -> Vectors:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(15, dim))
    return unit(centres[random.integers(0, 15, count)] + random.normal(size=(count, dim)))


@cache
def case(dim: int) -> Case:
    units = clustered(ROWS, dim, 1)
    units[100:110] = units[200]  # some pictures that are the same, in files that are not
    stored = units.astype(np.float16)
    path = Path(tempfile.mkdtemp()) / "v.faiss"
    vectors.create(path, dim)
    writer = VectorWriter(path, dim, 0)
    writer.append(stored)
    writer.close()
    part = VectorReader(path, dim).part(0, ROWS)
    path.unlink()
    path.parent.rmdir()
    queries = np.concatenate([stored[198:204].astype(np.float32), clustered(16, dim, 2)])
    return Case(stored, part, queries, queries.astype(np.float64) @ stored.astype(np.float64).T)


def trained(factory: str, sample: Vectors, *, like: Index | None = None) -> Index:
    return Index.trained(IndexSpec(factory, sample.shape[1]), sample, like=like)


def built(factory: str, dim: int) -> Index:
    units = case(dim).stored.astype(np.float32)
    IndexSpec(factory, dim).check(ROWS)
    index = trained(factory, units)
    for start in range(0, ROWS, 250):
        index.add(units[start : start + 250])
    return index


def bytes_of(index: Index) -> bytes:
    file = io.BytesIO()
    index.write(file.write)
    return file.getvalue()


def read_back(index: Index) -> Index:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "i.faiss"
        durable.write(path, index.write)
        with path.open("rb") as file:
            return Index.read(index.spec, file)


@cache
def both(factory: str, dim: int) -> tuple[Index, Index]:
    """An index as it was made, and as it comes back from the disk."""
    made = built(factory, dim)
    return made, read_back(made)


def selections() -> list[RowSet]:
    random = np.random.default_rng(3)
    return [
        RowSet(ROWS),
        RowSet(ROWS, dead=random.choice(ROWS, 150, replace=False)),
        RowSet(ROWS, only=np.arange(0, ROWS, 3)),
        RowSet(ROWS, only=random.choice(ROWS, K, replace=False)),
        RowSet(ROWS, dead=np.arange(ROWS - 1)),
    ]


def search(index: Index, effort: Effort, row_set: RowSet, *, k: int = K) -> tuple[Vectors, Rows]:
    data = case(index.spec.dim)
    return index.search(data.queries, k, effort=effort, stored=data.part, row_set=row_set)


def answers(index: Index, effort: Effort, row_set: RowSet, *, k: int = K) -> list[tuple[Vectors, Rows]]:
    """To all queries at once, and to some of them one by one."""
    data = case(index.spec.dim)
    alone = [
        index.search(query[None], k, effort=effort, stored=data.part, row_set=row_set) for query in data.queries[:8]
    ]
    one_by_one = np.concatenate([scores for scores, _ in alone]), np.concatenate([rows for _, rows in alone])
    return [search(index, effort, row_set, k=k), one_by_one]


def assert_true(scores: Vectors, rows: Rows, exact: NDArray[np.float64], row_set: RowSet) -> None:
    """Each row may be found, comes once, with its own score, and the best come first; what is missing comes last."""
    there = rows >= 0
    assert not (~there[:, :-1] & there[:, 1:]).any()
    assert (rows[~there] == -1).all()
    assert np.isin(rows[there], row_set.rows()).all()
    assert [len(set(of_query) - {-1}) for of_query in rows.tolist()] == there.sum(axis=1).tolist()
    true = np.take_along_axis(exact[: len(rows)], np.maximum(rows, 0), axis=1)
    np.testing.assert_allclose(scores[there], true[there], atol=3e-6)
    assert (np.diff(scores)[there[:, 1:]] <= 0).all()


# Against brute force


@ALL_KINDS
def test_where_it_looks_at_everything_it_finds_what_brute_force_finds(factory: str, dim: int) -> None:
    exact = case(dim).exact
    for index in both(factory, dim):
        for row_set in selections():
            k = min(K, row_set.size)
            best = -np.sort(-exact[:, row_set.rows()], axis=1)[:, :k]
            for answer in answers(index, EVERYTHING, row_set, k=k):
                assert_true(*answer, exact, row_set)
                assert answer[1].shape[1] == k
                assert (answer[1] >= 0).all()
                np.testing.assert_allclose(answer[0], best[: len(answer[0])], atol=3e-6)


@ALL_KINDS
@pytest.mark.parametrize("effort", [Effort(1, 1), Effort(3, 2.5)], ids=["least", "little"])
def test_however_little_it_looks_at_each_score_is_the_true_cosine_of_a_row_that_may_be_found(
    factory: str, dim: int, effort: Effort
) -> None:
    for row_set in selections():
        found = [answer for index in both(factory, dim) for answer in answers(index, effort, row_set)]
        first = found[0][0]
        for scores, rows in found:
            assert_true(scores, rows, case(dim).exact, row_set)
            np.testing.assert_allclose(scores[rows >= 0], first[: len(rows)][rows >= 0], atol=3e-6)
        assert (found[0][1] >= 0).any() or row_set.size < ROWS / 2


@ALL_KINDS
def test_it_comes_back_from_the_disk_as_it_was(factory: str, dim: int) -> None:
    made, read = both(factory, dim)
    assert (read.spec, read.rows) == (made.spec, made.rows) == (IndexSpec(factory, dim), ROWS)
    for effort in (Effort(2, 1), EVERYTHING):
        for answer, again in zip(search(made, effort, RowSet(ROWS)), search(read, effort, RowSet(ROWS)), strict=True):
            np.testing.assert_array_equal(answer, again)


@pytest.mark.parametrize(("factory", "dim"), [("IVF8,Flat", 32), ("IVF8,PQ8x4fs", 32), ("HNSW16,SQ8", 32), ("SQ8", 32)])
def test_rows_that_are_added_to_one_that_was_read_are_found_like_the_others(factory: str, dim: int) -> None:
    """As young rows are taken in: training and the first rows in one process, the rest in another."""
    units = case(dim).stored.astype(np.float32)
    first = trained(factory, units[:400])
    first.add(units[:400])
    index = read_back(first)
    index.add(units[400:])
    assert index.rows == ROWS
    scores, rows = search(index, EVERYTHING, RowSet(ROWS))
    assert_true(scores, rows, case(dim).exact, RowSet(ROWS))
    np.testing.assert_allclose(scores, -np.sort(-case(dim).exact, axis=1)[:, :K], atol=3e-6)


@pytest.mark.parametrize(
    "factory", ["Flat", "IVF8,Flat", "IVF8(HNSW32,SQfp16),PQ8x4fs", "IVF8,RaBitQfs2", "HNSW16,SQ8"]
)
def test_queries_that_are_shared_out_among_threads_get_the_same_answers(factory: str) -> None:
    index, _ = both(factory, 32)
    for row_set in selections():
        for effort in (Effort(3, 2.5), EVERYTHING):
            expected = search(index, effort, row_set)
            faiss.omp_set_num_threads(4)
            found = search(index, effort, row_set)
            assert faiss.omp_get_max_threads() == 4
            faiss.omp_set_num_threads(1)
            np.testing.assert_array_equal(found[1], expected[1])
            np.testing.assert_array_equal(found[0], expected[0])


def test_more_effort_finds_more() -> None:
    index, _ = both("IVF8,PQ8x4fs", 32)
    best = -np.sort(-case(32).exact, axis=1)[:, :K]

    def share(breadth: int, candidates: float) -> float:
        scores, _ = search(index, Effort(breadth, candidates), RowSet(ROWS))
        return float(np.isclose(scores, best, atol=3e-6).mean())

    wider = [share(breadth, ROWS / K) for breadth in (1, 2, 4, 8)]
    more = [share(8, candidates) for candidates in (1, 2, 6, ROWS / K)]
    assert wider == sorted(wider)
    assert more == sorted(more)
    assert wider[0] < 0.99
    assert more[0] < 0.5
    assert wider[-1] == more[-1] == 1


@pytest.mark.parametrize(
    ("candidates", "k"),
    [(1, 1), (1, 7), (2, 10), (2.5, 10), (10 / 3, 3), (100 / 11, 11), (1.1, 10), (28 / 23, 23), (48 / 37, 37)],
)
def test_as_many_candidates_are_ranked_as_were_asked_for(candidates: float, k: int) -> None:
    """Of a code that tells nothing, the candidates are arbitrary, so the best of m of them has a known rank."""
    data, spec = case(32), IndexSpec("SQ8_direct", 32)  # all its codes are the same
    index = trained(spec.factory, data.stored.astype(np.float32))
    index.add(data.stored.astype(np.float32))
    count = int(candidates * k + 0.5)
    _, arbitrary = faiss.downcast_index(index._inner).search(data.queries[:1], count)
    rows = index.search(data.queries[:1], k, effort=Effort(0, candidates), stored=data.part, row_set=RowSet(ROWS))[1]
    ranked = sorted(arbitrary[0].tolist(), key=lambda row: -data.exact[0, row])
    assert rows[0].tolist() == ranked[:k]


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat", "IVF8,PQ8x4fs", "HNSW16", "RaBitQ"])
@pytest.mark.parametrize("k", [ROWS, ROWS + 1, 10 * ROWS])
def test_where_k_is_more_than_there_are_what_is_missing_is_no_row(factory: str, k: int) -> None:
    index, _ = both(factory, 32)
    row_set = RowSet(ROWS, dead=np.array([7]))
    scores, rows = search(index, Effort(4096, 1), row_set, k=k)
    assert scores.shape == rows.shape == (len(case(32).queries), k)
    assert_true(scores, rows, case(32).exact, row_set)
    assert ((rows >= 0).sum(axis=1) == ROWS - 1).all()


# What is refused


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("PQ8", "cannot leave out what is deleted; put IVF"),
        ("PQ8x4", "cannot leave out what is deleted; put IVF"),
        ("PQ8x4fs", "cannot leave out what is deleted; put IVF"),
        ("PCA16,PQ8x4fs", "cannot leave out what is deleted; put IVF"),
        ("RaBitQfs", "cannot|can leave out"),
        ("RQ4x8", "leave out what is deleted"),
        ("IVF8,RQ4x8", "leave out what is deleted"),
        ("LSH", "METRIC_L2"),
        ("NSG32,Flat", "NSG cannot leave out what is deleted; HNSW can"),
        ("HNSW16,PQ8", "not for inner products"),
        ("IDMap,Flat", "leave IDMap out"),
        ("IDMap2,Flat", "leave IDMap2 out"),
        ("IDMap2,IVF8,Flat", "leave IDMap2 out"),
        ("IVF8,PQ8,RFlat", "leave out RFlat"),
        ("IVF8,PQ8x4fs,Refine(SQfp16)", "leave out what is behind the last comma"),
        ("IMI2x4,SQ8", "inner prod"),
        ("IVF8_NSG16,Flat", "lists are chosen by"),
        ("IVF8(IVF2,Flat),Flat", "lists are chosen by"),
        ("IVF8,PQ7", "multiple of the number of subquantizers"),
        ("IVF8,PQ7x4fs", "multiple of the number of subquantizers"),
        ("IVF0,Flat", "0 lists"),
        ("IVF99999999,Flat", "99999999 lists"),
        ("IVF5M,Flat", "5M lists"),
        ("HNSW0", "0 links"),
        ("HNSW1,SQ8", "1 links"),
        ("IVF8_HNSW1,SQ8", "1 links"),
        ("HNSW100000", "100000 links"),
        ("IVF8,PQ8x0", "0 bits"),
        ("IVF8,PQ8x24", "24 bits"),
        ("SQ0", "hold nothing"),
        ("ITQ,SQ8", "ITQ is for codes of one bit"),
        ("PCA16,ITQ,SQ8", "ITQ is for codes of one bit"),
        ("PCA0,Flat", "hold nothing"),
        ("IVF8", "could not parse"),
        ("IVF8,", "could not parse"),
        ("IVF8,Flat,Flat", "could not parse"),
        ("SQ7", "could not parse"),
        ("nonsense", "could not parse"),
        (" Flat", "could not parse"),
        ("x" * 5000, "could not parse"),
        ("", "could not parse"),
    ],
    ids=lambda value: value[:30],
)
def test_a_factory_string_that_cannot_serve_is_refused_with_the_reason(factory: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as refusal:
        IndexSpec(factory, 32)
    assert str(refusal.value).startswith(f"{factory}: ")
    assert ".cpp" not in str(refusal.value)  # nobody wants to know where in FAISS


@pytest.mark.parametrize(
    ("factory", "rows", "reason"),
    [
        ("IVF64,Flat", 63, r"64 lists for 63 vectors; name fewer, such as IVF1"),
        ("IVF1000,Flat", 400, r"1,000 lists for 400 vectors; name fewer, such as IVF10"),
        ("IVF8,PQ8", 255, "codebooks of 256 entries cannot be learned from 255 vectors"),
        ("IVF8,PQ8x4fs", 15, "codebooks of 16 entries cannot be learned from 15 vectors"),
        ("PCA16,IVF2,PQ8x6", 63, "codebooks of 64 entries"),
        ("PCA16,Flat", 15, "16 directions cannot be learned from 15 vectors"),
        ("OPQ8,Flat", 31, "32 directions cannot be learned from 31 vectors"),  # FAISS would write beyond its memory
        ("OPQ8_24,IVF4,SQ8", 23, "24 directions cannot be learned from 23 vectors"),
    ],
)
def test_too_few_vectors_to_learn_from_are_refused_before_and_by_training(factory: str, rows: int, reason: str) -> None:
    spec, sample = IndexSpec(factory, 32), case(32).stored[:rows].astype(np.float32)
    with pytest.raises(UsageError, match=reason):
        spec.check(rows)
    with pytest.raises(UsageError, match=reason):
        trained(factory, sample)
    spec.check(rows + 1 if rows != 400 else 1000)


def test_what_only_training_finds_out_is_a_refusal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise RuntimeError("Error in faiss at VectorTransform.cpp:1: it cannot be learned")

    monkeypatch.setattr(faiss.IndexPreTransform, "train", refused)
    with pytest.raises(UsageError, match=r"^PCA16,Flat: FAISS refuses it: it cannot be learned$"):
        trained("PCA16,Flat", case(32).stored.astype(np.float32))


def test_a_rotation_for_codes_that_do_not_divide_the_dimensions_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^OPQ7,Flat: FAISS refuses it: .*multiple of the number of subquantizers"):
        trained("OPQ7,Flat", case(32).stored.astype(np.float32))


def test_learning_from_few_vectors_prints_no_warnings(capfd: pytest.CaptureFixture[str]) -> None:
    for factory in ("OPQ8,IVF4,PQ8x4fs", "OPQ8,OPQ4,Flat", "IVF8,PQ8", "PCA16,IVF8,SQ8"):
        trained(factory, case(32).stored[:300].astype(np.float32))
    assert capfd.readouterr() == ("", "")


def test_an_interruption_of_training_is_one_and_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise RuntimeError("Error in faiss at Clustering.cpp:1: computation interrupted")

    monkeypatch.setattr(faiss.IndexIVFFlat, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained("IVF8,Flat", case(32).stored.astype(np.float32))


@pytest.mark.parametrize(
    ("factory", "kind", "lists"),
    [("IVF8,SQ8", "ivf", 8), ("PCA16,IVF4,SQ8", "ivf", 4), ("HNSW16,SQ8", "hnsw", 0), ("SQ8", "flat", 0)],
)
def test_a_spec_knows_what_it_looks_through(factory: str, kind: str, lists: int) -> None:
    assert (IndexSpec(factory, 32).kind, IndexSpec(factory, 32).lists) == (kind, lists)


def test_efforts_are_named_by_what_they_mean() -> None:
    assert Effort(32, 10).named("ivf") == "nprobe 32, 10 candidates each"
    assert Effort(64, 2.5).named("hnsw") == "efSearch 64, 2.5 candidates each"
    assert Effort(0, 1).named("flat") == "1 candidate each"


# Sizes


@ALL_KINDS
def test_the_size_that_is_told_beforehand_is_that_of_the_file(factory: str, dim: int) -> None:
    made, _ = both(factory, dim)
    assert made.spec.bytes(ROWS) == pytest.approx(len(bytes_of(made)), rel=0.1)


def test_training_takes_a_sample_that_grows_with_the_lists_and_never_exceeds_what_there_is() -> None:
    assert IndexSpec("Flat", 32).training_rows(10**6) == 0
    assert IndexSpec("SQ8", 32).training_rows(10**6) == 25_600
    assert IndexSpec("IVF16,SQ8", 32).training_rows(10**6) == 25_600
    assert IndexSpec("IVF4096,SQ8", 32).training_rows(10**6) == 163_840
    assert IndexSpec("IVF4096,SQ8", 32).training_rows(100_000) == 100_000
    assert IndexSpec("Flat", 32).training_cost(10**6) == 0
    assert IndexSpec("IVF4096,SQ8", 32).training_cost(10**6) > 10 * IndexSpec("IVF64,SQ8", 32).training_cost(10**6)


# FAISS's sharp edges


@pytest.mark.parametrize("shape", [(1, 31), (1, 33), (32,), (1, 1, 32)])
def test_a_query_of_another_dimension_is_refused(shape: tuple[int, ...]) -> None:
    index, _ = both("IVF8,Flat", 32)
    with pytest.raises(UsageError, match="32 dimensions"):
        index.search(np.ones(shape, np.float32), 1, effort=EVERYTHING, stored=case(32).part, row_set=RowSet(ROWS))


@pytest.mark.parametrize("shape", [(1, 31), (32,)])
def test_rows_of_another_dimension_are_refused(shape: tuple[int, ...]) -> None:
    index = Index.trained(IndexSpec("Flat", 32), np.empty((0, 32), np.float32))
    with pytest.raises(UsageError, match="32 dimensions"):
        index.add(np.ones(shape, np.float32))
    assert index.rows == 0


def test_a_wrong_dimension_is_refused_without_assertions_too() -> None:
    program = """if True:
        import numpy
        from lookalike.errors import UsageError
        from lookalike.index.faiss_index import Effort, Index
        from lookalike.index.spec import IndexSpec
        from lookalike.storage.rows import Selection
        assert False, "assertions are on"
        index = Index.trained(IndexSpec("Flat", 32), numpy.empty((0, 32), numpy.float32))
        for use in (
            lambda: index.add(numpy.ones((1, 31), numpy.float32)),
            lambda: index.search(
                numpy.ones((1, 33), numpy.float32), 1, effort=Effort(0, 1), stored=None, selection=Selection(0)),
        ):
            try:
                use()
            except UsageError as error:
                print(error)
    """
    done = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.count("32 dimensions") == 2


def test_threads_with_different_efforts_do_not_disturb_each_other() -> None:
    """Parameters are those of one call: each thread gets what it would get alone."""
    index, _ = both("IVF8_HNSW32,PQ8x4fs", 32)
    efforts = [Effort(1, 1), Effort(2, 4), Effort(8, 16), EVERYTHING]
    selections_ = [RowSet(ROWS), RowSet(ROWS, dead=np.arange(0, ROWS, 2))]
    expected = {(e, s): search(index, efforts[e], selections_[s])[1] for e in range(4) for s in range(2)}
    assert not np.array_equal(expected[0, 0], expected[3, 0])
    right: list[bool] = []

    def searches(e: int, s: int) -> None:
        found = (search(index, efforts[e], selections_[s])[1] for _ in range(40))
        right.extend(np.array_equal(rows, expected[e, s]) for rows in found)

    threads = [threading.Thread(target=searches, args=key) for key in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 40 * len(expected)


@pytest.mark.parametrize("factory", ["IVF8,Flat", "HNSW16", "IVF8_HNSW32,SQ8", "IVF8(HNSW32,SQfp16),PQ8x4fs"])
def test_nothing_is_ever_set_on_the_index(factory: str) -> None:
    index = built(factory, 32)
    before = bytes_of(index)  # with its parameters
    search(index, Effort(7, 3), selections()[1])
    assert bytes_of(index) == before


def test_an_index_needs_nothing_of_what_a_search_was_given_once_that_is_over() -> None:
    index, data = both("PCA16,IVF8,SQ8", 32)[0], case(32)
    expected = search(index, Effort(3, 2), RowSet(ROWS, only=np.arange(300)))
    for _ in range(20):
        index.search(data.queries, K, effort=Effort(2, 2), stored=data.part, row_set=RowSet(ROWS, dead=np.arange(9)))
        gc.collect()
    again = search(index, Effort(3, 2), RowSet(ROWS, only=np.arange(300)))
    np.testing.assert_array_equal(expected[1], again[1])


def test_the_centroids_of_an_index_with_the_same_lists_are_taken_over() -> None:
    data = case(32).stored.astype(np.float32)
    coarse = built("IVF8,PQ8x4fs", 32)
    fine = trained("IVF8,PQ16x4fs", data, like=coarse)
    other = trained("IVF4,PQ16x4fs", data, like=coarse)
    centroids = [index._inner.quantizer.reconstruct_n(0, index.spec.lists) for index in (coarse, fine, other)]
    np.testing.assert_array_equal(centroids[0], centroids[1])
    assert centroids[2].shape == (4, 32)
    fine.add(data)
    scores, rows = search(fine, EVERYTHING, RowSet(ROWS))
    assert_true(scores, rows, case(32).exact, RowSet(ROWS))
    np.testing.assert_allclose(scores, -np.sort(-case(32).exact, axis=1)[:, :K], atol=3e-6)


def test_training_is_quiet_even_with_few_vectors(capfd: pytest.CaptureFixture[str]) -> None:
    for factory in ("IVF8,PQ8", "IVF8,PQ8x4fs", "IVF64,SQ8"):
        trained(factory, case(32).stored[:300].astype(np.float32))
    assert capfd.readouterr() == ("", "")


# Files


@pytest.mark.parametrize("factory", ["Flat", "IVF8,PQ8x4fs", "HNSW16,SQ8", "PCA16,IVF8,SQ8"])
def test_a_truncated_file_is_damage(factory: str, tmp_path: Path) -> None:
    index, _ = both(factory, 32)
    whole, path = bytes_of(index), tmp_path / "i.faiss"
    for size in {0, 1, 3, 4, 8, 40, len(whole) // 3, len(whole) // 2, len(whole) - 1}:
        path.write_bytes(whole[:size])
        with path.open("rb") as file, pytest.raises(CorruptError, match=r"i\.faiss"):
            Index.read(index.spec, file)


@pytest.mark.parametrize("content", [b"", b"text" * 100, bytes(1000), b"\xff" * 1000, b"IxFI" + b"\xff" * 100])
def test_a_file_of_something_else_is_damage(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "i.faiss").write_bytes(content)
    with (tmp_path / "i.faiss").open("rb") as file, pytest.raises(CorruptError, match=r"i\.faiss"):
        Index.read(IndexSpec("Flat", 32), file)


@pytest.mark.parametrize(
    ("written", "factory", "dim"),
    [
        (("Flat", 32), "Flat", 33),
        (("Flat", 32), "SQ8", 32),
        (("IVF8,Flat", 32), "IVF4,Flat", 32),
        (("IVF8,PQ8x4fs", 32), "IVF8,PQ16x4fs", 32),
        (("IVF8,PQ8x4fs", 32), "IVF8,PQ8x4", 32),
        (("PCA16,IVF8,SQ8", 32), "IVF8,SQ8", 32),
        (("IVF8,SQ8", 383), "IVF8,SQ8", 32),
    ],
)
def test_an_index_of_another_kind_is_damage(written: tuple[str, int], factory: str, dim: int, tmp_path: Path) -> None:
    (tmp_path / "i.faiss").write_bytes(bytes_of(both(*written)[0]))
    with (tmp_path / "i.faiss").open("rb") as file, pytest.raises(CorruptError, match="it is not"):
        Index.read(IndexSpec(factory, dim), file)


def test_a_file_is_read_whatever_its_name_and_wherever_it_was_read_to(tmp_path: Path) -> None:
    index, _ = both("IVF8,SQ8", 32)
    path = tmp_path / "caf\udce9 \udcff.faiss"
    path.write_bytes(bytes_of(index))
    with path.open("rb") as file:
        file.read()
        again = Index.read(index.spec, file)
    np.testing.assert_array_equal(
        search(again, EVERYTHING, RowSet(ROWS))[1], search(index, EVERYTHING, RowSet(ROWS))[1]
    )


@pytest.mark.parametrize("damaged", [False, True])
def test_faiss_may_read_no_more_than_the_file_holds_and_its_limit_is_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    index, _ = both("IVF8,SQ8", 32)
    content = bytes_of(index)
    path = tmp_path / "i.faiss"
    path.write_bytes(content[: len(content) // 2] if damaged else content)
    limits, read_index = [], faiss.read_index

    def watched(*given: object) -> object:
        limits.append(faiss.get_deserialization_vector_byte_limit())
        return read_index(*given)

    monkeypatch.setattr(faiss, "read_index", watched)
    before = faiss.get_deserialization_vector_byte_limit()
    faiss.set_deserialization_vector_byte_limit(12_345_678)
    try:
        with path.open("rb") as file:
            if damaged:
                with pytest.raises(CorruptError):
                    Index.read(index.spec, file)
            else:
                Index.read(index.spec, file)
        assert limits == [path.stat().st_size]
        assert faiss.get_deserialization_vector_byte_limit() == 12_345_678
    finally:
        faiss.set_deserialization_vector_byte_limit(before)


def test_a_file_that_says_it_is_huge_is_damage_and_takes_no_memory(tmp_path: Path) -> None:
    content = bytearray(bytes_of(both("SQ8", 32)[0]))
    place = content.index((ROWS * 32).to_bytes(8, "little"))  # how many bytes of codes there are
    content[place : place + 8] = (2**40).to_bytes(8, "little")
    (tmp_path / "i.faiss").write_bytes(content)
    with (tmp_path / "i.faiss").open("rb") as file, pytest.raises(CorruptError, match="limit"):
        Index.read(IndexSpec("SQ8", 32), file)


@pytest.mark.parametrize("size", [0, 1, 100, 10_000])
def test_a_disk_that_is_full_is_told_by_its_own_error(size: int) -> None:
    """FAISS's own writer can say that all went well."""
    taken = 0

    def take(piece: bytes) -> int:
        nonlocal taken
        if taken + len(piece) > size:
            raise OSError(28, "No space left on device")
        taken += len(piece)
        return len(piece)

    with pytest.raises(OSError, match="No space left"):
        both("IVF8,SQ8", 32)[0].write(take)


# Graphics processors


def on_graphics_processors(monkeypatch: pytest.MonkeyPatch, make: Callable[[Any], Any]) -> None:
    """FAISS as it is where there are some: an index that is moved there is what `make` makes of it."""
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", make)


@pytest.mark.parametrize("factory", ["IVF8,PQ4x4fs", "IVF8(HNSW8,SQfp16),PQ4x4fs", "PCA8,IVF8,SQ8"])
def test_lists_that_a_graphics_processor_has_learned_are_those_that_the_cpu_learns(
    factory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, spec = clustered(400, 16, 1), IndexSpec(factory, 16)
    moved = []

    def moving(index: Any) -> Any:
        moved.append(index)
        return index

    here = Index.trained(spec, vectors)
    on_graphics_processors(monkeypatch, moving)
    there = Index.trained(spec, vectors)
    assert len(moved) == 1
    expected, found = (quantizer_of(index._inner).reconstruct_n(0, 8) for index in (here, there))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_graphics_processor_that_fails_is_warned_of_once_and_the_cpu_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(index: Any) -> Any:
        raise RuntimeError("Error in gpu::StandardGpuResources\nout of memory")

    on_graphics_processors(monkeypatch, failing)
    with pytest.warns(DeviceWarning, match="trains on the CPU.*out of memory") as warned:
        index = Index.trained(IndexSpec("IVF8,PQ4x4fs", 16), clustered(400, 16, 1))
    assert len(warned) == 1
    assert quantizer_of(index._inner).ntotal == 8

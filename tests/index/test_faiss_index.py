"""Every kind of index against brute force over the stored vectors, and FAISS's sharp edges."""

import gc
import subprocess
import sys
import threading

import faiss
import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.index.faiss_index import Index
from lookalike.index.operating_point import SearchParameters
from lookalike.index.spec import IndexSpec
from lookalike.storage.rows import RowSet
from tests.support.built_indexes import (
    EXHAUSTIVE,
    FACTORIES,
    ROWS,
    K,
    answers,
    assert_best,
    assert_true,
    both,
    built,
    case,
    read_back,
    row_sets,
    search,
    serialized,
    trained,
)

ALL_KINDS = pytest.mark.parametrize(("factory", "dim"), FACTORIES)

# Against brute force


@ALL_KINDS
def test_an_exhaustive_search_finds_what_brute_force_finds(factory: str, dim: int) -> None:
    exact = case(dim).exact
    for index in both(factory, dim):
        for row_set in row_sets():
            k = min(K, row_set.size)
            best = -np.sort(-exact[:, row_set.rows()], axis=1)[:, :k]
            for answer in answers(index, EXHAUSTIVE, row_set, k=k):
                assert_true(*answer, exact, row_set)
                assert answer[1].shape[1] == k
                assert (answer[1] >= 0).all()
                np.testing.assert_allclose(answer[0], best[: len(answer[0])], atol=3e-6)


@ALL_KINDS
@pytest.mark.parametrize("parameters", [SearchParameters(1, 1), SearchParameters(3, 2.5)], ids=["least", "little"])
def test_each_score_is_the_true_cosine_of_an_admitted_row(factory: str, dim: int, parameters: SearchParameters) -> None:
    """However few lists are visited and candidates re-ranked."""
    for row_set in row_sets():
        found = [answer for index in both(factory, dim) for answer in answers(index, parameters, row_set)]
        first = found[0][0]
        for scores, rows in found:
            assert_true(scores, rows, case(dim).exact, row_set)
            np.testing.assert_allclose(scores[rows >= 0], first[: len(rows)][rows >= 0], atol=3e-6)
        assert (found[0][1] >= 0).any() or row_set.size < ROWS / 2


@ALL_KINDS
def test_an_index_that_is_read_back_answers_as_before(factory: str, dim: int) -> None:
    made, read = both(factory, dim)
    assert (read.spec, read.rows) == (made.spec, made.rows) == (IndexSpec(factory, dim), ROWS)
    for parameters in (SearchParameters(2, 1), EXHAUSTIVE):
        found, again = (search(index, parameters, RowSet(ROWS)) for index in (made, read))
        for expected, actual in zip(found, again, strict=True):
            np.testing.assert_array_equal(expected, actual)


@pytest.mark.parametrize(("factory", "dim"), [("IVF8,Flat", 32), ("IVF8,PQ8x4fs", 32), ("HNSW16,SQ8", 32), ("SQ8", 32)])
def test_rows_added_to_an_index_that_was_read_are_found(factory: str, dim: int) -> None:
    """As young rows join: training and the first rows in one process, the rest in another."""
    units = case(dim).stored.astype(np.float32)
    first = trained(factory, units[:400])
    first.add(units[:400])
    index = read_back(first)
    index.add(units[400:])
    assert index.rows == ROWS
    assert_best(*search(index, EXHAUSTIVE, RowSet(ROWS)), dim)


@pytest.mark.parametrize(
    "factory", ["Flat", "IVF8,Flat", "IVF8(HNSW32,SQfp16),PQ8x4fs", "IVF8,RaBitQfs2", "HNSW16,SQ8"]
)
def test_queries_shared_among_threads_get_the_same_answers(factory: str) -> None:
    index, _ = both(factory, 32)
    for row_set in row_sets():
        for parameters in (SearchParameters(3, 2.5), EXHAUSTIVE):
            expected = search(index, parameters, row_set)
            faiss.omp_set_num_threads(4)
            found = search(index, parameters, row_set)
            assert faiss.omp_get_max_threads() == 4
            faiss.omp_set_num_threads(1)
            np.testing.assert_array_equal(found[1], expected[1])
            np.testing.assert_array_equal(found[0], expected[0])


def test_a_larger_nprobe_and_more_candidates_find_more() -> None:
    index, _ = both("IVF8,PQ8x4fs", 32)
    best = -np.sort(-case(32).exact, axis=1)[:, :K]

    def share(nprobe: int, candidates: float) -> float:
        scores, _ = search(index, SearchParameters(nprobe, candidates), RowSet(ROWS))
        return float(np.isclose(scores, best, atol=3e-6).mean())

    wider = [share(nprobe, ROWS / K) for nprobe in (1, 2, 4, 8)]
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
def test_exactly_as_many_candidates_as_asked_for_are_reranked(candidates: float, k: int) -> None:
    """If all codes are equal, the candidates are arbitrary, so that the best of m of them has a known rank."""
    data, spec = case(32), IndexSpec("SQ8_direct", 32)
    index = trained(spec.factory, data.stored.astype(np.float32))
    index.add(data.stored.astype(np.float32))
    count = int(candidates * k + 0.5)
    _, arbitrary = faiss.downcast_index(index._inner).search(data.queries[:1], count)
    parameters = SearchParameters(0, candidates)
    _, rows = index.search(data.queries[:1], k, parameters, stored=data.part, row_set=RowSet(ROWS))
    ranked = sorted(arbitrary[0].tolist(), key=lambda row: -data.exact[0, row])
    assert rows[0].tolist() == ranked[:k]


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat", "IVF8,PQ8x4fs", "HNSW16", "RaBitQ"])
@pytest.mark.parametrize("k", [ROWS, ROWS + 1, 10 * ROWS])
def test_if_k_exceeds_the_rows_the_missing_ones_are_minus_one(factory: str, k: int) -> None:
    index, _ = both(factory, 32)
    row_set = RowSet(ROWS, dead=np.array([7]))
    scores, rows = search(index, SearchParameters(4096, 1), row_set, k=k)
    assert scores.shape == rows.shape == (len(case(32).queries), k)
    assert_true(scores, rows, case(32).exact, row_set)
    assert ((rows >= 0).sum(axis=1) == ROWS - 1).all()


# FAISS's sharp edges


@pytest.mark.parametrize("shape", [(1, 31), (1, 33), (32,), (1, 1, 32)])
def test_a_query_of_another_dimension_is_refused(shape: tuple[int, ...]) -> None:
    index, _ = both("IVF8,Flat", 32)
    with pytest.raises(UsageError, match="32 dimensions"):
        index.search(np.ones(shape, np.float32), 1, EXHAUSTIVE, stored=case(32).part, row_set=RowSet(ROWS))


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
        from lookalike.index.faiss_index import Index
        from lookalike.index.operating_point import SearchParameters
        from lookalike.index.spec import IndexSpec
        from lookalike.storage.rows import RowSet
        assert False, "assertions are on"
        index = Index.trained(IndexSpec("Flat", 32), numpy.empty((0, 32), numpy.float32))
        query = numpy.ones((1, 33), numpy.float32)
        for use in (
            lambda: index.add(numpy.ones((1, 31), numpy.float32)),
            lambda: index.search(query, 1, SearchParameters(0, 1), stored=None, row_set=RowSet(0)),
        ):
            try:
                use()
            except UsageError as error:
                print(error)
    """
    done = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.count("32 dimensions") == 2


def test_threads_with_different_parameters_do_not_disturb_each_other() -> None:
    """Parameters are those of one call: each thread gets what it would get alone."""
    index, _ = both("IVF8_HNSW32,PQ8x4fs", 32)
    parameters = [SearchParameters(1, 1), SearchParameters(2, 4), SearchParameters(8, 16), EXHAUSTIVE]
    sets = [RowSet(ROWS), RowSet(ROWS, dead=np.arange(0, ROWS, 2))]
    expected = {(p, s): search(index, parameters[p], sets[s])[1] for p in range(4) for s in range(2)}
    assert not np.array_equal(expected[0, 0], expected[3, 0])
    right: list[bool] = []

    def searches(p: int, s: int) -> None:
        found = (search(index, parameters[p], sets[s])[1] for _ in range(40))
        right.extend(np.array_equal(rows, expected[p, s]) for rows in found)

    threads = [threading.Thread(target=searches, args=key) for key in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 40 * len(expected)


@pytest.mark.parametrize("factory", ["IVF8,Flat", "HNSW16", "IVF8_HNSW32,SQ8", "IVF8(HNSW32,SQfp16),PQ8x4fs"])
def test_a_search_sets_nothing_on_the_index(factory: str) -> None:
    index = built(factory, 32)
    before = serialized(index)  # with its parameters
    search(index, SearchParameters(7, 3), row_sets()[1])
    assert serialized(index) == before


def test_an_index_keeps_no_reference_to_what_a_search_was_given() -> None:
    index, data = both("PCA16,IVF8,SQ8", 32)[0], case(32)
    expected = search(index, SearchParameters(3, 2), RowSet(ROWS, only=np.arange(300)))
    for _ in range(20):
        row_set = RowSet(ROWS, dead=np.arange(9))
        index.search(data.queries, K, SearchParameters(2, 2), stored=data.part, row_set=row_set)
    gc.collect()
    again = search(index, SearchParameters(3, 2), RowSet(ROWS, only=np.arange(300)))
    np.testing.assert_array_equal(expected[1], again[1])

"""Probabilities of labels: pooling against its definition, errors worked by hand, and rates that are known."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lookalike import Collection
from lookalike.evaluation import calibration
from lookalike.evaluation.calibration import Asked, Numbers, auroc, calibration_bins, calibration_error, isotonic
from lookalike.evaluation.results import CalibrationBin
from lookalike.search.chance import Judged
from lookalike.search.probability import MOST_KNOTS, LabelCurve
from tests.support.kinds import drawn, kinds
from tests.support.vector_collections import create, keys_of, put

# Numbers


def _slow_isotonic(values: Numbers, weights: Numbers) -> list[float]:
    """The definition: the largest, over all beginnings, of the smallest mean, over all ends, of what is between."""
    count = range(len(values))
    return [
        max(
            min(float(np.average(values[i : k + 1], weights=weights[i : k + 1])) for k in count[place:])
            for i in count[: place + 1]
        )
        for place in count
    ]


@pytest.mark.parametrize("seed", range(20))
def test_pooling_gives_what_the_definition_gives(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.integers(0, 6, 15) / 5 if seed % 2 else random.random(15) + np.arange(15) / 20
    weights = random.integers(1, 30, 15).astype(float)
    assert isotonic(values, weights) == pytest.approx(_slow_isotonic(values, weights))


def test_what_rises_stays_and_what_falls_is_one_mean() -> None:
    assert isotonic(np.array([0.1, 0.4, 0.9]), np.ones(3)).tolist() == [0.1, 0.4, 0.9]
    assert isotonic(np.array([0.9, 0.6, 0.0]), np.array([1.0, 1.0, 2.0])) == pytest.approx([0.375] * 3)


def test_the_calibration_error_is_the_mean_difference_over_the_bins() -> None:
    # Fifteen bins of two: 0.1 and 0.3 with one right are off by 0.3, thirteen of 0.5 and 0.5 with one right by nothing,
    # 0.8 and 1.0 with none by 0.9.
    told = np.array([0.3, *[0.5] * 26, 1.0, 0.8, 0.1])
    right = np.array([True, *[True, False] * 13, False, False, False])
    bins = calibration_bins(told, right)
    assert [each.matches for each in bins] == [2] * 15
    assert bins[0] == CalibrationBin((0.1 + 0.3) / 2, 0.5, 2)
    assert calibration_error(bins) == pytest.approx((2 * 0.3 + 26 * 0 + 2 * 0.9) / 30)
    assert calibration_error(calibration_bins(np.array([0.25]), np.array([True]))) == 0.75


def test_auroc_counts_pairs_and_halves_ties() -> None:
    values, right = np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False])
    assert auroc(values, right) == (1 + 1 + 0.5 + 1) / 4
    assert auroc(-values, right) == 0.5 / 4
    assert auroc(values, np.ones(4, bool)) is None


# Known rates


def _asked(queries: int, seed: int, rate: float | None = None) -> list[Asked]:
    """Queries whose matches are right at a rate that is their evidence, or at one rate whatever that is."""
    random = np.random.default_rng(seed)
    found = []
    for evidence in np.sort(random.uniform(0.05, 0.95, (queries, 100)))[:, ::-1]:
        right = random.random(100) < (evidence if rate is None else rate)
        found.append(Asked(Judged(evidence, evidence, 0.0), evidence, right))
    return found


def test_known_rates_are_found() -> None:
    found = calibration.calibration(_asked(500, 1), 1000, calibration.fit_labels)
    levels = np.linspace(0.15, 0.9, 16)
    assert found.curve.at(levels) == pytest.approx(levels, abs=0.06)
    assert found.error < 0.03
    held_out = _asked(500, 2)
    told = np.concatenate([found.curve.of(each.near)[:10] for each in held_out])
    right = np.concatenate([each.is_right[:10] for each in held_out])
    assert calibration_error(calibration_bins(told, right)) < 0.03


def test_evidence_that_tells_nothing_gives_the_rate_of_all() -> None:
    found = calibration.calibration(_asked(500, 3, rate=0.3), 1000, calibration.fit_labels)
    assert found.curve.at(np.linspace(0.2, 0.9, 8)) == pytest.approx(0.3, abs=0.05)
    assert found.error < 0.03
    assert found.auroc == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_nothing_is_certain(rate: float) -> None:
    found = calibration.calibration(_asked(60, 4, rate=rate), 1000, calibration.fit_labels)
    assert (found.auroc, found.auroc_of_score, found.auroc_of_centred) == (None, None, None)
    assert all(0 < each < 1 for each in found.curve.probability)
    assert np.abs(found.curve.at(np.array([0.0, 0.5, 1.0])) - rate).max() < 0.1


@pytest.mark.parametrize("queries", [2, 40, 1000])
def test_a_curve_rises_and_has_few_knots(queries: int) -> None:
    curve = calibration.fit_labels(_asked(queries, 5))
    assert 1 <= len(curve.evidence) == len(curve.probability) <= MOST_KNOTS
    assert np.all(np.diff(curve.evidence) > 0)
    assert np.all(np.diff(curve.probability) > 0)
    alike = Asked(Judged(np.ones(5), np.ones(5), 1.0), np.ones(5), np.ones(5, bool))
    assert calibration.fit_labels([alike] * queries).evidence == (1.0,)


# Collections


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    with kinds(tmp_path_factory.mktemp("kinds") / "photos", 600) as collection:
        yield collection


def test_probabilities_hold_for_queries_that_are_not_in_the_collection(photos: Collection) -> None:
    measured = photos.evaluate().calibration
    assert measured is not None
    assert (measured.queries, measured.vectors) == (600, 600)
    assert measured.error < 0.05
    told, right = [], []
    for vector, kind in zip(*drawn(400, 9), strict=True):
        for match in photos.search_vector(vector):
            assert match.probability is not None
            told.append(match.probability)
            right.append(match.label == f"kind {kind}")
    bins = calibration_bins(np.array(told), np.array(right))
    assert calibration_error(bins) < 0.05
    assert bins[-1].told - bins[0].told > 0.2  # it tells something


def test_the_best_answers_are_told_as_well_as_by_the_centred_cosine(photos: Collection) -> None:
    measured = photos.evaluate().calibration
    assert measured is not None
    assert measured.auroc is not None
    assert measured.auroc_of_centred is not None
    assert measured.auroc > measured.auroc_of_centred
    assert isinstance(measured.curve, LabelCurve)
    assert measured.curve.relatives == 0.5  # since some kinds are closer than others
    assert sum(each.matches for each in measured.bins) == 6000


def test_without_labels_or_with_too_few_images_nothing_is_told(tmp_path: Path) -> None:
    for name, count, labelled in (("bare", 200, False), ("few", 90, True), ("little", 30, True)):
        with create(tmp_path / name, 24) as collection:
            names = keys_of(count) if labelled else [f"{number}.jpg" for number in range(count)]
            put(collection, drawn(count, 1)[0], names)
            assert collection.evaluate().calibration is None
            assert {match.probability for match in collection.search_id(1)} == {None}
            assert not (collection.directory / "probability.json").exists()

"""Evaluations with every kind of content, for the tests of reports and JSON."""

import dataclasses
from pathlib import Path

from PIL import Image

from lookalike.evaluation.results import Calibration, CalibrationBin, Evaluation, OrderQuality, WorstQuery
from lookalike.index.operating_point import OperatingPoint, SearchParameters
from lookalike.metrics import LabelQuality
from lookalike.results import Match, Matches
from lookalike.search.probability import LabelCurve

GREEN, RED = (30, 160, 60), (200, 30, 40)
HOSTILE = (
    "<script>window.hacked=1</script>",
    '"><img src="/stolen.png" onerror="window.hacked=1">',
    "exe.\u202egnp",
    "b\udcff\udcfe",
    "{{ 7 * 7 }}",
)
EXACT = Evaluation(713, 400, 1.0, 1.0, 0.21, 0.21)
INDEXED = Evaluation(
    images=1_000_000,
    queries=400,
    recall=0.98,
    recall_low=0.96,
    milliseconds=1.0,
    exact_milliseconds=100.0,
    spec="IVF4096,PQ320x4fs",
    kind="ivf",
    points=(
        OperatingPoint(10, SearchParameters(8, 2), 0.9, 0.8, 0.1),
        OperatingPoint(10, SearchParameters(64, 10), 0.98, 0.96, 1.0),
        OperatingPoint(10, SearchParameters(512, 20), 0.9996, 0.99, 10.0),
    ),
    chosen=1,
    target_recall=0.95,
)


CALIBRATION = Calibration(
    queries=400,
    vectors=1_000_000,
    error=0.0375,
    auroc=0.7625,
    auroc_of_centred=0.75,
    auroc_of_score=0.625,
    bins=(CalibrationBin(0.25, 0.5, 100), CalibrationBin(0.5, 0.5, 100), CalibrationBin(0.875, 0.75, 100)),
    curve=LabelCurve((0.25, 0.75), (0.25, 0.875), 0.5),
)


def labelled_evaluation(folder: Path) -> Evaluation:
    """Two labels, and two bad queries: one with a right, a wrong and an unlabelled answer, and one without any.

    The images of the queries and answers are written to `folder`.
    """
    Image.new("RGB", (60, 90), GREEN).save(folder / "green.png")
    Image.new("RGB", (60, 90), RED).save(folder / "red.png")
    query = Match(1, "dress/green.png", folder / "green.png", 1.0, "dress")
    found = [
        Match(2, "dress/red.png", folder / "red.png", 0.9, "dress"),
        Match(3, "hat/red.png", folder / "red.png", 0.8125, "hat"),
        Match(4, "shard.tar#cat.jpg", None, 0.7),
    ]
    return dataclasses.replace(
        INDEXED,
        precision_at_1=0.75,
        precision_at_10=0.6254,
        mean_average_precision=0.5,
        labels=(LabelQuality("dress", 4000, 10, 0.5, 0.25, 0.3), LabelQuality("hat", 30, 30, 1.0, 0.75, 0.7)),
        orders=(
            OrderQuality("cosine", 0.75, 0.625, 0.5, 0.975, 0.9),
            OrderQuality("refined", 0.7725, 0.6754, 0.6125, 0.9, 8.4),
        ),
        calibration=CALIBRATION,
        worst=(WorstQuery(query, Matches(found), 1 / 3), WorstQuery(found[1], Matches(), 0.0)),
    )


def hostile_evaluation() -> Evaluation:
    """An evaluation in which every text is an attack."""
    matches = [Match(i + 1, name, Path("/photos", name), 0.5, name) for i, name in enumerate(HOSTILE)]
    return dataclasses.replace(
        INDEXED,
        spec=HOSTILE[0],
        kind=HOSTILE[0],
        labels=tuple(LabelQuality(name, 2, 2, 0.5, 0.5, 0.5) for name in HOSTILE),
        worst=tuple(WorstQuery(match, Matches(matches), 0.1) for match in matches),
    )

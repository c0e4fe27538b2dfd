"""The report on an evaluation, seen in a real browser, and the same as JSON."""

import base64
import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from lookalike.display.json import evaluation_as_dict
from lookalike.display.plot import plot
from lookalike.display.report import report, write_report
from lookalike.display.text import safe_text, share_text, time_text
from lookalike.evaluation.results import Evaluation, LabelQuality, Point, WorstQuery
from lookalike.results import Match, Matches
from tests.support import browser

SIZE = (1000, 900)
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
    points=(
        Point(0.9, 0.8, 0.1, "nprobe=8, k'=20"),
        Point(0.98, 0.96, 1.0, "nprobe=64, k'=100"),
        Point(0.9996, 0.99, 10.0, "nprobe=512, k'=200"),
    ),
    chosen=1,
    promise=0.95,
)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Two labels and two bad queries: one with a right, a wrong and an unlabelled answer, one without any."""
    folder = tmp_path_factory.mktemp("photos")
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
        worst=(WorstQuery(query, Matches(found), 1 / 3), WorstQuery(found[1], Matches(), 0.0)),
    )


@pytest.fixture(scope="module")
def hostile() -> Evaluation:
    """An evaluation whose every word is an attack."""
    matches = [Match(i + 1, name, Path("/photos", name), 0.5, name) for i, name in enumerate(HOSTILE)]
    return dataclasses.replace(
        INDEXED,
        spec=HOSTILE[0],
        points=tuple(Point(0.9, 0.8, 1.0 + i, name) for i, name in enumerate(HOSTILE)),
        labels=tuple(LabelQuality(name, 2, 2, 0.5, 0.5, 0.5) for name in HOSTILE),
        worst=tuple(WorstQuery(match, Matches(matches), 0.1) for match in matches),
    )


@pytest.fixture(scope="module")
def seen(labelled: Evaluation, hostile: Evaluation) -> tuple[dict[str, Any], list[str]]:
    """One start of the browser for everything that can be measured inside a page."""
    attacked = report(hostile, title=HOSTILE[0])
    start, end = attacked.index("<meta http-equiv"), attacked.index("<meta name=")
    many = tuple(LabelQuality(f"label {i} " + "long" * (i % 9), 9000, 99, 0.1, 0.2, 0.3) for i in range(1000))
    pages = {
        "/labelled": report(labelled, title="Photos"),
        "/indexed": report(INDEXED),
        "/one": report(dataclasses.replace(INDEXED, points=INDEXED.points[:1], chosen=0, promise=None)),
        "/exact": report(EXACT),
        "/hostile": attacked,
        "/unguarded": attacked[:start] + attacked[end:],
        "/many": report(dataclasses.replace(labelled, labels=many)),
    }
    frames = {name[1:]: (name, SIZE[0]) for name in pages}
    return browser.look(pages, frames | {"phone": ("/labelled", 360), "long_phone": ("/many", 360)})


Seen = tuple[dict[str, Any], list[str]]


def test_the_numbers_come_first_with_what_they_mean(seen: Seen) -> None:
    words = seen[0]["labelled"]["words"].split("Recall and time")[0].split("\n")
    assert [word for word in words if word] == [
        "Photos",
        "1,000,000 images, 400 queries, index IVF4096,PQ320x4fs",
        *("Recall@10", "0.980", "at least 0.960, promised 0.95"),
        *("Precision@1", "0.750", "the first answer"),
        *("Precision@10", "0.625", "the first ten answers"),
        *("mAP", "0.500", "the whole ranking"),
        *("Time a query", "1.0 ms", "exact search 100 ms"),
    ]


def test_without_labels_nothing_is_said_of_precision(seen: Seen) -> None:
    for name in ("indexed", "exact"):
        assert not re.search("precision|mAP|label|worst", seen[0][name]["words"], re.IGNORECASE)


def test_without_an_index_the_report_says_that_every_search_is_exact(seen: Seen) -> None:
    found = seen[0]["exact"]
    assert "every search is exact" in found["words"]
    assert "There is no index" in found["words"]
    assert "svg" not in found["tags"]
    assert found["headings"] == ["Search quality", "Recall and time"]


def test_every_operating_point_is_where_its_recall_and_time_are(seen: Seen) -> None:
    """The grid around them goes from 0.05 to 200 ms on a logarithmic scale, and from 1 down to 0.75."""
    across = [0.301, 1.301, 2.301, 3.301]  # log10 of 0.1, 1, 10 and 100 ms over 0.05 ms, of 200 ms: 3.602
    down = [0.1 / 0.25, 0.02 / 0.25, 0.0004 / 0.25, 0]
    expected = [(x / 3.602, y) for x, y in zip(across, down, strict=True)]
    for name in ("labelled", "phone"):
        assert [tuple(mark) for mark in seen[0][name]["marks"]] == [pytest.approx(at, abs=0.01) for at in expected]


def test_the_points_say_in_words_what_they_are_and_which_is_in_use(seen: Seen) -> None:
    assert seen[0]["labelled"]["drawn"] == [
        "nprobe=8, k'=20: recall 0.900, at least 0.800, 0.10 ms",
        "In use: nprobe=64, k'=100: recall 0.980, at least 0.960, 1.0 ms",
        "nprobe=512, k'=200: recall 0.999, at least 0.990, 10 ms",
        "Exact search: recall 1.000, 100 ms",
    ]


def test_the_plot_has_a_table_beside_it(seen: Seen) -> None:
    assert seen[0]["indexed"]["rows"] == [
        ["nprobe=8, k'=20", "0.900", "0.800", "0.10 ms"],
        ["nprobe=64, k'=100 in use", "0.980", "0.960", "1.0 ms"],
        ["nprobe=512, k'=200", "0.999", "0.990", "10 ms"],
        ["exact", "1.000", "1.000", "100 ms"],
    ]


def test_one_point_makes_a_plot_too(seen: Seen) -> None:
    found = seen[0]["one"]
    assert len(found["marks"]) == 2
    assert all(0 <= place <= 1 for mark in found["marks"] for place in mark)
    assert "promised" not in found["words"]


def test_each_label_has_its_numbers_and_a_bar_as_long_as_its_precision(seen: Seen) -> None:
    found = seen[0]["labelled"]
    assert found["rows"][-2:] == [
        ["dress", "10 of 4,000", "0.250", "0.500", "0.300"],
        ["hat", "30", "0.750", "1.000", "0.700"],
    ]
    assert found["bars"] == pytest.approx([0.25, 0.75], abs=0.01)
    assert "over 40 queries" in found["words"]


def test_a_thousand_labels_scroll_in_a_box_of_their_own(seen: Seen) -> None:
    found = seen[0]["many"]
    assert len(found["bars"]) == 1000
    assert "Precision of 1,000 labels, lowest first" in found["headings"]
    lowest = max(picture["box"]["bottom"] for picture in found["pictures"])  # of the worst queries, below the labels
    assert lowest < 3000


def test_right_and_wrong_answers_are_told_apart_in_words_and_by_a_sign(labelled: Evaluation, seen: Seen) -> None:
    found = seen[0]["labelled"]
    assert [picture["alt"] for picture in found["pictures"]] == [
        "The query, green.png",
        "Answer 1, right, red.png",
        "Answer 2, wrong, red.png",
        "The query, red.png",
    ]
    cards = found["cards"]
    assert cards[0].split("\n")[0] == "1 of 3 right"
    assert [card.split("\n")[-1] for card in cards[1:4]] == ["dress", "hat", "no label"]
    assert "not a file of its own" in cards[3]
    assert "Nothing was found." in cards[4]
    signs = re.findall(r'class="verdict (\w+)".*?<path d="([^"]+)"', report(labelled))
    key, answers = signs[:2], signs[2:]
    assert [word for word, _ in answers] == ["right", "wrong", "wrong"]
    assert dict(answers) == dict(key)
    assert len({sign for _, sign in answers}) == 2


def test_a_picture_leads_to_its_file(labelled: Evaluation, seen: Seen) -> None:
    first = labelled.worst[0]
    matches = [match for match in (first.query, *first.found, labelled.worst[1].query) if match.path]
    assert seen[0]["labelled"]["links"] == [match.path.as_uri() for match in matches if match.path]


def test_nothing_but_the_report_itself_is_ever_asked_for(seen: Seen) -> None:
    frames, asked = seen
    assert all(frame["loaded"] == [] for frame in frames.values())
    addresses = {"/labelled", "/indexed", "/one", "/exact", "/hostile", "/unguarded", "/many"}
    assert {urlsplit(address).path for address in asked} == {"/", *addresses}


@pytest.mark.parametrize("frame", ["hostile", "unguarded"])
def test_hostile_names_are_shown_and_do_nothing(frame: str, seen: Seen) -> None:
    """Also without the page's security policy, by escaping alone."""
    found = seen[0][frame]
    assert not found["hacked"]
    assert not {"script", "iframe", "object"} & set(found["tags"])
    assert found["title"] == HOSTILE[0]
    names = [safe_text(name) for name in HOSTILE]
    assert [row[0].removesuffix(" in use") for row in found["rows"]] == [*names, "exact", *names]
    assert names[2:4] == [r"exe.\u202egnp", r"b\xff\xfe"]


def test_nothing_is_wider_than_a_phone(seen: Seen) -> None:
    assert [seen[0][name]["overflow"] for name in ("phone", "long_phone", "hostile", "many")] == [0, 0, 0, 0]


def test_a_person_who_cannot_see_finds_headings_and_language(seen: Seen) -> None:
    found = seen[0]["labelled"]
    assert found["language"] == "en"
    expected = ["Photos", "Recall and time", "Precision of 2 labels, lowest first", "Worst queries"]
    assert found["headings"] == expected


@pytest.mark.parametrize("dark", [False, True])
def test_the_report_follows_the_light_or_dark_theme(dark: bool, labelled: Evaluation, tmp_path: Path) -> None:
    write_report(labelled, tmp_path / "report.html")
    shot = browser.photograph(tmp_path / "report.html", SIZE, dark=dark)
    corner = shot.getpixel((2, 2))
    assert isinstance(corner, tuple)
    assert max(corner) < 60 if dark else min(corner) > 230


def test_a_report_is_utf8_whatever_the_names(hostile: Evaluation, tmp_path: Path) -> None:
    write_report(hostile, tmp_path / "report.html", title="\udcff")
    assert (tmp_path / "report.html").read_text("utf-8").count("<title>\\xff</title>") == 1


def test_templates_are_read_only_when_a_report_is_made() -> None:
    code = "import sys, lookalike.display.report; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Numbers in words, and where things lie


@pytest.mark.parametrize(
    ("share", "expected"), [(1.0, "1.000"), (0.9999, "0.999"), (0.983, "0.983"), (0.29, "0.290"), (0.0, "0.000")]
)
def test_a_share_is_rounded_down(share: float, expected: str) -> None:
    assert share_text(share) == expected


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [(0.0, "0 ms"), (0.0843, "0.084 ms"), (0.55, "0.55 ms"), (8.36, "8.4 ms"), (83.4, "83 ms"), (1240.4, "1,240 ms")],
)
def test_a_time_has_two_digits_that_count(milliseconds: float, expected: str) -> None:
    assert time_text(milliseconds) == expected


@pytest.mark.parametrize("milliseconds", [0.0, 1e-9, 0.2, 1.0, 3.0, 5000.0])
@pytest.mark.parametrize("low", [0.0, 0.5, 0.9, 0.9996, 1.0])
def test_everything_lies_within_the_grid(milliseconds: float, low: float) -> None:
    points = (Point(low, low, milliseconds, "one"),)
    for promise in (None, 0.01, 1.0):
        made = plot(dataclasses.replace(INDEXED, points=points, promise=promise))
        marks = [*made.marks, made.exact]
        places = [place for mark in marks for place in (mark.x, mark.y, mark.low)]
        ticks = [tick.at for tick in (*made.milliseconds, *made.recalls)]
        assert all(-1e-9 <= place <= 100 + 1e-9 for place in [*places, *ticks, made.promise or 0])
        assert 2 <= len(made.recalls) <= 8
        assert 2 <= len(made.milliseconds) <= 8
        assert len({tick.text for tick in made.recalls}) == len(made.recalls)


# JSON


def test_an_evaluation_is_one_object_of_strict_json(labelled: Evaluation) -> None:
    record = json.loads(json.dumps(evaluation_as_dict(labelled), allow_nan=False))
    assert set(record) == {field.name for field in dataclasses.fields(Evaluation)}
    assert (record["recall"], record["chosen"], record["promise"], record["k"]) == (0.98, 1, 0.95, 10)
    assert record["points"][0] == {
        "recall": 0.9,
        "recall_low": 0.8,
        "milliseconds": 0.1,
        "name": "nprobe=8, k'=20",
    }
    assert record["labels"][1]["label"] == "hat"
    assert record["worst"][0]["key"] == "dress/green.png"
    assert record["worst"][0]["found"][1] == {"id": 3, "key": "hat/red.png", "label": "hat", "score": 0.8125}
    assert record["worst"][1]["found"] == []


def test_what_is_not_known_or_not_finite_is_null_in_json() -> None:
    record = evaluation_as_dict(dataclasses.replace(EXACT, milliseconds=float("nan")))
    assert record["milliseconds"] is None
    assert [record[name] for name in ("precision_at_1", "chosen", "promise")] == [None, None, None]
    assert (record["points"], record["labels"], record["worst"]) == ([], [], [])


def test_a_name_that_is_not_utf8_is_given_twice_in_json(hostile: Evaluation) -> None:
    record = json.loads(json.dumps(evaluation_as_dict(hostile), allow_nan=False))
    assert record["labels"][3]["label"] == record["worst"][3]["key"] == r"b\xff\xfe"
    for named, field in ((record["labels"][3], "label"), (record["worst"][3], "key")):
        assert base64.b64decode(named[f"{field}_bytes"]) == b"b\xff\xfe"

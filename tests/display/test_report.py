"""The report on an evaluation, in a real browser."""

import dataclasses
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import lookalike
from lookalike.cli.output import OutputFiles
from lookalike.cli.quality import print_evaluation
from lookalike.display.report import report, write_report
from lookalike.display.text import safe_text, score_text
from lookalike.evaluation.results import Evaluation
from lookalike.metrics import LabelQuality
from lookalike.results import Origin
from tests.support import browser
from tests.support.browser import Inspection
from tests.support.evaluations import CALIBRATION, EXACT, HOSTILE, INDEXED, hostile_evaluation, labelled_evaluation

SIZE = (1000, 900)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return labelled_evaluation(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def hostile() -> Evaluation:
    return hostile_evaluation()


@pytest.fixture(scope="module")
def seen(labelled: Evaluation, hostile: Evaluation) -> Inspection:
    """All reports, inspected in one start of the browser."""
    attacked = report(hostile, title=HOSTILE[0])
    start, end = attacked.index("<meta http-equiv"), attacked.index("<meta name=")
    many = tuple(LabelQuality(f"label {i} " + "long" * (i % 9), 9000, 99, 0.1, 0.2, 0.3) for i in range(1000))
    pages = {
        "/labelled": report(labelled, title="Photos"),
        "/indexed": report(INDEXED),
        "/one": report(dataclasses.replace(INDEXED, points=INDEXED.points[:1], chosen=0, target_recall=None)),
        "/exact": report(EXACT),
        "/hostile": attacked,
        "/unguarded": attacked[:start] + attacked[end:],
        "/many": report(dataclasses.replace(labelled, labels=many)),
    }
    frames = {name[1:]: (name, SIZE[0]) for name in pages}
    return browser.inspect(pages, frames | {"phone": ("/labelled", 360), "long_phone": ("/many", 360)})


def test_the_numbers_come_first_and_are_explained(seen: Inspection) -> None:
    lines = seen.frames["labelled"]["text"].split("Recall and time")[0].split("\n")
    assert [line for line in lines if line] == [
        "Photos",
        "1,000,000 images, 400 queries, index IVF4096,PQ320x4fs",
        *("Recall@10", "0.980", "at least 0.960, target 0.95"),
        *("Precision@1", "0.750", "the first answer"),
        *("Precision@10", "0.625", "the first ten answers"),
        *("mAP", "0.500", "the whole ranking"),
        *("Time a query", "1.0 ms", "exact search 100 ms"),
    ]


def test_exact_search_is_marked_where_the_index_is_not_used() -> None:
    row = '<tr class="chosen"><th scope="row">exact <span class="label">in use</span></th>'
    assert row in report(dataclasses.replace(INDEXED, chosen=None))
    assert row not in report(INDEXED)


def test_a_report_names_the_images_by_id_and_tells_where_it_is_from(labelled: Evaluation) -> None:
    origin = Origin(Path("/photos"), "resnet (f32)", "0123456789abcdef", datetime(2026, 5, 4, 13, 7, tzinfo=UTC))
    text = report(dataclasses.replace(labelled, origin=origin))
    assert text.count('<p class="facts">id 1</p>') == 1
    assert 'title="red.png, id 2, score 0.900"' in text
    assert 'Images of <bdi class="folder">/photos</bdi>, compared by the model <bdi>resnet (f32)</bdi>' in text
    assert f"Lookalike {lookalike.__version__}, 2026-05-04 13:07 UTC" in text


def test_the_reliability_diagram_has_a_point_for_each_bin(labelled: Evaluation) -> None:
    """The share that is right upwards, the probability to the right, in percent; a line leads to where it should be."""
    text = report(labelled)
    section = text[text.index('<h2 id="probability">') : text.index('<h2 id="labels">')]
    points = re.findall('<circle class="point" cx="([0-9.]+)%" cy="([0-9.]+)%"', section)
    assert [tuple(map(float, point)) for point in points] == [(25, 50), (50, 50), (87.5, 25)]
    off = re.findall('<line class="low" x1="([0-9.]+)%" y1="([0-9.]+)%" x2="([0-9.]+)%" y2="([0-9.]+)%"', section)
    assert [tuple(map(float, line)) for line in off] == [(25, 50, 25, 75), (50, 50, 50, 50), (87.5, 25, 87.5, 12.5)]
    assert "<title>told 0.875, found 0.750, 100 matches</title>" in section
    for told in ("off by 0.037 on average", "of 400 queries", "0.762 of the cases", "0.750 by the cosine", "0.625 by"):
        assert told in section
    assert 'id="probability"' not in report(INDEXED)
    all_right = dataclasses.replace(CALIBRATION, auroc=None)
    assert "AUROC" not in report(dataclasses.replace(labelled, calibration=all_right))


def test_the_probability_of_a_copy_has_a_diagram_of_its_own(labelled: Evaluation) -> None:
    told = dataclasses.replace(CALIBRATION, queries=800, error=0.02)
    text = report(dataclasses.replace(labelled, copy_calibration=told))
    section = text[text.index('<h2 id="copies">') : text.index('<h2 id="labels">')]
    assert len(re.findall('<circle class="point" cx=', section)) == 3
    for words in ("off by 0.020 on average", "of 800 queries", "Share that is the original", "0.762 of the cases"):
        assert words in section
    assert 'id="copies"' not in report(labelled)
    assert 'id="copies"' in report(dataclasses.replace(EXACT, copy_calibration=told))  # without labels


def test_the_links_of_a_report_are_relative_to_it(labelled: Evaluation, tmp_path: Path) -> None:
    photo = labelled.worst[0].query.path
    assert photo
    write_report(labelled, photo.parent / "quality.html")
    links = re.findall('<a class="image" href="([^"]*)"', (photo.parent / "quality.html").read_text())
    assert links[:2] == ["./green.png", "./red.png"]


@pytest.mark.parametrize(
    ("recall", "milliseconds"), [(0.97999, 0.01749), (0.9805, 1.0049), (0.9999, 12.5), (1.0, 1234.4)]
)
def test_the_terminal_and_the_page_show_the_same_numbers(
    recall: float, milliseconds: float, labelled: Evaluation, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recall is rounded down on both, so that 0.9999 is not taken for all."""
    odd = dataclasses.replace(
        labelled, recall=recall, recall_low=recall - 0.0101, milliseconds=milliseconds, precision_at_1=0.8365
    )
    print_evaluation(odd, OutputFiles(), as_json=False)
    printed, page = capsys.readouterr().out, report(odd)
    shown = dict(re.findall(r"<dt>(.*?)</dt>\s*<dd class=\"value\">(.*?)</dd>", page))
    low = re.search("at least (0[.][0-9]+)", page)
    assert low
    expected = [
        f"recall@10      {shown['Recall@10']} (95% lower bound {low[1]}), 400 queries",
        f"time           {shown['Time a query']} a query; exact search 100 ms",
        f"precision@1    {shown['Precision@1']}",
        f"precision@10   {shown['Precision@10']}",
        f"mAP            {shown['mAP']}",
    ]
    assert printed.splitlines()[:5] == expected
    assert max(map(len, printed.splitlines())) <= 80
    for match in labelled.worst[0].found:
        assert f"score {score_text(match.score)}" in page


def test_without_labels_the_report_has_no_precision(seen: Inspection) -> None:
    for name in ("indexed", "exact"):
        assert not re.search("precision|mAP|label|worst", seen.frames[name]["text"], re.IGNORECASE)


def test_without_an_index_the_report_says_that_search_is_exact(seen: Inspection) -> None:
    found = seen.frames["exact"]
    assert "every search is exact" in found["text"]
    assert "There is no index" in found["text"]
    assert "svg" not in found["tags"]
    assert found["headings"] == ["Search quality", "Recall and time"]


def test_operating_points_are_plotted_at_their_recall_and_time(seen: Inspection) -> None:
    """The grid spans 0.05 to 200 ms on a logarithmic scale, and a recall of 1 down to 0.75."""
    across = [0.301, 1.301, 2.301, 3.301]  # log10 of 0.1, 1, 10 and 100 ms over 0.05 ms, of 200 ms: 3.602
    down = [0.1 / 0.25, 0.02 / 0.25, 0.0004 / 0.25, 0]
    expected = [(x / 3.602, y) for x, y in zip(across, down, strict=True)]
    for name in ("labelled", "phone"):
        marks = [tuple(mark) for mark in seen.frames[name]["marks"][: len(expected)]]
        assert marks == [pytest.approx(at, abs=0.01) for at in expected]


def test_plotted_points_have_a_title_that_says_which_is_in_use(seen: Inspection) -> None:
    assert seen.frames["labelled"]["drawn"][:4] == [
        "nprobe 8, 2 candidates each: recall 0.900, at least 0.800, 0.10 ms",
        "In use: nprobe 64, 10 candidates each: recall 0.980, at least 0.960, 1.0 ms",
        "nprobe 512, 20 candidates each: recall 0.999, at least 0.990, 10 ms",
        "Exact search: recall 1.000, 100 ms",
    ]


def test_a_table_beside_the_plot_holds_its_numbers(seen: Inspection) -> None:
    assert seen.frames["indexed"]["rows"] == [
        ["nprobe 8, 2 candidates each", "0.900", "0.800", "0.10 ms"],
        ["nprobe 64, 10 candidates each in use", "0.980", "0.960", "1.0 ms"],
        ["nprobe 512, 20 candidates each", "0.999", "0.990", "10 ms"],
        ["exact", "1.000", "1.000", "100 ms"],
    ]


def test_a_single_point_is_plotted_too(seen: Inspection) -> None:
    found = seen.frames["one"]
    assert len(found["marks"]) == 2
    assert all(0 <= position <= 1 for mark in found["marks"] for position in mark)
    assert "target" not in found["text"]


def test_each_label_has_its_numbers_and_a_bar_for_its_precision(seen: Inspection) -> None:
    found = seen.frames["labelled"]
    assert found["rows"][-2:] == [
        ["dress", "10 of 4,000", "0.250", "0.500", "0.300"],
        ["hat", "30", "0.750", "1.000", "0.700"],
    ]
    assert found["bars"] == pytest.approx([0.25, 0.75], abs=0.01)
    assert "over 40 queries" in found["text"]


def test_a_thousand_labels_scroll_in_a_box_of_their_own(seen: Inspection) -> None:
    found = seen.frames["many"]
    assert len(found["bars"]) == 1000
    assert "Precision of 1,000 labels, lowest first" in found["headings"]
    lowest = max(image["box"]["bottom"] for image in found["images"])  # of the worst queries, below the labels
    assert lowest < 3000


def test_right_and_wrong_answers_differ_in_text_and_in_a_sign(labelled: Evaluation, seen: Inspection) -> None:
    found = seen.frames["labelled"]
    assert [image["alt"] for image in found["images"]] == [
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
    assert [verdict for verdict, _ in answers] == ["right", "wrong", "wrong"]
    assert dict(answers) == dict(key)
    assert len({sign for _, sign in answers}) == 2


def test_an_image_links_to_its_file(labelled: Evaluation, seen: Inspection) -> None:
    first = labelled.worst[0]
    matches = [match for match in (first.query, *first.found, labelled.worst[1].query) if match.path]
    assert seen.frames["labelled"]["links"] == [match.path.as_uri() for match in matches if match.path]


def test_a_report_requests_nothing_but_itself(seen: Inspection) -> None:
    assert all(frame["loaded"] == [] for frame in seen.frames.values())
    addresses = {"/labelled", "/indexed", "/one", "/exact", "/hostile", "/unguarded", "/many"}
    assert {urlsplit(address).path for address in seen.requests} == {"/", *addresses}


@pytest.mark.parametrize("frame", ["hostile", "unguarded"])
def test_hostile_names_are_shown_as_text_only(frame: str, seen: Inspection) -> None:
    """Escaping alone is enough, even without the page's Content-Security-Policy."""
    found = seen.frames[frame]
    assert not found["hacked"]
    assert not {"script", "iframe", "object"} & set(found["tags"])
    assert found["title"] == HOSTILE[0]
    points = ["2 candidates each", "10 candidates each", "20 candidates each"]
    names = [safe_text(name) for name in HOSTILE]
    assert [row[0].removesuffix(" in use") for row in found["rows"]] == [*points, "exact", *names]
    assert f"index {names[0]}" in found["text"]
    assert names[2:4] == [r"exe.\u202egnp", r"b\xff\xfe"]


def test_a_report_fits_the_width_of_a_phone(seen: Inspection) -> None:
    assert [seen.frames[name]["overflow"] for name in ("phone", "long_phone", "hostile", "many")] == [0, 0, 0, 0]


def test_screen_readers_find_headings_and_language(seen: Inspection) -> None:
    found = seen.frames["labelled"]
    assert found["language"] == "en"
    expected = [
        "Photos",
        "Recall and time",
        "Order of the matches",
        "Probability of the labels",
        "Precision of 2 labels, lowest first",
        "Worst queries",
    ]
    assert found["headings"] == expected


@pytest.mark.parametrize("dark", [False, True])
def test_a_report_follows_the_light_or_dark_theme(dark: bool, labelled: Evaluation, tmp_path: Path) -> None:
    write_report(labelled, tmp_path / "report.html")
    shot = browser.screenshot(tmp_path / "report.html", SIZE, dark=dark)
    corner = shot.getpixel((2, 2))
    assert isinstance(corner, tuple)
    assert max(corner) < 60 if dark else min(corner) > 230


def test_a_report_is_utf8_whatever_the_names(hostile: Evaluation, tmp_path: Path) -> None:
    write_report(hostile, tmp_path / "report.html", title="\udcff")
    assert (tmp_path / "report.html").read_text("utf-8").count("<title>\\xff</title>") == 1


def test_jinja_is_loaded_only_when_a_report_is_made() -> None:
    code = "import sys, lookalike.display.report; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

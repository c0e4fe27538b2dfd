"""The page of look-alikes, in a real browser."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from PIL import Image

import lookalike
from lookalike.display.html import address
from lookalike.display.page import fragment, page, write_page
from lookalike.display.text import safe_text
from lookalike.results import Match, Matches, Origin
from lookalike.search.terms import Term
from tests.support import browser
from tests.support.browser import Inspection

RED, GREEN, BLUE = (200, 30, 40), (30, 160, 60), (40, 60, 190)
SCORES = (1.0, 0.75, 0.5, 0.25, -0.5)
SIZE = (1000, 900)

HOSTILE = (
    "<script>window.hacked=1</script>.png",
    '"><img src="/stolen.png" onerror="window.hacked=1">.png',
    "</title></style><script>window.hacked=1</script>",
    "a\nb\tc.png",
    "exe.\u202egnp.png",
    "b\udcff\udcfe.png",
    "{{ 7 * 7 }}{% raw %}.png",
    "#what?is=this&that%41;.png",
)

TERMS = (Term(Path("/photos/cat.jpg")), Term(Path("/photos/dog.jpg"), weight=-1), Term(text="red", weight=-0.5))
ORIGIN = Origin(Path("/photos/2024"), "resnet (f32)", "0123456789abcdef", datetime(2026, 5, 4, 13, 7, 59, tzinfo=UTC))

# A page that does everything wrong, which shows that the tests below can fail.
UNSAFE = '<title>t</title><img src="/stolen.png"><script>window.hacked = 1; document.title = "hacked"</script>'


def solid(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (60, 40)) -> Path:
    Image.new("RGB", size, colour).save(path)
    return path


@pytest.fixture(scope="module")
def matches(tmp_path_factory: pytest.TempPathFactory) -> Matches:
    """Three images of different sizes, one that is damaged, and one that is not a file of its own."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "broken.png").write_bytes(b"not an image")
    paths = [
        solid(folder / "red.png", RED, (60, 40)),
        solid(folder / "green.png", GREEN, (300, 600)),
        solid(folder / "blue.png", BLUE, (600, 300)),
        folder / "broken.png",
        None,
    ]
    keys = ["dress/red.png", "dress/green.png", "2024/hat/blue.png", "broken.png", "shard.tar#cat.jpg"]
    labels = ["dress", "dress", "hat", None, None]
    found = [
        Match(i + 1, key, path, score, label, 60 * i, 40 * i)
        for i, (key, path, score, label) in enumerate(zip(keys, paths, SCORES, labels, strict=True))
    ]
    return Matches(found, queries=[folder / "green.png"])


@pytest.fixture(scope="module")
def hostile() -> Matches:
    """Matches in which every text is an attack."""
    found = [
        Match(i + 1, name, Path("/photos", name), 0.5, label=name, width=1, height=1) for i, name in enumerate(HOSTILE)
    ]
    return Matches(found, queries=[Path("/photos", HOSTILE[2]), found[0]])


@pytest.fixture(scope="module")
def seen(matches: Matches, hostile: Matches) -> Inspection:
    """All pages, inspected in one start of the browser."""
    attacked = page(hostile, title=HOSTILE[2])
    start, end = attacked.index("<meta http-equiv"), attacked.index("<meta name=")
    notebook = "<!doctype html><title>notebook</title>"
    in_colour = "<body style='background:#111;color:rgb(221, 222, 223)'>"
    pages = {
        "/page": page(matches),
        "/hostile": attacked,
        "/unguarded": attacked[:start] + attacked[end:],
        "/fragment": notebook + fragment(matches) + fragment(hostile),
        "/in_colour": notebook + in_colour + fragment(matches),
        "/unsafe": UNSAFE,
        "/empty": page(Matches()),
        "/minus": page(Matches(matches[:2], queries=TERMS, origin=ORIGIN)),
        "/itself": page(Matches([replace(matches[0], is_query=True), matches[1]])),
        "/plain": page(Matches(matches[:2], queries=TERMS[:1])),
    }
    frames = {name[1:]: (name, SIZE[0]) for name in pages} | {"phone": ("/page", 360)}
    return browser.inspect(pages, frames)


def test_the_browser_detects_a_page_that_loads_files_or_runs_scripts(seen: Inspection) -> None:
    unsafe = seen.frames["unsafe"]
    assert unsafe["title"] == "hacked"
    assert unsafe["hacked"]
    assert [urlsplit(url).path for url in unsafe["loaded"]] == ["/stolen.png"]
    assert "/stolen.png" in seen.requests


def test_every_match_is_a_card_with_rank_score_name_and_label(seen: Inspection, matches: Matches) -> None:
    cards = seen.frames["page"]["cards"]
    assert len(cards) == len(matches)
    for rank, (card, match) in enumerate(zip(cards, matches, strict=True), 1):
        shown = card.split()
        assert f"{match.score:.3f}" in shown
        assert str(rank) in shown
        assert match.key.rpartition("/")[2] in shown
        assert match.label is None or match.label in shown
        assert card.splitlines()[-1].endswith(f"id {match.id}")
    assert "120 × 80" in cards[2]  # noqa: RUF001 # the multiplication sign
    assert "2024/hat" in cards[2].splitlines()


def test_thumbnails_are_embedded_and_load(seen: Inspection) -> None:
    images = seen.frames["page"]["images"]
    assert [(image["width"], image["scheme"]) for image in images] == [
        (160, "data"),  # the query: 300 x 600, scaled to fit into 320 x 320
        (60, "data"),  # a small image keeps its size
        (160, "data"),
        (320, "data"),
    ]


def test_an_unreadable_image_is_a_gap_with_the_reason(seen: Inspection) -> None:
    cards = seen.frames["page"]["cards"]
    assert "not an image" in cards[3]
    assert "not a file of its own" in cards[4]


def test_the_bar_is_as_long_as_the_score_and_empty_below_zero(seen: Inspection) -> None:
    assert seen.frames["page"]["bars"] == pytest.approx([max(0.0, score) for score in SCORES], abs=0.01)


def test_a_page_requests_nothing_but_itself(seen: Inspection) -> None:
    for name in ("page", "hostile", "unguarded", "fragment", "in_colour"):
        assert seen.frames[name]["loaded"] == []
    addresses = {f"/{name}" for name in seen.frames if name != "phone"}
    assert set(seen.requests) == {"/", *addresses, "/stolen.png"}
    assert seen.requests.count("/stolen.png") == 1  # by the unsafe page


@pytest.mark.parametrize("frame", ["hostile", "unguarded", "fragment"])
def test_hostile_names_are_shown_as_text_only(frame: str, seen: Inspection) -> None:
    """Escaping alone is enough, even without the page's Content-Security-Policy."""
    found = seen.frames[frame]
    assert not found["hacked"]
    assert not {"script", "iframe", "object"} & set(found["tags"])
    assert found["title"] == ("notebook" if frame == "fragment" else safe_text(HOSTILE[2]))
    shown = found["names"][-len(HOSTILE) :]
    assert shown == [safe_text(name).rpartition("/")[2] for name in HOSTILE]
    assert shown[3:6] == [r"a\nb\tc.png", r"exe.\u202egnp.png", r"b\xff\xfe.png"]


def test_a_link_leads_to_the_file_whatever_its_name(hostile: Matches, seen: Inspection) -> None:
    links = seen.frames["hostile"]["links"][2:]  # after those of the two queries
    assert len(links) == len(hostile)
    for link, match in zip(links, hostile, strict=True):
        address = urlsplit(link)
        assert (address.scheme, address.netloc, address.query, address.fragment) == ("file", "", "", "")
        assert match.path is not None
        assert unquote_to_bytes(address.path) == os.fsencode(match.path)


def test_the_query_among_the_matches_says_so(seen: Inspection) -> None:
    assert ["the query" in card for card in seen.frames["itself"]["cards"]] == [True, False]


def test_a_negative_query_is_marked_as_one(seen: Inspection) -> None:
    """By its word and by its outline; where there is only one query, nothing has to be said."""
    roles = [(role["text"], role["outlined"]) for role in seen.frames["minus"]["roles"]]
    assert roles == [("query", False), ("minus", True), ("minus × 0.5", True)]  # noqa: RUF001 # the multiplication sign
    assert seen.frames["plain"]["roles"] == []


def test_a_page_shows_the_attributes_that_were_filtered_by(matches: Matches) -> None:
    found = [replace(matches[0], attributes={"<b>": "a & b", "year": 2019}), matches[1]]
    text = page(Matches(found, filtered_by=["<b>", "none"]))
    assert text.count("<bdi>&lt;b&gt;</bdi>: <bdi>a &amp; b</bdi>") == 1
    assert "2019" not in text


def test_a_page_says_what_chance_and_labels_tell_of_matches() -> None:
    near = [(0.01, 0.834), (0.7, 0.5), (30.0, 0.1)]
    found = Matches(
        Match(place, "hat/a.png", None, 0.5, "hat", expected=expected, probability=probability)
        for place, (expected, probability) in enumerate(near, 1)
    )
    text = page(found)
    assert [text.count(f'<span class="fact">{word} chance</span>') for word in ("beyond", "near")] == [1, 1]
    assert re.findall(">([0-9]+%)<", text) == ["83%", "50%", "10%"]
    assert "The percentage after a label" in text
    assert "Nothing here is nearer than chance." not in text
    assert "A copy" not in text
    copies = page(Matches([replace(found[0], copy_probability=0.966), replace(found[1], copy_probability=0.4)]))
    assert re.findall(">(a copy [0-9]+%)<", copies) == ["a copy 97%"]
    assert "“A copy”: so probable is it" in copies
    alone = page(Matches(found[2:]))
    assert "Nothing here is nearer than chance." in alone
    assert "Nothing here is nearer than chance." in fragment(Matches(found[2:]))
    assert "Beyond chance" not in alone
    assert "%<" not in page(Matches([Match(1, "a.png", None, 0.5, "hat")]))


def test_a_page_tells_where_and_when_it_is_from(seen: Inspection, matches: Matches) -> None:
    footer = seen.frames["minus"]["text"].split("nothing in common.")[1].split("\n")
    assert [line for line in footer if line.strip()] == [
        "Images of /photos/2024, compared by the model resnet (f32) (fingerprint 0123456789ab).",
        f"Lookalike {lookalike.__version__}, 2026-05-04 13:07 UTC",
    ]
    hostile = Origin(Path("/\x1b<b>"), "<script>", "\u202e", ORIGIN.date)
    text = page(Matches(origin=hostile))
    assert "/\\x1b&lt;b&gt;" in text
    assert "<script>" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize(
    ("file", "where", "expected"),
    [
        ("photos/a.jpg", "page.html", "./photos/a.jpg"),
        ("photos/a.jpg", "photos/page.html", "./a.jpg"),
        ("photos/a.jpg", "pages/new/page.html", "./../../photos/a.jpg"),
        ("photos/a b#?%é.jpg", "photos/page.html", "./a%20b%23%3F%25%C3%A9.jpg"),
        ("photos/javascript:alert(1).jpg", "photos/page.html", "./javascript%3Aalert%281%29.jpg"),
        ("photos/\udcff.jpg", "page.html", "./photos/%FF.jpg"),
        ("pages/../photos/a.jpg", "page.html", "./photos/a.jpg"),
    ],
)
def test_a_link_is_relative_so_that_page_and_photos_can_be_moved(
    file: str, where: str, expected: str, tmp_path: Path
) -> None:
    for folder in ("photos", "pages/new"):
        (tmp_path / folder).mkdir(parents=True)
    assert address(tmp_path / file, tmp_path / where) == expected


def test_a_link_is_absolute_where_a_relative_one_would_not_lead_there(tmp_path: Path) -> None:
    """Far away, behind a symlink, or if it is not known where the page will be."""
    (tmp_path / "real" / "pages").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "pages")
    (tmp_path / "page.html").symlink_to(tmp_path / "real" / "page.html")
    photo = tmp_path / "photos" / "a.jpg"
    for where in (None, tmp_path / "link" / "page.html", tmp_path / "page.html", "/page.html"):
        assert address(photo, where) == photo.as_uri()
    assert address(Path("/elsewhere/a.jpg"), tmp_path / "page.html") == "file:///elsewhere/a.jpg"
    assert address(tmp_path / "real" / "pages" / "a.jpg", tmp_path / "link" / "page.html") == "./a.jpg"


def test_the_links_of_a_page_that_was_moved_lead_to_the_photos(tmp_path: Path) -> None:
    (tmp_path / "before" / "photos").mkdir(parents=True)
    photo = solid(tmp_path / "before" / "photos" / "a.png", RED)
    write_page(Matches([Match(1, "a.png", photo, 1.0)], queries=[photo]), tmp_path / "before" / "page.html")
    moved = (tmp_path / "before").rename(tmp_path / "after")
    links = re.findall('<a href="([^"]*)"', (moved / "page.html").read_text())
    assert [moved / link for link in links] == [moved / "photos" / "a.png"] * 2


def test_screen_readers_find_headings_language_and_alternative_texts(seen: Inspection) -> None:
    found = seen.frames["page"]
    assert found["language"] == "en"
    assert found["headings"] == ["Look-alikes of green.png", "Query", "Matches"]
    assert [image["alt"] for image in found["images"][:2]] == ["The query, green.png", "Match 1, red.png"]


def test_a_page_fits_the_width_of_a_phone(seen: Inspection) -> None:
    assert seen.frames["phone"]["overflow"] == 0
    tops = {image["box"]["top"] for image in seen.frames["phone"]["images"][1:3]}
    assert len(tops) == 1  # two cards side by side


def test_a_page_without_matches_says_so(seen: Inspection) -> None:
    assert seen.frames["empty"]["cards"] == []
    assert "Nothing was found." in page(Matches())


def test_a_notebook_shows_the_same_cards_in_its_own_colours(seen: Inspection) -> None:
    frames = seen.frames
    assert frames["in_colour"]["cards"] == frames["page"]["cards"]
    assert set(frames["in_colour"]["ink"]) == {"rgb(221, 222, 223)"}
    assert frames["in_colour"]["links"] == []
    assert frames["fragment"]["ink"][0] == "rgb(0, 0, 0)"


def test_a_notebook_displays_matches_as_a_fragment(matches: Matches) -> None:
    shown = matches._repr_html_()
    assert shown == fragment(matches)
    assert "<html" not in shown
    assert "<body" not in shown


@pytest.mark.parametrize("dark", [False, True])
def test_a_page_follows_the_light_or_dark_theme(dark: bool, matches: Matches, tmp_path: Path, seen: Inspection) -> None:
    """The images keep their colours, and the background changes."""
    write_page(matches, tmp_path / "page.html")
    shot = browser.screenshot(tmp_path / "page.html", SIZE, dark=dark)
    corner = shot.getpixel((2, 2))
    assert isinstance(corner, tuple)
    assert max(corner) < 60 if dark else min(corner) > 230
    boxes = [image["box"] for image in seen.frames["page"]["images"]]
    for box, colour in zip(boxes, (GREEN, RED, GREEN, BLUE), strict=True):
        middle = shot.getpixel((round(box["x"] + box["width"] / 2), round(box["y"] + box["height"] / 2)))
        assert middle == pytest.approx(colour, abs=12)


def test_bytes_and_pil_images_can_be_queries(matches: Matches) -> None:
    """They have no name, and the title shows none."""
    path = matches[0].path
    assert path is not None
    with Image.open(path) as image:
        shown = page(Matches(matches[:1], queries=[image]))
    assert "<title>Look-alikes</title>" in shown
    assert shown.count('src="data:image/jpeg') == 2
    assert page(Matches(matches[:1], queries=[path.read_bytes()])) == shown


def test_a_page_is_utf8_whatever_the_names(hostile: Matches, tmp_path: Path) -> None:
    write_page(hostile, tmp_path / "page.html", title="\udcff")
    assert (tmp_path / "page.html").read_text("utf-8").count("<title>\\xff</title>") == 1


def test_jinja_is_loaded_only_when_a_page_is_made() -> None:
    code = "import sys, lookalike.display.page; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

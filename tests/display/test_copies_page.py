"""The page of copies, in a real browser."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike.display.copies_page import page, write_page
from lookalike.display.html import mark_uri
from lookalike.display.text import date_text, safe_text
from lookalike.duplicates.results import Duplicates
from lookalike.errors import UsageError
from lookalike.results import Origin
from tests.support import browser
from tests.support.browser import Inspection
from tests.support.copied_images import HOSTILE, edited_group, hostile_groups

WIDTH = 1000
MARK = np.array([255, 0, 102])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("photos")


@pytest.fixture(scope="module")
def found(folder: Path) -> Duplicates:
    return edited_group(folder)


@pytest.fixture(scope="module")
def seen(found: Duplicates, folder: Path) -> Inspection:
    """All pages, inspected in one start of the browser."""
    hostile = hostile_groups(folder / "none")
    attacked = page(hostile, title=HOSTILE[0])
    start, end = attacked.index("<meta http-equiv"), attacked.index("<meta name=")
    pages = {
        "/page": page(found),
        "/hostile": attacked,
        "/unguarded": attacked[:start] + attacked[end:],
        "/empty": page(Duplicates((), 7, 0)),
    }
    frames = {name[1:]: (name, WIDTH) for name in pages} | {"phone": ("/page", 360)}
    return browser.inspect(pages, frames)


def test_every_copy_is_a_card_with_grade_score_reason_and_facts(seen: Inspection, folder: Path) -> None:
    cards = [" ".join(card.split()) for card in seen.frames["page"]["cards"]]
    sizes = [round((folder / name).stat().st_size / 1000) for name in ("twice.png", "logo.png", "sub/crop.png")]
    assert cards == [
        f"1 Same bytes 1.000 twice.png 400 × 300 {sizes[0]} kB id 7",  # noqa: RUF001 # the multiplication sign
        f"2 Edited copy 0.953 at most compressed, resized or retouched logo.png 400 × 300 {sizes[1]} kB id 2",  # noqa: RUF001
        f"3 Edited copy 0.800 a crop of it crop.png sub 200 × 150 {sizes[2]} kB id 11",  # noqa: RUF001
    ]


def test_the_image_to_keep_comes_first_with_why(seen: Inspection) -> None:
    text = " ".join(seen.frames["page"]["text"].split())
    assert "3 copies in 1 group, among 20 images, taking " in text
    assert "Keep the most pixels scene.png 400 × 300" in text  # noqa: RUF001 # the multiplication sign
    assert text.index("Keep the most pixels") < text.index("Same bytes 1.000")
    assert seen.frames["page"]["headings"] == ["Copies", "Group\n1 3 copies"]


def test_what_differs_is_marked_and_a_crop_is_outlined(found: Duplicates) -> None:
    text = page(found)
    assert text.count('<img class="mark" src="data:image/png') == 1  # the logo
    polygons = re.findall('<polygon points="([^"]*)"', text)
    assert len(polygons) == 1  # the crop, on the image to keep
    corners = np.array([[float(number) for number in corner.split(",")] for corner in polygons[0].split()])
    assert corners == pytest.approx(np.array([(0.3, 0.4), (0.8, 0.4), (0.8, 0.9), (0.3, 0.9)]), abs=0.01)
    keep = text[text.index('<div class="keep">') : text.index('<ol class="copies">')]
    assert '<b class="mark tag" style="left:30.' in keep or '<b class="mark tag" style="left:29.' in keep
    assert ">3</b>" in keep


@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_shows_the_tint_over_the_logo_in_both_themes(
    dark: bool, found: Duplicates, tmp_path: Path, seen: Inspection
) -> None:
    write_page(found, tmp_path / "page.html")
    shot = np.asarray(browser.screenshot(tmp_path / "page.html", (WIDTH, 900), dark=dark), int)
    assert shot[2, 2].max() < 60 if dark else shot[2, 2].min() > 230
    [box] = [image["box"] for image in seen.frames["page"]["images"] if image["alt"] == "Copy 2, logo.png"]
    across, down = round(box["x"] + 0.9 * box["width"]), round(box["y"] + box["height"] - 0.1 * box["width"])
    tinted = 0.45 * np.array([0xC0, 0x20, 0x30]) + 0.55 * MARK  # of the logo
    assert shot[down, across] == pytest.approx(tinted, abs=16)
    plain = shot[round(box["y"] + box["height"] * 0.3), round(box["x"] + box["width"] * 0.3)]
    assert np.abs(plain - MARK).max() > 60


def test_a_page_requests_nothing_and_hostile_names_are_text(seen: Inspection) -> None:
    for name in ("page", "hostile", "unguarded", "empty", "phone"):
        frame = seen.frames[name]
        assert frame["loaded"] == []
        assert not frame["hacked"]
        assert not {"script", "iframe", "object"} & set(frame["tags"])
    assert seen.frames["hostile"]["title"] == safe_text(HOSTILE[0])
    names = seen.frames["hostile"]["names"]
    assert names == [safe_text(name).rpartition("/")[2] for name in (*HOSTILE[1:], "plain.png")]


def test_a_page_fits_the_width_of_a_phone(seen: Inspection) -> None:
    frame = seen.frames["phone"]
    assert frame["overflow"] == 0
    tops = {
        image["box"]["top"] for image in frame["images"] if image["alt"] in ("Copy 1, twice.png", "Copy 2, logo.png")
    }
    assert len(tops) == 1  # side by side


def test_without_copies_a_page_says_so(seen: Inspection) -> None:
    text = seen.frames["empty"]["text"]
    assert "No copies among 7 images." in text
    assert "Nothing was found." in text
    assert "Mark what differs" not in text


def test_files_that_are_gone_or_no_images_are_gaps(tmp_path: Path) -> None:
    found = edited_group(tmp_path)
    (tmp_path / "scene.png").unlink()
    (tmp_path / "logo.png").write_bytes(b"no image")
    text = page(found)
    assert text.count("<b>Not shown</b>") == 2
    assert "</b> vanished" in text
    assert "changed since it was indexed" in text
    assert 'class="mark"' not in text
    assert "0.953" in text


def test_a_file_that_is_no_image_any_more_is_a_gap_with_the_reason(tmp_path: Path) -> None:
    found = edited_group(tmp_path)
    [group] = found.groups
    (tmp_path / "logo.png").write_bytes(b"no image")
    copies = tuple(replace(copy, image=replace(copy.image, sha256=None)) for copy in group.copies)  # type: ignore[arg-type]
    assert "<b>Not shown</b> not an image" in page(replace(found, groups=(replace(group, copies=copies),)))


def test_only_some_groups_and_copies_are_shown_and_the_rest_is_counted(found: Duplicates) -> None:
    [group] = found.groups
    text = page(replace(found, groups=(replace(group, copies=group.copies[:1] * 15),) * 5), limit=2)
    assert text.count('<section class="group"') == 2
    assert text.count("Same bytes</b>") == 22
    assert text.count("and 4 more") == 2
    assert "3 more groups are not shown." in text
    assert "not shown" not in page(replace(found, groups=found.groups * 2), limit=2)


def test_the_progress_is_told_for_each_group(found: Duplicates) -> None:
    told = list[tuple[int, int]]()
    page(replace(found, groups=found.groups * 3), limit=2, progress=lambda *done: told.append(done))
    assert told == [(1, 2), (2, 2)]


def test_images_that_were_not_compared_are_named(found: Duplicates) -> None:
    text = page(replace(found, unread=(found.groups[0].keep,) * 103))
    assert text.count("<li><bdi>scene.png</bdi></li>") == 100
    assert "<li>and 3 more</li>" in text
    assert "Not compared" not in page(found)


def test_images_of_another_collection_are_references(found: Duplicates) -> None:
    text = page(replace(found, against=Path("/test")))
    assert ">Reference</b>" in text
    assert ">Keep</b>" not in text


def test_links_are_relative_to_the_page_and_the_footer_says_what_wrote_it(found: Duplicates, folder: Path) -> None:
    write_page(found, folder / "page.html")
    text = (folder / "page.html").read_text()
    assert re.findall('<a href="([^"]*)"', text) == ["./scene.png", "./twice.png", "./logo.png", "./sub/crop.png"]
    assert f"<p>Lookalike {lookalike.__version__}</p>" in text
    assert "compared by the model" not in text  # it is not known where these come from
    write_page(found, folder / "page.html")  # an earlier page is replaced


def test_the_footer_says_which_images_which_model_and_when(found: Duplicates) -> None:
    at = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    text = page(replace(found, origin=Origin(Path("/photos/<b>"), "a-model (int8)", "0123456789abcdef", at)))
    footer = re.sub("<[^>]*>", "", text[text.rindex("<p>Images of") :])
    assert "Images of /photos/&lt;b&gt;, compared by the model a-model (int8) (fingerprint 0123456789ab)." in footer
    assert f"Lookalike {lookalike.__version__}, {date_text(at)}" in footer


@pytest.mark.parametrize(
    ("given", "message"),
    [({"limit": 0}, "limit"), ({"title": 3}, "title"), ({"overwrite": "yes"}, "overwrite")],
)
def test_wrong_arguments_are_refused(given: dict[str, object], message: str, found: Duplicates, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        write_page(found, tmp_path / "page.html", **given)  # type: ignore[arg-type]


def test_a_mark_is_clear_where_nothing_differs(tmp_path: Path) -> None:
    import base64

    mark = np.array([[True, False, True], [False, False, True]])
    data = base64.b64decode(mark_uri(mark, (255, 0, 102), 0.5).partition(",")[2])
    (tmp_path / "mark.png").write_bytes(data)
    with Image.open(tmp_path / "mark.png") as image:
        pixels = np.asarray(image.convert("RGBA"))
    assert (pixels[mark] == (255, 0, 102, 128)).all()
    assert (pixels[~mark][:, 3] == 0).all()

"""Selecting images, and taking them elsewhere: their paths, a list, a contact sheet, a search."""

import csv
import io
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from lookalike import Term
from tests.server.page.conftest import Gallery
from tests.support.page_acts import expect_count, expect_first, expect_query, ids, tile


def select(page: Page, *numbers: int) -> None:
    """Selects images by the circle in their corner."""
    for number in numbers:
        tile(page, number).hover()
        tile(page, number).locator(".pick").click()


def test_circles_ctrl_and_shift_select(page: Page) -> None:
    shown = ids(page)
    select(page, shown[0])
    expect_count(page, 1)
    tile(page, shown[2]).locator(".alike").click(modifiers=["ControlOrMeta"])
    expect_count(page, 2)
    tile(page, shown[5]).locator(".alike").click(modifiers=["Shift"])
    expect_count(page, 5)
    selected = [number for number in shown if tile(page, number).get_attribute("aria-selected") == "true"]
    assert selected == [shown[0], *shown[2:6]]
    tile(page, shown[2]).locator(".alike").click(modifiers=["ControlOrMeta"])
    expect_count(page, 4)
    page.locator("#selection-clear").click()
    expect(page.locator("#selection")).to_be_hidden()
    assert page.url.endswith("/")  # nothing was searched for


def test_a_selection_stays_from_one_search_to_the_next(page: Page, gallery: Gallery) -> None:
    select(page, 4, 6)
    page.locator("#surprise").click()
    page.wait_for_url("**/?plus=**")
    expect_count(page, 2)


def test_paths_are_copied(page: Page, gallery: Gallery) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    select(page, 4, 6, 8)
    page.locator("#selection-copy").click()
    expect(page.locator("#live")).to_contain_text("3 paths")
    keys = [gallery.collection.image(number).key for number in (4, 6, 8)]
    assert page.evaluate("() => navigator.clipboard.readText()") == "\n".join(keys)


def test_a_list_is_downloaded(page: Page, gallery: Gallery, tmp_path: Path) -> None:
    page.goto("/?plus=id:5")
    matches = gallery.collection.search_id(5, k=10)
    expect_first(page, matches, count=5)
    chosen = [matches[0], matches[3]]
    select(page, *(match.id for match in chosen))
    with page.expect_download() as download:
        page.locator("#selection-list").click()
    assert download.value.suggested_filename == "lookalike.csv"
    download.value.save_as(tmp_path / "list.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "list.csv").read_text("utf-8-sig"), newline="")))
    assert [(int(row["id"]), row["path"], row["label"]) for row in rows] == [
        (match.id, match.key, match.label or "") for match in chosen
    ]
    for row, match in zip(rows, chosen, strict=True):
        assert abs(float(row["score"]) - match.score) < 1e-5
        assert (int(row["width"]), int(row["height"])) == (match.width, match.height)
        assert row["year"] == str(match.attributes["year"])
        assert row["colour"] == (match.attributes.get("colour") or "")


def test_a_contact_sheet_is_downloaded(page: Page, gallery: Gallery, tmp_path: Path) -> None:
    select(page, 4, 6, 9)
    with page.expect_download() as download:
        page.locator("#selection-sheet").click()
    assert download.value.suggested_filename == "lookalike.jpg"
    download.value.save_as(tmp_path / "sheet.jpg")
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.format == "JPEG"
        shown = np.asarray(sheet.convert("RGB"), np.int16)
    for number in (4, 6, 9):  # there is a spot of the first colour of each of them
        with Image.open(gallery.collection.image(number).path) as image:
            wanted = np.asarray(image.convert("RGB"), np.int16)[1, 1]
        assert (np.abs(shown - wanted).max(axis=2) < 16).sum() > 200


def test_the_selection_is_searched_for(page: Page, gallery: Gallery) -> None:
    select(page, 4, 6)
    page.locator("#selection-search").click()
    expect_query(page, ("plus", "id:4"), ("plus", "id:6"))
    expect_first(page, gallery.collection.search_terms([Term(id=4), Term(id=6)], k=100))

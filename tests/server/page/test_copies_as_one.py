"""Copies behind one tile: identical files at once, edited ones as soon as they are known, and the switch for it."""

import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import lookalike
from lookalike import Collection
from tests.server.page.conftest import OpenPage, address_of
from tests.server.page.test_accessibility import violations
from tests.support.edited_pictures import EDITED, DimEncoder, scene
from tests.support.http_service import Running, running
from tests.support.page_acts import expect_count, expect_query, ids, tile

OF_ZERO = ("0-darker.png", "0-grey.png", "0-mirrored.png", "0.png")
OF_ONE = ("1-again.png", "1.png")


def draw(folder: Path) -> None:
    """Six scenes, the first with three edited copies, the second with an identical file."""
    folder.mkdir()
    for seed in range(6):
        scene(seed).save(folder / f"{seed}.png")
    for edit in ("grey", "mirrored", "darker"):
        EDITED[edit][0](scene(0)).save(folder / f"0-{edit}.png")
    shutil.copy(folder / "1.png", folder / "1-again.png")


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    folder = tmp_path_factory.mktemp("folded").resolve() / "scenes"
    draw(folder)
    with lookalike.create(folder, encoder=DimEncoder()) as collection:
        collection.add(folder)
        collection.duplicates(nearest=9)
        yield collection


@pytest.fixture(scope="module")
def served(copies: Collection) -> Iterator[Running]:
    with running(copies) as made:
        yield made


@pytest.fixture
def browsing(open_page: OpenPage, served: Running) -> Page:
    page = open_page(base=address_of(served))
    page.locator(".tile").first.wait_for()
    return page


@pytest.fixture
def keys(copies: Collection) -> dict[str, int]:
    return {image.key: image.id for image in copies.images()}


def shown(page: Page, keys: dict[str, int]) -> list[str]:
    names = {number: key for key, number in keys.items()}
    return [names[number] for number in ids(page)]


def select(page: Page, number: int) -> None:
    tile(page, number).hover()
    tile(page, number).locator(".pick").click()


def folded(images: list[dict[str, Any]]) -> list[int]:
    """The ids of the first image of each fold, by what the service says of images."""
    first: dict[str, int] = {}
    for image in images:
        first.setdefault(image["group"] or image["sha256"], image["id"])
    return list(first.values())


def test_edited_copies_are_behind_one_tile_once_they_are_known(open_page: OpenPage, tmp_path: Path) -> None:
    folder = tmp_path.resolve() / "scenes"
    draw(folder)
    with lookalike.create(folder, encoder=DimEncoder()) as collection:
        collection.add(folder)
        keys = {image.key: image.id for image in collection.images()}
        with running(collection) as service:
            page = open_page(base=address_of(service))
            expect(page.locator(".tile")).to_have_count(9)
            assert "1.png" not in shown(page, keys)
            collection.duplicates(nearest=9)
            page.wait_for_timeout(500)
            page.reload()
            expect(page.locator(".tile")).to_have_count(6)
            assert shown(page, keys) == ["0-darker.png", "1-again.png", "2.png", "3.png", "4.png", "5.png"]


def test_a_tile_says_how_many_copies_there_are_and_shows_them(browsing: Page, keys: dict[str, int]) -> None:
    button = tile(browsing, keys["0-darker.png"]).locator(".copies")
    expect(button).to_have_text("4")
    expect(button).to_have_attribute("aria-label", "4 copies of one image: show each")
    same = tile(browsing, keys["1-again.png"]).locator(".copies")
    expect(same).to_have_attribute("aria-label", "2 identical files: show each")
    button.click()
    expect(browsing.locator(".tile")).to_have_count(9)
    assert shown(browsing, keys)[:4] == list(OF_ZERO)
    expect(browsing.locator("#live")).to_have_text("4 copies of one image are shown")
    expect(button).to_have_attribute("aria-expanded", "true")
    button.click()
    expect(browsing.locator(".tile")).to_have_count(6)


def test_matches_are_folded_in_their_order(open_page: OpenPage, served: Running, keys: dict[str, int]) -> None:
    found = served.client.post("/v1/search", json={"positive": [{"id": keys["3.png"]}], "k": 100}).json()["matches"]
    assert len(folded(found)) == 5
    page = open_page(f"/?plus=id:{keys['3.png']}", base=address_of(served))
    expect(page.locator(".tile")).to_have_count(5)
    assert ids(page) == folded(found)
    expect(page.locator("#heading")).to_have_text("9 matches")


def test_selecting_a_folded_tile_selects_all_its_files(browsing: Page, keys: dict[str, int], tmp_path: Path) -> None:
    first = keys["0-darker.png"]
    name = "Select 0-darker.png and 3 copies of it"
    expect(browsing.get_by_role("checkbox", name=name, exact=True)).to_have_count(1)
    select(browsing, first)
    expect_count(browsing, 4)
    select(browsing, keys["2.png"])
    with browsing.expect_download() as download:
        browsing.locator("#selection-list").click()
    download.value.save_as(tmp_path / "list.csv")
    rows = csv.DictReader(io.StringIO((tmp_path / "list.csv").read_text("utf-8-sig"), newline=""))
    assert [row["path"] for row in rows] == [*OF_ZERO, "2.png"]
    select(browsing, first)
    expect_count(browsing, 1)


def test_a_tile_of_which_some_copies_are_selected_is_neither(browsing: Page, keys: dict[str, int]) -> None:
    first = tile(browsing, keys["0-darker.png"])
    select(browsing, keys["0-darker.png"])
    first.locator(".copies").click()
    for key in OF_ZERO:
        expect(tile(browsing, keys[key])).to_have_attribute("aria-selected", "true")
    select(browsing, keys["0-grey.png"])
    expect_count(browsing, 3)
    expect(first).to_have_attribute("aria-selected", "true")
    first.locator(".copies").click()
    expect(first).to_have_attribute("aria-selected", "false")
    expect(first.get_by_role("checkbox")).to_have_js_property("indeterminate", True)
    select(browsing, keys["0-darker.png"])
    expect_count(browsing, 4)
    expect(first.get_by_role("checkbox")).to_be_checked()


def test_keys_and_ranges_take_the_copies_along(browsing: Page, keys: dict[str, int]) -> None:
    tile(browsing, keys["0-darker.png"]).locator(".alike").focus()
    browsing.keyboard.press("x")
    expect_count(browsing, 4)
    browsing.keyboard.press("Shift+ArrowRight")
    expect_count(browsing, 6)
    browsing.keyboard.press("ControlOrMeta+a")
    expect_count(browsing, 10)


def test_a_search_by_the_selected_takes_each_image_once(browsing: Page, keys: dict[str, int]) -> None:
    select(browsing, keys["0-darker.png"])
    select(browsing, keys["1-again.png"])
    expect_count(browsing, 6)
    browsing.locator("#selection-search").click()
    expect_query(browsing, ("plus", f"id:{keys['0-darker.png']}"), ("plus", f"id:{keys['1-again.png']}"))


def test_the_switch_shows_each_copy_and_is_remembered(browsing: Page, keys: dict[str, int]) -> None:
    switch = browsing.get_by_role("checkbox", name="Show copies as one")
    expect(switch).to_be_checked()
    switch.uncheck()
    expect(browsing.locator(".tile")).to_have_count(10)
    assert shown(browsing, keys) == sorted(keys)
    expect(browsing.locator(".copies:visible")).to_have_count(0)
    select(browsing, keys["0.png"])
    expect_count(browsing, 1)
    browsing.reload()
    expect(browsing.locator(".tile")).to_have_count(10)
    expect(switch).not_to_be_checked()
    switch.focus()
    browsing.keyboard.press(" ")
    expect(browsing.locator(".tile")).to_have_count(6)
    browsing.reload()
    expect(browsing.locator(".tile")).to_have_count(6)


def test_the_switch_is_behind_the_filters_of_a_narrow_page(open_page: OpenPage, served: Running) -> None:
    page = open_page(base=address_of(served), size=(390, 844))
    page.locator(".tile").first.wait_for()
    switch = page.get_by_role("checkbox", name="Show copies as one")
    expect(switch).to_be_hidden()
    page.locator("#refine").click()
    switch.uncheck()
    expect(page.locator(".tile")).to_have_count(10)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_where_copies_are_folded(
    open_page: OpenPage, served: Running, keys: dict[str, int], scheme: Any
) -> None:
    page = open_page(base=address_of(served), scheme=scheme)
    page.locator(".tile").first.wait_for()
    button = tile(page, keys["0-darker.png"]).locator(".copies")
    button.click()
    select(page, keys["0-grey.png"])
    button.click()
    assert violations(page) == []

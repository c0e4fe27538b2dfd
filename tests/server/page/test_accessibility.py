"""Nobody is shut out: axe-core finds nothing in any state of the page, and a screen reader gets the words it needs."""

from collections.abc import Callable
from functools import cache
from importlib import resources

import pytest
from playwright.sync_api import Page, expect

from lookalike.display.text import chance_words
from tests.server.page.conftest import Gallery, OpenPage, address_of
from tests.server.page.test_states import locked  # noqa: F401 # a fixture
from tests.support.http_service import Running
from tests.support.page_acts import expect_first, tile
from tests.support.watched_pages import Complaints


@cache
def axe() -> str:
    """The source of axe-core."""
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


def violations(page: Page, *rules: str) -> list[str]:
    """What axe-core finds, by all of its rules or by some: which rule, where, and why."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(axe())
    only = {"runOnly": list(rules)} if rules else {}
    found = page.evaluate("options => axe.run(document, options)", {"resultTypes": ["violations"], **only})
    assert found["passes"]  # it has looked at something
    return [
        f"{each['id']} ({each['impact']}): {node['target']} {node['html'][:120]}: {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"][:3]
    ]


def search(page: Page) -> None:
    page.goto("/?plus=id:5&minus=0.5*id:8&label=cats&label=birds")
    page.locator(".tile").first.wait_for()
    page.wait_for_load_state("networkidle")


def select(page: Page) -> None:
    for number in (4, 6):
        tile(page, number).locator(".alike").click(modifiers=["ControlOrMeta"])
    expect(page.locator("#selection")).to_be_visible()


def enlarge(page: Page) -> None:
    search(page)
    page.locator(".tile .alike").first.focus()
    page.keyboard.press("Space")
    expect(page.locator("#viewer-query img")).to_be_visible()


def get_help(page: Page) -> None:
    page.locator("#help-open").click()
    expect(page.locator("#help")).to_be_visible()


def find_nothing(page: Page) -> None:
    page.goto("/?label=none-of-them")
    expect(page.locator("#notice")).to_be_visible()


def choose_a_part(page: Page) -> None:
    page.goto("/?plus=id:5@0.25,0.25,0.5,0.5&cut=0.1")
    page.locator(".tile").first.wait_for()
    expect(page.locator("#region")).to_be_visible()


def begin(page: Page) -> None:
    page.locator(".tile").first.wait_for()


STATES = [search, select, enlarge, get_help, find_nothing, choose_a_part, begin]
NAMES = ["search", "selection", "viewer", "help", "nothing found", "part", "collection"]


@pytest.mark.parametrize("reach", STATES, ids=NAMES)
def test_axe_finds_nothing(open_page: OpenPage, reach: Callable[[Page], None]) -> None:
    page = open_page("/" if reach in (select, get_help, begin) else "about:blank")
    reach(page)
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page, "color-contrast") == []


@pytest.mark.parametrize("reach", [search, enlarge], ids=["search", "viewer"])
def test_axe_finds_nothing_on_a_phone(open_phone: OpenPage, reach: Callable[[Page], None]) -> None:
    page = open_phone("about:blank")
    reach(page)
    assert violations(page) == []
    if reach is search:
        page.locator("#refine").click()
        expect(page.locator("#rail")).to_be_visible()
        assert violations(page) == []


def test_axe_finds_nothing_in_the_token_form(
    open_page: OpenPage,
    locked: Running,  # noqa: F811
    complaints: Complaints,
) -> None:
    complaints.announce("401")
    page = open_page(base=address_of(locked))
    expect(page.locator("#token")).to_be_visible()
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#token-wrong")).not_to_be_empty()
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page, "color-contrast") == []


def test_axe_would_find_something(page: Page) -> None:
    page.evaluate("() => document.body.append(document.createElement('button'))")
    assert any(each.startswith("button-name") for each in violations(page))


def test_a_screen_reader_hears_the_names_of_everything(page: Page, gallery: Gallery) -> None:
    page.goto("/?plus=id:5")
    matches = gallery.collection.search_id(5, k=100)
    expect_first(page, matches)
    expect(page.get_by_role("heading", level=1)).to_contain_text("matches")
    expect(page.get_by_role("main")).to_be_visible()
    expect(page.get_by_role("search", name="Query")).to_be_visible()
    expect(page.get_by_role("complementary")).to_be_visible()
    first = matches[0]
    label = f", label {first.label}" if first.label else ""
    chance = f", {words}" if (words := chance_words(first)) else ""
    name = f"More like {first.key}, score {first.score:.3f}{chance}{label}"
    grid = page.get_by_role("grid")
    expect(grid.get_by_role("gridcell").first).to_have_accessible_name(first.key)
    expect(grid.get_by_role("gridcell").first.get_by_role("button", name=name, exact=True)).to_be_attached()


def test_a_screen_reader_hears_what_happens(page: Page, gallery: Gallery) -> None:
    status = page.locator("#live[role=status]")
    tile(page, 5).locator(".alike").click()
    expect_first(page, gallery.collection.search_id(5, k=100))
    expect(status).to_contain_text("matches")


def test_motion_and_size_are_the_users_choice(open_page: OpenPage) -> None:
    page = open_page(size=(640, 400))  # 1280 pixels at 200 %
    page.locator(".tile").first.wait_for()
    assert page.evaluate("() => document.documentElement.scrollWidth") == 640
    meta = page.locator("meta[name=viewport]").get_attribute("content") or ""
    assert "user-scalable" not in meta
    assert "maximum-scale" not in meta
    moving = page.evaluate("() => document.getAnimations().filter(each => each.playState === 'running').length")
    assert moving == 0  # since the user wants less motion

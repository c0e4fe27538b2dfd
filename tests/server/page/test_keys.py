"""The page without a pointer: every habit has a key, the focus is never lost, and Escape leads out."""

import pytest
from playwright.sync_api import Page, expect

from lookalike import Term
from tests.server.page.conftest import Gallery
from tests.support.page_acts import expect_count, expect_first, expect_query, focused_id, ids, tile

# What has the focus, if neither it nor anything around it looks other than without the focus.
_UNSEEN = """() => {
  const element = document.activeElement;
  if (element === document.body) return '';
  const seen = [element, ...element.querySelectorAll('*'), element.nextElementSibling ?? element];
  for (let up = element; up; up = up.parentElement) seen.push(up);
  const look = () => JSON.stringify(seen.map(each => {
    const {outlineStyle, outlineColor, boxShadow, borderColor, backgroundColor} = getComputedStyle(each);
    return [outlineStyle, outlineColor, boxShadow, borderColor, backgroundColor];
  }));
  const focused = look();
  element.blur();
  const blurred = look();
  element.focus({preventScroll: true, focusVisible: true});
  return focused === blurred ? element.outerHTML.slice(0, 80) : '';
}"""


@pytest.fixture
def first(page: Page) -> list[int]:
    """The ids of the tiles, the first of which has the focus."""
    shown = ids(page)
    tile(page, shown[0]).locator(".alike").focus()
    return shown


def test_arrows_home_and_end_walk_through_the_images(page: Page, first: list[int]) -> None:
    page.keyboard.press("ArrowRight")
    assert focused_id(page) == first[1]
    page.keyboard.press("ArrowLeft")
    assert focused_id(page) == first[0]
    page.keyboard.press("ArrowDown")
    below = focused_id(page)
    row = page.locator(".row").nth(1).locator(".tile").first
    assert below == int(row.get_attribute("data-id") or 0)
    page.keyboard.press("ArrowUp")
    assert focused_id(page) == first[0]
    page.keyboard.press("End")
    last = focused_id(page)
    assert last not in first[:3]
    assert last
    expect(tile(page, last)).to_be_in_viewport()
    page.keyboard.press("Home")
    assert focused_id(page) == first[0]
    expect(tile(page, first[0])).to_be_in_viewport()


def test_page_down_goes_several_rows(page: Page, first: list[int]) -> None:
    page.keyboard.press("PageDown")
    far = focused_id(page)
    assert far not in (None, *first[:4])
    page.keyboard.press("PageUp")
    top = page.locator(".row").first.locator(".tile").evaluate_all("all => all.map(tile => Number(tile.dataset.id))")
    assert focused_id(page) in top


def test_enter_finds_more_like_an_image(page: Page, gallery: Gallery, first: list[int]) -> None:
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect_query(page, ("plus", f"id:{first[1]}"))
    expect_first(page, gallery.collection.search_id(first[1], k=100))


def test_space_shows_an_image_large_and_escape_leads_back(page: Page, first: list[int]) -> None:
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator("#viewer")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(tile(page, first[1]).locator(".alike")).to_be_focused()


def test_plus_and_minus_are_feedback(page: Page, gallery: Gallery, first: list[int]) -> None:
    page.keyboard.press("Enter")
    matches = gallery.collection.search_id(first[0], k=100)
    expect_first(page, matches)
    tile(page, matches[1].id).locator(".alike").focus()
    page.keyboard.press("+")
    expect_query(page, ("plus", f"id:{first[0]}"), ("plus", f"0.5*id:{matches[1].id}"))
    terms = [Term(id=first[0]), Term(id=matches[1].id, weight=0.5)]
    found = gallery.collection.search_terms(terms, k=100)
    expect_first(page, found)
    tile(page, found[2].id).locator(".alike").focus()
    page.keyboard.press("-")
    terms.append(Term(id=found[2].id, weight=-0.5))
    expect_first(page, gallery.collection.search_terms(terms, k=100))


def test_x_shift_and_ctrl_a_select_and_escape_clears(page: Page, first: list[int]) -> None:
    page.keyboard.press("x")
    expect_count(page, 1)
    expect(tile(page, first[0])).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect_count(page, 3)
    assert [tile(page, number).get_attribute("aria-selected") for number in first[:4]] == ["true"] * 3 + ["false"]
    page.keyboard.press("Escape")
    expect(page.locator("#selection")).to_be_hidden()
    tile(page, first[0]).locator(".alike").focus()
    page.keyboard.press("ControlOrMeta+a")
    expect(page.locator("#selection-count")).to_be_visible()
    expect(page.locator(".tile[aria-selected=false]")).to_have_count(0)


def test_a_slash_leads_to_the_query_and_is_typed_there(page: Page, first: list[int]) -> None:
    page.keyboard.press("/")
    expect(page.locator("#text")).to_be_focused()
    expect(page.locator("#text")).to_have_value("")
    page.keyboard.type("a/b?x+")
    expect(page.locator("#text")).to_have_value("a/b?x+")
    expect(page.locator("#help")).to_be_hidden()
    expect(page.locator("#selection")).to_be_hidden()


def test_a_question_mark_opens_the_help(page: Page, first: list[int]) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="How to search")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    expect(tile(page, first[0]).locator(".alike")).to_be_focused()


def test_tab_leads_through_the_page_and_into_one_tile_only(page: Page) -> None:
    page.locator("body").press("Tab")
    expect(page.locator("#skip")).to_be_focused()
    page.keyboard.press("Enter")
    assert focused_id(page) == ids(page)[0]
    for _ in range(8):  # past the widgets of that tile
        page.keyboard.press("Tab")
    assert focused_id(page) is None


def test_whatever_has_the_focus_shows_it(page: Page) -> None:
    """No widget that Tab leads to looks as if it had no focus."""
    page.locator("body").press("Tab")
    for _ in range(14):
        assert page.evaluate(_UNSEEN) == ""
        page.keyboard.press("Tab")

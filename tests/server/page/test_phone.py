"""The page on a phone: its width, and fingers instead of a pointer and keys."""

from collections.abc import Sequence

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.server.page.conftest import Gallery, OpenPage
from tests.support.page_acts import expect_count, expect_first, expect_query, ids, query, tile


@pytest.fixture
def phone(open_phone: OpenPage) -> Page:
    """The page as it begins on a phone."""
    page = open_phone()
    page.locator(".tile").first.wait_for()
    return page


def touch(page: Page, element: Locator, places: Sequence[tuple[float, float]], hold_ms: int = 0) -> None:
    """Moves a finger over an element, in shares of its sides, perhaps after a while in the first place."""
    box = element.bounding_box()
    assert box
    session = page.context.new_cdp_session(page)
    points = [{"x": box["x"] + box["width"] * x, "y": box["y"] + box["height"] * y} for x, y in places]
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [points[0]]})
    page.wait_for_timeout(hold_ms)
    for point in points[1:]:
        session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


@pytest.mark.parametrize("path", ["/", "/?plus=id:5&minus=id:8&label=cats"])
def test_nothing_is_wider_than_the_screen(open_phone: OpenPage, path: str) -> None:
    page = open_phone(path)
    page.locator(".tile").first.wait_for()
    for is_refining in (False, True):
        if is_refining:
            page.locator("#refine").click()
            expect(page.locator("#rail")).to_be_visible()
        for width in (320, 360, 390):
            page.set_viewport_size({"width": width, "height": 700})
            assert page.evaluate("() => document.documentElement.scrollWidth") == width


def test_a_tap_finds_more_like_an_image(phone: Page, gallery: Gallery) -> None:
    number = ids(phone)[1]
    tile(phone, number).locator(".alike").tap()
    expect_query(phone, ("plus", f"id:{number}"))
    expect_first(phone, gallery.collection.search_id(number, k=100), count=8)


def test_fingers_can_give_feedback_and_look_at_it_large(phone: Page, gallery: Gallery) -> None:
    phone.goto("/?plus=id:5")
    matches = gallery.collection.search_id(5, k=100)
    expect_first(phone, matches, count=8)
    tile(phone, matches[1].id).locator(".plus").tap()
    expect_query(phone, ("plus", "id:5"), ("plus", f"0.5*id:{matches[1].id}"))
    tile(phone, ids(phone)[0]).locator(".enlarge").tap()
    expect(phone.locator("#viewer")).to_be_visible()
    boxes = [phone.locator(f"#viewer-{side}").bounding_box() for side in ("query", "match")]
    assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
    phone.locator("#viewer-close").tap()
    expect(phone.locator("#viewer")).to_be_hidden()


def test_a_long_touch_selects(phone: Page) -> None:
    number = ids(phone)[1]
    touch(phone, tile(phone, number).locator(".alike"), [(0.5, 0.5)], hold_ms=900)
    expect_count(phone, 1)
    assert query(phone) == []
    second = ids(phone)[2]
    tile(phone, second).locator(".alike").tap()  # once one is selected, a tap selects
    expect(phone.locator("#selection")).to_be_visible()


def test_a_part_of_the_query_is_drawn_with_a_finger(phone: Page) -> None:
    phone.goto("/?plus=id:5")
    phone.locator(".tile").first.wait_for()
    phone.locator("#refine").click()
    stage = phone.locator("#stage-image")
    expect(stage).to_be_visible()
    touch(phone, stage, [(0.1, 0.2), (0.3, 0.4), (0.6, 0.8)])
    phone.wait_for_url(lambda url: "@" in url)
    [(_, value)] = query(phone)
    shares = list(map(float, value.partition("@")[2].split(",")))
    assert shares == pytest.approx([0.1, 0.2, 0.5, 0.6], abs=0.03)


def test_what_is_tapped_is_large_enough(phone: Page) -> None:
    """WCAG 2.2, 2.5.8: at least 24 by 24 pixels."""
    phone.goto("/?plus=id:5&minus=id:8")
    phone.locator(".tile").first.wait_for()
    small = phone.evaluate(
        """() => [...document.querySelectorAll('button, select, a, label.pick, input[type=range]')]
          .filter(each => each.checkVisibility({visibilityProperty: true, opacityProperty: true}))
          .map(each => [each.getBoundingClientRect(), each.getAttribute('aria-label') || each.id || each.className])
          .filter(([box]) => box.width && box.bottom > 0 && box.top < innerHeight)
          .filter(([box]) => Math.min(box.width, box.height) < 24)
          .map(([box, name]) => `${name} ${box.width}x${box.height}`)"""
    )
    assert small == []

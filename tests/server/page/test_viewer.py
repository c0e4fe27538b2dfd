"""An image large, side by side with the query: both zoom in step, and arrows lead to the next one."""

import re

from playwright.sync_api import Page, Route, expect

from tests.server.page.conftest import Gallery
from tests.support.page_acts import drag, expect_first, expect_query, folded, tile


def enlarge(page: Page, gallery: Gallery) -> list[int]:
    """Opens the second match of image 5, and returns the ids of all."""
    page.goto("/?plus=id:5")
    matches = gallery.collection.search_id(5, k=100)
    expect_first(page, matches)
    tile(page, matches[1].id).hover()
    tile(page, matches[1].id).locator(".enlarge").click()
    expect(page.locator("#viewer-query")).to_be_visible()
    return [match.id for match in matches]


def transforms(page: Page) -> list[str]:
    """The transformations of the two images."""
    found = page.locator("#viewer .zoom img").evaluate_all("all => all.map(image => getComputedStyle(image).transform)")
    return list(map(str, found))


def test_the_image_is_beside_the_query(page: Page, gallery: Gallery) -> None:
    shown = enlarge(page, gallery)
    collection = gallery.collection
    expect(page.locator("#viewer-query img")).to_have_attribute("src", re.compile(r"/v1/images/5/thumbnail"))
    match = page.locator("#viewer-match img")
    expect(match).to_have_attribute("src", re.compile(f"/v1/images/{shown[1]}/thumbnail"))
    expect(match).to_have_attribute("alt", collection.image(shown[1]).key)
    expect(page.locator("#viewer-name")).to_have_text(collection.image(shown[1]).key.rpartition("/")[2])
    expect(page.locator("#viewer-original")).to_have_attribute("href", f"/v1/images/{shown[1]}/original")
    left, right = (page.locator(f"#viewer-{side}").bounding_box() for side in ("query", "match"))
    assert left
    assert right
    assert left["x"] + left["width"] <= right["x"] + 1
    assert abs(left["y"] - right["y"]) < 2


def test_both_zoom_and_move_in_step(page: Page, gallery: Gallery) -> None:
    enlarge(page, gallery)
    before = transforms(page)
    page.locator("#viewer-in").click()
    first = transforms(page)
    assert first[0] == first[1] != before[0]
    box = page.locator("#viewer-match .zoom").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.3)
    page.mouse.wheel(0, -300)
    page.wait_for_function("() => parseInt(document.querySelector('#viewer-zoom').textContent) > 150")
    second = transforms(page)
    assert second[0] == second[1] != first[0]
    drag(page, page.locator("#viewer-query .zoom"), (0.5, 0.5), (0.6, 0.7))
    third = transforms(page)
    assert third[0] == third[1] != second[0]
    page.keyboard.press("0")
    expect(page.locator("#viewer-zoom")).to_have_text("100 %")
    page.keyboard.press("+")
    page.keyboard.press("Shift+ArrowRight")
    fourth = transforms(page)
    assert fourth[0] == fourth[1]
    page.locator("#viewer-match .zoom").dblclick()
    expect(page.locator("#viewer-zoom")).to_have_text("100 %")


def test_arrows_lead_to_the_next_one_and_the_focus_follows(page: Page, gallery: Gallery) -> None:
    shown = enlarge(page, gallery)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer-match img")).to_have_attribute("src", re.compile(f"/{shown[2]}/thumbnail"))
    page.locator("#viewer-previous").click()
    page.locator("#viewer-previous").click()
    expect(page.locator("#viewer-match img")).to_have_attribute("src", re.compile(f"/{shown[0]}/thumbnail"))
    expect(page.locator("#viewer-previous")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(tile(page, shown[0]).locator(".alike")).to_be_focused()


def test_arrows_lead_on_beyond_what_is_loaded(page: Page, gallery: Gallery) -> None:
    everything = folded(gallery.collection.images(limit=1000))
    tile(page, everything[0]).locator(".alike").focus()
    page.keyboard.press("Space")
    for number in range(1, 135):  # the collection is loaded by 120 images
        page.keyboard.press("ArrowRight")
        if number % 40 == 0 or number > 132:
            shown = re.compile(f"/{everything[number]}/thumbnail")
            expect(page.locator("#viewer-match img")).to_have_attribute("src", shown)
    expect(page.locator("#viewer-next")).to_be_enabled()
    expect(page.locator("#end")).to_be_empty()  # which would say that more could not be loaded


def test_steps_ahead_of_what_is_loaded_are_taken_when_it_is_there(page: Page, gallery: Gallery) -> None:
    everything = folded(gallery.collection.images(limit=1000))
    held: list[Route] = []
    page.route(re.compile(r"/v1/images\?.*after=[1-9]"), lambda route: held.append(route))
    page.goto("/")
    tile(page, everything[0]).locator(".alike").focus()
    page.keyboard.press("Space")
    for _ in range(134):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer-match img")).to_have_attribute("src", re.compile(f"/{everything[119]}/thumbnail"))
    assert len(held) == 1
    held[0].continue_()
    expect(page.locator("#viewer-match img")).to_have_attribute("src", re.compile(f"/{everything[134]}/thumbnail"))


def test_more_like_this_and_the_original_are_a_click_away(page: Page, gallery: Gallery) -> None:
    shown = enlarge(page, gallery)
    with page.context.expect_page() as opened:
        page.locator("#viewer-original").click()
    opened.value.wait_for_load_state()
    assert opened.value.url.endswith(f"/v1/images/{shown[1]}/original")
    opened.value.close()
    page.locator("#viewer-alike").click()
    expect_query(page, ("plus", f"id:{shown[1]}"))
    expect_first(page, gallery.collection.search_id(shown[1], k=100))


def test_without_a_query_the_image_is_alone(page: Page, gallery: Gallery) -> None:
    tile(page, 4).hover()
    tile(page, 4).locator(".enlarge").click()
    expect(page.locator("#viewer-match img")).to_be_visible()
    expect(page.locator("#viewer-query")).to_be_hidden()
    page.locator("#viewer-close").click()
    expect(page.locator("#viewer")).to_be_hidden()

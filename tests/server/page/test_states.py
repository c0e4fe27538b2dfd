"""What the page says in each state: empty, loading, wrong, offline, busy, locked; and that the address is its state."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

import lookalike
from lookalike import Where
from lookalike.server.settings import Settings
from tests.server.page.conftest import Gallery, OpenPage, address_of
from tests.support.gallery import NamingEncoder, make_gallery
from tests.support.http_service import TOKEN, Running, running
from tests.support.page_acts import drop, expect_count, expect_first, expect_query, ids, png, problem, tile
from tests.support.pictures import picture
from tests.support.watched_pages import Complaints


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Eight pictures behind a token."""
    folder = tmp_path_factory.mktemp("locked").resolve() / "pictures"
    folder.mkdir()
    with make_gallery(folder, 8) as collection, running(collection, Settings(token=TOKEN)) as service:
        yield service


def test_the_address_is_the_state(page: Page, gallery: Gallery) -> None:
    page.goto("/?plus=2*id:5&minus=0.5*id:8&label=cats&label=birds&where=colour%3D%22red%22")
    collection = gallery.collection
    terms = [lookalike.Term(id=5, weight=2), lookalike.Term(id=8, weight=-0.5)]
    where = Where(label=["cats", "birds"], attributes={"colour": "red"})
    found = collection.search_terms(terms, k=300, where=where)
    expect_first(page, found)
    expect(page.locator("#chips .chip")).to_have_count(2)
    expect(page.locator("#chips .weight").first).to_have_value("2")
    expect(page.locator("#facets .facet[aria-pressed=true]")).to_have_count(3)
    page.reload()
    expect_first(page, found)


def test_what_makes_no_sense_in_an_address_is_left_out(page: Page, gallery: Gallery) -> None:
    page.goto("/?plus=id:5@0,0,9,9&plus=id:x&plus=colour:red&cut=abc&where=colour")
    expect_query(page, ("plus", "id:5@0,0,9,9"), ("plus", "id:x"), ("plus", "colour:red"))  # until something is done
    expect(page.locator("#chips .chip")).to_have_count(1)
    expect_first(page, gallery.collection.search_id(5, k=100))
    page.goto("/?plus=id:5@0.1235,0.5,0.8766,0.5")  # rounded, it ends a little beyond the image
    expect(page.locator("#region")).to_be_visible()
    page.locator(".tile").first.wait_for()


def test_back_and_forward_lead_through_the_searches(page: Page, gallery: Gallery) -> None:
    collection = gallery.collection
    tile(page, 5).locator(".alike").click()
    first = collection.search_id(5, k=100)
    expect_first(page, first)
    tile(page, first[0].id).locator(".alike").click()
    second = collection.search_id(first[0].id, k=100)
    expect_first(page, second)
    page.go_back()
    expect_first(page, first)
    page.go_back()
    expect_first(page, collection.images(limit=60))
    page.go_forward()
    expect_first(page, first)


def test_back_restores_the_scroll(page: Page, gallery: Gallery) -> None:
    for _ in range(8):
        page.mouse.wheel(0, 500)
        page.wait_for_timeout(50)
    page.wait_for_timeout(300)  # after which it is remembered
    before = page.evaluate("() => scrollY")
    assert before > 2500
    [number, *_] = [each for each in ids(page) if is_on_screen(page, each)]
    tile(page, number).locator(".alike").click()
    expect_query(page, ("plus", f"id:{number}"))
    expect_first(page, gallery.collection.search_id(number, k=100))
    assert page.evaluate("() => scrollY") < 200
    page.go_back()
    page.wait_for_function("before => Math.abs(scrollY - before) < 2", arg=before)
    expect(tile(page, number)).to_be_in_viewport()
    page.reload()
    page.wait_for_function("before => Math.abs(scrollY - before) < 2", arg=before)
    expect(tile(page, number)).to_be_in_viewport()


def is_on_screen(page: Page, number: int) -> bool:
    """Whether all of a tile is visible."""
    box = tile(page, number).bounding_box()
    return box is not None and box["y"] > 150 and box["y"] + box["height"] < 780


def test_a_dropped_image_survives_reloading_and_back(page: Page, gallery: Gallery) -> None:
    drop(page, "#main", kept_png=png(picture(50)))
    found = gallery.collection.search(picture(50), k=100)
    expect_first(page, found)
    page.reload()
    expect_first(page, found)
    expect(page.locator("#chips").get_by_role("button", name="Show kept.png")).to_be_visible()
    tile(page, found[2].id).locator(".alike").click()
    expect_query(page, ("plus", f"id:{found[2].id}"))
    page.go_back()
    expect_first(page, found)


def test_an_image_of_another_browser_is_asked_for_again(open_page: OpenPage) -> None:
    page = open_page("/?plus=image:abc-def-123")
    expect(page.locator("#notice-title")).to_have_text("The image is not in this browser")
    expect(page.locator("#notice-actions button").first).to_have_text("Choose the image again")


def test_an_empty_collection_says_what_to_do(open_page: OpenPage, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with lookalike.create(tmp_path / "empty", encoder=NamingEncoder()) as nothing, running(nothing) as service:
        page = open_page(base=address_of(service))
        expect(page.locator("#notice")).to_be_visible()
        expect(page.locator("#notice")).to_contain_text("lookalike index")
        expect(page.locator("#skeleton")).to_be_hidden()


def test_while_it_loads_there_is_a_skeleton(open_page: OpenPage, gallery: Gallery) -> None:
    page = open_page("about:blank")
    held: list[Route] = []
    page.route("**/v1/images?*", lambda route: held.append(route))
    page.goto(gallery.address)
    expect(page.locator("#skeleton")).to_be_visible()
    for route in held:
        route.continue_()
    page.unroute("**/v1/images?*")
    page.locator(".tile").first.wait_for()
    expect(page.locator("#skeleton")).to_be_hidden()


def test_a_search_under_way_is_marked_and_the_last_one_wins(page: Page, gallery: Gallery) -> None:
    held: list[Route] = []
    page.route("**/v1/search*", lambda route: route.continue_() if held else held.append(route))
    tile(page, 5).locator(".alike").click()
    expect(page.locator("#grid")).to_have_attribute("aria-busy", "true")
    tile(page, 8).locator(".alike").click()
    expect_first(page, gallery.collection.search_id(8, k=100))
    held[0].fulfill(json={"matches": [], "took_ms": {"total": 1}})
    page.wait_for_timeout(100)
    expect_first(page, gallery.collection.search_id(8, k=100))


def test_an_error_says_what_is_wrong_with_its_hint_and_can_be_tried_again(
    page: Page, gallery: Gallery, complaints: Complaints
) -> None:
    complaints.announce("500")
    hint = {"action": "rebuild", "arguments": {"path": "photos"}, "purpose": "repair the index"}
    answer = problem(500, "the index is damaged", title="The collection is damaged", hints=[hint])
    page.route("**/v1/search*", lambda route: route.fulfill(**answer))
    tile(page, 5).locator(".alike").click()
    notice = page.get_by_role("alert")
    expect(notice).to_contain_text("The collection is damaged")
    expect(notice).to_contain_text("The index is damaged")
    expect(notice).to_contain_text("lookalike build -c photos")
    page.unroute("**/v1/search*")
    notice.get_by_role("button", name="Try again").click()
    expect_first(page, gallery.collection.search_id(5, k=100))
    expect(page.locator("#notice")).to_be_hidden()


def test_without_a_connection_it_says_so_and_goes_on_afterwards(
    page: Page, gallery: Gallery, complaints: Complaints
) -> None:
    complaints.announce("ERR_INTERNET_DISCONNECTED")
    page.context.set_offline(True)
    tile(page, 5).locator(".alike").click()
    expect(page.locator("#notice")).to_contain_text("offline")
    page.context.set_offline(False)
    expect_first(page, gallery.collection.search_id(5, k=100))
    expect(page.locator("#notice")).to_be_hidden()


def test_a_busy_service_is_asked_again(page: Page, gallery: Gallery, complaints: Complaints) -> None:
    complaints.announce("503")
    asked: list[float] = []

    def answer(route: Route) -> None:
        asked.append(time.monotonic())
        if len(asked) > 1:
            route.continue_()
        else:
            busy = problem(503, "there is too much to do")
            route.fulfill(**busy, headers={"Retry-After": "1", "Content-Type": "application/problem+json"})

    page.route("**/v1/search*", answer)
    tile(page, 5).locator(".alike").click()
    expect_first(page, gallery.collection.search_id(5, k=100))
    assert len(asked) == 2
    assert asked[1] - asked[0] > 0.9


def test_a_token_is_asked_for_once(open_page: OpenPage, locked: Running, complaints: Complaints) -> None:
    complaints.announce("401")
    page = open_page(base=address_of(locked))
    form = page.get_by_role("dialog", name="This service wants a token")
    expect(form.get_by_label("Token")).to_be_focused()
    page.keyboard.type("not the token at all")
    page.keyboard.press("Enter")
    expect(form.get_by_role("alert")).to_have_text("That is not the token.")
    page.keyboard.press("Escape")
    expect(form).to_be_visible()  # there is nothing behind it
    form.get_by_label("Token").fill(TOKEN)
    form.get_by_role("button").click()
    expect(form).to_be_hidden()
    page.locator(".tile").first.wait_for()
    page.wait_for_function("() => document.querySelector('.tile img').naturalWidth > 0")
    assert TOKEN not in page.url
    [cookie] = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert TOKEN not in str(cookie["value"])
    assert TOKEN not in page.evaluate("() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    page.reload()
    page.locator(".tile").first.wait_for()
    expect(form).to_be_hidden()


def test_new_images_appear_and_removed_ones_do_not_break_the_page(
    open_page: OpenPage, tmp_path: Path, complaints: Complaints
) -> None:
    complaints.announce("404")  # the browser may just want the thumbnail of the one that goes
    folder = tmp_path.resolve() / "pictures"
    folder.mkdir()
    with make_gallery(folder, 8) as collection, running(collection) as service:
        page = open_page("/?plus=id:2", base=address_of(service))
        before = collection.search_id(2, k=100)
        expect_first(page, before)
        gone = before[3]
        (folder / gone.key).unlink()
        collection.add(folder)
        tile(page, before[0].id).locator(".alike").click()
        found = collection.search_id(before[0].id, k=100)
        assert gone.id not in [match.id for match in found]
        expect_first(page, found)


def test_the_theme_follows_the_system_until_one_is_chosen(open_page: OpenPage) -> None:
    page = open_page(scheme="dark")

    def brightness() -> float:
        colour = page.evaluate("() => getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).slice(0, 3)")
        if page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)":
            colour = page.evaluate(
                "() => getComputedStyle(document.documentElement).backgroundColor.match(/[\\d.]+/g).slice(0, 3)"
            )
        return sum(map(float, colour))

    assert brightness() < 200
    page.emulate_media(color_scheme="light")
    assert brightness() > 600
    page.locator("#theme").click()
    page.locator("#theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert brightness() < 200
    page.reload()
    assert brightness() < 200


def test_a_selection_is_kept_while_the_theme_changes(page: Page) -> None:
    tile(page, ids(page)[0]).locator(".alike").click(modifiers=["ControlOrMeta"])
    page.locator("#theme").click()
    expect_count(page, 1)

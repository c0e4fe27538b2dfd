"""The grid: true ratios, scores, labels and attributes, copies behind one tile, endless, and nothing ever jumps."""

import pytest
from playwright.sync_api import Page, Route, expect

from tests.server.page.conftest import Gallery, OpenPage
from tests.support.gallery import COPIED, COUNT, ODD_NAMES
from tests.support.page_acts import drop, expect_first, expect_query, folded, ids, png, problem, query, tile
from tests.support.pictures import picture
from tests.support.watched_pages import Complaints, shifts


def test_without_a_query_the_collection_is_there(page: Page, gallery: Gallery) -> None:
    expect_first(page, gallery.collection.images(limit=60), count=30)
    expect(page.locator("#heading")).to_have_text(f"{COUNT + 2} images")
    expect(page.locator(".tile .minus").first).to_be_hidden()


def test_the_collection_is_endless(page: Page, gallery: Gallery) -> None:
    everything = folded(gallery.collection.images(limit=1000))
    seen = dict.fromkeys(ids(page))
    for _ in range(60):
        page.mouse.wheel(0, 700)
        seen |= dict.fromkeys(ids(page))
        if len(seen) == len(everything):
            break
        page.wait_for_timeout(20)
    assert sorted(seen) == sorted(everything)
    expect(page.locator("#end")).to_have_text("That is all.")


def test_tiles_have_the_true_ratio_before_their_images_are_there(open_page: OpenPage, gallery: Gallery) -> None:
    page = open_page("about:blank")
    page.route("**/thumbnail*", lambda route: None)  # no image ever comes
    page.goto(gallery.address)
    page.locator(".tile").first.wait_for()
    for image in gallery.collection.images(limit=12):
        box = tile(page, image.id).locator(".picture").bounding_box()
        assert box
        ratio = min(max(image.width / image.height, 0.5), 3)  # beyond that, whole within it
        assert box["width"] / box["height"] == pytest.approx(ratio, rel=0.02)


def test_nothing_jumps(open_page: OpenPage, gallery: Gallery) -> None:
    page = open_page()
    page.locator(".tile img").first.wait_for()
    page.wait_for_load_state("networkidle")
    for _ in range(6):
        page.mouse.wheel(0, 900)
        page.wait_for_timeout(60)
    tile(page, ids(page)[-1]).locator(".alike").click()
    expect_query(page, ("plus", page.url.partition("plus=")[2]))
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(200)
    assert shifts(page) == []


def test_nothing_jumps_when_an_answer_comes_late(page: Page) -> None:
    """A browser forgives what moves within half a second of a click."""
    page.wait_for_load_state("networkidle")

    def answer_late(route: Route) -> None:
        page.wait_for_timeout(700)
        route.continue_()

    page.route("**/v1/search*", answer_late)
    tile(page, ids(page)[3]).locator(".alike").click()
    expect(page.locator("#scores")).to_be_visible()
    expect(page.locator("#facets")).to_be_visible()
    page.wait_for_timeout(200)
    page.unroute("**/v1/search*")
    page.go_back()
    expect(page.locator("#scores")).to_be_hidden()
    expect(page.locator("#facets")).to_be_visible()
    assert shifts(page) == []


def test_a_match_shows_its_score_label_and_attributes(page: Page, gallery: Gallery) -> None:
    tile(page, 12).locator(".alike").click()
    matches = gallery.collection.search_id(12, k=100)
    expect_first(page, matches)
    for match in matches[:8]:
        shown = tile(page, match.id)
        expect(shown.locator(".score")).to_have_text(f"{match.score:.3f}")
        expect(shown.locator(".label")).to_have_text(match.label or "")
        expect(shown.locator(".name")).to_have_text(match.key.rpartition("/")[2])
        for value in match.attributes.values():
            expect(shown.locator(".facts")).to_contain_text("" if value is None else str(value))
        bar, filled = (shown.locator(part).bounding_box() for part in (".bar", ".bar i"))
        assert bar
        assert filled
        assert filled["width"] / bar["width"] == pytest.approx(match.score, abs=0.02)


def test_identical_files_are_behind_one_tile_with_their_number(page: Page, gallery: Gallery) -> None:
    drop(page, "#main", copied_png=png(picture(COPIED)))
    matches = gallery.collection.search(picture(COPIED), k=100)
    copies = [match.id for match in matches[:3]]
    assert len({match.sha256 for match in matches[:3]}) == 1
    expect_first(page, matches)
    shown = tile(page, copies[0]).locator(".copies")
    expect(shown).to_have_text("3")
    shown.click()
    page.wait_for_function("copies => copies.every(id => document.querySelector(`.tile[data-id='${id}']`))", arg=copies)
    assert ids(page)[:4] == [*copies, matches[3].id]
    expect(tile(page, copies[0]).locator(".copies")).to_have_attribute("aria-expanded", "true")
    tile(page, copies[0]).locator(".copies").click()
    expect_first(page, matches)
    assert copies[1] not in ids(page)


def test_names_are_text_whatever_they_are(page: Page, gallery: Gallery) -> None:
    keys = {image.key: image.id for image in gallery.collection.images(limit=1000)}
    for odd in ODD_NAMES.values():
        [number] = [number for key, number in keys.items() if key.endswith(odd)]
        page.goto(f"/?plus=id:{number}")
        expect(page.locator("#chips").get_by_role("button", name=f"Show {odd}", exact=True)).to_be_visible()
        expect(page.locator("#stage-name")).to_have_text(odd)
        page.go_back()
    assert page.evaluate("() => 'hacked' in window") is False


def test_a_thumbnail_that_fails_shows_the_name(open_page: OpenPage, gallery: Gallery, complaints: Complaints) -> None:
    complaints.announce("404")
    page = open_page("about:blank")
    page.route("**/v1/images/2/thumbnail*", lambda route: route.fulfill(**problem(404, "its file is gone")))
    page.goto(gallery.address)
    tile(page, 2).wait_for()
    page.wait_for_load_state("networkidle")
    name = gallery.collection.image(2).key.rpartition("/")[2]
    expect(tile(page, 2).locator(".failed")).to_have_text(name)  # it is asked for once more before
    expect(tile(page, 2).locator(".failed")).to_be_visible()
    expect(tile(page, 3).locator(".failed")).to_be_hidden()


def test_surprise_me_begins_with_any_image(page: Page, gallery: Gallery) -> None:
    seen = set()
    for _ in range(3):
        before = page.url
        page.locator("#surprise").click()
        page.wait_for_url(lambda url, before=before: url != before)  # type: ignore[misc]
        [(sign, value)] = query(page)
        assert sign == "plus"
        number = int(value.removeprefix("id:"))
        expect_first(page, gallery.collection.search_id(number, k=100))
        seen.add(number)
    assert len(seen) > 1

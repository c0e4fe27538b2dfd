"""The query: images that are dropped, pasted, chosen or photographed, text, feedback, weights, and parts of images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

import lookalike
from lookalike import Term
from tests.server.page.conftest import Gallery
from tests.support.gallery import pixels
from tests.support.page_acts import (
    drag,
    drop,
    expect_first,
    expect_query,
    files,
    paste,
    png,
    query,
    scores,
    tile,
)
from tests.support.pictures import picture

DROPPED = png(picture(50))  # it has the vector of the image of that seed, and other bytes


def test_a_dropped_image_is_searched_for(page: Page, gallery: Gallery) -> None:
    drop(page, "#main", dropped_png=DROPPED)
    matches = gallery.collection.search(picture(50), k=100)
    expect_first(page, matches)
    assert scores(page)[0] == 1
    expect(page.locator("#chips .chip")).to_have_attribute("data-kind", "image")
    expect(page.locator("#chips").get_by_role("button", name="Show dropped.png")).to_be_visible()
    expect(page.locator("#drop")).to_be_hidden()


def test_a_drop_replaces_the_query_and_on_the_box_it_is_added(page: Page, gallery: Gallery) -> None:
    drop(page, "#main", first_png=DROPPED)
    expect_query(page, ("plus", "image:"))
    drop(page, "#box", second_png=png(picture(51)))
    expect_query(page, ("plus", "image:"), ("plus", "image:"))
    expect_first(page, gallery.collection.search_terms([Term(picture(50)), Term(picture(51))], k=100))
    drop(page, "#main", third_png=png(picture(52)))
    expect_query(page, ("plus", "image:"))
    expect_first(page, gallery.collection.search(picture(52), k=100))


def test_while_a_file_is_dragged_the_page_says_what_a_drop_does(page: Page) -> None:
    transfer = {"dataTransfer": files(page, a_png=DROPPED)}
    page.dispatch_event("body", "dragenter", transfer)
    expect(page.locator("#drop")).to_be_visible()
    expect(page.locator("#drop-new")).to_be_visible()
    page.dispatch_event("body", "dragleave", transfer)
    expect(page.locator("#drop")).to_be_hidden()


def test_what_is_no_image_is_refused_with_a_sentence(page: Page) -> None:
    drop(page, "#main", notes_txt=b"no image")
    expect(page.locator("#live")).to_contain_text("no image")
    assert query(page) == []


def test_a_damaged_image_is_an_error_that_says_so(page: Page, complaints: object) -> None:
    complaints.announce("422")  # type: ignore[attr-defined]
    drop(page, "#main", broken_png=DROPPED[:60])
    expect(page.locator("#notice")).to_be_visible()
    expect(page.locator("#notice-title")).to_have_text("The image cannot be used")


def test_a_pasted_image_is_searched_for(page: Page, gallery: Gallery) -> None:
    paste(page, "#home", DROPPED)
    expect_first(page, gallery.collection.search(picture(50), k=100))


def test_pasted_text_is_searched_for(page: Page, gallery: Gallery) -> None:
    paste(page, "#home", "picture 70")
    expect_query(page, ("plus", "text:picture 70"))
    expect_first(page, gallery.collection.search_text("picture 70", k=100))


def test_text_is_typed_into_the_box(page: Page, gallery: Gallery) -> None:
    page.keyboard.press("/")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.type("picture 9")
    page.keyboard.press("Enter")
    expect_first(page, gallery.collection.search_text("picture 9", k=100))
    expect(page.locator("#chips")).to_contain_text("picture 9")
    expect(page.locator("#text")).to_have_value("")


@pytest.mark.parametrize(("button", "device"), [("Choose an image", "open_page"), ("Take a photograph", "open_phone")])
def test_files_are_chosen_or_photographed(
    request: pytest.FixtureRequest, gallery: Gallery, tmp_path: Path, button: str, device: str
) -> None:
    page = request.getfixturevalue(device)()
    path = tmp_path / "chosen.png"
    path.write_bytes(DROPPED)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=button, exact=True).click()
    chooser.value.set_files(path)
    expect_first(page, gallery.collection.search(picture(50), k=100), count=8)


def test_a_large_photograph_is_found_though_it_is_made_smaller_first(
    page: Page, gallery: Gallery, tmp_path: Path
) -> None:
    path = tmp_path / "large.png"
    large = np.asarray(Image.fromarray(picture(50)).resize((2400, 1800), Image.Resampling.NEAREST), np.int16)
    noise = np.random.default_rng(1).integers(-8, 9, large.shape)
    Image.fromarray(np.clip(large + noise, 0, 255).astype(np.uint8)).save(path, compress_level=1)
    with page.expect_request("**/v1/search*") as sent:
        page.locator("#file").set_input_files(path)
    assert path.stat().st_size > 2**20 > len(sent.value.post_data_buffer or b"")
    found = gallery.collection.search(path, k=100)
    expect_first(page, found, count=2)
    assert scores(page)[:9] == pytest.approx([match.score for match in found[:9]], abs=0.01)


def test_a_click_finds_more_like_an_image(page: Page, gallery: Gallery) -> None:
    tile(page, 5).locator(".alike").click()
    expect_query(page, ("plus", "id:5"))
    matches = gallery.collection.search_id(5, k=300)
    expect_first(page, matches)
    assert scores(page) == pytest.approx([match.score for match in matches[: len(scores(page))]], abs=0.0051)


def test_plus_and_minus_on_a_tile_refine_the_search(page: Page, gallery: Gallery) -> None:
    collection = gallery.collection
    tile(page, 5).locator(".alike").click()
    first, second = (match.id for match in collection.search_id(5, k=2))
    tile(page, first).hover()
    tile(page, first).locator(".plus").click()
    expect_query(page, ("plus", "id:5"), ("plus", f"0.5*id:{first}"))
    both = [Term(id=5), Term(id=first, weight=0.5)]
    expect_first(page, collection.search_terms(both, k=100))
    tile(page, second).hover()
    tile(page, second).locator(".minus").click()
    expect_query(page, ("plus", "id:5"), ("plus", f"0.5*id:{first}"), ("minus", f"0.5*id:{second}"))
    refined = collection.search_terms([*both, Term(id=second, weight=-0.5)], k=100)
    assert [match.id for match in refined] != [match.id for match in collection.search_terms(both, k=100)]
    expect_first(page, refined)


def test_parts_of_the_query_are_turned_weighed_and_removed(page: Page, gallery: Gallery) -> None:
    collection = gallery.collection
    page.goto("/?plus=id:5&plus=id:8")
    names = [collection.image(number).key.rpartition("/")[2] for number in (5, 8)]
    chips = page.get_by_role("search", name="Query").get_by_role("listitem")
    expect(chips).to_have_count(2)
    chips.nth(1).get_by_role("combobox", name=f"Weight of {names[1]}").select_option("0.25")
    expect_query(page, ("plus", "id:5"), ("plus", "0.25*id:8"))
    expect_first(page, collection.search_terms([Term(id=5), Term(id=8, weight=0.25)], k=100))
    chips.nth(1).get_by_role("button", name=f"Counts as like: {names[1]}").click()
    expect_query(page, ("plus", "id:5"), ("minus", "0.25*id:8"))
    expect_first(page, collection.search_terms([Term(id=5), Term(id=8, weight=-0.25)], k=100))
    chips.nth(0).get_by_role("button", name=f"Remove {names[0]}").click()
    expect_query(page, ("minus", "0.25*id:8"))
    expect(page.locator("#notice")).to_be_visible()  # nothing is unlike something alone
    page.locator("#clear").click()
    expect_query(page)
    expect_first(page, collection.images(limit=40))


def test_a_part_of_the_query_is_searched_for_with_the_mouse(page: Page, gallery: Gallery) -> None:
    wide = np.repeat(np.repeat(np.hstack([picture(50), picture(60)]), 12, axis=0), 12, axis=1)
    drop(page, "#main", wide_png=png(wide))
    expect(page.locator("#stage-image")).to_be_visible()
    expect(page.locator("#query-panel")).to_contain_text("wide.png")
    expect_first(page, gallery.collection.search(wide, k=100))
    drag(page, page.locator("#stage-image"), (0.5, 0), (1, 1))
    page.wait_for_url(lambda url: "@" in url)
    [(_, value)] = query(page)
    x, y, width, height = map(float, value.partition("@")[2].split(","))
    assert (x, y, width, height) == pytest.approx((0.5, 0, 0.5, 1), abs=0.02)
    part = lookalike.Region(x, y, width, height)
    cut = lookalike.images.region.cut(png(wide), part, max_pixels=gallery.collection.max_pixels)
    expect_first(page, gallery.collection.search(cut, k=100))
    assert np.corrcoef(pixels(60).mean((0, 1)), picture(60).mean((0, 1)))[0, 1] > 0.99
    page.locator("#whole").click()
    expect_query(page, ("plus", "image:"))
    expect_first(page, gallery.collection.search(wide, k=100))


def test_a_part_of_the_query_is_searched_for_with_keys(page: Page, gallery: Gallery) -> None:
    page.goto("/?plus=id:5")
    expect_first(page, gallery.collection.search_id(5, k=100))
    page.locator("#stage").focus()
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowLeft", "Shift+ArrowUp", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url(lambda url: "@" in url)
    [(_, value)] = query(page)
    part = lookalike.Region(*map(float, value.partition("@")[2].split(",")))
    original = gallery.collection.original(5).data
    cut = lookalike.images.region.cut(original, part, max_pixels=gallery.collection.max_pixels)
    expect_first(page, gallery.collection.search(cut, k=100))
    page.keyboard.press("Delete")
    expect_query(page, ("plus", "id:5"))

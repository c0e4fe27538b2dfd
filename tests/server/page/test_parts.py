"""Parts of images, and of the query: choosing to compare them, and frames and words that say which ones are alike."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

import lookalike
from lookalike import Collection, Match, Region, Term
from lookalike.display.text import region_words
from lookalike.images.grid import COUNTS, grid
from lookalike.server.page import page as page_files
from tests.server.page.conftest import Gallery, OpenPage, address_of
from tests.server.page.test_accessibility import violations
from tests.support.gallery import NamingEncoder
from tests.support.http_service import running
from tests.support.page_acts import address, expect_first, folded, tile
from tests.support.pictures import picture

SIZES = {"square": (320, 320), "wide": (720, 120), "tall": (120, 480)}  # the last two are wider and taller than tiles
PLACES = {"left": Region(0, 0, 0.5, 0.5), "right": Region(0.5, 0.5, 0.5, 0.5), "middle": Region(0.25, 0.25, 0.5, 0.5)}
THING = 1  # the seed of the picture that is a part of others
QUARTERS = (THING, 2, 3, 4)  # of one picture, row by row


def scaled(seed: int, width: int, height: int) -> Image.Image:
    return Image.fromarray(picture(seed)).resize((width, height), Image.Resampling.NEAREST)


def write_pictures(folder: Path) -> None:
    """A thing, others, pictures of all shapes with the thing in several places, and one of four things."""
    for seed in range(12):
        scaled(seed, 160, 120).save(folder / f"{seed:03}.png")
    for shape, (width, height) in SIZES.items():
        for place, region in PLACES.items():
            image = Image.new("RGB", (width, height), "white" if place == "middle" else "black")
            image.paste(scaled(THING, width // 2, height // 2), (int(region.x * width), int(region.y * height)))
            image.save(folder / f"{shape} {place}.png")
    rows = [np.concatenate([picture(seed) for seed in pair], axis=1) for pair in (QUARTERS[:2], QUARTERS[2:])]
    Image.fromarray(np.concatenate(rows)).resize((320, 240), Image.Resampling.NEAREST).save(folder / "quarters.png")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """A collection that keeps vectors of nine parts of its images, and the service of it."""
    folder = tmp_path_factory.mktemp("parts").resolve() / "pictures"
    folder.mkdir()
    write_pictures(folder)
    with lookalike.create(folder, encoder=NamingEncoder()) as collection:
        collection.keep_regions(9)
        collection.add(folder, threads=2)
        with running(collection) as service:
            yield Gallery(collection, service)


def id_of(collection: Collection, key: str) -> int:
    return next(image.id for image in collection.images(limit=100) if image.key == key)


def by_key(matches: list[Match]) -> dict[str, Match]:
    return {match.key: match for match in matches}


def box(element: Locator) -> dict[str, float]:
    """Where an element is on the screen; of a shape in a drawing, without its lines."""
    found: dict[str, float] = element.evaluate("each => each.getBoundingClientRect().toJSON()")
    return {name: found[name] for name in ("x", "y", "width", "height")}


def part_of(image: Locator, region: Region, size: tuple[int, int]) -> Any:
    """Where a part of an image is on the screen, if the image is shown whole in the middle of its element."""
    outer = box(image)
    scale = min(outer["width"] / size[0], outer["height"] / size[1])
    across, down = size[0] * scale, size[1] * scale
    left, top = outer["x"] + (outer["width"] - across) / 2, outer["y"] + (outer["height"] - down) / 2
    shares = {"x": left + region.x * across, "y": top + region.y * down}
    return pytest.approx({**shares, "width": region.width * across, "height": region.height * down}, abs=0.6)


def frame(within: Locator) -> Locator:
    """The frame over an image, of which all lines are as large."""
    return within.locator(".part rect").first


def test_nothing_is_offered_for_which_there_are_no_vectors(open_page: OpenPage, gallery: Gallery) -> None:
    page = open_page("/?plus=id:5&parts=images")
    expect_first(page, gallery.collection.search_id(5, k=300))
    expect(page.get_by_label("Also parts of the query")).to_be_visible()
    expect(page.get_by_label("Also parts of images")).to_be_hidden()
    expect(page.locator(".tile .part").first).to_be_hidden()
    page.goto("/")
    page.locator(".tile").first.wait_for()
    expect(page.locator("#parts")).to_be_hidden()


def test_parts_of_images_are_compared_if_that_is_chosen(open_page: OpenPage, parts: Gallery) -> None:
    page, collection = open_page(f"/?plus=id:{THING + 1}", base=parts.address), parts.collection
    whole, with_parts = (collection.search_id(THING + 1, k=300, regions=wanted) for wanted in (False, True))
    assert folded(whole)[:8] != folded(with_parts)[:8]
    expect_first(page, whole)
    choice = page.get_by_label("Also parts of images")
    choice.check()
    expect_first(page, with_parts)
    assert ("parts", "images") in address(page)
    page.go_back()
    expect_first(page, whole)
    expect(choice).not_to_be_checked()
    page.go_forward()
    expect(choice).to_be_checked()
    choice.uncheck()
    expect_first(page, whole)
    assert address(page) == [("plus", f"id:{THING + 1}")]


def test_parts_and_more_of_a_kind_turn_each_other_off(open_page: OpenPage, parts: Gallery) -> None:
    page, collection = open_page(f"/?plus=id:{THING + 1}&order=kind&parts=images", base=parts.address), parts.collection
    kind, near = (page.get_by_role("button", name=name) for name in ("More of a kind", "Nearest first"))
    choices = [page.get_by_label(f"Also parts of {name}") for name in ("images", "the query")]
    expect_first(page, collection.search_id(THING + 1, k=300, refine=True))
    for choice in choices:
        expect(choice).not_to_be_checked()
    choices[0].check()
    expect_first(page, collection.search_id(THING + 1, k=300, regions=True))
    expect(near).to_have_attribute("aria-pressed", "true")
    choices[1].check()
    assert [value for name, value in address(page) if name == "parts"] == ["images", "query"]
    kind.click()
    expect_first(page, collection.search_id(THING + 1, k=300, refine=True))
    assert address(page) == [("plus", f"id:{THING + 1}"), ("order", "kind")]
    for choice in choices:
        expect(choice).not_to_be_checked()


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("place", PLACES)
def test_a_frame_is_around_the_part_that_is_alike(open_page: OpenPage, parts: Gallery, shape: str, place: str) -> None:
    page, collection = open_page(f"/?plus=id:{THING + 1}&parts=images", base=parts.address), parts.collection
    match = by_key(collection.search_id(THING + 1, k=300, regions=True))[f"{shape} {place}.png"]
    assert match.region == PLACES[place]
    shown = tile(page, match.id)
    shown.scroll_into_view_if_needed()
    expect(shown.locator(".part")).to_be_visible()
    assert box(frame(shown)) == part_of(shown.locator("img"), match.region, SIZES[shape])
    words = f"{region_words(match.region)} part"
    expect(shown.get_by_role("button", name=f", {words}")).to_be_attached()
    assert words in str(shown.locator(".score").get_attribute("title"))


def test_an_image_that_is_alike_as_a_whole_has_no_frame(open_page: OpenPage, parts: Gallery) -> None:
    page, name = open_page(f"/?plus=text:picture {THING}&parts=images", base=parts.address), f"picture {THING}"
    matches = parts.collection.search_terms([Term(text=name)], k=300, regions=True)
    expect_first(page, matches)
    whole = by_key(matches)[f"{THING:03}.png"]
    assert whole.region is None
    assert by_key(matches)["square right.png"].region
    expect(tile(page, whole.id)).to_be_visible()
    expect(tile(page, whole.id).locator(".part")).to_be_hidden()


def test_a_tile_that_stays_where_it_is_gets_its_frame(open_page: OpenPage, gallery: Gallery) -> None:
    """The first image and its score may be the same while what is known of the others changes."""
    matches = gallery.collection.search_id(5, k=300)
    page = open_page("about:blank")
    stored = gallery.service.client.post("/v1/search", json={"positive": [{"id": 5}], "k": 300}).json()
    page.route("**/v1/search", lambda route: fulfil_with(route, stored))
    page.goto(f"{gallery.address}/?plus=id:5")
    expect_first(page, matches)
    second = tile(page, folded(matches)[1])
    expect(second.locator(".part")).to_be_hidden()
    page.get_by_label("Also parts of the query").check()
    expect(second.locator(".part")).to_be_visible()


def fulfil_with(route: Any, answer: dict[str, Any]) -> None:
    """Answers a search with the same matches always, of which the second has a part if parts are asked for."""
    matches = [dict(match) for match in answer["matches"]]
    if route.request.post_data_json["crops"]:
        matches[1]["region"] = {"x": 0.5, "y": 0, "width": 0.5, "height": 1}
    route.fulfill(json={**answer, "matches": matches})


def test_the_large_view_frames_the_part_and_the_frame_follows_the_zoom(open_page: OpenPage, parts: Gallery) -> None:
    page, collection = open_page(f"/?plus=id:{THING + 1}&parts=images", base=parts.address), parts.collection
    match = by_key(collection.search_id(THING + 1, k=300, regions=True))["wide right.png"]
    assert match.region
    enlarge(page, match.id)
    large = page.locator("#viewer-match")
    expect(large.locator("figcaption")).to_contain_text("lower right part")
    assert box(frame(large)) == part_of(large.locator("img"), match.region, SIZES["wide"])
    for button in ("in", "in"):
        page.locator(f"#viewer-{button}").click()
    page.keyboard.press("Shift+ArrowRight")
    assert box(large.locator("img"))["width"] > 1.9 * box(large.locator(".zoom"))["width"]
    assert box(frame(large)) == part_of(large.locator("img"), match.region, SIZES["wide"])
    page.set_viewport_size({"width": 800, "height": 700})
    assert box(frame(large)) == part_of(large.locator("img"), match.region, SIZES["wide"])
    expect(page.locator("#viewer-query .part")).to_be_hidden()


def enlarge(page: Page, image_id: int) -> None:
    tile(page, image_id).scroll_into_view_if_needed()
    tile(page, image_id).hover()
    tile(page, image_id).locator(".enlarge").click()
    expect(page.locator("#viewer-query")).to_be_visible()


def test_parts_of_the_query_are_compared_and_shown_on_it(open_page: OpenPage, parts: Gallery) -> None:
    collection = parts.collection
    own = id_of(collection, "quarters.png")
    page = open_page(f"/?plus=id:{own}", base=parts.address)
    expect_first(page, collection.search_id(own, k=300))
    page.get_by_label("Also parts of the query").check()
    matches = collection.search(collection.image(own).path, k=300, crops=True)
    expect_first(page, matches)
    assert ("parts", "query") in address(page)
    match = by_key(matches)["002.png"]
    assert match.query_region == Region(0.5, 0, 0.5, 0.5)
    assert match.region is None
    tile(page, match.id).hover()
    assert box(frame(page.locator("#stage"))) == part_of(page.locator("#stage-image"), match.query_region, (320, 240))
    page.mouse.move(0, 0)
    expect(page.locator("#stage-part")).to_be_hidden()
    enlarge(page, match.id)
    expect(page.locator("#viewer-match figcaption")).to_contain_text("like the query's upper right part")
    asked = page.locator("#viewer-query")
    assert box(frame(asked)) == part_of(asked.locator("img"), match.query_region, (320, 240))
    expect(page.locator("#viewer-match .part")).to_be_hidden()


def test_an_upload_is_compared_by_parts_of_both(open_page: OpenPage, parts: Gallery) -> None:
    collection = parts.collection
    path = collection.image(id_of(collection, "quarters.png")).path
    page = open_page("/", base=parts.address)
    page.locator("#file").set_input_files(path)
    expect_first(page, collection.search(path, k=300))
    page.get_by_label("Also parts of images").check()
    expect_first(page, collection.search(path, k=300, regions=True))
    page.get_by_label("Also parts of the query").check()
    matches = collection.search(path, k=300, regions=True, crops=True)
    expect_first(page, matches)
    both = next(match for match in matches if match.region and match.query_region)
    assert both.region
    assert both.query_region
    words = f"{region_words(both.region)} part, like the query's {region_words(both.query_region)} part"
    expect(tile(page, both.id).get_by_role("button", name=words)).to_be_attached()


@pytest.mark.parametrize("query", ["plus=id:2&plus=id:3", "plus=id:2@0,0,0.5,0.5", "plus=text:picture 2"])
def test_only_one_whole_image_is_cut(open_page: OpenPage, parts: Gallery, query: str) -> None:
    page = open_page(f"/?{query}&parts=query", base=parts.address)
    page.locator(".tile").first.wait_for()
    expect(page.get_by_label("Also parts of images")).to_be_visible()
    expect(page.get_by_label("Also parts of the query")).to_be_hidden()


def test_several_terms_are_compared_with_parts(open_page: OpenPage, parts: Gallery) -> None:
    page = open_page("/?plus=id:2&plus=0.5*id:3&parts=images", base=parts.address)
    expect_first(page, parts.collection.search_terms([Term(id=2), Term(id=3, weight=0.5)], k=300, regions=True))


def test_a_part_is_called_the_same_as_in_the_terminal(open_page: OpenPage, parts: Gallery) -> None:
    page = open_page("/", base=parts.address)
    regions = [region for count in COUNTS for region in grid(count)]
    given = [vars(region) for region in regions]
    name = f"/static/{page_files().version}/parts.js"
    words = page.evaluate(
        "async ([name, given]) => given.map((await import(name)).partWords)", [address_of(parts.service) + name, given]
    )
    assert words == [region_words(region) for region in regions]


def test_a_contact_sheet_has_frames(open_page: OpenPage, parts: Gallery) -> None:
    page, collection = open_page(f"/?plus=id:{THING + 1}&parts=images", base=parts.address), parts.collection
    match = by_key(collection.search_id(THING + 1, k=300, regions=True))["square right.png"]
    tile(page, match.id).scroll_into_view_if_needed()
    tile(page, match.id).locator(".alike").click(modifiers=["ControlOrMeta"])
    with page.expect_download() as download:
        page.locator("#selection-sheet").click()
    with Image.open(io.BytesIO(Path(download.value.path()).read_bytes())) as sheet:
        shown = np.asarray(sheet.convert("L"), np.int16)
    # From the margin of 72, an image of 380 pixels: the white line of the frame begins 3 pixels from the middle.
    assert shown[72 + 190 + 4, 72 + 200 : 72 + 370].min() > 200
    assert shown[72 + 200 : 72 + 370, 72 + 190 + 4].min() > 200
    assert shown[72 + 190 - 8, 72 + 200 : 72 + 370].max() < 60


def test_axe_finds_nothing_where_parts_are_shown(open_page: OpenPage, parts: Gallery) -> None:
    page, collection = (
        open_page(f"/?plus=id:{THING + 1}&parts=images&parts=query", base=parts.address),
        parts.collection,
    )
    expect_first(page, collection.search(collection.image(THING + 1).path, k=300, regions=True, crops=True))
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page, "color-contrast") == []

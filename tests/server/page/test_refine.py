"""The scores as a histogram that cuts, and labels, folders and attributes as chips with counts that filter."""

from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lookalike import Where
from tests.server.page.conftest import Gallery, OpenPage, address_of
from tests.support.gallery import COUNT, make_gallery
from tests.support.http_service import running
from tests.support.page_acts import MINUS, address, expect_first, folded, scores


def facet(page: Page, group: str, value: str) -> object:
    """The chip of a value in the group of that name."""
    return page.get_by_role("group", name=group).locator(f'.facet[data-value="{value}"]')


def counts(page: Page, group: str) -> dict[str, int]:
    """The number that each chip of a group shows."""
    chips = page.get_by_role("group", name=group).locator(".facet")
    values = chips.evaluate_all(
        "all => all.map(chip => [chip.dataset.value, chip.querySelector('.count').textContent])"
    )
    return {value: int(count.replace(",", "")) for value, count in values}


def test_the_histogram_cuts_the_grid_at_once(page: Page, gallery: Gallery) -> None:
    page.goto("/?plus=id:5")
    matches = gallery.collection.search_id(5, k=300)
    expect_first(page, matches)
    slider = page.get_by_role("slider", name="Least score")
    expect(page.locator("#bars rect")).not_to_have_count(0)
    box = slider.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    cut = float(slider.input_value())
    left = [match for match in matches if round(match.score, 6) >= cut]
    assert 3 < len(left) < 200
    expect(page.locator("#cut-count")).to_have_text(f"{len(left)} of {len(matches)} matches")
    expect(page.locator(".tile")).to_have_count(len(folded(left)))
    assert min(scores(page, len(left))) >= cut - 0.001
    assert ("cut", f"{cut:g}") in address(page)
    expect(page.locator("#heading")).to_contain_text(f"{len(left)} of {len(matches)}")


def test_the_histogram_is_a_slider_for_the_keyboard_too(page: Page, gallery: Gallery) -> None:
    page.goto("/?plus=id:5")
    matches = gallery.collection.search_id(5, k=300)
    expect_first(page, matches)
    slider = page.get_by_role("slider", name="Least score")
    slider.focus()
    for _ in range(4):
        page.keyboard.press("PageUp")
    cut = float(slider.input_value())
    left = [match for match in matches if match.score >= cut]
    assert 0 < len(left) < len(matches)
    expect(slider).to_have_attribute(
        "aria-valuetext", f"at least {cut:.3f}: {len(left)} of {len(matches)}".replace("-", MINUS)
    )
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "nothing is left out")
    expect_first(page, matches)


def test_the_histogram_and_the_counts_follow_when_more_is_loaded(
    open_page: OpenPage, gallery: Gallery, tmp_path: Path
) -> None:
    folder = tmp_path.resolve() / "pictures"
    folder.mkdir()
    with make_gallery(folder, 320) as collection, running(collection) as service:
        page = open_page("/?plus=id:5", base=address_of(service))
        expect(page.locator("#heading")).to_have_text("The best 300 matches")
        page.locator(".tile .alike").first.focus()
        page.keyboard.press("End")
        page.keyboard.press("End")
        expect(page.locator("#heading")).to_have_text("321 matches")
        expect(page.locator("#facets-note")).to_contain_text("321")
        slider = page.get_by_role("slider", name="Least score")
        least = collection.search_id(5, k=1000)[-1].score
        assert float(slider.get_attribute("min") or 0) == pytest.approx(least, abs=0.006)
        open_page("about:blank")  # before the service of its thumbnails ends


def test_chips_have_the_counts_of_the_collection(page: Page, gallery: Gallery) -> None:
    images = gallery.collection.images(limit=1000)
    expect(page.get_by_role("group", name="Labels")).to_be_visible()
    labels = Counter(image.label for image in images if image.label)
    assert counts(page, "Labels") == dict(labels)
    folders = Counter(image.key.rpartition("/")[0] for image in images)
    del folders[""]
    assert counts(page, "Folders") == dict(folders)
    colours = Counter(image.attributes["colour"] for image in images if image.attributes.get("colour"))
    assert counts(page, "colour") == dict(colours)


@pytest.mark.parametrize(
    ("group", "value", "where", "parameter"),
    [
        ("Labels", "cats", Where(label="cats"), ("label", "cats")),
        ("Folders", "trips/2024", Where(under="trips/2024"), ("under", "trips/2024")),
        ("colour", "red", Where(attributes={"colour": "red"}), ("where", 'colour="red"')),
        ("year", "2021", Where(attributes={"year": 2021}), ("where", "year=2021")),
    ],
)
def test_a_chip_filters_the_collection(
    page: Page, gallery: Gallery, group: str, value: str, where: Where, parameter: tuple[str, str]
) -> None:
    chip = facet(page, group, value)
    chip.click()  # type: ignore[attr-defined]
    images = gallery.collection.images(where=where)
    expect_first(page, images)
    expect(page.locator("#heading")).to_contain_text(str(len(images)))
    expect(chip).to_have_attribute("aria-pressed", "true")  # type: ignore[call-overload]
    assert address(page) == [parameter]
    page.locator("#unfilter").click()
    expect_first(page, gallery.collection.images(limit=60))
    expect(page.locator("#heading")).to_have_text(f"{COUNT + 2} images")


def test_chips_filter_a_search_and_add_up(page: Page, gallery: Gallery) -> None:
    page.goto("/?plus=id:5")
    collection = gallery.collection
    expect_first(page, collection.search_id(5, k=100))
    facet(page, "Labels", "cats").click()  # type: ignore[attr-defined]
    expect_first(page, collection.search_id(5, k=300, where=Where(label="cats")))
    facet(page, "Labels", "birds").click()  # type: ignore[attr-defined]
    expect_first(page, collection.search_id(5, k=300, where=Where(label=["cats", "birds"])))
    facet(page, "colour", "green").click()  # type: ignore[attr-defined]
    both = Where(label=["cats", "birds"], attributes={"colour": "green"})
    expect_first(page, collection.search_id(5, k=300, where=both))
    facet(page, "Labels", "cats").click()  # type: ignore[attr-defined]
    expect_first(page, collection.search_id(5, k=300, where=Where(label="birds", attributes={"colour": "green"})))


def test_filters_that_nothing_meets_say_so_and_lead_back(page: Page, gallery: Gallery) -> None:
    page.goto("/?label=none-of-them")
    expect(page.locator("#notice")).to_be_visible()
    page.locator("#notice-actions button").first.click()
    expect_first(page, gallery.collection.images(limit=60))


def test_the_order_may_be_that_of_a_kind(page: Page, gallery: Gallery) -> None:
    nearest, refined = gallery.collection.search_id(5, k=300), gallery.collection.search_id(5, k=300, refine=True)
    assert [match.id for match in nearest] != [match.id for match in refined]
    page.goto("/")
    expect(page.locator("#order")).to_be_hidden()
    page.goto("/?plus=id:5")
    expect_first(page, nearest)
    near, kind = (page.get_by_role("button", name=name) for name in ("Nearest first", "More of a kind"))
    expect(near).to_have_attribute("aria-pressed", "true")
    kind.click()
    expect_first(page, refined)
    expect(kind).to_have_attribute("aria-pressed", "true")
    assert ("order", "kind") in address(page)
    page.go_back()
    expect_first(page, nearest)
    page.goto("/?plus=id:5&order=kind")
    expect_first(page, refined)
    near.click()
    expect_first(page, nearest)
    assert "order" not in dict(address(page))


def test_an_upload_may_be_searched_for_in_the_order_of_a_kind(page: Page, gallery: Gallery) -> None:
    path = gallery.collection.image(9).path
    page.goto("/?order=kind")
    page.locator("#file").set_input_files(path)
    expect_first(page, gallery.collection.search(path, k=300, refine=True))
    page.get_by_role("button", name="Nearest first").click()
    expect_first(page, gallery.collection.search(path, k=300))

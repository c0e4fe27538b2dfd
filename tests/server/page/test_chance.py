"""What chance tells of matches, and how probable their labels are, on the page."""

from dataclasses import replace
from pathlib import Path

from playwright.sync_api import expect

from lookalike.search.probability import CopyCurve, FittedCurves
from tests.server.page.conftest import OpenPage, address_of
from tests.support.crowds import crowd
from tests.support.http_service import running
from tests.support.kinds import kinds
from tests.support.page_acts import tile
from tests.support.watched_pages import Complaints

ALL_CHANCE = "Nothing here is nearer than chance."


def test_a_line_in_the_histogram_shows_where_beyond_chance_begins(
    open_page: OpenPage, complaints: Complaints, tmp_path: Path
) -> None:
    complaints.announce("404")  # there are no files
    with crowd(tmp_path.resolve() / "photos") as collection, running(collection) as service:
        page = open_page("/?plus=id:1", base=address_of(service))
        first, second, *_ = collection.search_id(1, k=300)
        assert first.key == "copy.jpg"
        expect(page.locator("#cut-chance")).to_have_text("Right of the line: 1 beyond chance.")
        slider = page.get_by_role("slider", name="Least score")
        low, high = (float(slider.get_attribute(name) or 0) for name in ("min", "max"))
        at = float(page.locator("#bars line").get_attribute("x1") or 0) / 40 * (high - low) + low
        assert second.score < at < first.score
        assert page.locator("#chance").is_hidden()
        tile(page, first.id).hover()
        tile(page, first.id).locator(".enlarge").click()
        expect(page.locator("#viewer-match figcaption")).to_have_text(f"Score {first.score:.3f} · beyond chance")
        open_page("about:blank")  # before the service of its thumbnails ends


def test_it_says_so_where_nothing_is_nearer_than_chance(
    open_page: OpenPage, complaints: Complaints, tmp_path: Path
) -> None:
    complaints.announce("404")  # there are no files
    with crowd(tmp_path.resolve() / "photos") as collection, running(collection) as service:
        numbers = {image.id: collection.search_id(image.id, k=300) for image in collection.images(limit=60)}
        lonely = next(number for number, found in numbers.items() if all((match.expected or 0) > 1 for match in found))
        page = open_page(f"/?plus=id:{lonely}", base=address_of(service))
        expect(page.locator("#chance")).to_have_text(ALL_CHANCE)
        expect(page.locator("#chance")).to_be_visible()
        assert page.locator("#bars line").count() == 0
        assert page.locator("#cut-chance").is_hidden()
        page.goto(f"{address_of(service)}/")
        expect(page.locator("#heading")).to_have_text("301 images")
        expect(page.locator("#chance")).to_be_hidden()
        open_page("about:blank")


def test_the_probability_of_a_label_is_beside_an_enlarged_match(
    open_page: OpenPage, complaints: Complaints, tmp_path: Path
) -> None:
    complaints.announce("404")  # there are no files
    with kinds(tmp_path.resolve() / "photos", 200) as collection, running(collection) as service:
        collection.evaluate()
        page = open_page("/?plus=id:1", base=address_of(service))
        first = collection.search_id(1, k=1)[0]
        assert first.probability is not None
        tile(page, first.id).hover()
        tile(page, first.id).locator(".enlarge").click()
        told = f"same label as the query: {round(100 * first.probability)} %"
        expect(page.locator("#viewer-match figcaption")).to_contain_text(told)
        open_page("about:blank")


def test_what_is_probably_a_copy_says_so_beside_the_enlarged_match(
    open_page: OpenPage, complaints: Complaints, tmp_path: Path
) -> None:
    complaints.announce("404")  # there are no files
    with kinds(tmp_path.resolve() / "photos", 200) as collection, running(collection) as service:
        collection.evaluate()
        learned = collection.info().probability
        assert learned is not None
        for told, words in ((0.966, "a copy: 97 %"), (0.4, "")):
            copies = replace(learned, curve=CopyCurve((0.0,), (told,)))
            collection._curves.keep(FittedCurves(learned, copies))
            page = open_page("/?plus=id:1", base=address_of(service))
            first = collection.search_id(1, k=1)[0]
            tile(page, first.id).hover()
            tile(page, first.id).locator(".enlarge").click()
            caption = page.locator("#viewer-match figcaption")
            expect(caption).to_contain_text("same label as the query")
            assert ("a copy" in caption.inner_text()) == bool(words)
            assert words in caption.inner_text()
        open_page("about:blank")

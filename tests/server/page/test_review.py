"""The page of copies, as a person with a keyboard, a mouse or a screen reader uses it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

import lookalike
from lookalike import Collection
from lookalike.server.settings import Settings
from tests.server.page.conftest import OpenPage, address_of
from tests.server.page.test_accessibility import violations
from tests.support.edited_pictures import EDITED, DimEncoder, scene
from tests.support.http_service import Running, running
from tests.support.watched_pages import Complaints

KINDS = ("grey", "mirrored", "darker")


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """Five scenes, three of them with a copy."""
    folder = tmp_path_factory.mktemp("copies").resolve() / "scenes"
    folder.mkdir()
    for seed in range(5):
        scene(seed).save(folder / f"{seed}.png")
    for seed, edit in enumerate(KINDS):
        EDITED[edit][0](scene(seed)).save(folder / f"{seed}-{edit}.png")
    with lookalike.create(folder, encoder=DimEncoder()) as collection:
        collection.add(folder)
        collection.duplicates()
        yield collection


@pytest.fixture(scope="module")
def served(copies: Collection) -> Iterator[Running]:
    with running(copies, Settings(writable=True)) as made:
        yield made


@pytest.fixture
def review(open_page: OpenPage, served: Running, copies: Collection) -> Page:
    copies.unmark_copies(list(copies.copy_marks()))
    page = open_page("/review", base=address_of(served))
    expect(page.locator(".copies-of")).to_have_count(3)
    return page


def marks(copies: Collection) -> dict[str, str]:
    return {copies.image(id_).key: decision for id_, decision in copies.copy_marks().items()}


def focused(page: Page) -> str:
    return str(page.evaluate("() => document.activeElement.querySelector('img').alt"))


def test_groups_stand_side_by_side_with_the_reasons(review: Page) -> None:
    expect(review.locator("#heading")).to_have_text("3 copies of 3 images")
    first = review.locator(".copies-of").first
    assert [image.get_attribute("alt") for image in first.locator("img").all()] == ["0.png", "0-grey.png"]
    expect(first.locator(".copy").first.locator(".grade")).to_contain_text("Keep, the whole picture")
    expect(first.locator(".reason")).to_have_text("0-grey.png is 0.png, in grey")
    expect(review.locator("#pending")).to_be_hidden()


def test_keys_move_mark_keep_and_go_on(review: Page, copies: Collection) -> None:
    review.keyboard.press("ArrowDown")
    assert focused(review) == "0.png"
    review.keyboard.press("ArrowRight")
    assert focused(review) == "0-grey.png"
    review.keyboard.press("x")
    expect(review.locator("#marked-count")).to_have_text("1 marked")
    review.keyboard.press("ArrowDown")
    review.keyboard.press("n")
    expect(review.locator("#marked-count")).to_have_text("2 marked")
    assert focused(review) == "2.png"
    review.keyboard.press("k")
    review.keyboard.press("End")
    review.keyboard.press("u")
    expect(review.locator('.copy[data-decided="kept"]')).to_have_count(1)
    review.wait_for_load_state("networkidle")
    assert marks(copies) == {"0-grey.png": "marked", "1-mirrored.png": "marked", "2.png": "kept"}
    review.reload()
    expect(review.locator("#marked-count")).to_have_text("2 marked")
    expect(review.locator('.copy[data-decided="marked"]')).to_have_count(2)


def test_buttons_decide_and_take_back(review: Page, copies: Collection) -> None:
    mark = review.get_by_role("button", name="Mark as a copy: 0-grey.png")
    mark.click()
    expect(mark).to_have_attribute("aria-pressed", "true")
    review.get_by_role("button", name="Keep: 0-grey.png").click()
    expect(mark).to_have_attribute("aria-pressed", "false")
    review.get_by_role("button", name="Keep: 0-grey.png").click()
    review.get_by_role("button", name="Mark as suggested").nth(2).click()
    expect(review.locator("#marked-count")).to_have_text("1 marked")
    review.wait_for_load_state("networkidle")
    assert marks(copies) == {"2-darker.png": "marked"}


def test_a_copy_is_looked_at_beside_the_one_to_keep(review: Page) -> None:
    review.locator(".copies-of").nth(1).locator("button.picture").click()
    expect(review.locator("#pair")).to_be_visible()
    expect(review.locator("#pair-reason")).to_have_text("1-mirrored.png is 1.png, mirrored")
    assert [review.locator(f"#pair-{name}").get_attribute("alt") for name in ("keep", "copy")] == [
        "1.png",
        "1-mirrored.png",
    ]
    review.keyboard.press("Escape")
    expect(review.locator("#pair")).to_be_hidden()


def test_another_grade_shows_other_groups(review: Page) -> None:
    review.locator("#grade").select_option("same bytes")
    expect(review.locator("#heading")).to_have_text("No copies")
    expect(review.locator("#notice-title")).to_have_text("No copies")
    review.locator("#grade").select_option("edited copy")
    expect(review.locator(".copies-of")).to_have_count(3)
    expect(review.locator("#notice")).to_be_hidden()


def test_a_decision_that_is_refused_is_undone_and_said(review: Page, complaints: Complaints) -> None:
    complaints.announce("500")
    review.route("**/v1/duplicates/decisions", lambda route: route.fulfill(status=500, json={"detail": "full disk"}))
    review.get_by_role("button", name="Mark as a copy: 0-grey.png").click()
    expect(review.locator("#toast")).to_have_text("Not decided: full disk")
    expect(review.locator("#marked")).to_be_hidden()
    review.unroute("**/v1/duplicates/decisions")


def test_without_the_right_to_write_nothing_is_offered(open_page: OpenPage, copies: Collection) -> None:
    with running(copies) as service:
        page = open_page("/review", base=address_of(service))
        expect(page.locator(".copies-of")).to_have_count(3)
        assert page.locator(".deciding").count() == 0
        page.keyboard.press("ArrowDown")
        page.keyboard.press("x")
        expect(page.locator("#toast")).to_contain_text("--writable")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_page_of_copies(open_page: OpenPage, served: Running, scheme: str) -> None:
    page = open_page("/review", base=address_of(served), scheme=scheme)
    expect(page.locator(".copies-of")).to_have_count(3)
    page.get_by_role("button", name="Mark as a copy: 1-mirrored.png").click()
    page.get_by_role("button", name="Keep: 2-darker.png").click()
    assert violations(page) == []
    page.locator("button.picture").first.click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert violations(page) == []

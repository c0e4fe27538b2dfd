"""Draws the README's pictures of the page: a search in the demo gallery, at two widths, light and dark.

    python docs/page_pictures.py COLLECTION        write page-light.webp and the like beside this program

It takes the extra `server` and the tools of development, among them Chromium.
"""

import argparse
import io
import sys
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import Browser, Page

import lookalike

sys.path.append(str(Path(__file__).parents[1]))
from tests.support.http_service import running
from tests.support.watched_pages import chromium

HERE = Path(__file__).parent
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
QUALITY = 82  # of WebP
# Kinds in the demo gallery: more like the first two, less like the third.
PLUS, MINUS = ("balloon-01.jpg", "balloon-07.jpg"), "planet-01.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("collection", type=Path, help="the demo gallery, which `make demo` indexes")
    with lookalike.open(parser.parse_args().collection) as collection:
        ids = {image.path.name: image.id for image in collection.images(limit=10_000)}
        query = f"plus=id:{ids[PLUS[0]]}&plus=0.5*id:{ids[PLUS[1]]}&minus=0.5*id:{ids[MINUS]}"
        with running(collection) as service, chromium() as browser:
            address = f"http://127.0.0.1:{service.port}/?{query}"
            for scheme in SCHEMES:
                draw(browser, address, f"page-{scheme}", {**DESKTOP, "color_scheme": scheme})
                draw(browser, address, f"phone-{scheme}", {**PHONE, "color_scheme": scheme})


def draw(browser: Browser, address: str, name: str, options: dict[str, Any]) -> None:
    """Takes a picture of the page as it is when all of its images are there."""
    with browser.new_context(reduced_motion="reduce", locale="en-GB", **options) as context:
        page = context.new_page()
        page.goto(address)
        wait_for_images(page)
        if "has_touch" not in options:
            page.locator(".tile").nth(2).hover()
        with Image.open(io.BytesIO(page.screenshot())) as shot:
            shot.convert("RGB").save(HERE / f"{name}.webp", quality=QUALITY, method=6)


def wait_for_images(page: Page) -> None:
    """Waits for the images on the screen, those of the query included."""
    page.locator(".tile").first.wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_function(
        """() => [...document.images].filter(image => {
          const box = image.getBoundingClientRect();
          return box.width && box.top < innerHeight && box.bottom > 0;
        }).every(image => image.complete && image.naturalWidth)"""
    )


if __name__ == "__main__":
    main()

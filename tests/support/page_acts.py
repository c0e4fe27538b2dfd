"""What a person does with the page and sees on it, in the words of the tests."""

import base64
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from lookalike import IndexedImage, Match

MINUS = "\N{MINUS SIGN}"  # before a score


def png(pixels: NDArray[np.uint8]) -> bytes:
    """The pixels as a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def tile(page: Page, image_id: int) -> Locator:
    """The tile of an image."""
    return page.locator(f'.tile[data-id="{image_id}"]')


def ids(page: Page) -> list[int]:
    """The ids of the images that are in the page, in its order."""
    found = page.locator(".tile").evaluate_all("tiles => tiles.map(tile => Number(tile.dataset.id))")
    return list(map(int, found))


def folded(images: Iterable[Match | IndexedImage]) -> list[int]:
    """The ids of images, of those with the same bytes only the first."""
    first: dict[bytes | None, int] = {}
    for image in images:
        first.setdefault(image.sha256, image.id)
    return list(first.values())


def expect_first(page: Page, images: Sequence[Match | IndexedImage], count: int = 24) -> None:
    """Waits until the page shows these images first, as far as it has them already."""
    wanted = folded(images)[:count]
    page.wait_for_function(
        """wanted => {
          const chunks = [...document.querySelectorAll('#grid:not([aria-busy=true], [hidden]) .chunk')];
          const end = chunks.findIndex(chunk => !chunk.firstChild);  // what is far off the screen is empty
          const whole = chunks.slice(0, end < 0 ? Infinity : end);
          const tiles = whole.flatMap(chunk => [...chunk.querySelectorAll('.tile')]);
          const shown = tiles.map(tile => Number(tile.dataset.id)).slice(0, wanted.length);
          const isEnough = shown.length >= Math.min(wanted.length, 8);
          return isEnough && JSON.stringify(shown) === JSON.stringify(wanted.slice(0, shown.length));
        }""",
        arg=wanted,
    )


def scores(page: Page, count: int = 24) -> list[float]:
    """The scores that the first tiles show."""
    return [float(text.replace(MINUS, "-")) for text in page.locator(".tile .score").all_text_contents()[:count]]


def query(page: Page) -> list[tuple[str, str]]:
    """The parts of the query in the address, such as ("plus", "id:4")."""
    return [(name, value) for name, value in address(page) if name in ("plus", "minus")]


def address(page: Page) -> list[tuple[str, str]]:
    """What the address says, in its order."""
    return parse_qsl(urlsplit(page.url).query)


def expect_query(page: Page, *wanted: tuple[str, str]) -> None:
    """Waits until the address has these parts of the query; an uploaded image is "image:", whatever its key is."""
    page.wait_for_function(
        """wanted => {
          const all = [...new URLSearchParams(location.search)].filter(([name]) => /^(plus|minus)$/.test(name));
          const plain = all.map(([name, value]) => [name, value.replace(/image:[\\w-]+/, 'image:')]);
          return JSON.stringify(plain) === JSON.stringify(wanted);
        }""",
        arg=[list(each) for each in wanted],
    )


def files(page: Page, **contents: bytes) -> Any:
    """A DataTransfer with files, as one that is dropped has; the names have "_" for the dot."""
    given = [
        {"name": name.replace("_", "."), "data": base64.b64encode(data).decode()} for name, data in contents.items()
    ]
    return page.evaluate_handle(
        """files => {
          const transfer = new DataTransfer();
          for (const {name, data} of files) {
            const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
            const type = name.endsWith('.png') ? 'image/png' : name.endsWith('.txt') ? 'text/plain' : '';
            transfer.items.add(new File([bytes], name, {type}));
          }
          return transfer;
        }""",
        given,
    )


def drop(page: Page, target: str, **contents: bytes) -> None:
    """Drags files over the page and drops them on an element."""
    transfer = {"dataTransfer": files(page, **contents)}
    page.dispatch_event("body", "dragenter", transfer)
    page.dispatch_event(target, "dragover", transfer)
    page.dispatch_event(target, "drop", transfer)


def paste(page: Page, target: str, data: bytes | str) -> None:
    """Pastes an image, or text, from the clipboard with the keyboard while an element has the focus."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    given = data if isinstance(data, str) else base64.b64encode(data).decode()
    page.evaluate(
        """async ([given, isText]) => {
          if (isText) return navigator.clipboard.writeText(given);
          const bytes = Uint8Array.from(atob(given), letter => letter.charCodeAt(0));
          return navigator.clipboard.write([new ClipboardItem({'image/png': new Blob([bytes], {type: 'image/png'})})]);
        }""",
        [given, isinstance(data, str)],
    )
    page.locator(target).focus()
    page.keyboard.press("ControlOrMeta+V")


def drag(page: Page, element: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drags with the mouse from one place of an element to another, in shares of its sides."""
    box = element.bounding_box()
    assert box
    points = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move((points[0][0] + points[1][0]) / 2, (points[0][1] + points[1][1]) / 2)
    page.mouse.move(*points[1])
    page.mouse.up()


def focused_id(page: Page) -> int | None:
    """The id of the image whose tile has the focus."""
    found = page.evaluate("() => document.activeElement.closest('.tile')?.dataset.id ?? null")
    return None if found is None else int(found)


def problem(status: int, detail: str, **members: Any) -> dict[str, Any]:
    """The options of Playwright's `fulfill` that answer as the service does when something is wrong."""
    body = {"type": "about:blank", "title": "Something is wrong", "status": status, "detail": detail, "hints": []}
    return {"status": status, "content_type": "application/problem+json", "body": json.dumps({**body, **members})}


def expect_count(page: Page, count: int) -> None:
    """Waits until so many images are selected."""
    expect(page.locator("#selection-count")).to_have_text(f"{count} image{'' if count == 1 else 's'} selected")

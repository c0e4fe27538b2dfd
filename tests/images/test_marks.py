"""The marks of the image files that Lookalike writes."""

import io
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from lookalike.images import marks


def saved(image_format: Literal["JPEG", "PNG"], *own: bytes) -> bytes:
    """An image of 300 x 200 pixels as a file, with a mark if one is given."""
    noise, buffer = Image.effect_noise((300, 200), 50).convert("RGB"), io.BytesIO()
    noise.save(buffer, image_format, **(marks.image_options(image_format, *own) if own else {}))
    return buffer.getvalue()


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_mark_is_found_in_the_file_and_does_not_change_the_image(image_format: Literal["JPEG", "PNG"]) -> None:
    sheet, plain = saved(image_format, marks.SHEET), saved(image_format)
    assert marks.has_mark(sheet, marks.SHEET)
    assert marks.has_mark(sheet[:256], marks.DRAWING, marks.SHEET)
    assert not marks.has_mark(sheet, marks.DRAWING)
    assert not marks.has_mark(plain, marks.SHEET, marks.DRAWING)
    assert not marks.has_mark(plain + marks.SHEET, marks.SHEET)
    with Image.open(io.BytesIO(sheet)) as image:
        assert image.size == (300, 200)
        assert image.info["comment" if image_format == "JPEG" else "Comment"] in (marks.SHEET, marks.SHEET.decode())
        assert np.asarray(image).std() > 30

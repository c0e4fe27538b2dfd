"""Lines of text in any script, checked by their pixels."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lookalike.display import fonts, lettering
from lookalike.display.fonts import PILLOWS
from lookalike.display.lettering import Lettering
from tests.support.optional_packages import needs

needs("manimgx_fonts", "manimgx_fonts_cjk")

SIZE = 20


def drawn(text: str, width: int = 900) -> NDArray[np.uint8]:
    """The ink of a line, cut to where there is any."""
    paper = Image.new("L", (1000, 60), 255)
    Lettering(SIZE).draw(ImageDraw.Draw(paper), (500, 10), text, "black", width=width)
    return inked(paper)


def reference(font: ImageFont.FreeTypeFont, text: str) -> NDArray[np.uint8]:
    """The same, as Pillow sets the whole line in one font."""
    paper = Image.new("L", (1000, 60), 255)
    ImageDraw.Draw(paper).text((20, 10), text, "black", font)
    return inked(paper)


def inked(paper: Image.Image) -> NDArray[np.uint8]:
    ink = 255 - np.asarray(paper)
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def noto(name: str) -> ImageFont.FreeTypeFont:
    face = next(face for face in fonts.faces() if Path(face.file).name == name)
    font = fonts.load(face, SIZE)
    assert font
    return font


@pytest.fixture
def only_pillows(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No font is found but Pillow's own."""
    lettering._face_for.cache_clear()
    monkeypatch.setattr(fonts, "faces", lambda: (PILLOWS,))
    yield
    lettering._face_for.cache_clear()


@pytest.mark.parametrize(
    ("text", "font"),
    [
        ("Größe Łódź Ελλάδα Фото.jpg", "NotoSans[wght].ttf"),
        ("猫の写真 01.jpg", "NotoSansCJK-VF.otf.ttc"),
        ("사진.png", "NotoSansCJK-VF.otf.ttc"),
        ("हिन्दी", "NotoSansDevanagari[wght].ttf"),
        ("ภาพถ่าย", "NotoSansThai[wght].ttf"),
        ("صورة", "NotoSansArabic[wght].ttf"),
        ("😀🎉", "NotoEmoji[wght].ttf"),
        ("e\u0301te\u0301", "NotoSans[wght].ttf"),
    ],
)
def test_a_line_is_set_in_a_font_that_has_its_letters(text: str, font: str) -> None:
    system = [face for face in fonts.faces() if "manimgx" not in face.file]  # which may be preferred for nothing here
    assert system
    assert np.array_equal(drawn(text), reference(noto(font), text))


def test_scripts_of_several_fonts_stand_side_by_side() -> None:
    """Arabic from right to left, Latin beside it, each in its own font and nothing missing."""
    setting = Lettering(SIZE)
    parts = [(run.text, Path(run.face.file).name, run.direction) for run in setting._runs("صورة IMG 猫.jpg")]
    assert [(text.strip(" ."), name) for text, name, _ in parts if text.strip(" .")] == [
        ("IMG", "NotoSans[wght].ttf"),
        ("猫", "NotoSansCJK-VF.otf.ttc"),
        ("jpg", "NotoSans[wght].ttf"),
        ("صورة", "NotoSansArabic[wght].ttf"),
    ]
    assert setting.missing == set()
    ink = drawn("صورة IMG 猫.jpg")
    arabic = reference(noto("NotoSansArabic[wght].ttf"), "صورة")
    windows = np.lib.stride_tricks.sliding_window_view(ink, (ink.shape[0], arabic.shape[1]))[0]
    assert (windows[-1].sum(axis=1) > 0).any()
    assert windows[-1].sum() == pytest.approx(arabic.sum(), rel=0.05)  # at the right end


def test_what_no_font_has_is_readable_and_never_a_box(only_pillows: None) -> None:
    setting = Lettering(SIZE)
    own = fonts.load(PILLOWS, SIZE)
    assert own
    for text, shown in (("Élan", "Elan"), ("猫.jpg", r"\u732b.jpg"), ("Łódź", r"\u0141odz"), ("😀", r"\U0001f600")):
        assert [run.text for run in setting._runs(text)] == [shown]
        assert np.array_equal(drawn(text), reference(own, shown))
    assert setting.missing == {"É", "猫", "Ł", "ó", "ź", "😀"}


def test_without_libraqm_joined_scripts_are_escaped_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    lettering._face_for.cache_clear()
    monkeypatch.setattr(fonts, "can_shape", lambda: False)
    setting = Lettering(SIZE)
    assert [run.text for run in setting._runs("ص")] == [r"\u0635"]
    assert [run.text for run in setting._runs("हि")] == [r"\u0939\u093f"]
    assert [run.text for run in setting._runs("猫é")] == ["猫é"]
    lettering._face_for.cache_clear()


@pytest.mark.parametrize("text", ["a" * 200, "猫" * 99, "صورة" * 40, "é" * 120, "👨\u200d👩\u200d👧" * 40])
def test_a_long_line_ends_in_an_ellipsis_and_fits(text: str) -> None:
    setting = Lettering(SIZE)
    short = setting.shortened(text, 300)
    assert short.endswith("…")
    assert text.startswith(short[:-1])
    assert setting.width(short) <= 300
    longer = text[: len(short[:-1]) + len(text) // (40 if text[0] == "👨" else len(text))]
    assert setting.width(longer + "…") > 300
    assert drawn(text, width=300).shape[1] <= 304  # an italic end may reach over a little
    assert setting.shortened("short", 300) == "short"


@pytest.mark.parametrize("text", ["a red mug on a table " * 9, "赤い帽子をかぶった猫の写真" * 9, "x" * 300, "one"])
def test_a_text_is_wrapped_to_lines_that_fit(text: str) -> None:
    setting = Lettering(SIZE)
    lines = setting.wrapped(text, 200, 5)
    assert 1 <= len(lines) <= 5
    assert all(setting.width(line) <= 200 for line in lines)
    joined = "".join(lines).replace(" ", "")
    assert text.replace(" ", "").startswith(joined.removesuffix("…"))
    assert joined.endswith("…") == (len(text) > 60)

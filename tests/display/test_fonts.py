"""Which fonts are found, and which letters they have."""

from pathlib import Path

import pytest
from PIL import ImageFont

from lookalike.display import fonts
from lookalike.display.fonts import PILLOWS, Face
from tests.support.optional_packages import needs

needs("manimgx_fonts", "manimgx_fonts_cjk")


def of_package(name: str) -> Face:
    return next(face for face in fonts.faces() if Path(face.file).name == name)


def darkness(font: fonts.Font, text: str) -> int:
    return sum(bytes(font.getmask(text)))


def test_noto_comes_first_then_the_systems_fonts_then_pillows_own() -> None:
    found = fonts.faces()
    assert [Path(face.file).name for face in found[:2]] == ["NotoSans[wght].ttf", "NotoSansLao[wght].ttf"]
    packages = ["manimgx" in face.file for face in found]
    assert packages == sorted(packages, reverse=True)
    usual = found[packages.index(False) : found.index(PILLOWS)]
    assert all(Path(face.file).name.lower().startswith(fonts._USUAL) for face in usual)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("font", "there", "missing"),
    [
        ("", "aZ~", "éЖ猫\U0010ffff"),
        ("NotoSans[wght].ttf", "éŁЖα", "猫ع\U0010ffff"),
        ("NotoSansCJK-VF.otf.ttc", "猫の한a", "ع\U0010ffff"),
        ("NotoSansArabic[wght].ttf", "عص", "猫"),
        ("NotoEmoji[wght].ttf", "😀🎉", "猫"),
    ],
)
def test_a_font_has_the_letters_that_it_has(font: str, there: str, missing: str) -> None:
    face = of_package(font) if font else PILLOWS
    assert [fonts.has(face, letter) for letter in there] == [True] * len(there)
    assert [fonts.has(face, letter) for letter in missing] == [False] * len(missing)


def test_a_variable_font_has_its_normal_weight() -> None:
    """That of Noto Sans CJK is thin unless another is asked for."""
    face = of_package("NotoSansCJK-VF.otf.ttc")
    thin, normal = ImageFont.truetype(face.file, 40), fonts.load(face, 40)
    assert normal
    assert darkness(normal, "猫") > 1.5 * darkness(thin, "猫")
    bold = ImageFont.truetype(face.file, 40)
    bold.set_variation_by_axes([700])
    assert darkness(normal, "猫") < 0.8 * darkness(bold, "猫")


@pytest.mark.parametrize("program", [None, "false", "/does/not/exist"])
def test_without_fontconfig_the_known_folders_are_searched(
    program: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noto = Path(of_package("NotoSans[wght].ttf").file)
    folder = tmp_path / "fonts" / "deep"
    folder.mkdir(parents=True)
    for name in ("Own-Regular.TTF", "Own-Bold.ttf", "readme.txt", "LastResort.otf"):
        (folder / name).write_bytes(noto.read_bytes())
    monkeypatch.setattr("shutil.which", lambda _: program)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    found = [Path(face.file).name for face in fonts.faces.__wrapped__()]
    assert found.index("Own-Regular.TTF") < found.index("Own-Bold.ttf")
    assert not {"readme.txt", "LastResort.otf"} & set(found)


def test_a_damaged_font_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"\0\1\0\0" + bytes(100))
    face = Face(str(tmp_path / "broken.ttf"))
    assert fonts.load(face, 20) is None
    assert not fonts.has(face, "a")
    assert not fonts.has(Face(str(tmp_path / "gone.ttf")), "a")

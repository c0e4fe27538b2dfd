"""Finds fonts that have the letters of a text: those of the extra `fonts`, those of the system, and Pillow's own.

Pillow's own font has little more than ASCII, but is always there. Nothing is downloaded.
"""

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import ImageFont, features

Font = ImageFont.FreeTypeFont

_PACKAGES = ("manimgx_fonts", "manimgx_fonts_cjk")  # of the extra `fonts`: Noto Sans, with Noto Emoji
_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
# Fonts of systems that are made for reading: the beginnings of their files' names, in lower case.
_USUAL = ("notosans-regular", "notosans[", "dejavusans.", "arial.", "segoeui.", "helvetica", "liberationsans-regular")
# Fonts whose names have one of these come last: a caption is set in an upright font of normal width and weight.
_UNUSUAL = (
    *("bold", "italic", "oblique", "light", "thin", "black", "heavy", "medium", "semi", "condensed", "narrow"),
    *("mono", "serif", "math", "music", "display", "kufi", "nastaliq", "naskh"),
)
_UNUSABLE = ("lastresort", "adobeblank")  # these have a box, or nothing, for every letter
_NO_LETTER = "\U0010ffff"  # no character: a font shows it as it shows a letter that it does not have
_PROBE_SIZE = 20
_SECONDS = 10  # fontconfig may have to look at every font of the system first


@dataclass(frozen=True)
class Face:
    """A font in a file, which may hold several; Pillow's own if there is no file."""

    file: str = ""
    number: int = 0


PILLOWS = Face()


@functools.cache
def faces() -> tuple[Face, ...]:
    """All fonts that can be used, those to be preferred first."""
    packages = sorted(map(Face, _of_packages()), key=_preference)
    system = sorted(set(_fontconfig() or _known_folders()), key=_preference)
    usual = [face for face in system if Path(face.file).name.lower().startswith(_USUAL)]
    return tuple(dict.fromkeys((*packages, *usual, PILLOWS, *system)))


@functools.lru_cache(maxsize=64)
def load(face: Face, size: int) -> Font | None:
    """A font in a size in pixels, upright and of normal weight; None if the file cannot be used in that size."""
    if not face.file:
        return _pillows(size)
    try:
        font = ImageFont.truetype(face.file, size, face.number)
        if axes := _axes(font):
            font.set_variation_by_axes(axes)
    except (OSError, ValueError):  # damaged, or a bitmap font of other sizes, as fonts of coloured emoji are
        return None
    return font


@functools.lru_cache(maxsize=65_536)
def has(face: Face, character: str) -> bool:
    """Whether a font has a glyph for a character."""
    font = _probe(face)
    if font is None:
        return False
    try:
        mask, missing = font.getmask(character), font.getmask(_NO_LETTER)
    except (OSError, ValueError):
        return False
    return (mask.size, bytes(mask)) != (missing.size, bytes(missing))


def can_shape() -> bool:
    """Whether Pillow can set scripts that are written from right to left, or whose letters join (libraqm)."""
    return bool(features.check("raqm"))


def _pillows(size: int) -> Font | None:
    font = ImageFont.load_default(size)
    if not isinstance(font, Font):  # without FreeType, Pillow has bitmaps only
        return None
    return font.font_variant(layout_engine=ImageFont.Layout.RAQM) if can_shape() else font


@functools.lru_cache(maxsize=64)
def _probe(face: Face) -> Font | None:
    # Without shaping, a font shows exactly the glyph that it has for a character.
    font = load(face, _PROBE_SIZE)
    return font and font.font_variant(layout_engine=ImageFont.Layout.BASIC)


def _axes(font: Font) -> list[float]:
    """The position of each axis of a variable font that makes it normal; none for other fonts."""
    try:
        axes = font.get_variation_axes()
    except OSError:
        return []
    found = []
    for axis in axes:
        is_weight = bytes(axis["name"] or b"").lower() in (b"weight", b"wght")
        normal = 400 if is_weight else axis["default"] or 0
        found.append(float(min(max(normal, axis["minimum"] or 0), axis["maximum"] or 0)))
    return found


def _preference(face: Face) -> tuple[int, bool, int, str, int]:
    name = Path(face.file).name.lower()
    unusual = sum(word in name for word in _UNUSUAL) - ("sansserif" in name)
    return unusual, "sans" not in name, len(name), face.file, face.number


def _of_packages() -> Iterator[str]:
    for package in _PACKAGES:
        if (found := importlib.util.find_spec(package)) and found.submodule_search_locations:
            for folder in found.submodule_search_locations:
                yield from _files_in(Path(folder))


def _fontconfig() -> list[Face]:
    """The system's fonts by fontconfig, which knows where they are; none if it is not there."""
    program = shutil.which("fc-list")
    if program is None:
        return []
    command = [program, "--format", "%{file}\t%{index}\n", ":scalable=true"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return []
    found = []
    for line in os.fsdecode(done.stdout).splitlines():
        file, _, number = line.rpartition("\t")
        if file.lower().endswith(_SUFFIXES) and number.isdecimal() and _is_usable(file):
            found.append(Face(file, int(number) & 0xFFFF))  # the upper bits name an instance of a variable font
    return found


def _known_folders() -> list[Face]:
    return [Face(file) for folder in _folders() for file in _files_in(folder)]


def _folders() -> list[Path]:
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 # pathlib raises where there is none
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")
        windows = os.environ.get("WINDIR", r"C:\Windows")
        return [Path(windows, "Fonts"), Path(local, "Microsoft", "Windows", "Fonts")]
    data = os.environ.get("XDG_DATA_HOME") or home / ".local/share"
    return [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path(data, "fonts"), home / ".fonts"]


def _files_in(folder: Path) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.lower().endswith(_SUFFIXES) and _is_usable(name):
                yield f"{parent}{os.sep}{name}"


def _is_usable(file: str) -> bool:
    return not Path(file).name.lower().startswith(_UNUSABLE)

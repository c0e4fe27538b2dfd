"""Draws images in a terminal: by the protocol that the terminal supports, or with half blocks."""

import base64
import io
import struct
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Literal, TypeAlias

from PIL import Image

if TYPE_CHECKING:
    from rich.segment import Segment

Protocol: TypeAlias = Literal["kitty", "iterm2"]

_CHUNK = 4096  # bytes: the longest payload of one kitty command
_CELL = (10, 20)  # pixels, if the terminal does not report its own
_MAX_CELL_HEIGHT = 48  # pixels; more would only make the output longer


def protocol(environ: Mapping[str, str]) -> Protocol | None:
    """Returns the protocol by which the terminal draws images, as its environment variables show; None if it has none.

    Asking the terminal itself would be more reliable, but the answer arrives on standard input, where it can get lost
    or be mistaken for typing. Inside tmux, screen and zellij there is none, since they do not pass images on.
    """
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if term == "dumb" or term.startswith(("screen", "tmux")) or {"TMUX", "STY", "ZELLIJ"} & environ.keys():
        return None
    if term in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return "kitty"
    if program in ("iTerm.app", "WezTerm"):
        return "iterm2"
    # The other variables may come from the terminal that this one was started in; most terminals name themselves.
    if program:
        return None
    if "KITTY_WINDOW_ID" in environ or "KONSOLE_VERSION" in environ:
        return "kitty"
    return "iterm2" if environ.get("LC_TERMINAL") == "iTerm2" else None  # ssh passes this variable on


def escape_sequence(image: Image.Image, columns: int, rows: int, *, protocol: Protocol) -> str:
    """Returns the escape sequence that draws an image over `columns` x `rows` cells from the cursor on.

    The position of the cursor afterwards differs between terminals.

    Sources: https://sw.kovidgoyal.net/kitty/graphics-protocol/ and https://iterm2.com/documentation-images.html
    """
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    if protocol == "iterm2":  # given the height alone, every terminal keeps the aspect ratio
        return f"\x1b]1337;File=inline=1;size={buffer.tell()};height={rows}:{data}\a"
    # a=T: show it at once; f=100: PNG; C=1: leave the cursor; q=2: do not answer on standard input.
    control = f"a=T,f=100,c={columns},r={rows},C=1,q=2,"
    commands = []
    for start in range(0, len(data), _CHUNK):
        more = int(start + _CHUNK < len(data))
        commands.append(f"\x1b_G{control}m={more};{data[start : start + _CHUNK]}\x1b\\")
        control = ""  # only the first command has the other keys
    return "".join(commands)


def half_blocks(image: Image.Image) -> Iterator[list["Segment"]]:
    """Yields an image as lines of coloured characters, each of which shows two pixels, one above the other.

    `image` is RGBA with an even height; a pixel is either opaque or not drawn.
    """
    from rich.color import Color
    from rich.segment import Segment
    from rich.style import Style

    def colour(x: int, y: int) -> Color | None:
        red, green, blue, alpha = image.getpixel((x, y))  # type: ignore[misc] # a tuple for RGBA
        return Color.from_rgb(red, green, blue) if alpha else None

    for top in range(0, image.height, 2):
        line = []
        for x in range(image.width):
            upper, lower = colour(x, top), colour(x, top + 1)
            if upper:
                line.append(Segment("▀", Style(color=upper, bgcolor=lower)))
            elif lower:
                line.append(Segment("▄", Style(color=lower)))
            else:
                line.append(Segment(" "))
        yield line


def canvas(image: Image.Image, width: int, height: int) -> Image.Image:
    """Scales an image to fit into `width` x `height` pixels, at the lower left; the rest is transparent."""
    scale = min(width / image.width, height / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    area = Image.new("RGBA", (width, height))
    area.paste(image.resize(size), (0, height - size[1]))
    return area


def cell_size(file: IO[str]) -> tuple[int, int]:
    """Returns the width and height of one character in pixels, or a default if the operating system has none."""
    try:
        import fcntl
        import termios

        found = fcntl.ioctl(file.fileno(), termios.TIOCGWINSZ, bytes(8))
    except (ImportError, OSError, ValueError):  # not POSIX, or not a terminal
        return _CELL
    rows, columns, width, height = struct.unpack("4H", found)
    if not (rows and columns and width and height):
        return _CELL
    shrink = 1 + height // rows // _MAX_CELL_HEIGHT
    return max(1, width // columns // shrink), max(1, height // rows // shrink)

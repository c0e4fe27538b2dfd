"""Pictures inside a terminal: the protocols that draw them, and which of them a terminal knows."""

import base64
import io
import struct
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Literal, TypeAlias

from PIL import Image

if TYPE_CHECKING:
    from rich.segment import Segment

Protocol: TypeAlias = Literal["kitty", "iterm2"]

_CHUNK = 4096  # the longest payload that one kitty command may carry
_CELL = (10, 20)  # pixels, where the terminal does not say
_TALLEST_CELL = 48  # pixels; more would only make the output longer


def protocol(environ: Mapping[str, str]) -> Protocol | None:
    """The protocol that the terminal draws pictures with, told from its environment alone.

    Asking the terminal itself would be surer, but its answer comes on standard input, where it can
    get lost or be taken for typing. Inside tmux, screen and zellij there is none: they do not pass
    pictures on.
    """
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if term == "dumb" or term.startswith(("screen", "tmux")) or {"TMUX", "STY", "ZELLIJ"} & environ.keys():
        return None
    if term in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return "kitty"
    if program in ("iTerm.app", "WezTerm"):
        return "iterm2"
    # What another terminal was started from may have left the rest behind; most of them name themselves.
    if program:
        return None
    if "KITTY_WINDOW_ID" in environ or "KONSOLE_VERSION" in environ:
        return "kitty"
    return "iterm2" if environ.get("LC_TERMINAL") == "iTerm2" else None  # this one travels through ssh


def escape_sequence(image: Image.Image, columns: int, rows: int, *, protocol: Protocol) -> str:
    """The characters that make a terminal draw an image over `columns` x `rows` cells from the cursor on.

    Where the cursor ends up differs between terminals.
    Sources: https://sw.kovidgoyal.net/kitty/graphics-protocol/ and https://iterm2.com/documentation-images.html
    """
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    if protocol == "iterm2":  # with the height alone every terminal keeps the shape
        return f"\x1b]1337;File=inline=1;size={buffer.tell()};height={rows}:{data}\a"
    # a=T: show it at once; f=100: PNG; C=1: leave the cursor; q=2: do not answer on standard input.
    control = f"a=T,f=100,c={columns},r={rows},C=1,q=2,"
    commands = []
    for start in range(0, len(data), _CHUNK):
        more = int(start + _CHUNK < len(data))
        commands.append(f"\x1b_G{control}m={more};{data[start : start + _CHUNK]}\x1b\\")
        control = ""  # said once
    return "".join(commands)


def half_blocks(image: Image.Image) -> Iterator[list["Segment"]]:
    """An image as lines of coloured characters, each of which shows two pixels, one above the other.

    `image` is RGBA with an even number of rows; a pixel is either opaque or not drawn.
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
    """The image scaled to fit into `width` x `height` pixels, at their lower left, the rest transparent."""
    scale = min(width / image.width, height / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    area = Image.new("RGBA", (width, height))
    area.paste(image.resize(size), (0, height - size[1]))
    return area


def cell_size(file: IO[str]) -> tuple[int, int]:
    """Width and height of one character in pixels, as far as the operating system knows them."""
    try:
        import fcntl
        import termios

        found = fcntl.ioctl(file.fileno(), termios.TIOCGWINSZ, bytes(8))
    except (ImportError, OSError, ValueError):  # not POSIX, or not a terminal
        return _CELL
    rows, columns, width, height = struct.unpack("4H", found)
    if not (rows and columns and width and height):
        return _CELL
    shrink = 1 + height // rows // _TALLEST_CELL
    return max(1, width // columns // shrink), max(1, height // rows // shrink)

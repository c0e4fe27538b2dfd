"""Matches in a terminal, checked by the characters, colours and escape sequences."""

import base64
import io
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from rich.ansi import AnsiDecoder
from rich.cells import cell_len
from rich.color import Color
from rich.console import Console
from rich.text import Text

from lookalike.display.terminal import lines, print_matches, table
from lookalike.results import Match, Matches
from lookalike.search.terms import Term

RED, BLUE, GREEN = (250, 20, 10), (10, 20, 250), (20, 200, 30)
VARIABLES = ("TERM", "TERM_PROGRAM", "LC_TERMINAL", "KITTY_WINDOW_ID", "KONSOLE_VERSION")
MULTIPLEXERS = ("TMUX", "STY", "ZELLIJ")
LONG = "/photos/" + "a very long folder/" * 4 + "one_word_" * 12 + "name.jpg"

Screen = Callable[..., Console]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Makes consoles that write to memory and act as a terminal with a given environment."""
    for name in (*VARIABLES, *MULTIPLEXERS, "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def make(*, width: int = 80, height: int = 50, color_system: str | None = "truecolor", **environ: str) -> Console:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        file = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        size = {"width": width, "height": height}
        return Console(file=file, force_terminal=True, color_system=color_system, **size)  # type: ignore[arg-type]

    return make


@pytest.fixture
def matches(tmp_path: Path) -> Matches:
    """A query, red above blue; a wide green match, a damaged one, and one that is not a file of its own."""
    square = Image.new("RGB", (64, 64), RED)
    square.paste(BLUE, (0, 32, 64, 64))
    square.save(tmp_path / "query.png")
    Image.new("RGB", (64, 32), GREEN).save(tmp_path / "wide.png")
    (tmp_path / "broken.png").write_bytes(b"broken")
    found = [
        Match(1, "a/wide.png", tmp_path / "wide.png", 0.875, "hat", 64, 32),
        Match(2, "broken.png", tmp_path / "broken.png", 0.5),
        Match(3, "shard.tar#cat.jpg", None, -0.25),
    ]
    return Matches(found, queries=[tmp_path / "query.png"])


def written(console: Console) -> str:
    assert isinstance(console.file, io.TextIOWrapper)
    assert isinstance(console.file.buffer, io.BytesIO)
    return console.file.buffer.getvalue().decode("utf-8")


def drawn(text: Text) -> list[tuple[str, tuple[int, ...] | None, tuple[int, ...] | None]]:
    """Returns each character with its colour and its background colour."""
    console = Console(width=200)
    styles = [text.get_style_at_offset(console, column) for column in range(len(text.plain))]
    return [(c, rgb(style.color), rgb(style.bgcolor)) for c, style in zip(text.plain, styles, strict=True)]


def rgb(colour: Color | None) -> tuple[int, ...] | None:
    return tuple(colour.triplet) if colour and colour.triplet else None


def plain(output: str) -> list[str]:
    return [line.plain for line in AnsiDecoder().decode(output.removesuffix("\n"))]


def test_a_table_shows_rank_score_label_size_and_path(matches: Matches, screen: Screen) -> None:
    console = screen(width=200)
    console.print(table(matches))
    rows = [line.split() for line in plain(written(console))]
    assert rows[0] == ["id", "score", "label", "size", "path"]
    assert rows[2:] == [
        ["1", "1", "0.875", "hat", "64x32", str(matches[0].path)],
        ["2", "2", "0.500", str(matches[1].path)],
        ["3", "3", "-0.250", "shard.tar#cat.jpg"],
    ]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/photos/2024/a.jpg", "/photos/2024/a.jpg"),
        ("/photos/a very long folder/2024/summer/a.jpg", "…/a very long folder/2024/summer/a.jpg"),
        (LONG, "one_word_one_word_one_word_one_word_on…"),
        ("/photos/" + "夏休みの写真" * 9 + ".jpg", "夏休みの写真夏休みの写真夏休みの写真夏…"),
        ("/p/" + "👨\u200d👩\u200d👧" * 30, "👨\u200d👩\u200d👧" * 19 + "…"),
        ("/p/" + "e\u0301" * 50, "e\u0301" * 38 + "…"),
    ],
)
def test_each_match_takes_one_line_of_its_width(path: str, shown: str, screen: Screen) -> None:
    """A path loses its first folders, and a name that is too long for all that ends in an ellipsis."""
    console = screen(width=77)
    console.print(table(Matches([Match(1, "a", Path(path), 0.5, "hat"), Match(2, "b", Path("/b"), 0.5, "x" * 40)])))
    head, _, first, second = plain(written(console))
    assert head.index("path") == 38
    assert first[38:].rstrip() == shown
    assert second.split() == ["2", "2", "0.500", "x" * 15 + "…", "/b"]
    assert all(cell_len(line.rstrip()) <= 77 for line in (head, first, second))


def test_the_query_among_the_matches_is_marked(matches: Matches, screen: Screen) -> None:
    console = screen(width=70)
    console.print(table(Matches([Match(1, "a", Path("/p/a.png"), 1.0, is_query=True), Match(2, "b", Path(LONG), 0.5)])))
    assert [line.rstrip()[-12:] for line in plain(written(console))[2:]] == ["a.png (query)"[-12:], "word_one_wo…"]
    long = screen(width=70)
    long.print(table(Matches([Match(1, "a", Path(LONG), 1.0, is_query=True)])))
    assert plain(written(long))[2].rstrip().endswith("… (query)")


def test_what_is_beyond_chance_or_near_it_has_a_column_if_anything_is(screen: Screen) -> None:
    numbers = [0.0, 0.1, 0.11, 1.0, 1.01, None]
    found = Matches(Match(place, "a", Path("/a.png"), 0.5, "hat", expected=each) for place, each in enumerate(numbers))
    console = screen(width=80, color_system=None)
    console.print(table(found))
    head, _, *rows = plain(written(console))
    assert head.split() == ["id", "score", "chance", "label", "size", "path"]
    words = [row[head.index("chance") :].partition("hat")[0].strip() for row in rows]
    assert words == ["beyond", "beyond", "near", "near", "", ""]
    plainer = screen(width=80, color_system=None)
    plainer.print(table(found[4:]))
    assert "chance" not in written(plainer)


def test_attributes_that_were_filtered_by_take_the_place_of_the_size(screen: Screen) -> None:
    """Three at most, each cut to its column; an image without one, as != admits it, has an empty cell."""
    composed, decomposed = "gr\u00f6\u00dfe", "gro\u0308\u00dfe"
    found = [
        Match(1, "a", Path("/p/a.png"), 0.5, width=5, height=7, attributes={"year": 2019, decomposed: "x" * 20}),
        Match(2, "b", Path("/p/b.png"), 0.5, attributes={"year": 8.5, "[red]": "a\nb"}),
    ]
    console = screen(width=80, color_system=None)
    console.print(table(Matches(found, filtered_by=["year", composed, "[red]", "fourth"])[:2]))
    head, _, first, second = plain(written(console))
    assert head.split() == ["id", "score", "label", "year", composed, "[red]", "path"]
    assert first.split() == ["1", "1", "0.500", "2019", "x" * 11 + "…", "/p/a.png"]
    assert second.split() == ["2", "2", "0.500", "8.5", "a\\nb", "/p/b.png"]
    assert second.index("a\\nb") == head.index("[red]")


def test_the_query_among_the_matches_has_one_thumbnail(matches: Matches, screen: Screen) -> None:
    found = [replace(matches[0], is_query=True), matches[1]]
    console = screen(height=24)
    print_matches(Matches(found, queries=matches.queries), console)
    captions = next(line for line in plain(written(console)) if line.startswith("query"))
    assert captions.split() == ["query", "2", "0.500"]


def test_a_path_below_the_current_folder_is_relative_to_it(
    screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / "photos" / "a.jpg", tmp_path.parent / "b.jpg"]
    console = screen(width=200)
    console.print(table(Matches([Match(number, "a", path, 0.5) for number, path in enumerate(paths)])))
    assert [line.split()[-1] for line in plain(written(console))[2:]] == ["photos/a.jpg", str(paths[1])]


def test_names_are_not_markup_and_contain_no_control_characters(screen: Screen) -> None:
    names = ("[red]x[/red].jpg", ":cat:.jpg", "\x1b[2J\a.jpg", "a\nb.jpg", "\u202egpj.exe", "\udcff.jpg", "[/].jpg")
    expected = [*names[:2], r"\x1b[2J\x07.jpg", r"a\nb.jpg", r"\u202egpj.exe", r"\xff.jpg", "[/].jpg"]
    console = screen(width=200, color_system=None)
    print_matches(Matches([Match(1, name, Path("/", name), 0.5, name) for name in names]), console, thumbnails=False)
    rows = written(console).splitlines()[2:]
    assert [row.split() for row in rows] == [
        [str(rank), "1", "0.500", name, f"/{name}"] for rank, name in enumerate(expected, 1)
    ]


def test_a_path_is_a_link_to_its_file(screen: Screen) -> None:
    console = screen()
    console.print(table(Matches([Match(1, "a", Path("/p/a b\udcff.jpg"), 0.5)])))
    assert re.search(r"\x1b\]8;[^;]*;file:///p/a%20b%FF\.jpg\x1b\\", written(console))


def test_a_pipe_gets_plain_lines_that_are_not_cut(matches: Matches) -> None:
    matches.append(Match(4, "a", Path(LONG), 0.25, "tab\tnew\nline"))
    file = io.StringIO()
    print_matches(matches, Console(file=file, width=80, force_terminal=False))
    rows = [line.split("\t") for line in file.getvalue().splitlines()]
    assert rows == [
        ["1", "1", "0.875", "hat", "64x32", str(matches[0].path)],
        ["2", "2", "0.500", "", "", str(matches[1].path)],
        ["3", "3", "-0.250", "", "", "shard.tar#cat.jpg"],
        ["4", "4", "0.250", r"tab\tnew\nline", "", LONG],
    ]
    assert file.getvalue().splitlines() == lines(matches)


def test_without_matches_there_is_no_table(screen: Screen) -> None:
    """The command line says on standard error that there are none."""
    file = io.StringIO()
    print_matches(Matches(), Console(file=file, force_terminal=False))
    assert file.getvalue() == ""
    console = screen()
    print_matches(Matches(), console)
    assert written(console).strip() == ""


def test_half_blocks_show_the_colours_of_the_images(matches: Matches, screen: Screen) -> None:
    """At 80 columns an image has 18 x 18 pixels in 9 lines."""
    console = screen()
    print_matches(matches, console)
    rows = [drawn(line) for line in AnsiDecoder().decode(written(console))]
    query = [row[:18] for row in rows[:9]]
    assert query[:3] == [[("▀", RED, RED)] * 18] * 3
    assert query[6:] == [[("▀", BLUE, BLUE)] * 18] * 3
    for _, upper, lower in query[4]:  # the border, which scaling blurs slightly
        assert upper == pytest.approx(RED, abs=20)
        assert lower == pytest.approx(BLUE, abs=20)
    wide = [row[20:38] for row in rows[:9]]
    assert wide[:4] == [[(" ", None, None)] * 18] * 4
    assert wide[4] == [("▄", GREEN, None)] * 18
    assert wide[5:] == [[("▀", GREEN, GREEN)] * 18] * 4


def test_captions_are_below_the_images_and_gaps_have_reasons(matches: Matches, screen: Screen) -> None:
    console = screen()
    print_matches(matches, console)
    rows = plain(written(console))
    assert [rows[9][start : start + 20].strip() for start in (0, 20, 40, 60)] == [
        "query",
        "1  0.875  hat",
        "2  0.500",
        "3  -0.250",
    ]
    assert rows[7][40:].split("  ")[0] == "not shown:"
    assert rows[8][40:58].strip() == "not an image"
    assert "score" in rows[11]  # the table


@pytest.mark.parametrize(
    ("width", "height", "most"), [(12, 99, 3), (39, 99, 6), (80, 99, 12), (200, 99, 30), (80, 57, 8), (80, 24, 4)]
)
def test_at_most_three_rows_of_images_fit(width: int, height: int, most: int, matches: Matches, screen: Screen) -> None:
    console = screen(width=width, height=height)
    print_matches(Matches(matches[:1] * 30, queries=matches.queries), console)
    shown = plain(written(console))
    rule = next(number for number, line in enumerate(shown) if "──" in line)
    assert max(map(len, shown[:rule])) <= width
    assert sum(line.count("0.875") for line in shown[:rule]) == most - 1  # one is the query


@pytest.mark.parametrize(("matches_in_all", "columns"), [(3, 18), (10, 16), (12, 12), (13, 10), (40, 18)])
def test_images_get_smaller_so_that_the_table_fits_below(
    matches_in_all: int, columns: int, matches: Matches, screen: Screen
) -> None:
    """On 24 lines, one row of images, the table, one message and the prompt fit; 40 matches cannot."""
    console = screen(height=24)
    print_matches(Matches(matches[:1] * matches_in_all, queries=matches.queries), console)
    shown = plain(written(console))
    captions = next(line for line in shown if "0.875" in line)
    assert captions.index("1  ") == columns + 2
    assert len(shown) + 2 <= 24 or matches_in_all == 40


def test_texts_and_reasons_of_any_script_keep_to_their_columns(screen: Screen, tmp_path: Path) -> None:
    japanese, long = "赤い帽子をかぶった猫の写真と青い車", "a red hat on a wooden table " * 20
    for text in (japanese, long):
        console = screen()
        print_matches(Matches(queries=[Term(text=text)]), console)
        lines = [line.rstrip() for line in plain(written(console))[:9]]
        assert all(cell_len(line) <= 18 for line in lines)
        assert "".join(lines).startswith('"' + text[:8])
        assert lines[8].endswith("…" if text is long else '"')


@pytest.mark.parametrize("options", [{"color_system": "256"}, {"color_system": None}, {"NO_COLOR": "1"}])
def test_without_true_colour_there_are_no_half_blocks(
    options: dict[str, str], matches: Matches, screen: Screen
) -> None:
    console = screen(**options)
    print_matches(matches, console)
    assert not {"▀", "▄"} & set(written(console))


def test_thumbnails_can_be_left_out(matches: Matches, screen: Screen) -> None:
    console = screen(TERM="xterm-kitty")
    print_matches(matches, console, thumbnails=False)
    assert plain(written(console))[0].split() == ["id", "score", "label", "size", "path"]


def colours(image: Image.Image) -> list[tuple[int, ...]]:
    """Returns the pixels in the middle of the first quarter, the third quarter and the last line."""
    points = [(image.width // 2, y) for y in (image.height // 4 - 1, image.height * 3 // 4, image.height - 1)]
    return [pixel for pixel in map(image.getpixel, points) if isinstance(pixel, tuple)]


def test_kitty_gets_the_images_as_png_in_chunks(matches: Matches, screen: Screen) -> None:
    console = screen(TERM="xterm-kitty")
    print_matches(matches, console)
    commands = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", written(console))
    assert all(len(payload) <= 4096 for _, payload in commands)
    images = []
    data = ""
    for control, payload in commands:
        keys = dict(pair.split("=") for pair in control.split(","))
        first = {"a": "T", "f": "100", "c": "18", "r": "9", "C": "1", "q": "2"} if not data else {}
        assert keys == first | {"m": keys["m"]}
        data += payload
        if keys["m"] == "0":
            images.append(Image.open(io.BytesIO(base64.b64decode(data, validate=True))))
            data = ""
    assert data == ""
    assert [image.size for image in images] == [(180, 180)] * 2
    opaque = [(*colour, 255) for colour in (RED, BLUE, GREEN)]
    assert colours(images[0]) == [opaque[0], opaque[1], opaque[1]]
    assert colours(images[1])[0][3] == 0  # transparent above the wide image
    assert colours(images[1])[1:] == [opaque[2]] * 2


def test_an_image_of_several_chunks_is_complete(tmp_path: Path, screen: Screen) -> None:
    noise = Image.frombytes("RGB", (180, 180), os.urandom(180 * 180 * 3))
    noise.save(tmp_path / "noise.png")
    console = screen(TERM="xterm-kitty")
    print_matches(Matches(queries=[tmp_path / "noise.png"]), console)
    commands = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", written(console))
    assert commands[0][0].endswith(",m=1")
    assert [control for control, _ in commands[1:]] == ["m=1"] * (len(commands) - 2) + ["m=0"]
    assert len(commands) > 10
    with Image.open(io.BytesIO(base64.b64decode("".join(payload for _, payload in commands)))) as image:
        assert image.convert("RGB").tobytes() == noise.tobytes()


def test_iterm2_gets_the_images_as_files(matches: Matches, screen: Screen) -> None:
    console = screen(TERM_PROGRAM="iTerm.app", TERM="xterm-256color")
    print_matches(matches, console)
    files = re.findall(r"\x1b\]1337;File=([^:]*):([^\a]*)\a", written(console))
    assert len(files) == 2
    data = base64.b64decode(files[0][1], validate=True)
    assert files[0][0] == f"inline=1;size={len(data)};height=9"
    with Image.open(io.BytesIO(data)) as image:
        assert colours(image)[:2] == [(*RED, 255), (*BLUE, 255)]


def test_images_are_drawn_over_empty_lines(matches: Matches, screen: Screen) -> None:
    """The cursor moves up over the empty lines and the captions, and then back to where it was."""
    console = screen(TERM="xterm-kitty")
    print_matches(matches, console)
    room, _, rest = written(console).partition("\x1b[11A")
    assert room.count("\n") == 11
    assert [line.strip() for line in room.split("\n")[:6]] == [""] * 6
    drawing, _, after = rest.partition("\x1b[11B")
    moves = re.sub(r"\x1b_G.*?\x1b\\", "P", drawing)
    assert moves == "\x1b7\x1b[1GP\x1b8" + "\x1b7\x1b[21GP\x1b8"
    assert "\x1b_G" not in after
    assert "score" in after


def test_the_probability_follows_a_label_where_it_is_known(screen: Screen) -> None:
    known, bare = (Match(1, "a", Path("/a.png"), 0.5, "hat", probability=each) for each in (0.834, None))
    for found, expected in ((known, " hat 83% "), (bare, " hat ")):
        console = screen()
        console.print(table(Matches([found])))
        assert expected in console.file.buffer.getvalue().decode().replace("\x1b[2m", "").replace("\x1b[0m", "")  # type: ignore[attr-defined]
    assert ("%" in "".join(lines(Matches([known])))) is False  # programs read these


def test_what_is_probably_a_copy_has_a_column(screen: Screen) -> None:
    copy, other = (Match(1, "a", Path("/a.png"), 0.5, "hat", copy_probability=each) for each in (0.966, 0.3))
    for found, is_told in (([copy, other], True), ([other], False)):
        console = screen()
        console.print(table(Matches(found)))
        text = console.file.buffer.getvalue().decode().replace("\x1b[2m", "").replace("\x1b[0m", "")  # type: ignore[attr-defined]
        assert ("a copy" in text) == (" 97% " in text) == is_told
        assert "30%" not in text
    assert "%" not in "".join(lines(Matches([copy])))

"""sources.json: what a collection was made of."""

import json
from pathlib import Path

import pytest

from lookalike.errors import CorruptError, IncompatibleError
from lookalike.storage import made_of as remembered
from lookalike.storage.made_of import OF_EARLIER_VERSIONS, ListSource, MadeOf

ALL = MadeOf(
    folders=("", "/elsewhere/caf\udce9"),
    lists=(ListSource("list.txt", ""), ListSource("/a/b.txt", "/a", null=True)),
    single=True,
    elsewhere=True,
    exclude=("*.png", "raw/"),
    include=("@eaDir",),
    inner=("2023",),
)


@pytest.mark.parametrize("written", [MadeOf(), ALL])
def test_what_is_written_is_read_again(tmp_path: Path, written: MadeOf) -> None:
    remembered.write(tmp_path, written)
    assert remembered.read(tmp_path) == written


def test_a_collection_that_does_not_say_is_made_of_its_folder(tmp_path: Path) -> None:
    assert remembered.read(tmp_path) == OF_EARLIER_VERSIONS == MadeOf(folders=("",), single=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("folders", ["../x"]),
        ("folders", ["a/../b"]),
        ("folders", [1]),
        ("folders", "a"),
        ("folders", ["a\0"]),
        ("folders", ["x" * 5000]),
        ("lists", [{"path": "", "base": "", "null": False}]),
        ("lists", [{"path": "a", "base": "", "null": 1}]),
        ("lists", ["a"]),
        ("single", 1),
        ("elsewhere", None),
        ("exclude", [""]),
        ("exclude", [{}]),
        ("include", None),
        ("inner", ["../.."]),
    ],
)
def test_what_lookalike_does_not_write_is_damage(tmp_path: Path, name: str, value: object) -> None:
    remembered.write(tmp_path, ALL)
    path = tmp_path / "sources.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    with pytest.raises(CorruptError, match=r"sources\.json: the file is damaged"):
        remembered.read(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', "[" * 100_000])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "sources.json").write_text(text)
    with pytest.raises(CorruptError, match=r"sources\.json"):
        remembered.read(tmp_path)


def test_a_later_format_needs_a_later_version(tmp_path: Path) -> None:
    (tmp_path / "sources.json").write_text('{"format": 3}')
    with pytest.raises(IncompatibleError, match="upgrade"):
        remembered.read(tmp_path)


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("{}")
    (tmp_path / "sources.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptError, match="a symlink"):
        remembered.read(tmp_path)


def test_a_folder_stands_for_those_in_it() -> None:
    made_of = MadeOf().with_folder("2023").with_folder("/b/c").with_folder("2024/x")
    assert made_of.folders == ("2023", "/b/c", "2024/x")
    assert made_of.with_folder("2023/may") == made_of
    assert made_of.with_folder("2024").folders == ("2023", "/b/c", "2024")
    assert made_of.with_folder("").folders == ("/b/c", "")
    assert made_of.with_folder("/b").folders == ("2023", "2024/x", "/b")
    assert made_of.with_folder("/").folders == ("2023", "2024/x", "/")
    assert made_of.without("/b/c").folders == ("2023", "2024/x")
    assert made_of.has_folder_of("2023/x.jpg")
    assert not made_of.has_folder_of("20233/x.jpg")


def test_globs_and_default_names_come_and_go() -> None:
    made_of = MadeOf().excluding(["*.png", "raw", "*.png", "@eaDir"])
    assert (made_of.exclude, made_of.include) == (("*.png", "raw"), ())
    made_of = made_of.including(["raw", "@EADIR"])
    assert (made_of.exclude, made_of.include) == (("*.png",), ("@eaDir",))
    assert not made_of.exclusion.leaves_out("@eaDir/x.jpg")
    assert made_of.excluding(["@eaDir"]).include == ()

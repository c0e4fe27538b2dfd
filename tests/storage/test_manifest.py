"""The manifest: what is written is read again, and what makes no sense is damage."""

import dataclasses
import json
from pathlib import Path

import pytest

from lookalike.errors import CorruptError, IncompatibleError, StorageError
from lookalike.storage import layout, manifest
from lookalike.storage.manifest import Identity, Manifest

MADE_BY = Identity("tiny", "f32", "0123456789", 4, "timm:tiny")


@pytest.mark.parametrize("data", [None, "data.000007"])
@pytest.mark.parametrize("folder", ["..", "/some/where/\udcff"])
@pytest.mark.parametrize("made_by", [MADE_BY, dataclasses.replace(MADE_BY, source=None)])
def test_what_is_written_is_read_again(tmp_path: Path, made_by: Identity, folder: str, data: str | None) -> None:
    written = Manifest(made_by, tmp_path.parent if folder == ".." else Path(folder), data)
    manifest.write(tmp_path, written)
    assert manifest.read(tmp_path) == written
    assert manifest.read(tmp_path).made_by.source == made_by.source
    assert list(tmp_path.glob("*.new")) == []


def test_what_is_to_come_is_written_beside_and_then_takes_over_at_once(tmp_path: Path) -> None:
    present, then = Manifest(MADE_BY, tmp_path.parent), Manifest(MADE_BY, tmp_path.parent, "data.000001")
    manifest.write(tmp_path, present)
    assert manifest.read_next(tmp_path) is None
    manifest.write(tmp_path, then, layout.NEXT_MANIFEST)
    assert (manifest.read(tmp_path), manifest.read_next(tmp_path)) == (present, then)
    manifest.switch(tmp_path)
    assert (manifest.read(tmp_path), manifest.read_next(tmp_path)) == (then, None)


def test_the_data_directory_is_the_collections_own_until_another_is_named() -> None:
    first = Manifest(MADE_BY, Path("/photos"))
    assert first.data_directory(Path("/c")) == Path("/c")
    assert layout.next_data(first.data) == "data.000001"
    ninth = dataclasses.replace(first, data="data.000009")
    assert ninth.data_directory(Path("/c")) == Path("/c/data.000009")
    assert layout.next_data(ninth.data) == "data.000010"


def test_the_shortest_path_is_that_of_the_folder_around_the_directory() -> None:
    own = Manifest(MADE_BY, Path("/photos"))
    assert own.path(Path("/photos/.lookalike")) == Path("/photos")
    assert own.path(Path("/elsewhere/.lookalike")) == Path("/elsewhere/.lookalike")
    assert own.path(Path("/c")) == Path("/c")


def test_a_folder_can_be_moved_with_its_collection(tmp_path: Path) -> None:
    """The folder that the directory is in is not written down by its name."""
    (tmp_path / "before" / ".lookalike").mkdir(parents=True)
    manifest.write(tmp_path / "before" / ".lookalike", Manifest(MADE_BY, tmp_path / "before"))
    (tmp_path / "before").rename(tmp_path / "after")
    assert manifest.read(tmp_path / "after" / ".lookalike").folder == tmp_path / "after"


def test_the_source_does_not_count_when_identities_are_compared() -> None:
    assert dataclasses.replace(MADE_BY, source="another") == MADE_BY
    for change in ({"model": "big"}, {"precision": "bf16"}, {"fingerprint": "9876543210"}, {"dim": 5}):
        assert dataclasses.replace(MADE_BY, **change) != MADE_BY
    assert (str(MADE_BY), str(dataclasses.replace(MADE_BY, precision=""))) == ("tiny (f32)", "tiny")


def test_the_facts_on_the_disk_keep_their_names(tmp_path: Path) -> None:
    """Collections of this format are read by every Lookalike."""
    manifest.write(tmp_path, Manifest(MADE_BY, tmp_path.parent, "data.000001"))
    assert json.loads((tmp_path / "collection.json").read_text()) == {
        "format": 1,
        "model": "tiny",
        "precision": "f32",
        "fingerprint": "0123456789",
        "dim": 4,
        "source": "timm:tiny",
        "dtype": "float16",
        "folder": "..",
        "data": "data.000001",
    }


# Damage


def change(directory: Path, **facts: object) -> None:
    """Changes facts of a manifest on the disk; ... takes one away."""
    path = directory / "collection.json"
    changed = json.loads(path.read_text()) | facts
    path.write_text(json.dumps({name: value for name, value in changed.items() if value is not ...}))


@pytest.mark.parametrize(
    "facts",
    [
        {"data": "elsewhere"},
        {"data": ["data.000001"]},
        {"data": "../data.000001"},
        {"dim": -1},
        {"dim": "many"},
        {"dim": 1e999},
        {"dtype": "int8"},
        {"format": 0},
        {"format": None},
        {"format": ...},
        {"model": ...},
        {"fingerprint": ...},
        {"folder": ...},
    ],
    ids=str,
)
def test_a_manifest_of_something_else_is_damaged(tmp_path: Path, facts: dict[str, object]) -> None:
    manifest.write(tmp_path, Manifest(MADE_BY, tmp_path.parent))
    change(tmp_path, **facts)
    with pytest.raises(CorruptError, match=r"collection\.json: the file is damaged"):
        manifest.read(tmp_path)


JSON_VALUES = [None, True, 7, 2.5, "text", ["text"], {"text": 1}]


def test_every_fact_of_another_type_is_damage(tmp_path: Path) -> None:
    """JSON has seven types, and each fact is of one; only `data` may also be null."""
    whole = Manifest(MADE_BY, Path("/some/where"), "data.000001", "0" * 32)
    assert None not in [*dataclasses.asdict(whole).values(), *dataclasses.asdict(MADE_BY).values()]
    manifest.write(tmp_path, whole)
    facts = json.loads((tmp_path / "collection.json").read_text())
    assert facts.keys() >= {field.name for field in dataclasses.fields(Manifest)} - {"made_by"}
    for name, fact in facts.items():
        for value in JSON_VALUES:
            if type(value) is type(fact) or (name, value) == ("data", None):
                continue
            change(tmp_path, **facts | {name: value})
            with pytest.raises(CorruptError, match=r"collection\.json: the file is damaged: ."):
                manifest.read(tmp_path)
    change(tmp_path, **facts)
    assert manifest.read(tmp_path) == whole


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"7", b"\xff", b"[" * 100_000], ids=lambda each: each[:3]
)
def test_a_manifest_that_is_not_one_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "collection.json").write_bytes(content)
    with pytest.raises(CorruptError, match=r"collection\.json: the file is damaged"):
        manifest.read(tmp_path)
    (tmp_path / "collection.json").rename(tmp_path / "reindexing.json")
    assert manifest.read_next(tmp_path) is None
    with pytest.raises(CorruptError, match=r"collection\.json"):
        manifest.read(tmp_path)


def test_a_manifest_of_a_newer_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    manifest.write(tmp_path, Manifest(MADE_BY, tmp_path.parent))
    change(tmp_path, format=2)
    with pytest.raises(IncompatibleError, match=r"collection\.json: it has format 2 .*upgrade Lookalike"):
        manifest.read(tmp_path)
    (tmp_path / "collection.json").rename(tmp_path / "reindexing.json")
    assert manifest.read_next(tmp_path) is None


def test_a_manifest_that_cannot_be_written_is_a_fault_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="missing: No such file or directory"):
        manifest.write(tmp_path / "missing", Manifest(MADE_BY, tmp_path))
    with pytest.raises(StorageError, match="No such file or directory"):
        manifest.switch(tmp_path)

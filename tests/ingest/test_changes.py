"""Compares files with the catalog: the order of their names, and which of them have vanished."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.images.reading import UNKNOWN, FileStatus
from lookalike.ingest.changes import Change, Changed, Unchanged, Vanished, changes, compare
from lookalike.sources.folder import Files, Folder, Found, Listing, Source, Unreadable, key_of
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import FileKind, KnownFile
from tests.support.catalogs import STATUS
from tests.support.pictures import draw

# compare() against its definition

PARTS = st.sampled_from(["a", "a.b", "a0", "b", "A", "é", "a b", "a\n", "😀", os.fsdecode(b"\xff")])
KEYS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
STATUSES = st.just(UNKNOWN) | st.builds(FileStatus, st.sampled_from([5, 6]), st.sampled_from([-1, 7]), st.just(8))
KNOWN = st.tuples(STATUSES, st.sampled_from(FileKind))
FOLDERS = st.sets(st.sampled_from(["", "a/", "a.b/", "a/b/", "b/", os.fsdecode(b"\xff/")]), max_size=2)


def in_order(keys: Iterator[str]) -> list[str]:
    return sorted(keys, key=os.fsencode)


def is_below(key: str, folder: str) -> bool:
    return key.startswith(folder)


def slow_compare(files: dict[str, FileStatus], unreadable: set[str], known: dict[str, KnownFile]) -> dict[str, Change]:
    """Key by key: there are few of them."""
    reported: dict[str, Change] = {}
    for key in files.keys() | known.keys():
        if key not in files:
            if known[key].kind is not FileKind.MISSING and not any(is_below(key, folder) for folder in unreadable):
                reported[key] = Vanished(known[key])
            continue
        found = Found(Path(key), key, files[key])
        if key in known and known[key].status == files[key] != UNKNOWN:  # what could not be examined may have changed
            reported[key] = Unchanged(known[key], found)
        else:
            reported[key] = Changed(found)
    return reported


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(KEYS, STATUSES, max_size=12), FOLDERS, st.dictionaries(KEYS, KNOWN, max_size=12))
def test_compare_says_what_a_comparison_of_dictionaries_says(
    files: dict[str, FileStatus], unreadable: set[str], facts: dict[str, tuple[FileStatus, FileKind]]
) -> None:
    """Whatever the trees, and whichever folders cannot be listed."""
    files = {key: status for key, status in files.items() if not any(is_below(key, folder) for folder in unreadable)}
    there: dict[str, Found | Unreadable] = {key: Found(Path(key), key, status) for key, status in files.items()}
    for folder in unreadable:  # it comes where its files would
        there[folder] = Unreadable(Path(folder), folder, "permission denied")
    known = {key: KnownFile(key, *fact) for key, fact in facts.items()}
    source = iter(there[key] for key in in_order(iter(there)))
    before = iter(known[key] for key in in_order(iter(known)))

    reported = list(compare(source, before))
    of_files = [change for change in reported if not isinstance(change, Unreadable)]
    assert {key(change): change for change in of_files} == slow_compare(files, unreadable, known)
    assert [key(change) for change in of_files] == in_order(map(key, of_files))
    assert {change.key for change in reported if isinstance(change, Unreadable)} == unreadable


def key(change: Change) -> str:
    match change:
        case Changed(found):
            return found.key
        case Unchanged(known) | Vanished(known):
            return known.key
        case Unreadable(_, key):
            return key


# A folder as a source

NAMES = ["a", "a.b", "a0", "a!", "B", "é", "a'b", 'a"b', "a\nb", " ", "日本", "😀", os.fsdecode(b"\xff\xfe"), "-x"]
TREES = st.dictionaries(
    st.lists(st.sampled_from(NAMES), min_size=0, max_size=3).map(tuple),
    st.sets(st.sampled_from([f"{name}.jpg" for name in NAMES]), min_size=1, max_size=4),
    max_size=5,
)


def lay_out(base: Path, *keys: str) -> None:
    """Makes empty files."""
    for each in keys:
        (base / each).parent.mkdir(parents=True, exist_ok=True)
        (base / each).touch()


def keys(source: Source) -> list[str]:
    return [file.key for file in source.files()]


@settings(max_examples=60, deadline=None)
@given(TREES)
def test_a_folder_lists_its_files_in_the_order_of_their_keys_bytes(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[tuple[str, ...], set[str]]
) -> None:
    base = tmp_path_factory.mktemp("tree")
    expected = ["/".join((*folder, name)) for folder, names in tree.items() for name in names]
    lay_out(base, *expected)
    assert keys(Folder(base, base=base)) == in_order(iter(expected))
    within = Folder(base / "a", base=base) if (base / "a").is_dir() else Folder(base, base=base)
    assert within.within in ("a", "")
    assert keys(within) == in_order(
        each for each in expected if each.startswith(f"{within.within}/" if within.within else "")
    )


def test_only_names_of_images_count_and_nothing_hidden(tmp_path: Path) -> None:
    lay_out(tmp_path, "a.jpg", "b.JPEG", "c.HeIc", "d.svg", "sub/e.tiff")
    lay_out(tmp_path, "notes.txt", "no_suffix", "jpg", "x.jpg.part", ".f.jpg", ".hidden/g.jpg", "sub/.h/i.jpg", ".jpg")
    assert keys(Folder(tmp_path, base=tmp_path)) == ["a.jpg", "b.JPEG", "c.HeIc", "d.svg", "sub/e.tiff"]


def test_the_collections_own_directory_is_left_out_wherever_it_is(tmp_path: Path) -> None:
    lay_out(tmp_path, "a.jpg", ".lookalike/b.jpg", "index/c.jpg", "index2/d.jpg", "sub/index/e.jpg")
    assert keys(Folder(tmp_path, base=tmp_path)) == ["a.jpg", "index/c.jpg", "index2/d.jpg", "sub/index/e.jpg"]
    source = Folder(tmp_path, base=tmp_path, listing=Listing(leave_out=tmp_path / "index"))
    assert keys(source) == ["a.jpg", "index2/d.jpg", "sub/index/e.jpg"]


def test_keys_of_a_folder_elsewhere_are_absolute(tmp_path: Path) -> None:
    lay_out(tmp_path, "photos/a.jpg", "other/b.jpg", "other/c/d.jpg")
    base, other = tmp_path / "photos", tmp_path / "other"
    source = Folder(other, base=base)
    assert source.within == str(other)
    assert keys(source) == [f"{other}/b.jpg", f"{other}/c/d.jpg"]


def test_a_link_to_a_folder_is_not_followed_and_one_to_a_file_is(tmp_path: Path) -> None:
    lay_out(tmp_path, "sub/a.jpg")
    (tmp_path / "sub/a.jpg").write_bytes(b"four")
    (tmp_path / "to_folder").symlink_to("sub")
    (tmp_path / "to_itself").symlink_to(".")
    (tmp_path / "to_file.jpg").symlink_to("sub/a.jpg")
    found = {file.key: file for file in Folder(tmp_path, base=tmp_path).files()}
    assert list(found) == ["sub/a.jpg", "to_file.jpg"]
    linked = found["to_file.jpg"]
    assert isinstance(linked, Found)
    assert linked.status.size == 4


def test_a_file_that_cannot_be_examined_has_an_unknown_status(tmp_path: Path) -> None:
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "nowhere.jpg").symlink_to("gone.jpg")
    expected = [Found(tmp_path / name, name, UNKNOWN) for name in ("loop.jpg", "nowhere.jpg")]
    assert list(Folder(tmp_path, base=tmp_path).files()) == expected


def test_what_has_an_images_name_but_is_no_file_is_left_to_others(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    lay_out(tmp_path, "folder.jpg/inside.jpg")
    assert keys(Folder(tmp_path, base=tmp_path)) == ["folder.jpg", "folder.jpg/inside.jpg", "pipe.jpg"]


def make_unlistable(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Listing these fails as it does without permission, which the superuser always has."""
    scandir = os.scandir

    def refusing(path: Path) -> Iterator[os.DirEntry[str]]:
        if path in folders:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)


def test_a_folder_that_cannot_be_listed_comes_where_its_files_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, "a.jpg", "sub/b.jpg", "sub/deep/c.jpg", "sub.jpg", "sub0.jpg", "z.jpg")
    make_unlistable(monkeypatch, tmp_path / "sub")
    reported = list(Folder(tmp_path, base=tmp_path).files())
    assert [each.key for each in reported] == ["a.jpg", "sub.jpg", "sub/", "sub0.jpg", "z.jpg"]
    assert reported[2] == Unreadable(tmp_path / "sub", "sub/", "permission denied")


def test_a_folder_without_permission_cannot_be_listed(public_path: Path) -> None:
    lay_out(public_path, "sub/b.jpg")
    (public_path / "sub").chmod(0)
    reported = list(Folder(public_path, base=public_path).files())
    assert reported == [Unreadable(public_path / "sub", "sub/", "permission denied")]


# Files as a source


def test_files_come_once_each_in_the_order_of_their_keys(tmp_path: Path) -> None:
    """Whatever their names, unlike those of a folder."""
    lay_out(tmp_path, "b.txt", "a/.hidden", "a.jpg")
    elsewhere = tmp_path.parent / "elsewhere.jpg"
    paths = [tmp_path / "b.txt", tmp_path / "a.jpg", elsewhere, tmp_path / "a/.hidden", tmp_path / "a.jpg"]
    source = Files(paths, base=tmp_path)
    assert keys(source) == [str(elsewhere), "a.jpg", "a/.hidden", "b.txt"]
    assert next(source.files()) == Found(elsewhere, str(elsewhere), UNKNOWN)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/base/a.jpg", "a.jpg"),
        ("/base/b/a.jpg", "b/a.jpg"),
        ("/other/a.jpg", "/other/a.jpg"),
        ("/base2/a", "/base2/a"),
    ],
)
def test_a_key_is_relative_where_the_file_is_inside(path: str, key: str) -> None:
    assert key_of(Path(path), Path("/base")) == key


@pytest.mark.parametrize(
    ("source", "covered"),
    [
        (Folder(Path("/base"), base=Path("/base")), ["a.png", "b/c.png"]),
        (Folder(Path("/base/b"), base=Path("/base")), ["b/c.png"]),
        (Folder(Path("/other"), base=Path("/base")), ["/other/d.png"]),
        (Files([Path("/base/a.png"), Path("/other/d.png")], base=Path("/base")), ["a.png", "/other/d.png"]),
    ],
)
def test_a_source_covers_the_files_that_it_lists_if_they_are_there(source: Source, covered: list[str]) -> None:
    keys = ["a.png", "b/c.png", "b.png/x.png", "/other/d.png", "/others/d.png"]
    assert [key for key in keys if source.covers(key)] == covered + ["b.png/x.png"] * (source.within == "")


# The two together


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    """An empty one."""
    Catalog.create(tmp_path / "catalog.sqlite")
    catalog = Catalog(tmp_path / "catalog.sqlite")
    yield catalog
    catalog.close()


def index(catalog: Catalog, *sources: Source) -> None:
    """Notes each of the files as it is."""
    is_empty = not catalog.state().count
    with catalog.writing() as transaction:
        if is_empty:
            transaction.add_vector(0, bytes(32), 0, width=1, height=1)
        for source in sources:
            for file in source.files():
                assert isinstance(file, Found)
                transaction.put_image(file.key, 0, file.status)


def reported(source: Source, catalog: Catalog) -> dict[str, str]:
    return {key(change): type(change).__name__ for change in changes(source, catalog)}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    base = tmp_path / "photos"
    for seed, name in enumerate(("a.png", "b/c.png", "b/d/e.png", "b.png", "z.png")):
        draw(base / name, seed)
    return base


def test_all_is_unchanged_after_it_was_indexed(base: Path, catalog: Catalog) -> None:
    source = Folder(base, base=base)
    assert set(reported(source, catalog).values()) == {"Changed"}
    index(catalog, source)
    assert reported(source, catalog) == dict.fromkeys(keys(source), "Unchanged")


def test_new_changed_and_vanished_files_are_distinguished(base: Path, catalog: Catalog) -> None:
    source = Folder(base, base=base)
    index(catalog, source)
    draw(base / "new.png", 9)
    (base / "b/c.png").unlink()
    os.utime(base / "a.png", ns=(1, 1))
    (base / "z.png").write_bytes(b"another size")
    assert reported(source, catalog) == {
        "a.png": "Changed",
        "b.png": "Unchanged",
        "b/c.png": "Vanished",
        "b/d/e.png": "Unchanged",
        "new.png": "Changed",
        "z.png": "Changed",
    }


def test_more_files_than_a_page_of_the_catalog_has(base: Path, catalog: Catalog) -> None:
    lay_out(base, *(f"many/{number}.jpg" for number in range(2500)))
    source = Folder(base, base=base)
    index(catalog, source)
    for number in range(0, 2500, 2):
        (base / f"many/{number}.jpg").unlink()
    counts = list(reported(source, catalog).values())
    assert (counts.count("Vanished"), counts.count("Unchanged"), len(counts)) == (1250, 1255, 2505)


def test_files_that_are_added_while_comparing_are_not_taken_for_vanished(base: Path, catalog: Catalog) -> None:
    """As long as they are added in their order, which is how a collection is brought up to date."""
    lay_out(base, *(f"known/{number}.jpg" for number in range(1500)))
    index(catalog, Folder(base, base=base))
    lay_out(base, *(f"known/{number}.new.jpg" for number in range(0, 1500, 3)))
    seen = []
    for change in changes(Folder(base, base=base), catalog):
        seen.append(type(change).__name__)
        if isinstance(change, Changed):
            with catalog.writing() as transaction:
                transaction.put_image(change.found.key, 0, STATUS)
    assert (seen.count("Unchanged"), seen.count("Changed"), len(seen)) == (1505, 500, 2005)


def test_what_is_in_a_folder_that_cannot_be_listed_has_not_vanished(
    base: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(catalog, Folder(base, base=base))
    (base / "a.png").unlink()
    make_unlistable(monkeypatch, base / "b")
    seen = reported(Folder(base, base=base), catalog)
    assert seen == {"a.png": "Vanished", "b/": "Unreadable", "b.png": "Unchanged", "z.png": "Unchanged"}
    make_unlistable(monkeypatch, base)
    assert reported(Folder(base, base=base), catalog) == {"": "Unreadable"}


def test_a_folder_within_says_nothing_of_what_is_outside(base: Path, catalog: Catalog) -> None:
    index(catalog, Folder(base, base=base))
    for name in ("a.png", "b/c.png", "b.png"):
        (base / name).unlink()
    assert reported(Folder(base / "b", base=base), catalog) == {"b/c.png": "Vanished", "b/d/e.png": "Unchanged"}


def test_the_collections_folder_says_nothing_of_what_is_elsewhere(base: Path, catalog: Catalog, tmp_path: Path) -> None:
    """Images that were added from another folder are not dropped when its own is brought up to date."""
    other = Folder(draw(tmp_path / "other" / "o.png", 20).parent, base=base)
    index(catalog, Folder(base, base=base), other)
    assert reported(Folder(base, base=base), catalog) == dict.fromkeys(keys(Folder(base, base=base)), "Unchanged")
    assert reported(other, catalog) == dict.fromkeys(keys(other), "Unchanged")
    (tmp_path / "other" / "o.png").unlink()
    assert list(reported(other, catalog).values()) == ["Vanished"]


def test_single_files_say_nothing_of_any_others(base: Path, catalog: Catalog) -> None:
    index(catalog, Folder(base, base=base))
    (base / "b.png").unlink()
    os.utime(base / "a.png", ns=(1, 1))
    seen = reported(Files([base / "z.png", base / "a.png", base / "no.png"], base=base), catalog)
    assert seen == {"a.png": "Changed", "no.png": "Changed", "z.png": "Unchanged"}

"""Collections of images in archives: found, shown from where they are, and kept up to date as files are."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike import Collection, Where
from lookalike.errors import ImageError, UsageError
from tests.support.pictures import ColourEncoder, draw, picture
from tests.support.shards import png, write_parquet, write_tar

NAMES = [f"cat{number % 3}/{number:02}.png" for number in range(12)]
needs_pyarrow = pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not installed")


@pytest.fixture
def encoder() -> ColourEncoder:
    return ColourEncoder()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures in two archives, of which the second is compressed."""
    here = tmp_path / "lake"
    write_tar(here / "0.tar", {name: png(number) for number, name in enumerate(NAMES[:6])})
    write_tar(here / "1.tar.gz", {name: png(number) for number, name in enumerate(NAMES[6:], 6)}, "w:gz")
    return here


@pytest.fixture
def lake(folder: Path, encoder: ColourEncoder) -> Collection:
    collection = lookalike.create(folder, encoder=encoder)
    collection.add([folder / "0.tar", folder / "1.tar.gz"])
    return collection


def keys(collection: Collection) -> set[str]:
    return {image.key for image in collection.images()}


def key(number: int) -> str:
    return f"{'0.tar' if number < 6 else '1.tar.gz'}#{NAMES[number]}"


def test_members_are_found_as_files_are(lake: Collection, folder: Path, encoder: ColourEncoder, tmp_path: Path) -> None:
    """The same vectors, scores and order as of the same pictures in a folder."""
    for number, name in enumerate(NAMES):
        (tmp_path / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / name).write_bytes(png(number))
    with lookalike.create(tmp_path / "files", encoder=encoder) as files:
        files.add(tmp_path / "files")
        for seed in range(30):
            inside, outside = lake.search(picture(seed), k=12), files.search(picture(seed), k=12)
            assert [match.key.partition("#")[2] for match in inside] == [match.key for match in outside]
            assert [match.score for match in inside] == [match.score for match in outside]
            assert [match.label for match in inside] == [match.label for match in outside]
    assert keys(lake) == {key(number) for number in range(12)}
    match = lake.search(png(7), k=1)[0]
    assert (match.key, match.path) == (key(7), folder / key(7))
    assert lake.original(match.id).data == png(7)


def test_a_filter_names_a_shard_or_a_folder_in_it(lake: Collection) -> None:
    def found(under: str) -> set[str]:
        return {match.key for match in lake.search(picture(0), k=12, where=Where(under=under))}

    assert found("0.tar") == found("0.tar#") == {key(number) for number in range(6)}
    assert found("0.tar#cat1") == {key(1), key(4)}
    assert found("1.tar.gz") == {key(number) for number in range(6, 12)}
    assert found("1.tar") == set()


def test_nothing_is_read_again_of_a_shard_that_is_as_it_was(lake: Collection, folder: Path) -> None:
    assert (lake.made_of.shards, lake.made_of.folders) == (("0.tar", "1.tar.gz"), ())
    for report in (lake.update(), lake.add([folder / "0.tar", folder / "1.tar.gz"])):
        assert (report.unchanged, report.added, report.missing) == (12, 0, 0)


def test_a_shard_that_has_changed_is_brought_up_to_date(lake: Collection, folder: Path) -> None:
    ids = {image.key: image.id for image in lake.images()}
    changed = {NAMES[0]: png(0), NAMES[1]: png(100), "new/x.png": png(3), "new/y.png": png(101)}
    write_tar(folder / "0.tar", changed)
    report = lake.update()
    assert (report.unchanged, report.updated, report.renamed, report.added) == (7, 1, 1, 1)
    assert report.missing == 3
    now = {image.key: image.id for image in lake.images()}
    assert now["0.tar#new/x.png"] == ids[key(3)]
    assert now[key(1)] == ids[key(1)]
    assert lake.search(png(101), k=1)[0].key == "0.tar#new/y.png"
    shutil.copy(folder / "0.tar", folder / "copy.tar")
    assert lake.add(folder / "copy.tar").added == 4


def test_a_shard_that_is_away_loses_nothing(lake: Collection, folder: Path) -> None:
    before = {(image.id, image.key) for image in lake.images()}
    (folder / "0.tar").rename(folder / "away")
    report = lake.update()
    assert (report.missing, report.unchanged, report.misses_many) == (6, 6, True)
    assert keys(lake) == {key(number) for number in range(6, 12)}
    (folder / "away").rename(folder / "0.tar")
    assert lake.update().returned == 6
    assert {(image.id, image.key) for image in lake.images()} == before


def test_a_damaged_shard_keeps_what_was_read_of_it(lake: Collection, folder: Path) -> None:
    data = (folder / "0.tar").read_bytes()
    (folder / "0.tar").write_bytes(data[: len(data) // 3])
    report = lake.update()
    assert len(lake) == 12 - sum(skip.reason == "truncated" and "#cat" in str(skip.path) for skip in report.skipped)
    assert report.missing <= 1  # the one that the end is in
    assert any(str(skip.path) == str(folder / "0.tar") for skip in report.skipped)
    (folder / "0.tar").write_bytes(b"")
    assert len(lake) >= 11
    lake.update()
    assert len(lake) >= 11
    (folder / "0.tar").write_bytes(data)
    lake.update()
    assert keys(lake) == {key(number) for number in range(12)}
    assert lake.skipped() == []


def test_indexing_the_folder_around_leaves_shards_alone(lake: Collection, folder: Path) -> None:
    draw(folder / "own.png", 50)
    report = lake.add(folder)
    assert (report.added, report.missing, report.skipped) == (1, 0, ())
    assert len(lake) == 13
    assert lake.update().unchanged == 13


def test_members_and_files_in_one_call(folder: Path, encoder: ColourEncoder) -> None:
    file = draw(folder / "own.png", 50)
    with lookalike.create(folder, encoder=encoder) as collection:
        assert collection.add([file, folder / "0.tar"]).added == 7
        assert (collection.made_of.shards, collection.made_of.single) == (("0.tar",), True)
        assert collection.update().unchanged == 7


def test_a_list_may_name_shards(folder: Path, encoder: ColourEncoder) -> None:
    draw(folder / "own.png", 50)
    listed = folder / "list.txt"
    listed.write_text("own.png\n0.tar\n")
    with lookalike.create(folder, encoder=encoder) as collection:
        assert collection.add(lookalike.FileList(listed, folder)).added == 7
        listed.write_text("1.tar.gz\n")
        report = collection.update()
        assert (report.added, report.excluded) == (6, 7)


def test_globs_leave_members_out(lake: Collection, folder: Path) -> None:
    lake.exclude(["cat1/", "0*.png"])
    assert lake.update().excluded == 11
    assert keys(lake) == {key(11)}
    lake.include(["0*.png"])
    assert lake.update().returned == 7


def test_members_that_are_copies_can_be_found_but_not_acted_upon(lake: Collection, folder: Path) -> None:
    write_tar(folder / "2.tar", {"again.png": png(2)})
    lake.add(folder / "2.tar")
    found = lake.duplicates(grade="same bytes", processes=0)
    assert [{image.key for image in group} for group in found.groups] == [{key(2), "2.tar#again.png"}]


def test_a_member_is_removed_and_comes_back(lake: Collection, folder: Path) -> None:
    assert lake.remove([folder / key(2)]) == 1
    assert lake.remove(["1.tar.gz#cat0/06.png"]) == 1
    assert len(lake) == 10
    assert lake.remove(["0.tar"]) == 5
    assert lake.made_of.shards == ("1.tar.gz",)
    assert lake.update().added == 1


def test_attributes_of_the_sidecars(folder: Path, encoder: ColourEncoder) -> None:
    members = {"a.png": png(0), "a.json": b'{"n": 3, "label": "cat"}', "b.png": png(1), "b.cls": b"7", "b.txt": b"dog"}
    path = write_tar(folder / "s.tar", members)
    with lookalike.create(folder, encoder=encoder) as collection:
        collection.add(path)
        facts = {image.key: (image.label, dict(image.attributes)) for image in collection.images()}
        assert facts == {
            "s.tar#a.png": ("cat", {"label": "cat", "n": 3}),
            "s.tar#b.png": ("7", {"label": "7", "caption": "dog"}),
        }
        write_tar(path, members | {"b.txt": b"a dog, of course"})
        assert collection.update().unchanged == 2
        assert collection.search(png(1), k=1)[0].attributes["caption"] == "a dog, of course"


@needs_pyarrow
def test_rows_of_parquet_files(folder: Path, encoder: ColourEncoder) -> None:
    columns = {"image": [{"bytes": png(n), "path": None} for n in range(40)], "kind": [f"k{n % 4}" for n in range(40)]}
    path = write_parquet(folder / "rows.parquet", columns, row_group_size=16)
    with lookalike.create(folder, encoder=encoder) as collection:
        assert collection.add(path).added == 40
        for number in (0, 17, 39):
            where = Where(attributes={"kind": f"k{number % 4}"})
            match = collection.search(png(number), k=1, where=where)[0]
            assert match.key == f"rows.parquet#{number:08}"
            assert match.score > 0.999
            assert collection.original(match.id).data == png(number)
        assert collection.update().unchanged == 40


def test_another_model_reads_members_again(lake: Collection, folder: Path) -> None:
    ids = {image.key: image.id for image in lake.images()}
    lookalike.reindex(folder, encoder=ColourEncoder("0ther000"))
    with lookalike.open(folder, encoder=ColourEncoder("0ther000")) as again:
        assert {image.key: image.id for image in again.images()} == ids


def test_a_shard_elsewhere_has_to_be_trusted(
    tmp_path: Path, encoder: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tar(tmp_path / "away" / "x.tar", {"a.png": png(0)})
    (tmp_path / "here").mkdir()
    with lookalike.create(tmp_path / "here", encoder=encoder) as collection:
        assert collection.add(path).added == 1
        assert keys(collection) == {f"{path}#a.png"}
        assert collection.update().unchanged == 1
        monkeypatch.setattr("lookalike.collection.trust._TRUSTED", set())
        monkeypatch.setenv("LOOKALIKE_TRUST", str(tmp_path / "nobody"))
        with pytest.raises(UsageError, match=r"it says that it was made of .*x\.tar"):
            collection.update()


def test_a_shard_behind_a_symlink_out_of_the_folder_is_not_shown(
    lake: Collection, folder: Path, tmp_path: Path
) -> None:
    (folder / "0.tar").rename(tmp_path / "outside.tar")
    (folder / "0.tar").symlink_to(tmp_path / "outside.tar")
    with pytest.raises(ImageError, match="outside of the folder"):
        lake.original(1)


def test_parts_and_originals_of_members(lake: Collection) -> None:
    lake.keep_regions(5)
    assert lake.update().regions == 12
    image = next(image for image in lake.images() if image.key == key(0))
    write_tar(lake.folder / "0.tar", {NAMES[0]: png(77)})
    with pytest.raises(ImageError, match="changed since"):
        lake.original(image.id)


def test_vectors_are_those_of_the_pictures(lake: Collection, encoder: ColourEncoder) -> None:
    expected = encoder.encode(np.stack([lookalike.images.decode.decode(png(3), encoder.preprocessing).pixels]))[0]
    scores = {match.key: match.score for match in lake.search_vector(expected, k=12)}
    assert scores[key(3)] == pytest.approx(1, abs=1e-3)

"""Lists with attributes, and image folders with metadata: what they name is indexed, and has what they say."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import lookalike
from lookalike import Collection, FileList
from tests.support.pictures import ColourEncoder, draw
from tests.support.shards import png, write_tar

ROWS = [{"path": f"{number}.png", "n": number, "colour": "red" if number % 2 else "blue"} for number in range(4)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        draw(tmp_path / "photos" / f"{number}.png", number)
    return tmp_path / "photos"


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        path.write_text("\n".join(lines))
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def facts(collection: Collection) -> dict[str, Mapping[str, Any]]:
    return {image.key: dict(image.attributes) for image in collection.images()}


EXPECTED = {row["path"]: {"n": row["n"], "colour": row["colour"]} for row in ROWS}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("is_beside", [True, False])
def test_a_table_names_files_and_says_what_they_are(folder: Path, tmp_path: Path, suffix: str, is_beside: bool) -> None:
    pytest.importorskip("pyarrow") if suffix == ".parquet" else None
    table = write((folder if is_beside else tmp_path / "lists") / f"list{suffix}", ROWS)
    with lookalike.create(folder, encoder=ColourEncoder()) as collection:
        report = collection.add(FileList(table, tmp_path if is_beside else folder))
        assert (report.added, report.skipped) == (4, ())
        assert facts(collection) == EXPECTED
        write(table, [*ROWS[1:], {"path": "5.png", "n": 50, "colour": "green"}])
        report = collection.update()
        assert (report.added, report.excluded, report.unchanged) == (1, 1, 3)
        expected = {key: EXPECTED[key] for key in ("1.png", "2.png", "3.png")}
        assert facts(collection) == expected | {"5.png": {"n": 50, "colour": "green"}}


def test_a_list_of_paths_may_be_called_csv(folder: Path) -> None:
    listed = folder / "list.csv"
    listed.write_text("0.png\n1.png\n")
    with lookalike.create(folder, encoder=ColourEncoder()) as collection:
        assert collection.add(FileList(listed, folder)).added == 2


def test_a_table_may_name_archives(folder: Path) -> None:
    write_tar(folder / "s.tar", {"a.png": png(20), "b.png": png(21)})
    table = write(folder / "list.csv", [{"path": "s.tar", "n": 1}, {"path": "0.png", "n": 2}])
    with lookalike.create(folder, encoder=ColourEncoder()) as collection:
        assert collection.add(FileList(table, folder)).added == 3


def test_metadata_of_an_image_folder_are_attributes(folder: Path) -> None:
    (folder / "train" / "cat").mkdir(parents=True)
    draw(folder / "train" / "cat" / "a.png", 30)
    write(folder / "metadata.csv", [{"file_name": "0.png", "text": "the first"}])
    write(folder / "train" / "metadata.jsonl", [{"file_name": "cat/a.png", "text": "a cat", "objects": {"bbox": [1]}}])
    with lookalike.create(folder, encoder=ColourEncoder()) as collection:
        assert collection.add(folder).added == 7
        found = {key: values for key, values in facts(collection).items() if values}
        assert found == {"0.png": {"text": "the first"}, "train/cat/a.png": {"text": "a cat"}}
        collection.annotate(write(folder / "own.csv", [{"path": "0.png", "text": "mine"}]))
        assert collection.update().unchanged == 7
        assert facts(collection)["0.png"] == {"text": "mine"}


@pytest.mark.parametrize("text", ["file_name,text\n0.png,a,b,c\n", "path,text\n0.png,a\n", "", "file_name\n"])
def test_metadata_that_are_none_do_not_stop_anything(folder: Path, text: str) -> None:
    (folder / "metadata.csv").write_text(text)
    with lookalike.create(folder, encoder=ColourEncoder()) as collection:
        report = collection.add(folder)
        assert (report.added, report.skipped) == (6, ())
        assert facts(collection)["0.png"] == {}

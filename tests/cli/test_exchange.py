"""The commands that take collections to other programs and back."""

import json
from pathlib import Path

import numpy as np
import pytest

from lookalike import Collection
from tests.cli.conftest import Run
from tests.exchange.conftest import filled as filled
from tests.exchange.conftest import folder as folder
from tests.support.pictures import draw


def test_the_command_says_what_it_has_written(filled: Collection, folder: Path, call: Run) -> None:
    place = str(filled.directory)
    code, out, err = call("export", "-c", place, "--to", "a.npy", "--to", "a.csv", cwd=folder)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "a.npy: 290 images, 14 kB"
    assert call("export", "-c", place, "--to", "a.npy", cwd=folder)[0] == 2
    code, out, err = call("export", "-c", place, "--to", "a.npy", "--overwrite", "--json", cwd=folder)
    assert json.loads(out) == {"images": 290, "files": {"a.npy": 14048}}


def test_an_import_says_what_it_has_made_and_left_out(tmp_path: Path, call: Run) -> None:
    np.save(tmp_path / "a.npy", np.array([[1, 0], [0, 0], [0, 2]], np.float32))
    code, out, err = call("import", "a.npy", "-c", "made", "--made-by", "their ViT", cwd=tmp_path)
    assert code == 0
    assert out.splitlines() == [f"{tmp_path / 'made'}: 2 images with vectors of their ViT", "Named by file and row"]
    assert err.splitlines() == [
        "1 row left out: the embedding is zero or not finite",
        "row 1 (a/1): the embedding is zero or not finite",
        "2 images without a SHA-256 of the file: not shown; see --hash-files",
    ]
    code, out, _ = call("search", "--id", "1", "-c", "made", "--json", cwd=tmp_path)
    assert (code, json.loads(out)["key"], json.loads(out)["score"]) == (0, "a/2", 0.0)
    code, out, err = call("import", "a.npy", "-c", "other", "--json", cwd=tmp_path)
    assert (code, err) == (0, "")
    assert json.loads(out)["images"] == 2
    assert call("import", "a.npy", "-c", "made", cwd=tmp_path)[0] == 2


@pytest.mark.parametrize(
    "command", [("info",), ("check",), ("build",), ("remove", "a/2"), ("duplicates",), ("search", "--id", "1")]
)
def test_commands_that_need_no_model_work_on_imported_embeddings(
    tmp_path: Path, call: Run, command: tuple[str, ...]
) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32))
    call("import", "a.npy", "-c", "made", cwd=tmp_path)
    code, _, err = call(*command, "-c", "made", cwd=tmp_path)
    assert (code, "Error" in err) == (3 if command == ("duplicates",) else 0, False)


@pytest.mark.parametrize("command", [("search", "b.png"), ("index",)])
def test_commands_that_need_the_model_say_what_to_do(tmp_path: Path, call: Run, command: tuple[str, ...]) -> None:
    np.save(tmp_path / "a.npy", np.ones((1, 8), np.float32))
    draw(tmp_path / "b.png", 1)
    call("import", "a.npy", "-c", "made", "--made-by", "their ViT", cwd=tmp_path)
    code, _, err = call(*command, "-c", "made", cwd=tmp_path)
    assert code == 4
    assert "the model that made them (their ViT) is not on this machine" in err


def test_a_collection_is_split_and_merged_again(filled: Collection, folder: Path, call: Run) -> None:
    code, out, err = call("split", "-c", str(filled.directory), "--to", "parts", "--images", "200", cwd=folder)
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"{folder}/parts/000: 200 images", f"{folder}/parts/001: 90 images"]
    code, out, err = call("merge", "parts/000", "parts/001", "--to", "merged", cwd=folder)
    assert (code, out, err) == (0, f"{folder}/merged: 290 images\n", "")
    code, out, err = call("merge", "merged", "parts/000", "--to", "again", "--json", cwd=folder)
    assert (code, json.loads(out)["images"], json.loads(out)["repeated"]) == (0, 290, 200)
    assert call("merge", "merged", "--to", "again", cwd=folder)[0] == 2
    assert call("split", "-c", "merged", "--to", "more", cwd=folder)[0] == 2

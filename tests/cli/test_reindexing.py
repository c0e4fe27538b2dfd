"""What the command line prints before the images of a collection are indexed again with another model."""

import re
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner

import lookalike
from lookalike import Collection
from lookalike.cli.main import cli
from lookalike.cli.reindexing import explanation
from lookalike.collection.reindex import estimate_reindex
from lookalike.errors import IncompatibleError, LookalikeError
from tests.support.commands import run
from tests.support.pictures import ColourEncoder, draw
from tests.support.reindexing import CoarseEncoder, begin
from tests.support.small_policies import small_policies


def refusal(*arguments: str | Path) -> LookalikeError:
    """The error that ends a command."""
    error = CliRunner().invoke(cli, [*map(str, arguments)]).exception
    assert isinstance(error, LookalikeError)
    return error


def test_another_model_is_explained_instead_of_used(photos: Collection) -> None:
    error = refusal("index", photos.folder, "--model", "efficientnet-lite0")
    assert isinstance(error, IncompatibleError)
    assert error.hints == ()
    for text in (
        "12 images were indexed with colours",
        "those of efficientnet-lite0 (int8)",
        f"run: lookalike index {photos.folder} --model efficientnet-lite0 --reindex\n",
        f"lookalike plan {photos.folder} --model efficientnet-lite0\n",
        "Ids, attributes and labels stay",
        "0.2 MB",
    ):
        assert text in error.message
    assert "It has begun" not in error.message
    assert photos.add(photos.folder).unchanged == 12


def test_the_explanation_names_the_precision_and_counts_the_index(photos: Collection) -> None:
    command = ("index", photos.folder, "--model", "efficientnet-lite0", "--precision", "bf16")
    estimate = partial(estimate_reindex, policies=small_policies(exact=1))
    with mock.patch("lookalike.collection.reindex.estimate_reindex", estimate):
        larger = refusal(*command).message
    assert "--precision bf16 --reindex" in larger
    assert "lookalike plan" in larger
    assert megabytes(larger) >= megabytes(refusal(*command).message)


def megabytes(explanation: str) -> float:
    found = re.search(r"about ([0-9.]+) MB on the disk", explanation)
    assert found
    return float(found[1])


def test_the_explanation_mentions_a_run_that_has_begun(photos: Collection) -> None:
    begin(photos, CoarseEncoder())
    change = estimate_reindex(photos.folder, encoder=CoarseEncoder())
    assert change
    assert "begun with coarse: 5 of 12 files are done." in explanation(change)
    other = refusal("index", photos.folder, "--model", "efficientnet-lite0").message
    assert other.endswith("begun with coarse: 5 of 12 files are done, which would be discarded.")


def test_an_encoder_object_is_named_in_a_python_call(photos: Collection) -> None:
    change = estimate_reindex(photos.folder, encoder=CoarseEncoder())
    assert change
    assert f"run: lookalike.reindex('{photos.folder}', encoder=...)\n" in explanation(change)


def test_a_collection_in_its_own_directory_is_named_by_that(folder: Path, tmp_path: Path) -> None:
    directory = tmp_path.resolve() / "collection"
    with lookalike.create(folder, directory=directory, encoder=ColourEncoder()) as photos:
        photos.add(folder)
    message = refusal("index", folder, "-c", directory, "--model", "efficientnet-lite0").message
    assert f"run: lookalike index -c {directory} --model efficientnet-lite0 --reindex\n" in message


def test_images_that_cannot_be_read_can_be_removed_by_a_command(photos: Collection) -> None:
    elsewhere = photos.folder.parent / "other disk"
    photos.add([draw(elsewhere / name, seed) for seed, name in enumerate(("x.png", "y.png"), 30)])
    elsewhere.rename(elsewhere.with_name("away"))
    command = ("index", str(photos.folder), "--model", "efficientnet-lite0", "--reindex")
    code, out, err = run(*command, cwd=photos.folder)
    assert (code, out) == (2, "")
    said = f"2 images, such as {elsewhere / 'x.png'}, cannot be read; if they are on a removable or network drive"
    assert said in err
    assert err.rstrip().endswith(f"lookalike remove -c {photos.directory} '{elsewhere / 'x.png'}'")


@pytest.mark.parametrize("command", [["search", "00.png"], ["index", "."]])
def test_a_missing_encoder_object_leaves_a_python_call_or_reindexing(photos: Collection, command: list[str]) -> None:
    code, out, err = run(*command, cwd=photos.folder)
    assert (code, out) == (4, "")
    assert "made by colours, which is not available here" in err
    assert f"to open it with its own encoder: lookalike.open('{photos.folder}', encoder=...)" in err
    assert re.search(r"to index its images again: lookalike index \S+ --model efficientnet-lite0 --reindex", err)

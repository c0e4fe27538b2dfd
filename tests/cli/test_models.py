"""`lookalike models ...`, and the other commands with imported models: output, messages and exit codes."""

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import openvino as ov
import pytest

import lookalike
from lookalike.cli import output
from lookalike.cli.main import main
from lookalike.encoders import registry
from tests.support import tiny_models
from tests.support.optional_packages import needs
from tests.support.pictures import ColourEncoder, draw

needs("tokenizers")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with twelve images in photos/ and an empty folder of models."""
    home = tmp_path.resolve() / "home"
    for seed in range(12):
        draw(home / "photos" / ("cats", "dogs")[seed % 2] / f"{seed:02}.png", seed)
    monkeypatch.chdir(home)
    monkeypatch.setenv("LOOKALIKE_MODELS", str(home / "models"))
    return home


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process: exit code, standard output, standard error."""
    monkeypatch.setattr("warnings.showwarning", output.show_warning)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lookalike", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ended.value.code or 0), out, err

    return run


def records(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_list_names_a_broken_model_and_lists_the_others(run: Run, home: Path) -> None:
    for name in ("one", "three", "two"):
        tiny_models.save(name)
    card = home / "models" / "three" / "card.json"
    card.write_text(card.read_text().replace('"dim": 12', '"dim": "\\u001b[31m"'))
    code, out, err = run("models", "list")
    assert [line.split()[0] for line in out.splitlines()] == ["efficientnet-lite0", "one", "two"]
    assert (code, err) == (
        0,
        f"{card}: the card is damaged (dim='\\\\x1b[31m': give a whole number);"
        " to import it again: lookalike models remove three && lookalike models import SOURCE --name three\n",
    )
    code, out, json_err = run("models", "list", "--json")
    assert [record["name"] for record in records(out)] == ["efficientnet-lite0", "one", "two"]
    assert json_err == err


def test_a_file_is_inspected_imported_listed_shown_used_and_removed(run: Run, home: Path) -> None:
    ov.save_model(tiny_models.colours(), home / "tiny.xml", compress_to_fp16=False)
    code, out, _ = run("models", "inspect", "tiny.xml")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()].count("*") == 1

    code, out, err = run("models", "import", "tiny.xml", "--licence", "CC0-1.0")
    assert (code, err) == (0, "")
    assert out.startswith("tiny: 12 dimensions, ")
    assert "lookalike index FOLDER --model tiny" in out

    assert [line.split()[0] for line in run("models", "list")[1].splitlines()] == ["efficientnet-lite0", "tiny"]
    [bundled, tiny] = records(run("models", "list", "--json")[1])
    assert (bundled["name"], tiny["name"], tiny["dim"], tiny["licence"]) == (
        "efficientnet-lite0",
        "tiny",
        12,
        "CC0-1.0",
    )
    assert records(run("models", "show", "tiny", "--json")[1]) == [tiny]
    assert "CC0-1.0" in run("models", "show", "tiny")[1]
    assert run("models", "path", "tiny")[1] == f"{home}/models/tiny\n"
    assert run("models", "path")[1] == f"{home}/models\n"

    assert run("index", "photos", "--model", "tiny")[0] == 0
    found = records(run("search", "photos/cats/04.png", "--json", "-k", "2")[1])
    assert found[0]["key"] == "cats/04.png"
    assert "tiny f32 (12 dimensions)" in run("info")[1]

    assert run("models", "remove", "tiny")[:2] == (0, "Removed tiny.\n")
    assert run("models", "list")[1].count("\n") == 1


def test_a_collection_without_its_model_says_what_to_import(run: Run, home: Path) -> None:
    tiny_models.save("tiny", source="timm:tiny")
    run("index", "photos", "--model", "tiny")
    run("models", "remove", "tiny")
    code, _, err = run("search", "photos/cats/04.png")
    assert code == 4
    assert "lookalike models import timm:tiny" in err
    assert run("info")[0] == run("check")[0] == run("search", "--id", "3")[0] == 0


def test_reindex_with_another_model_keeps_ids_and_attributes(run: Run, home: Path) -> None:
    tiny_models.save("one")
    tiny_models.save("two", version="2")
    run("index", "photos", "--model", "one")
    (home / "table.csv").write_text("path,colour\nphotos/cats/04.png,red\n")
    run("attributes", "table.csv")
    [before] = records(run("search", "--where", "colour=red", "photos/cats/04.png", "--json")[1])

    code, _, err = run("index", "photos", "--model", "two")
    assert code == 4
    for text in ("12 images", "one (f32)", "two (f32)", "--model two --reindex", "Ids, attributes and labels stay"):
        assert text in err
    assert "one f32" in run("info")[1]

    code, out, err = run("index", "photos", "--model", "two", "--reindex")
    assert (code, err) == (0, "")
    assert out.startswith("12 unchanged in ")
    assert "two f32" in run("info")[1]
    [after] = records(run("search", "--where", "colour=red", "photos/cats/04.png", "--json")[1])
    assert (after["id"], after["key"], after["score"]) == (before["id"], before["key"], pytest.approx(before["score"]))
    code, out, err = run("index", "photos", "--model", "two", "--reindex")
    assert (code, err) == (0, "The collection is already indexed with two (f32); --reindex has no effect.\n")
    assert out.startswith("12 unchanged in ")
    assert run("index", "photos", "--reindex")[2] == err
    assert run("index", "photos")[2] == ""


def test_suggested_commands_reindex_with_the_named_model(run: Run, home: Path) -> None:
    """Also back to the model's default precision."""
    tiny_models.save("one")
    tiny_models.save("two")
    (home / "photos").rename(home / "my photos")
    run("index", "my photos", "--model", "one")
    for options, model in (
        (("--precision", "bf16"), "one bf16"),
        (("--model", "one", "--precision", "f32"), "one f32"),
        (("--model", "two", "--precision", "bf16"), "two bf16"),
        (("--model", "two", "--precision", "f32"), "two f32"),
        (("--model", "one"), "one f32"),
    ):
        code, _, err = run("index", "my photos", *options)
        assert code == 4
        [index] = [shlex.split(command) for command in re.findall("run: lookalike (index .*)", err)]
        [plan] = [shlex.split(command) for command in re.findall("run: lookalike (plan .*)", err)]
        code, out, _ = run(*plan, "--json")
        assert code == 0
        made_by = json.loads(out)["made_by"]
        assert f"{made_by['model']} {made_by['precision']}" == model
        code, out, err = run(*index)
        assert (code, err) == (0, "")
        assert out.startswith("12 unchanged in ")
        assert f" {model} " in run("info", "-c", "my photos")[1]


def test_reindex_refuses_unreadable_images_until_they_are_removed(run: Run, home: Path) -> None:
    tiny_models.save("one")
    tiny_models.save("two")
    draw(home / "other disk" / "x.png", 30)
    run("index", "photos", "--model", "one")
    run("index", "-c", "photos", "other disk")
    (home / "other disk").rename(home / "away")
    code, _, err = run("index", "photos", "--model", "two", "--reindex")
    assert code == 2
    [remove] = re.findall(": lookalike (remove .*)", err)
    assert "on a removable or network drive" in err
    assert "one f32" in run("info")[1]
    assert run(*shlex.split(remove))[::2] == (0, "")
    code, out, _ = run("index", "photos", "--model", "two", "--reindex")
    assert code == 0
    assert out.startswith("12 unchanged in ")


@pytest.mark.parametrize("options", [("--model", "two"), ("--precision", "bf16")])
def test_another_model_or_precision_exits_with_4(run: Run, options: tuple[str, ...]) -> None:
    tiny_models.save("one")
    tiny_models.save("two")
    run("index", "photos", "--model", "one")
    code, _, err = run("index", "photos", *options)
    assert code == 4
    assert "--reindex" in err


def test_another_version_of_the_model_exits_with_4(run: Run) -> None:
    tiny_models.save("one")
    run("index", "photos", "--model", "one")
    registry.remove("one")
    tiny_models.save("one", version="2")
    for command in (["index", "photos"], ["search", "photos/cats/04.png"]):
        code, _, err = run(*command)
        assert code == 4
        assert "--reindex" in err
    code, out, err = run("index", "photos", "--reindex", "--exclude", "dogs")
    assert (code, err) == (0, "")
    assert out.startswith("6 unchanged, 6 excluded in ")
    assert "Indexed again with another version of one (f32): 6 images" in out
    assert run("search", "photos/cats/04.png")[0] == 0


def test_an_interrupted_reindex_is_shown_and_resumed(run: Run, home: Path) -> None:
    tiny_models.save("one")
    tiny_models.save("two")
    run("index", "photos", "--model", "one")

    def stop(progress: lookalike.Progress) -> None:
        if progress.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lookalike.reindex(home / "photos", model="two", progress=stop)
    out = run("info")[1]
    command = f"lookalike index {home}/photos --model two --reindex"
    assert f"5 of 12 files with two (f32); to carry on: {command}\n" in out
    assert run(*shlex.split(command)[1:])[0] == 0
    assert "to carry on" not in run("info")[1]


def test_an_interrupted_reindex_by_an_encoder_is_resumed_in_python(run: Run, home: Path) -> None:
    tiny_models.save("one")
    run("index", "photos", "--model", "one")
    with pytest.raises(KeyboardInterrupt):
        lookalike.reindex(home / "photos", encoder=ColourEncoder(), progress=mock.Mock(side_effect=KeyboardInterrupt))
    call = f"lookalike.reindex('{home}/photos', encoder=...)"
    assert f" files with colours; to carry on: {call}\n" in run("info")[1]


def test_text_is_combined_with_images_by_weight(run: Run, home: Path) -> None:
    tiny_models.save("with-text", words={"red": 0, "green": 1, "blue": 2})
    run("index", "photos", "--model", "with-text")
    with lookalike.open(home / "photos") as photos:
        terms = [lookalike.Term("photos/cats/04.png", weight=0.5), lookalike.Term(text="red", weight=2)]
        terms += [lookalike.Term("photos/dogs/03.png", weight=-1), lookalike.Term(text="blue", weight=-3)]
        expected = [match.id for match in photos.search_terms(terms, k=12)]
        reddest = [match.id for match in photos.search_text("red", k=12)]
    options = ["--text", "red^2", "--minus", "photos/dogs/03.png", "--minus-text", "blue^3", "--json", "-k", "12"]
    assert [match["id"] for match in records(run("search", "photos/cats/04.png^0.5", *options)[1])] == expected
    assert [match["id"] for match in records(run("search", "--text", "red", "--json", "-k", "12")[1])] == reddest
    assert expected != reddest


def test_a_file_name_that_ends_like_a_weight_is_a_file_name(run: Run, home: Path) -> None:
    tiny_models.save("tiny")
    run("index", "photos", "--model", "tiny")
    (home / "odd^2").write_bytes((home / "photos/cats/04.png").read_bytes())
    assert records(run("search", "odd^2", "--json", "-k", "1")[1])[0]["key"] == "cats/04.png"


def test_a_model_without_text_says_which_model_to_import(run: Run) -> None:
    tiny_models.save("tiny")
    run("index", "photos", "--model", "tiny")
    code, _, err = run("search", "--text", "red")
    assert code == 2
    assert "tiny does not take text; to import a model: lookalike models import open_clip:" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["models", "import", "nowhere.onnx"], "nowhere.onnx"),
        (["models", "import", "ftp:model"], "no source 'ftp'; there are timm, torchvision"),
        (["models", "import", "timm:"], "name a model after the colon"),
        (["models", "import", "tiny.xml", "--name", "a/b"], "cannot be a model's name"),
        (["models", "import", "tiny.xml", "--name", "efficientnet-lite0"], "comes with Lookalike; give another `name`"),
        (["models", "import", "tiny.xml", "--output", "x"], "to list its layers: lookalike models inspect FILE"),
        (["models", "import", "tiny.xml", "--mean", "1,2"], "one number, or three"),
        (["models", "remove", "nothing"], "no imported model 'nothing'"),
        (["models", "remove", "efficientnet-lite0"], "comes with Lookalike and cannot be removed"),
        (["models", "show", "nothing"], "there is no model 'nothing'"),
        (["models", "compare", "nothing", "photos"], "there is no model 'nothing'"),
        (["models", "compare", "efficientnet-lite0", "nowhere"], "nowhere"),
        (["index", "photos", "--model", "nothing"], "lookalike models import"),
        (["index", "photos", "--precision", "int9"], "int9"),
        (["search", "--text", "red", "--id", "3"], "goes alone"),
        (["search", "--minus-text", "red"], "give one or more images or --text"),
        (["search", "--text", "red^0"], "above 0"),
    ],
)
def test_usage_errors_are_one_sentence(run: Run, home: Path, arguments: list[str], message: str) -> None:
    ov.save_model(tiny_models.colours(), home / "tiny.xml")
    code, out, err = run(*arguments)
    assert code in (1, 2)
    assert out == ""
    assert message in err


@pytest.mark.parametrize(
    ("source", "package", "extra"),
    [
        ("timm:resnet18", "timm", "torch"),
        ("keras:ResNet50", "keras", "keras"),
        ("open_clip:RN50/cc12m", "open_clip", "clip"),
    ],
)
def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, source: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    code, _, err = run("models", "import", source)
    assert code == 1
    assert f'pip install "lookalike[{extra}]"' in err


def test_text_search_names_the_missing_extra(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_models.save("with-text", words={"red": 0})
    run("index", "photos", "--model", "with-text")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    code, _, err = run("search", "--text", "red")
    assert code == 1
    assert 'pip install "lookalike[text]"' in err


def test_models_are_compared_on_a_folder_of_images(run: Run) -> None:
    tiny_models.save("tiny")
    code, out, _ = run("models", "compare", "tiny", "photos", "--json")
    assert code == 0
    [record] = records(out)
    assert (record["images"], record["labels"], record["models"][0]["model"]) == (12, 2, "tiny")
    assert 0 <= record["models"][0]["recall_at_1"] <= record["models"][0]["recall_at_10"] <= 1


@pytest.mark.filterwarnings("default::lookalike.errors.DeviceWarning")
def test_an_unavailable_device_is_warned_of_once(run: Run) -> None:
    tiny_models.save("tiny")
    code, out, err = run("index", "photos", "--model", "tiny", "--device", "mps")
    assert (code, err.count("\n")) == (0, 1)
    assert err.startswith("Warning: ")
    assert "CPU" in err
    assert out.startswith("12 added in ")

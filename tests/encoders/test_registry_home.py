"""Users without a home directory, or with one that cannot be read or written: the bundled model works."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest

import lookalike
from lookalike import encoders, importers
from lookalike.demo import write_gallery
from lookalike.encoders import registry
from lookalike.errors import ModelError, StorageError, UsageError
from tests.support import tiny_models
from tests.support.project import environment

ADVICE = r"; set \$LOOKALIKE_MODELS to a folder of your own"
NO_HOME = r"there is no home directory for imported models" + ADVICE
# What platformdirs raises where neither the environment nor the list of users has a home directory.
FAILURES = [RuntimeError("Could not determine home directory."), KeyError("getpwuid(): uid not found: 12345")]


@pytest.fixture(params=[*FAILURES, PermissionError(13, "Permission denied")], ids=lambda error: type(error).__name__)
def homeless(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user has no home directory."""

    def fail(*_: object, **__: object) -> Path:
        raise request.param

    monkeypatch.delenv("LOOKALIKE_MODELS", raising=False)
    monkeypatch.setattr(platformdirs, "user_data_path", fail)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that all users may write to, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        before = os.umask(0)
        Path(name).chmod(0o777)
        yield Path(name).resolve()
        os.umask(before)


@pytest.fixture
def in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models cannot be a folder, as with HOME=/dev/null."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "file" / "models"))
    return tmp_path / "file" / "models"


@pytest.mark.usefixtures("homeless")
def test_without_a_home_only_the_bundled_model_is_there() -> None:
    assert encoders.names() == [encoders.BUNDLED]
    assert registry.names() == encoders.text_models() == []
    assert not registry.has("clip")
    assert encoders.card().name == encoders.BUNDLED
    assert registry.why_unreadable() == NO_HOME.replace("\\", "")


@pytest.mark.usefixtures("homeless")
def test_without_a_home_an_error_says_what_to_set() -> None:
    with pytest.raises(UsageError, match=f"^{NO_HOME}$"):
        registry.folder()
    with pytest.raises(UsageError, match=rf"there is no model 'clip'; .* \({NO_HOME}\); to import a model"):
        encoders.load("clip")
    with pytest.raises(UsageError, match=f"^{NO_HOME}$"):
        importers.import_model("timm:resnet18")
    with pytest.raises(UsageError, match=f"^{NO_HOME}$"):
        tiny_models.save("colours")
    with pytest.raises(UsageError, match="there is no imported model 'clip'"):
        registry.remove("clip")


@pytest.mark.usefixtures("homeless")
def test_without_a_home_images_are_indexed_and_searched(tmp_path: Path) -> None:
    write_gallery(tmp_path, per_kind=1)
    with lookalike.create(tmp_path) as photos:
        assert photos.add(tmp_path).added == 12
        file = tmp_path / "mug" / "mug-01.jpg"
        assert lookalike.open(tmp_path).search(file)[0].path == file.resolve()


@pytest.mark.usefixtures("homeless")
def test_without_a_home_the_variable_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "models"))
    tiny_models.save("colours")
    assert encoders.names() == [encoders.BUNDLED, "colours"]


def test_a_folder_that_is_not_there_is_no_reason_to_warn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "models"))
    assert registry.why_unreadable() is None
    assert encoders.names() == [encoders.BUNDLED]
    with pytest.raises(UsageError, match="comes with Lookalike; to import a model"):
        encoders.load("clip")


def test_a_folder_that_cannot_be_one_is_named(in_a_file: Path) -> None:
    assert registry.why_unreadable() == f"{in_a_file}: not a directory{ADVICE}".replace("\\", "")
    assert encoders.names() == [encoders.BUNDLED]
    with pytest.raises(UsageError, match=f"there is no model 'clip'; .*{in_a_file}: not a directory{ADVICE}"):
        encoders.card("clip")
    with pytest.raises(StorageError, match=f"^{in_a_file}: not a directory{ADVICE}$"):
        importers.import_model("timm:resnet18")


def test_a_folder_that_may_not_be_read_or_written_is_named(public_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = public_path / "home"
    home.mkdir()
    models = home / "models"
    monkeypatch.setenv("LOOKALIKE_MODELS", str(models))
    for mode in (0o000, 0o600):
        home.chmod(mode)
        assert registry.why_unreadable() == f"{models}: permission denied{ADVICE}".replace("\\", "")
        assert encoders.names() == [encoders.BUNDLED]
        assert not registry.has("clip")
        with pytest.raises(StorageError, match=f"^{models}: permission denied{ADVICE}$"):
            importers.import_model("timm:resnet18")
    home.chmod(0o500)  # which can be read, but not written
    assert registry.why_unreadable() is None
    with pytest.raises(StorageError, match=f"^{models}: permission denied{ADVICE}$"):
        tiny_models.save("colours")


def test_a_collection_of_an_imported_model_says_why_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "models"))
    tiny_models.save("colours")
    write_gallery(tmp_path / "photos", per_kind=1)
    lookalike.create(tmp_path / "photos", model="colours").add(tmp_path / "photos")
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "file"))
    photos = lookalike.open(tmp_path / "photos")
    assert len(photos.search_id(1)) == 10
    expected = rf"not available here \({tmp_path / 'file'}: not a directory{ADVICE}\)"
    with pytest.raises(lookalike.LookalikeError, match=expected):
        photos.search(tmp_path / "photos" / "mug" / "mug-01.jpg")


def test_a_model_without_one_of_its_files_has_no_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path))
    model = tiny_models.save("colours")
    (model.folder / registry.GRAPH).unlink()
    with pytest.raises(ModelError, match=r"model.xml: No such file or directory; to import it again"):
        registry.read("colours").bytes  # noqa: B018


# Runs commands in one process, and prints what each exits with and prints.
COMMANDS = """
import contextlib, io, json, sys
from lookalike.cli.main import main

for command in sys.argv[1:]:
    sys.argv = ["lookalike", *command.split()]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="changes the user, which only root can")
@pytest.mark.parametrize("home", [{}, {"HOME": ""}, {"HOME": "/dev/null"}, {"HOME": "/nonexistent"}])
def test_an_unknown_user_indexes_searches_and_lists_models(open_folder: Path, home: dict[str, str]) -> None:
    """One without an entry in /etc/passwd, as of `docker run -u 12345`, which may read the Python that runs here."""
    write_gallery(open_folder / "photos", per_kind=1)
    rights = "+dac_read_search,+dac_override"
    user = ["setpriv", "--reuid=12345", "--clear-groups", f"--inh-caps={rights}", f"--ambient-caps={rights}"]
    path = environment()["PYTHONPATH"]

    commands = (
        "index photos",
        "search photos/mug/mug-01.jpg -c photos -k 1",
        "models list",
        "models import model.onnx",
    )
    done = subprocess.run(
        [*user, sys.executable, "-c", COMMANDS, *commands],
        cwd=open_folder,
        env={"PYTHONPATH": path} | home,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "Traceback" not in done.stderr
    indexed, searched, listed, imported = map(json.loads, done.stdout.splitlines())
    assert indexed[0] == 0
    code, out, _ = searched
    assert (code, out.split()[-1]) == (0, str(open_folder / "photos/mug/mug-01.jpg"))
    code, out, err = listed
    assert (code, out.split()[0]) == (0, encoders.BUNDLED)
    assert err == "" or err.startswith("Warning: ")
    code, _, err = imported
    assert code in (1, 2, 5)
    assert err.startswith("Error: ")

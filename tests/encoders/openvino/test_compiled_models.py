"""Compiled models in the user's cache directory: what is used again, what is not, and what is left out."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lookalike import encoders
from lookalike.encoders.bundled import efficientnet_graph, network
from lookalike.encoders.openvino import compiled_models
from lookalike.encoders.openvino.compiled_models import Options
from lookalike.encoders.openvino.loading import core, op, ov
from tests.support.golden_images import golden_images

PIXELS = golden_images()
OPTIONS = Options({"INFERENCE_PRECISION_HINT": "f32"}, {"NUM_STREAMS": 1})


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache directory of this user."""
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path))
    return tmp_path / "compiled"


class Doubling:
    """Compiles a graph that doubles two numbers, and counts how often."""

    def __init__(self) -> None:
        self.compiled = 0

    def __call__(self) -> ov.CompiledModel:
        self.compiled += 1
        numbers = op.parameter([2], np.float32)
        return core().compile_model(ov.Model([op.multiply(numbers, np.float32(2))], [numbers], "doubling"), "CPU")


def doubled(found: ov.CompiledModel) -> list[float]:
    numbers: list[float] = found([np.array([1, 3], np.float32)])[0].tolist()
    return numbers


def only_file(cache: Path) -> Path:
    (file,) = cache.iterdir()
    return file


def test_what_was_compiled_is_used_again(cache: Path) -> None:
    compile_graph = Doubling()
    for _ in range(3):
        assert doubled(compiled_models.kept("doubling", OPTIONS, compile_graph)) == [2, 6]
    assert compile_graph.compiled == 1
    assert only_file(cache).stat().st_mode & 0o777 == 0o600
    assert cache.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("identity", "options"),
    [
        ("another", OPTIONS),
        ("doubling", Options({"INFERENCE_PRECISION_HINT": "bf16"}, OPTIONS.running)),
    ],
)
def test_another_graph_and_other_options_are_compiled(cache: Path, identity: str, options: Options) -> None:
    compile_graph = Doubling()
    compiled_models.kept("doubling", OPTIONS, compile_graph)
    compiled_models.kept(identity, options, compile_graph)
    assert compile_graph.compiled == len([*cache.iterdir()]) == 2


@pytest.mark.parametrize("changed", ["lookalike.__version__", "openvino.__version__"])
def test_another_version_compiles_again(cache: Path, changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_graph = Doubling()
    compiled_models.kept("doubling", OPTIONS, compile_graph)
    monkeypatch.setattr(changed, "99.0")
    compiled_models.kept("doubling", OPTIONS, compile_graph)
    assert compile_graph.compiled == 2
    assert len([*cache.iterdir()]) == 2


def test_the_number_of_threads_does_not_matter(cache: Path) -> None:
    compile_graph = Doubling()
    compiled_models.kept("doubling", OPTIONS, compile_graph)
    found = compiled_models.kept("doubling", Options(OPTIONS.compiling, {"NUM_STREAMS": 2}), compile_graph)
    assert (compile_graph.compiled, found.get_property("NUM_STREAMS")) == (1, 2)
    assert only_file(cache)


def in_its_place(make: Callable[[Path], None]) -> Callable[[Path], object]:
    def put(file: Path) -> None:
        file.rename(file.with_suffix(".other"))
        make(file)

    return put


def replaced(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(change(file.read_bytes()))


@pytest.mark.parametrize(
    "spoil",
    [
        replaced(lambda data: b""),
        replaced(lambda data: data[:20]),
        replaced(lambda data: data[:-1]),
        replaced(lambda data: data[: len(data) // 2] + b"\x01" + data[len(data) // 2 + 1 :]),
        replaced(lambda data: bytes(32) + data[32:]),
        lambda file: file.chmod(0o620),
        lambda file: file.parent.chmod(0o777),
        in_its_place(lambda file: file.mkdir()),
        in_its_place(os.mkfifo),
        in_its_place(lambda file: file.symlink_to(file.with_suffix(".other"))),
    ],
    ids=["empty", "short", "cut", "flipped", "digest", "of a group", "of all", "directory", "pipe", "link"],
)
def test_what_is_damaged_or_could_be_of_others_is_compiled_again(cache: Path, spoil: Callable[[Path], object]) -> None:
    compile_graph = Doubling()
    compiled_models.kept("doubling", OPTIONS, compile_graph)
    spoil(only_file(cache))
    assert doubled(compiled_models.kept("doubling", OPTIONS, compile_graph)) == [2, 6]
    assert compile_graph.compiled == 2


def test_a_damaged_file_is_replaced(cache: Path) -> None:
    compile_graph = Doubling()
    compiled_models.kept("doubling", OPTIONS, compile_graph)
    only_file(cache).write_bytes(b"x")
    for _ in range(2):
        compiled_models.kept("doubling", OPTIONS, compile_graph)
    assert compile_graph.compiled == 2


@pytest.mark.parametrize("why", ["a file is in the way", "the disk is full", "not wanted"])
def test_nothing_can_be_kept(cache: Path, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if why == "a file is in the way":
        cache.write_text("")
    elif why == "not wanted":
        monkeypatch.setenv("LOOKALIKE_CACHE", "")
    else:
        monkeypatch.setattr(os, "open", full_disk(os.open))
    compile_graph = Doubling()
    for _ in range(2):
        assert doubled(compiled_models.kept("doubling", OPTIONS, compile_graph)) == [2, 6]
    assert compile_graph.compiled == 2
    assert not cache.is_dir() or not [*cache.iterdir()]


def full_disk(opened: Callable[..., int]) -> Callable[..., int]:
    def fails(path: object, flags: int, *given: object, **named: object) -> int:
        if flags & os.O_CREAT:
            raise OSError(28, "No space left on device")
        return opened(path, flags, *given, **named)

    return fails


def test_what_nobody_has_used_for_long_is_deleted(cache: Path) -> None:
    compiled_models.kept("old", OPTIONS, Doubling())
    os.utime(only_file(cache), (0, 0))
    compiled_models.kept("doubling", OPTIONS, Doubling())
    kept = only_file(cache)
    os.utime(kept, (0, 0))
    compiled_models.kept("doubling", OPTIONS, Doubling())
    assert kept.stat().st_mtime > 1e9  # it was used


def test_the_bundled_model_is_neither_read_nor_built_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = encoders.load(threads=1).encode(PIXELS)

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("it was built again")

    monkeypatch.setattr(network, "weights", fail)
    monkeypatch.setattr(efficientnet_graph, "graph", fail)
    np.testing.assert_array_equal(encoders.load(threads=2).encode(PIXELS), expected)
    assert only_file(cache)


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_each_precision_has_a_file_of_its_own(cache: Path, precision: str) -> None:
    fresh = [encoders.load(precision=each, threads=1).encode(PIXELS[:2]) for each in ("int8", precision)]
    again = [encoders.load(precision=each, threads=1).encode(PIXELS[:2]) for each in ("int8", precision)]
    np.testing.assert_array_equal(fresh, again)
    assert len([*cache.iterdir()]) == 2


def test_processes_that_start_at_once_share_the_cache(cache: Path) -> None:
    program = "from lookalike import encoders; encoders.load()"
    started = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]
    assert only_file(cache).suffix == ".blob"

"""A comparison of models against brute force in plain NumPy, on tiny models that another process loads by name."""

import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from openvino import opset13 as op
from PIL import Image
from rich.console import Console

from lookalike import metrics
from lookalike.display.model_table import lines, print_comparison
from lookalike.encoders import registry
from lookalike.encoders.card import Card
from lookalike.errors import ModelError, UsageError
from lookalike.evaluation.comparison_results import ComparedModel, Comparison, CopyRecall
from lookalike.evaluation.edits import EDITS, edited_copies
from lookalike.evaluation.model_benchmark import Task, _beyond_chance, chance_within, measure_model
from lookalike.evaluation.model_comparison import ComparisonProgress, compare
from lookalike.images import decode, marks
from lookalike.results import Skipped
from lookalike.sources.folder import Folder
from lookalike.storage.vectors import unit
from tests.support.crowds import directions
from tests.support.pictures import ColourEncoder, cosines_ready, draw, picture

PICTURES = 45
BALLAST = 700_000_000  # bytes

Graph = Callable[[ov.Node], ov.Node]


def colours(pixels: ov.Node) -> ov.Node:
    """The same as ColourEncoder."""
    cells = op.reduce_mean(op.reshape(pixels, [1, 2, 4, 4, 2, 3], False), np.array([2, 4]), False)
    flat = op.subtract(op.reshape(cells, [1, 24], False), np.float32(127))
    return op.concat([flat, op.constant(np.full((1, 1), 32, np.float32))], 1)


def blind(pixels: ov.Node) -> ov.Node:
    """Gives the same vector for every image."""
    return op.add(op.multiply(op.reduce_mean(pixels, np.array([1, 2]), False), np.float32(0)), np.float32(1))


def picky(pixels: ov.Node) -> ov.Node:
    """Gives the zero vector, which is unusable, for images that are not rather bright."""
    return op.relu(op.subtract(op.reduce_mean(pixels, np.array([1, 2, 3]), False), np.float32(126)))


def save(name: str, graph: Graph, dim: int) -> None:
    pixels = op.parameter([1, 8, 8, 3], np.uint8, name="pixels")
    model = ov.Model([op.reshape(graph(op.convert(pixels, "f32")), [1, dim], False)], [pixels], name)
    card = Card(name, "made by a test", "", "0" * 64, dim, ColourEncoder.preprocessing, "f32", "1")
    registry.save(card, lambda folder: ov.save_model(model, folder / registry.GRAPH, compress_to_fp16=False))


@pytest.fixture(scope="module", autouse=True)
def _models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as changes:
        changes.setenv("LOOKALIKE_MODELS", str(tmp_path_factory.mktemp("models")))
        save("colours", colours, 25)
        save("blind", blind, 3)
        save("picky", picky, 1)
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-five pictures in two folders and the top, copies of three, a file cut in two, and a contact sheet."""
    folder = tmp_path_factory.mktemp("photos").resolve()
    for seed in range(PICTURES):
        draw(folder / ("", "cats", "dogs")[seed % 3] / f"{seed:02}.png", seed)
    for seed in range(3):
        draw(folder / "dogs" / f"copy-{seed}.tif", seed)  # other bytes, the same pixels
    broken = draw(folder / "broken.png", 99)
    broken.write_bytes(broken.read_bytes()[:60])
    Image.new("RGB", (60, 40), "teal").save(folder / "sheet.jpg", **marks.image_options("JPEG", marks.SHEET))
    return folder


@pytest.fixture(scope="module")
def seen() -> list[ComparisonProgress]:
    return []


@pytest.fixture(scope="module")
def comparison(photos: Path, seen: list[ComparisonProgress]) -> Comparison:
    """Made by a process that is itself large."""
    ballast = np.ones(BALLAST, np.uint8)
    found = compare(["colours", "blind:bf16", "colours:f32"], photos, threads=2, progress=seen.append)
    assert len(ballast) == BALLAST
    return found


# By brute force


class Brute:
    """The pictures that differ, their vectors, and those of their copies, of ColourEncoder."""

    def __init__(self, folder: Path) -> None:
        files = [path for path in folder.rglob("*.png") if path.stem != "broken"]
        # Among the copies it is the first by its key that is taken: "07.png" is before "dogs/copy-0.tif".
        self.files = sorted(files, key=lambda path: path.relative_to(folder).as_posix())
        self.labels = [None if path.parent == folder else path.parent.name for path in self.files]
        stored = [vector(path.read_bytes()).astype(np.float16) for path in self.files]
        self.originals = [each.astype(np.float64) for each in stored]
        self.copies = [[vector(np.asarray(copy)) for copy in edited_copies(path.read_bytes())] for path in self.files]

    def recall(self, kind: int, k: int) -> float:
        found = 0
        for own, kinds in enumerate(self.copies):
            scores = [float(kinds[kind] @ original) for original in self.originals]
            ranking = sorted(range(len(scores)), key=lambda other: -scores[other])
            found += own in ranking[:k]
        return found / len(self.files)

    def rankings(self) -> list[list[bool]]:
        """For each picture with a label whether the others have it, too, the nearest first."""
        found = []
        for own, label in enumerate(self.labels):
            if label is not None:
                others = [other for other in range(len(self.files)) if other != own]
                others.sort(key=lambda other: -float(self.originals[own] @ self.originals[other]))
                found.append([self.labels[other] == label for other in others])
        return found


def vector(source: decode.ImageSource) -> NDArray[np.float64]:
    return cosines_ready(ColourEncoder().encode(decode.prepare(source, ColourEncoder.preprocessing).pixels[None])[0])


def average_precision(ranking: list[bool]) -> float:
    ranks = [rank for rank, right in enumerate(ranking, 1) if right]
    return float(np.mean([number / rank for number, rank in enumerate(ranks, 1)]))


@pytest.fixture(scope="module")
def brute(photos: Path) -> Brute:
    return Brute(photos)


# Its results


def test_recall_of_each_edit_is_that_of_brute_force(comparison: Comparison, brute: Brute) -> None:
    found = comparison.models[0]
    assert [copy.distortion for copy in found.copies] == list(EDITS)
    expected = [(brute.recall(kind, 1), brute.recall(kind, 10)) for kind in range(len(EDITS))]
    for copy, numbers in zip(found.copies, expected, strict=True):
        assert (copy.recall_at_1, copy.recall_at_10) == pytest.approx(numbers)
    assert len({numbers for numbers in expected if 0 < numbers[0] < 1}) >= 2  # or else it would prove little
    assert found.recall_at_1 == pytest.approx(np.mean([at_1 for at_1, _ in expected]))
    assert found.recall_at_10 == pytest.approx(np.mean([at_10 for _, at_10 in expected]))


def test_precision_is_that_of_brute_force_without_the_query_itself(comparison: Comparison, brute: Brute) -> None:
    found, rankings = comparison.models[0], brute.rankings()
    assert len(rankings) == 30
    assert found.precision_at_1 == pytest.approx(np.mean([ranking[0] for ranking in rankings]))
    assert found.precision_at_10 == pytest.approx(np.mean([np.mean(ranking[:10]) for ranking in rankings]))
    assert found.mean_average_precision == pytest.approx(np.mean([average_precision(each) for each in rankings]))


def test_a_model_that_sees_no_difference_finds_the_original_by_chance(comparison: Comparison) -> None:
    found = comparison.models[1]
    assert (found.model, found.precision, found.dim) == ("blind", "bf16", 3)
    assert (found.recall_at_1, found.recall_at_10) == pytest.approx((1 / PICTURES, 10 / PICTURES))


def test_unusable_images_and_duplicates_are_left_out_and_reported(comparison: Comparison, photos: Path) -> None:
    assert (comparison.files, comparison.images, comparison.labels) == (PICTURES + 5, PICTURES, 2)
    assert comparison.duplicates == 3
    assert comparison.skipped == (Skipped(photos / "broken.png", "truncated"),)
    assert {model.images for model in comparison.models} == {PICTURES}


def test_a_model_that_is_named_twice_is_measured_once(comparison: Comparison) -> None:
    assert [(model.model, model.precision) for model in comparison.models] == [("colours", "f32"), ("blind", "bf16")]


def test_the_memory_is_that_of_a_process_of_its_own(comparison: Comparison) -> None:
    for model in comparison.models:
        assert 50_000_000 < model.memory_bytes < BALLAST * 0.7
        assert model.loading_seconds > 0
        assert model.images_per_second > 0


def test_progress_goes_on_steadily_to_the_end(comparison: Comparison, seen: list[ComparisonProgress]) -> None:
    """50 files are read, and then taken twice by each of two models."""
    assert comparison.images
    counting, working = [each for each in seen if not each.total], [each for each in seen if each.total]
    assert counting[-1].files == 50
    assert {each.total for each in working} == {50 * 5}
    assert [each.done for each in working] == sorted(each.done for each in working)
    assert working[-1].done == 50 * 5
    assert list(dict.fromkeys(each.model for each in working)) == ["", "colours", "blind"]


def test_it_can_be_written_as_json(comparison: Comparison) -> None:
    facts = json.loads(json.dumps(asdict(comparison), default=str, allow_nan=False))
    assert facts["models"][0]["copies"][0]["distortion"] == "cropped"


# One model, in this process


def task(photos: Path, model: str = "colours", **changes: object) -> Task:
    files = [found for found in Folder(photos, base=photos).files() if found.path.suffix == ".png"]
    usable = tuple(found for found in files if found.path.stem != "broken")
    return replace(Task(model, "f32", usable, (None,) * len(usable), threads=2), **changes)  # type: ignore[arg-type]


def test_without_labels_there_is_no_precision(photos: Path) -> None:
    found = measure_model(task(photos), lambda _: None)
    assert (found.precision_at_1, found.precision_at_10, found.mean_average_precision) == (None, None, None)
    assert found.recall_at_1 > 0


def test_many_pictures_are_compared_a_few_at_a_time(
    photos: Path, comparison: Comparison, brute: Brute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_SCORES", 7 * PICTURES + 3)
    found = measure_model(task(photos, labels=tuple(brute.labels)), lambda _: None)
    expected = comparison.models[0]
    assert found.copies == expected.copies
    assert found.mean_average_precision == pytest.approx(expected.mean_average_precision)


def test_images_without_a_usable_vector_are_left_out(photos: Path) -> None:
    bright = [seed for seed in range(PICTURES) if picture(seed).mean() > 126.5]
    found = measure_model(task(photos, "picky"), lambda _: None)
    assert 2 <= found.images <= len(bright) < PICTURES


def test_a_model_without_any_usable_vectors_is_refused(tmp_path: Path) -> None:
    for number in range(3):
        decode.thumbnail(np.full((9 + number, 9, 3), number, np.uint8), 99).save(tmp_path / f"{number}.png")
    with pytest.raises(ModelError, match="picky: it makes usable vectors of 0 of 3 images"):
        measure_model(task(tmp_path, "picky"), lambda _: None)


def test_equal_scores_come_in_any_order() -> None:
    scores = np.array([[0.9, 0.5, 0.5, 0.5, 0.1]])
    for wanted, chances in {0: (1, 1, 1), 1: (0, 1 / 3, 1), 4: (0, 0, 0)}.items():
        found = [float(chance_within(k, scores, np.array([wanted]))[0]) for k in (1, 2, 4)]
        assert found == pytest.approx(chances)


def test_scores_that_differ_by_rounding_are_equal() -> None:
    scores = np.array([[0.5, 0.5 + 1e-12], [0.5, 0.5 + 1e-7]])
    assert chance_within(1, scores, np.array([0, 0])).tolist() == [0.5, 0.0]


# Refusals


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        ([], {}, "no model is named"),
        (["sight"], {}, "there is no model 'sight'"),
        (["colours:int8"], {}, "precision 'int8': colours comes in"),
        (["colours"], {"precision": "f8"}, "precision 'f8'"),
        (["colours"], {"sample": 1}, "sample=1"),
        (["colours"], {"threads": 0}, "threads=0"),
    ],
)
def test_wrong_arguments_are_refused_at_once(
    photos: Path, models: list[str], options: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        compare(models, photos, **options)  # type: ignore[arg-type]


def test_fewer_than_two_pictures_are_refused(tmp_path: Path) -> None:
    for name in ("one.png", "same.png", "broken.png"):
        draw(tmp_path / name, 1)
    (tmp_path / "broken.png").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="of 3 files drawn, 1 can be compared"):
        compare(["colours"], tmp_path)
    with pytest.raises(UsageError, match="there is no such folder"):
        compare(["colours"], tmp_path / "nowhere")


def test_a_damaged_model_is_refused_from_the_other_process(photos: Path) -> None:
    save("damaged", colours, 25)
    with (registry.folder() / "damaged" / "model.bin").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match=r"model\.bin: this is not what was imported"):
        compare(["damaged"], photos, sample=4)


# Its table


def of_model(model: str, recall: float, *, precision: float | None, speed: float, megabytes: int) -> ComparedModel:
    found = tuple(CopyRecall(name, recall, 1.0) for name in EDITS)
    return ComparedModel(
        model=model,
        precision="f32",
        dim=64,
        images=500,
        copies=found,
        recall_at_1=recall,
        recall_at_10=1.0,
        beyond_chance=recall / 2,
        precision_at_1=precision,
        precision_at_10=precision,
        mean_average_precision=precision,
        images_per_second=speed,
        loading_seconds=1.0,
        memory_bytes=megabytes * 1_000_000,
    )


A = of_model("a", 0.9, precision=0.70001, speed=1234.5, megabytes=300)
B = of_model("b", 0.8, precision=0.70002, speed=99.6, megabytes=200)
BOTH = Comparison(1000, 500, 3, 2, (Skipped(Path("x.jpg"), "truncated"),), (A, B))


def test_the_best_of_each_column_has_a_mark_where_not_all_are_the_same() -> None:
    upper, lower, first, second = (" ".join(line.split()) for line in lines(BOTH)[:4])
    assert upper == "recall recall beyond cropped mirrored shrunk recoloured precision precision images memory"
    assert lower == "model dim @1 @10 chance @1 @1 @1 @1 @1 @10 mAP per s in MB"
    assert first == "a f32 64 0.900* 1.000 0.450* 0.900* 0.900* 0.900* 0.900* 0.700 0.700 0.700 1,234* 300"
    assert second == "b f32 64 0.800 1.000 0.400 0.800 0.800 0.800 0.800 0.700 0.700 0.700 100 200*"


def test_the_notes_say_what_was_measured() -> None:
    text = "\n".join(lines(BOTH))
    assert "On 500 of 1,000 images, without 2 that look the same and 1 unusable." in text
    assert "one of 3;" in text
    assert "* the best, if by little: one image of 500 is 0.002." in text


def test_one_model_without_labels_has_neither_marks_nor_precision() -> None:
    alone = replace(A, precision_at_1=None, precision_at_10=None, mean_average_precision=None)
    text = "\n".join(lines(replace(BOTH, models=(alone,))))
    assert "*" not in text
    assert "precision" not in text
    assert "mAP" not in text
    assert "0.900" in text
    assert "beyond chance: how often" in text
    assert "beyond" not in "\n".join(lines(replace(BOTH, models=(replace(alone, beyond_chance=None),))))


@pytest.mark.parametrize("width", [200, 60])
def test_every_number_is_there_whole_however_narrow_the_terminal_is(width: int) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width)
    print_comparison(BOTH, screen)
    assert isinstance(screen.file, io.StringIO)
    shown = screen.file.getvalue()
    assert all(len(line) <= width for line in shown.splitlines())
    for number in ("0.900*", "0.800", "0.700", "1,234*", "200*"):
        assert number in shown.split()
    assert ("recall @10" in shown) == (width == 60)


def test_what_is_no_terminal_gets_plain_lines() -> None:
    paper = Console(file=io.StringIO(), width=20)
    print_comparison(BOTH, paper)
    assert isinstance(paper.file, io.StringIO)
    assert paper.file.getvalue() == "".join(f"{line}\n" for line in lines(BOTH))


# Chance


def test_a_copy_is_beyond_chance_if_it_is_nearer_to_its_original_than_images_are() -> None:
    gallery = directions(200, 1, 64).astype(np.float16)
    noise = np.random.default_rng(2).normal(size=(200, 4, 64)).astype(np.float32) / 8
    near = unit((gallery[:, None].astype(np.float32) + 0.2 * noise).reshape(-1, 64)).reshape(200, 4, 64)
    far = directions(800, 3, 64).reshape(200, 4, 64)
    assert _beyond_chance(gallery, near) == 1.0
    assert (_beyond_chance(gallery, far) or 0.0) < 0.01
    assert _beyond_chance(gallery, np.concatenate([near[:, :2], far[:, 2:]], axis=1)) == pytest.approx(0.5, abs=0.01)
    assert _beyond_chance(gallery[:99], near[:99]) is None  # of too few nobody can tell

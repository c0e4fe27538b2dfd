"""Arguments of the public functions that people pass: they work, or a UsageError says what to give."""

import array
import io
import mmap
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike import Collection, Matches, Preprocessing, Term, Where, encoders, importers
from lookalike.collection.plan import plan
from lookalike.encoders import registry
from lookalike.errors import ImageError, LookalikeError, UsageError
from lookalike.evaluation.model_comparison import compare
from tests.support.pictures import ColourEncoder, picture


class Named:
    """An object that stands for a path, as bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> bytes:
        return os.fsencode(self._path)


class Reader:
    """What can only be read."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytearray:
        return bytearray(self._file.read(size))


def mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


IMAGES: dict[str, Callable[[Path], Any]] = {
    "text": str,
    "text of NumPy": lambda path: np.str_(path),
    "an object that stands for a path": Named,
    "bytes": Path.read_bytes,
    "a bytearray": lambda path: bytearray(path.read_bytes()),
    "a memoryview": lambda path: memoryview(path.read_bytes()),
    "a file": lambda path: path.open("rb"),
    "a mapped file": mapped,
    "what can only be read": lambda path: Reader(path.read_bytes()),
    "an image": Image.open,
    "an array": lambda path: np.asarray(Image.open(path)),
    "a read-only array": lambda path: np.frombuffer(Image.open(path).tobytes(), np.uint8).reshape(picture(0).shape),
}
NO_IMAGES: list[Any] = [
    *("", "a\0b", "a\ud800b", None, 5, True, ["a.jpg"], {"a.jpg": 1}, io.StringIO("text"), array.array("B", b"image")),
    *(np.zeros((8, 8, 3)), np.zeros((8, 8, 4), np.uint8), np.zeros((0, 8, 3), np.uint8), np.zeros(8, np.uint8)),
]


def ids(found: Matches) -> list[int]:
    return [match.id for match in found]


@pytest.fixture
def image(folder: Path) -> Path:
    return folder / "00.png"


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_is_given_in_many_ways(photos: Collection, image: Path, kind: str) -> None:
    make, expected = IMAGES[kind], ids(photos.search(image))
    assert ids(photos.search(make(image))) == expected
    assert ids(photos.search(image, plus=[make(image)])) == expected
    assert [ids(found) for found in photos.search_many([make(image), make(image)])] == [expected] * 2
    assert ids(photos.search_terms([Term(make(image), weight=np.float64(2))])) == expected
    assert np.array_equal(photos.embed(make(image)), photos.embed(image))


@pytest.mark.parametrize("value", NO_IMAGES, ids=lambda value: type(value).__name__)
def test_what_is_no_image_is_refused_everywhere(photos: Collection, image: Path, value: Any) -> None:
    for search in (
        lambda: photos.search(value),
        lambda: photos.search(image, minus=[value]),
        lambda: photos.search_many([value]),
        lambda: photos.search_terms([Term(value)]),
        lambda: photos.embed(value),
    ):
        with pytest.raises(LookalikeError):
            search()
    with pytest.raises(UsageError):
        photos.search(value)


def test_a_folder_is_no_image(photos: Collection, folder: Path) -> None:
    with pytest.raises(ImageError, match=f"^{folder}: is a directory; give the file of an image$"):
        photos.search(folder)


def test_a_buffer_that_changes_later_is_shown_as_it_was(photos: Collection, image: Path) -> None:
    buffer = bytearray(image.read_bytes())
    [found] = photos.search_many([buffer])
    buffer.clear()
    assert found.queries == (image.read_bytes(),)


def test_an_array_of_several_images_is_a_list_of_them(photos: Collection) -> None:
    several = np.stack([picture(3), picture(4)])
    assert [found[0].key for found in photos.search_many(several)] == ["03.png", "cats/04.png"]
    grey = several.mean(axis=3).astype(np.uint8)
    assert len(photos.search_many(grey)) == 2
    names = np.array([str(photos.folder / "03.png")] * 2)
    assert [found[0].key for found in photos.search_many(names)] == ["03.png"] * 2


@pytest.mark.parametrize("shape", [(8, 8, 3), (8, 8), (8,), ()])
def test_one_array_of_an_image_is_no_list(photos: Collection, shape: tuple[int, ...]) -> None:
    one: Any = np.zeros(shape, np.uint8)
    with pytest.raises(
        UsageError, match=r"queries: expected a list of images, got one array of shape .*; give \[array\]"
    ):
        photos.search_many(one)
    with pytest.raises(UsageError, match="plus: expected a list of images"):
        photos.search(picture(1), plus=one)


def test_a_single_value_is_no_list_of_images(photos: Collection, image: Path) -> None:
    singles: list[Any] = [
        str(image),
        image,
        image.read_bytes(),
        bytearray(b"x"),
        Image.new("RGB", (8, 8)),
        io.BytesIO(b"x"),
        None,
        {},
    ]
    for one in singles:
        with pytest.raises(UsageError, match="queries: expected a list, got the single value"):
            photos.search_many(one)
        with pytest.raises(UsageError, match="minus: expected a list, got the single value"):
            photos.search(image, minus=one)


def test_generators_are_lists_and_empty_lists_are_nothing(photos: Collection, image: Path) -> None:
    expected = ids(photos.search(image))
    assert [ids(found) for found in photos.search_many(path for path in [image])] == [expected]
    assert ids(photos.search(image, plus=iter([]), minus=())) == expected  # type: ignore[arg-type]
    found = photos.search_terms(Term(path) for path in [image, image])  # type: ignore[arg-type]
    assert ids(found) == expected
    assert len(found.queries) == 2
    assert photos.search_many([]) == photos.search_many(iter(())) == []
    assert photos.remove(iter(())) == photos.remove([]) == 0


@pytest.mark.parametrize("terms", [None, "text", Term(text="a"), ["a.jpg"], [None], [("a.jpg", 1)]])
def test_terms_are_a_list_of_terms(photos: Collection, terms: Any) -> None:
    with pytest.raises(UsageError, match="terms: "):
        photos.search_terms(terms)


@pytest.mark.parametrize("weight", ["2", None, True, float("nan"), float("inf"), 10**400, 1j, 0, [1]])
def test_a_weight_is_a_finite_number_but_not_0(weight: Any) -> None:
    with pytest.raises(UsageError, match="weight="):
        Term("a.jpg", weight=weight)


def test_large_weights_do_not_overflow(photos: Collection) -> None:
    images = photos.folder / "00.png", photos.folder / "03.png"
    expected = photos.search_terms([Term(image) for image in images])
    assert photos.search_terms([Term(image, weight=1e308) for image in images]) == expected
    assert photos.search_terms([Term(image, weight=1e-308) for image in images]) == expected


@pytest.mark.parametrize("text", [b"a cat", 5, ["a cat"]])
def test_a_text_is_text(photos: Collection, text: Any) -> None:
    for search in (photos.search_text, photos.embed_text, lambda text: Term(text=text)):
        with pytest.raises(UsageError, match=r"text=.*: give text"):
            search(text)


@pytest.mark.parametrize("number", [np.int64(5), np.uint8(5), np.array(5)])
def test_an_id_may_be_a_number_of_numpy(photos: Collection, number: Any) -> None:
    assert photos.search_id(number) == photos.search_id(5)


@pytest.mark.parametrize("number", ["1", 1.0, True, None, [1], b"1"])
def test_an_id_that_is_no_whole_number_is_refused(photos: Collection, number: Any) -> None:
    with pytest.raises(UsageError, match=r"image_id=.*: give a whole number"):
        photos.search_id(number)


@pytest.mark.parametrize("number", [0, -1, 13, 2**63, 2**70, np.uint64(2**64 - 1)])
def test_an_id_of_no_image_is_named(photos: Collection, number: Any) -> None:
    with pytest.raises(UsageError, match=f"there is no image with the id {int(number)}"):
        photos.search_id(number)


@pytest.mark.parametrize(
    "make",
    [
        lambda vector: vector,
        lambda vector: vector[0],
        lambda vector: vector[0].tolist(),
        lambda vector: tuple(vector[0]),
        lambda vector: vector[0].astype(np.float64),
        lambda vector: np.asfortranarray(vector),
    ],
)
def test_a_vector_is_given_in_many_ways(photos: Collection, image: Path, make: Callable[[Any], Any]) -> None:
    assert ids(photos.search_vector(make(photos.embed(image)))) == ids(photos.search(image))


def test_a_vector_may_be_of_half_precision_or_of_integers(photos: Collection, image: Path) -> None:
    vector = photos.embed(image)[0]
    assert photos.search_vector(vector.astype(np.float16))[0].path == image
    assert photos.search_vector((vector * 1000).astype(np.int16))[0].path == image


@pytest.mark.parametrize(
    "vector", [None, "abc", [[1.0], [1.0, 2.0]], {}, iter([1.0]), ["1"] * 25, [None] * 25, [1j] * 25]
)
def test_what_is_no_vector_is_refused(photos: Collection, vector: Any) -> None:
    with pytest.raises(UsageError, match="vector"):
        photos.search_vector(vector)


@pytest.mark.parametrize("where", [{"label": "cats"}, "cats", 5])
def test_a_filter_to_count_by_is_a_where(photos: Collection, where: Any) -> None:
    with pytest.raises(UsageError, match=r"where=.*: give a filter"):
        photos.count(where)


@pytest.mark.parametrize("attributes", ["price=3", ["price=3"], 5])
def test_attributes_are_a_dict(attributes: Any) -> None:
    with pytest.raises(UsageError, match=r"attributes=.*: give a dict"):
        Where(attributes=attributes)


NO_COUNTS: list[Any] = ["2", 2.0, True, [2], 0, -1]


@pytest.mark.parametrize("count", NO_COUNTS)
def test_numbers_of_threads_queries_and_files_are_whole(photos: Collection, folder: Path, count: Any) -> None:
    calls: dict[str, Callable[[], object]] = {
        "threads": lambda: photos.add(folder, threads=count),
        "queries": lambda: photos.evaluate(queries=count),
        "sample": lambda: plan(folder, sample=count),
        "threads ": lambda: plan(folder, threads=count),
        " threads": lambda: lookalike.reindex(folder, encoder=ColourEncoder("other"), threads=count),
        "threads  ": lambda: encoders.load(threads=count),
        " sample": lambda: compare([encoders.BUNDLED], folder, sample=count),
        "size": lambda: Preprocessing(size=count),
    }
    for name, call in calls.items():
        with pytest.raises(UsageError, match=f"{name.strip()}=.*: give (a whole number|at least [12])"):
            call()


def test_numbers_of_threads_and_queries_may_be_of_numpy(photos: Collection, folder: Path) -> None:
    assert photos.add(folder, threads=np.int64(2)).unchanged == 12  # type: ignore[arg-type]
    assert photos.evaluate(queries=np.int32(5)).queries == 5  # type: ignore[arg-type]
    assert encoders.load(threads=np.int8(1)).dim == 1280  # type: ignore[arg-type]
    assert Preprocessing(size=np.int64(224)) == Preprocessing(224)  # type: ignore[arg-type]


NO_PATHS: list[Any] = ["", "a\0b", "a\ud800b", b"photos", None, 5, True]


@pytest.mark.parametrize("path", NO_PATHS)
def test_what_is_no_path_is_refused_everywhere(photos: Collection, folder: Path, path: Any) -> None:
    for call in (
        lambda: lookalike.open(path),
        lambda: lookalike.create(path),
        lambda: lookalike.create(folder, directory=path or ""),
        lambda: lookalike.reindex(path),
        lambda: plan(path),
        lambda: compare([encoders.BUNDLED], path),
        lambda: photos.add(path),
        lambda: photos.add([path]),
        lambda: photos.remove([path]),
        lambda: photos.annotate(path),
        lambda: importers.inspect(path),
    ):
        with pytest.raises(UsageError, match=r"give a path|expected a list"):
            call()
    assert len(photos) == 12


def test_objects_that_stand_for_paths_work_everywhere(photos: Collection, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("path,price\nphotos/00.png,3\n")
    assert len(lookalike.open(Named(folder), encoder=ColourEncoder())) == 12  # type: ignore[arg-type]
    assert photos.add(Named(folder)).unchanged == 12  # type: ignore[arg-type]
    assert photos.add(Named(path) for path in [folder / "00.png"]).unchanged == 1  # type: ignore[misc]
    assert photos.annotate(Named(tmp_path / "prices.csv")).images == 1  # type: ignore[arg-type]
    assert photos.remove([Named(folder / "00.png")]) == 1  # type: ignore[list-item]
    other = tmp_path / "other"
    other.mkdir()
    assert lookalike.create(Named(other), directory=Named(tmp_path / "its")).directory == tmp_path / "its"  # type: ignore[arg-type]


def test_a_folder_in_a_list_of_files_is_refused(photos: Collection, folder: Path) -> None:
    with pytest.raises(UsageError, match=f"{folder / 'cats'}: a folder in a list of files; add each folder"):
        photos.add([folder / "00.png", folder / "cats"])


def test_one_source_is_no_list_of_sources(photos: Collection, folder: Path) -> None:
    with pytest.raises(UsageError, match="sources: expected a list, got the single value"):
        lookalike.reindex(folder, str(folder), encoder=ColourEncoder("other"))


def test_an_empty_path_is_not_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for call in (lookalike.create, lookalike.open):
        with pytest.raises(UsageError, match="give a path"):
            call("")
    assert not (folder / ".lookalike").exists()


@pytest.mark.parametrize("device", ["gpu", "", None, 0, b"cpu"])
def test_a_device_is_checked_before_anything_is_made(folder: Path, device: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: lookalike.create(folder, device=device),
        lambda: plan(folder, device=device),
        lambda: encoders.load(device=device),
    ]
    for call in calls:
        with pytest.raises(UsageError, match=r"device .*: give auto, cpu, cuda, cuda:1 and so on, or mps"):
            call()
    assert not (folder / ".lookalike").exists()
    lookalike.create(folder)
    for use in (lookalike.open, lookalike.reindex):
        with pytest.raises(UsageError, match=r"device .*: give auto"):
            use(folder, device=device)


@pytest.mark.parametrize("name", [5, None, b"clip", Path("clip"), ["clip"], ""])
def test_what_cannot_be_a_model_is_no_model(folder: Path, name: Any) -> None:
    for call in (encoders.load, encoders.load_text, encoders.card, registry.read, registry.remove):
        with pytest.raises(UsageError, match=r"there is no (imported )?model"):
            call(name)
    if name:
        with pytest.raises(UsageError, match=r"model=.*: give text"):
            lookalike.create(folder, model=name)
        with pytest.raises(UsageError, match=r"precision=.*: give text"):
            lookalike.create(folder, precision=name)


@pytest.mark.parametrize("policies", [5, None, {}, lookalike.TuningPolicy()])
def test_policies_are_policies(folder: Path, policies: Any) -> None:
    with pytest.raises(UsageError, match=r"policies=.*: give lookalike.Policies\(...\)"):
        lookalike.create(folder, policies=policies)
    assert not (folder / ".lookalike").exists()


def test_other_arguments_of_building_and_importing_are_checked(photos: Collection) -> None:
    wrong: Any = 5
    with pytest.raises(UsageError, match="spec=5: give text"):
        photos.build(spec=wrong)
    with pytest.raises(UsageError, match="recall='1': give a number"):
        photos.build(recall="1")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="source=5: give text"):
        importers.import_model(wrong)
    with pytest.raises(UsageError, match=r"options=5: give lookalike.importers.ImportOptions"):
        importers.import_model("a.onnx", options=wrong)
    with pytest.raises(LookalikeError, match=r"a.onnx: there is no such file"):
        importers.import_model(Path("a.onnx"))
    with pytest.raises(UsageError, match="models: expected a list"):
        compare(encoders.BUNDLED, photos.folder)
    with pytest.raises(UsageError, match="pixels: list; give an array"):
        encoders.load().encode([[1]])  # type: ignore[arg-type]


def test_no_argument_at_random_raises_anything_else(photos: Collection, folder: Path) -> None:
    """Whatever is passed, a call works or raises a LookalikeError."""
    values: list[Any] = [
        *NO_IMAGES,
        *NO_PATHS,
        *NO_COUNTS,
        np.int64(2),
        Where(),
        folder,
        [folder],
        float("nan"),
        b"",
        object(),
    ]
    calls: list[Callable[[Any], object]] = [
        *(photos.search, photos.search_many, photos.search_terms, photos.search_id, photos.search_vector),
        *(photos.search_text, photos.embed, photos.count, photos.remove, photos.annotate, lookalike.open, Term),
        lambda value: photos.search(picture(0), k=value),
        lambda value: photos.search(picture(0), min_score=value),
        lambda value: photos.search(picture(0), where=value),
        lambda value: photos.search(picture(0), exact=value),
        lambda value: photos.search(picture(0), recall=value),
        lambda value: photos.search(picture(0), plus=value),
        lambda value: photos.add(folder, threads=value),
        lambda value: photos.build(memory=value),
        lambda value: photos.build(spec=value),
        lambda value: photos.evaluate(queries=value),
        lambda value: lookalike.open(folder, model=value),
        lambda value: lookalike.open(folder, precision=value),
        lambda value: lookalike.open(folder, device=value),
        lambda value: lookalike.open(folder, encoder=value),
        lambda value: Where(label=value, under=value, ids=value, attributes=value),
    ]
    random.Random(0).shuffle(values)
    for call in calls:
        for value in values:
            try:
                call(value)
            except LookalikeError:
                continue

"""Collections in several processes: forked children, and copies that pickle makes in other processes."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lookalike
from lookalike import Collection
from lookalike.demo import write_gallery
from lookalike.errors import NoCollectionError, UsageError
from tests.support.forked_programs import Program, be_code
from tests.support.pictures import ColourEncoder
from tests.support.project import environment
from tests.support.small_policies import small_policies

FIRST_LINES = """
import sys, threading
from pathlib import Path
import lookalike
from lookalike import encoders
from tests.support.forked_children import answer_of_child, end_of_child
from tests.support.small_policies import small_policies

folder = Path(sys.argv[1])
files = sorted(folder.rglob("*.jpg"))
photos = lookalike.open(folder, policies=small_policies(dim=1280))

def ids():
    return [[match.id for match in matches] for matches in photos.search_many(files, k=3)]
"""


class Unpicklable(ColourEncoder):
    """An encoder that holds what cannot be pickled."""

    def __init__(self) -> None:
        super().__init__()
        self.network = lambda pixels: pixels


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 36 images of 12 kinds, indexed with the bundled model: enough for FAISS to use all threads."""
    folder = tmp_path_factory.mktemp("gallery").resolve()
    write_gallery(folder, per_kind=3)
    with lookalike.create(folder) as collection:
        collection.add(folder)
    return folder


def printed(program: str, folder: Path, *arguments: str) -> list[str]:
    """The lines that a process of its own prints; its children have 20 seconds each."""
    with Program(be_code, FIRST_LINES + program, str(folder), *arguments) as started:
        lines = started.stdout.read().splitlines()
        assert started.wait(150) == 0, started.stderr.read()
    return lines


def printed_by_python(program: str, folder: Path) -> list[str]:
    """The same of a process that Python itself has started, and whose children end as Python ends."""
    command = [sys.executable, "-W", "ignore", "-c", FIRST_LINES + program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, env=environment())
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_forked_child_answers_as_its_parent(gallery: Path) -> None:
    program = """
works = [
    lambda: [match.id for match in photos.search(files[0])],
    ids,
    lambda: [match.id for match in photos.search_id(5)],
    lambda: photos.evaluate(queries=36).precision_at_1,
    lambda: photos.embed(files[0]).tobytes()[:64],
    photos.check,
]
ids(), photos.evaluate()
for work in works:
    print(work())
    print(answer_of_child(work))
"""
    lines = printed(program, gallery)
    assert len(lines) == 12
    assert lines[1::2] == lines[::2]


def test_a_forked_child_searches_and_builds_an_index(gallery: Path) -> None:
    program = """
for spec in sys.argv[2:]:
    photos.build(spec=spec)
    print(ids())
    print(answer_of_child(ids))
    print(answer_of_child(lambda: photos.build(spec=spec).spec))
    print(ids())
"""
    specs = ["IVF4,PQ16x4fs", "IVF4_HNSW8,SQ8", "HNSW16,SQ8"]
    lines = printed(program, gallery, *specs)
    assert lines[2::4] == specs
    assert lines[0::4] == lines[1::4] == lines[3::4]


def test_a_forked_child_adds_and_removes_images(gallery: Path) -> None:
    program = """
ids()
print(answer_of_child(lambda: (photos.remove([files[0]]), len(photos))), len(photos))
print(answer_of_child(lambda: photos.add(folder).added), len(photos))
print(photos.search(files[0], k=1)[0].path == files[0])
"""
    assert printed(program, gallery) == ["(1, 35) 35", "1 36", "True"]


def test_a_child_that_was_forked_right_after_creating_indexes(gallery: Path, tmp_path: Path) -> None:
    program = f"""
photos = lookalike.create({str(tmp_path)!r})
print(answer_of_child(lambda: (photos.add(files).added, len(ids()))))
"""
    assert printed(program, gallery) == ["(36, 36)"]


def test_a_forked_child_ends_quietly(gallery: Path) -> None:
    """The destructors of OpenVINO would wait for its threads, or abort the process."""
    program = """
ids(), photos.evaluate()
works = [lambda: None, ids, photos.close, lambda: globals().update(photos=None), lambda: photos.add(folder)]
print([end_of_child(work) for work in works])
"""
    assert printed_by_python(program, gallery) == ["[0, 0, 0, 0, 0]"]


def test_children_of_a_busy_parent_do_not_wait_for_its_locks(gallery: Path) -> None:
    program = """
ended = False

def search():
    while not ended:
        photos.search(files[0]), photos.search_id(2), photos.count(lookalike.Where(label="mug"))

def open_anew():
    while not ended:
        with lookalike.open(folder) as opened:
            opened.search(files[0])

threads = [threading.Thread(target=work) for work in (search, search, open_anew)]
expected = str(ids())
for thread in threads:
    thread.start()
answers = [answer_of_child(ids) for _ in range(2)]
ended = True
for thread in threads:
    thread.join()
print([answer if answer != expected else True for answer in answers])
"""
    assert printed(program, gallery) == [str([True] * 2)]


def test_a_child_loads_the_encoder_of_a_collection_that_its_parent_has_closed(gallery: Path) -> None:
    """OpenVINO would give it the threads of the parent's, which are not there."""
    program = """
import gc

def search():
    with lookalike.open(folder) as opened:
        return [match.id for match in opened.search(files[0])]

photos = None
expected = str(search())
for _ in range(2):
    gc.collect()
    print(answer_of_child(lambda: (search(), gc.collect(), answer_of_child(search) == expected)[2]))
    print(str(search()) == expected)
"""
    assert printed(program, gallery) == ["True"] * 4


def test_threads_and_children_of_a_forked_child_search(gallery: Path) -> None:
    program = """
def in_threads():
    found = []
    threads = [threading.Thread(target=lambda: found.append(ids() == expected)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found

expected = ids()
print(answer_of_child(in_threads))
print(answer_of_child(lambda: answer_of_child(lambda: ids() == expected)))
"""
    assert printed(program, gallery) == ["[True, True, True]", "True"]


def test_a_child_forked_from_a_thread_searches(gallery: Path) -> None:
    program = """
answers = []
thread = threading.Thread(target=lambda: answers.extend([str(ids()), answer_of_child(ids)]))
thread.start()
thread.join()
print(answers[0] == answers[1])
"""
    assert printed(program, gallery) == ["True"]


def test_a_pool_of_forked_processes_searches(gallery: Path) -> None:
    program = """
import multiprocessing

def best(file):
    return photos.search(file, k=1)[0].path == file

best(files[0])
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map_async(best, files[:6]).get(20))
"""
    assert printed(program, gallery) == [str([True] * 6)]


def test_an_encoder_works_in_a_forked_child(gallery: Path) -> None:
    program = """
import numpy as np

encoder = encoders.load(threads=2)
pixels = np.random.default_rng(0).integers(0, 255, (4, 224, 224, 3)).astype(np.uint8)
expected = encoder.encode(pixels)
print(answer_of_child(lambda: np.array_equal(encoder.encode(pixels), expected)))
print(np.array_equal(encoder.encode(pixels), expected))
"""
    assert printed(program, gallery) == ["True", "True"]


def test_a_forked_child_searches_by_text(gallery: Path, tmp_path: Path) -> None:
    program = f"""
import os
from tests.support import tiny_models

os.environ["LOOKALIKE_MODELS"] = {str(tmp_path / "models")!r}
tiny_models.save("colours", words={{"red": 0, "green": 1, "blue": 2}})
photos = lookalike.create({str(tmp_path)!r}, model="colours")
photos.add(files)

def red():
    return [match.id for match in photos.search_text("red")]

print(red())
print(answer_of_child(red))
"""
    pytest.importorskip("tokenizers")
    parent, child = printed(program, gallery)
    assert child == parent


def test_an_encoder_of_pytorch_is_refused_in_a_forked_child(gallery: Path) -> None:
    """Its worker thread, and the GPU, are in the parent only."""
    program = """
import numpy as np
from lookalike.encoders import bundled
from lookalike.encoders.torch.image_encoder import TorchEncoder

encoder = TorchEncoder(encoders.card(precision="f32"), bundled.graph("f32"), device="cpu")
pixels = np.zeros((1, 224, 224, 3), np.uint8)
print(encoder.encode(pixels).shape)
print(answer_of_child(lambda: encoder.encode(pixels)))
print(end_of_child(lambda: globals().update(encoder=None)))
"""
    pytest.importorskip("torch")
    shape, child, end = printed_by_python(program, gallery)
    assert shape == "(1, 1280)"
    assert child == (
        "UsageError: this encoder was loaded in another process; load it, or open the collection, in each one"
    )
    assert end == "0"


def test_a_pool_of_new_processes_gets_the_collection_by_pickle(gallery: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(f"""
import multiprocessing
from functools import partial
from pathlib import Path
import lookalike

def best(photos, file):
    return photos.search(file, k=1)[0].path == file

if __name__ == "__main__":
    folder = Path({str(gallery)!r})
    files = sorted(folder.rglob("*.jpg"))[:4]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map_async(partial(best, lookalike.open(folder)), files).get(100))
""")
    command = [sys.executable, str(tmp_path / "program.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, env=environment())
    assert (done.stdout, done.stderr) == (f"{[True] * 4}\n", "")


def copied(collection: Collection) -> Collection:
    copy: Collection = pickle.loads(pickle.dumps(collection))
    return copy


def test_a_pickled_collection_is_opened_with_its_options(folder: Path) -> None:
    policies = small_policies(exact=7)
    with lookalike.create(folder, encoder=ColourEncoder(), device="cpu", policies=policies) as collection:
        collection.add(folder)
        copy = copied(collection)
        assert copy.directory == collection.directory
        assert copy._policies == policies
        assert copy._encoder.pickled()[1] == "cpu"
        assert [match.id for match in copy.search_id(1)] == [match.id for match in collection.search_id(1)]


def test_a_pickled_collection_has_its_encoder_object(photos: Collection, folder: Path) -> None:
    path = folder / "00.png"
    assert copied(photos).search(path) == photos.search(path)


def test_a_pickled_collection_sees_what_was_committed_since(photos: Collection, folder: Path) -> None:
    data = pickle.dumps(photos)
    photos.remove([folder / "00.png"])
    assert len(pickle.loads(data)) == 11


def test_a_collection_that_is_gone_cannot_be_unpickled(folder: Path) -> None:
    data = pickle.dumps(lookalike.create(folder, encoder=ColourEncoder()))
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(NoCollectionError, match="there is no collection"):
        pickle.loads(data)


def test_an_encoder_that_cannot_be_pickled_is_named(folder: Path) -> None:
    encoder: Any = Unpicklable()
    collection = lookalike.create(folder, encoder=encoder)
    with pytest.raises(UsageError, match=r"cannot be pickled .* open the collection in each process") as caught:
        pickle.dumps(collection)
    assert [(hint.action, hint.arguments["path"]) for hint in caught.value.hints] == [
        ("open_with_encoder", str(folder))
    ]

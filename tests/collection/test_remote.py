"""Collections of images behind URLs: kept up to date, shown, and never asked for unless the user has named them."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import lookalike
from lookalike import Collection
from lookalike.errors import ImageError, UsageError
from lookalike.sources import remote
from lookalike.sources.remote import RemotePath
from lookalike.sources.shards import opened
from tests.support.commands import run
from tests.support.pictures import ColourEncoder, picture
from tests.support.shards import png, write_parquet, write_tar

pytestmark = pytest.mark.skipif(find_spec("fsspec") is None, reason="fsspec is not installed")
LAKE = "memory://lake"


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty file system in the memory, of which nothing has been named yet; changes are noticed at once."""
    import fsspec

    monkeypatch.setattr(remote, "_allowed", set())
    monkeypatch.setattr(opened, "_REMOTE_S", 0.0)
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


@pytest.fixture
def shards(memory: Any, tmp_path: Path) -> list[str]:
    """The URLs of an archive, a compressed one and, where it can be, a Parquet file, of eight pictures each."""
    write_tar(tmp_path / "0.tar", {f"cat/{number}.png": png(number) for number in range(8)})
    write_tar(tmp_path / "1.tar.gz", {f"{number}.png": png(number) for number in range(8, 16)}, "w:gz")
    names = ["0.tar", "1.tar.gz"]
    if find_spec("pyarrow"):
        write_parquet(tmp_path / "2.parquet", {"image": [png(number) for number in range(16, 24)]}, row_group_size=3)
        names.append("2.parquet")
    for name in names:
        memory.pipe_file(f"/lake/{name}", (tmp_path / name).read_bytes())
    return [f"{LAKE}/{name}" for name in names]


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    (tmp_path / "here").mkdir()
    return lookalike.create(tmp_path / "here", encoder=ColourEncoder())


def keys(collection: Collection) -> set[str]:
    return {image.key for image in collection.images()}


def test_images_of_shards_behind_urls_are_found_and_shown(shards: list[str], collection: Collection) -> None:
    assert collection.add(shards).added == 8 * len(shards)
    for number in range(8 * len(shards)):
        match = collection.search(png(number), k=1)[0]
        assert match.score > 0.999
        assert match.key.startswith(f"{shards[number // 8]}#")
        assert str(match.path) == match.key
        assert collection.original(match.id).data == png(number)
    assert collection.made_of.shards == tuple(shards)
    assert collection.update().unchanged == 8 * len(shards)
    assert collection.search(picture(3), k=1)[0].label == "cat"


def test_a_shard_that_is_written_anew_is_noticed(
    shards: list[str], collection: Collection, memory: Any, tmp_path: Path
) -> None:
    collection.add(shards[0])
    path = write_tar(tmp_path / "new.tar", {"cat/0.png": png(0), "cat/1.png": png(99)})
    memory.pipe_file("/lake/0.tar", path.read_bytes())
    report = collection.update()
    assert (report.updated, report.missing) == (1, 6)
    memory.rm("/lake/0.tar")
    assert collection.update().missing == 2
    assert len(collection) == 0
    memory.pipe_file("/lake/0.tar", (tmp_path / "0.tar").read_bytes())
    assert collection.update().returned == 8


def test_urls_with_numbers_and_stars(shards: list[str], collection: Collection) -> None:
    assert remote.expanded("memory://lake/{0..2}.x") == [f"memory://lake/{number}.x" for number in range(3)]
    assert remote.expanded("memory://a{08..10}/b{1..2}")[:3] == [
        "memory://a08/b1",
        "memory://a08/b2",
        "memory://a09/b1",
    ]
    assert remote.expanded("memory://lake/*.tar*") == shards[:2]
    assert collection.add("memory://lake/*.tar*").added == 16
    for url in ("memory://lake/{3..1}.tar", "memory://lake/{0..9999999}.tar", "memory://lake/x*.tar"):
        with pytest.raises(UsageError, match=r"stands for no numbers, or for too many|there is no such file"):
            remote.expanded(url)


def test_a_folder_behind_a_url(memory: Any, collection: Collection) -> None:
    for number in range(6):
        memory.pipe_file(f"/lake/photos/cat{number % 2}/{number}.png", png(number))
    memory.pipe_file("/lake/photos/.hidden/x.png", png(9))
    memory.pipe_file("/lake/photos/readme.txt", b"text")
    memory.pipe_file("/lake/photos/broken.png", b"no image")
    report = collection.add("memory://lake/photos")
    assert (report.added, [(str(skip.path), skip.reason) for skip in report.skipped]) == (
        6,
        [("memory://lake/photos/broken.png", "not an image")],
    )
    assert {image.label for image in collection.images()} == {"cat0", "cat1"}
    assert collection.made_of.folders == ("memory://lake/photos",)
    memory.rm("/lake/photos/cat0/0.png")
    memory.mv("/lake/photos/cat1/1.png", "/lake/photos/cat1/moved.png")
    report = collection.update()
    assert (report.missing, report.renamed, report.unchanged) == (1, 1, 4)
    assert "memory://lake/photos/cat1/moved.png" in keys(collection)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://lake/nothing", "name archives"),
        ("nothing://x/0.tar", "nothing is known of nothing://"),
        ("file:///etc/0.tar", "name a file here by its path"),
        ("memory://lake/a.png", "name archives"),
    ],
)
def test_urls_that_are_no_source(memory: Any, collection: Collection, url: str, message: str) -> None:
    memory.pipe_file("/lake/a.png", png(0))
    with pytest.raises(UsageError, match=message):
        collection.add(url)


def test_what_nobody_has_named_is_not_asked_for(
    shards: list[str], collection: Collection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A collection from a stranger may name any URL."""
    collection.add(shards[0])
    directory = collection.directory
    collection.close()
    monkeypatch.setattr(remote, "_allowed", set())
    monkeypatch.setattr("lookalike.collection.trust._TRUSTED", set())
    monkeypatch.setenv("LOOKALIKE_TRUST", str(tmp_path / "nobody"))
    opened._kept.clear()
    monkeypatch.setattr(remote, "_file_system", lambda url: pytest.fail(f"{url} was asked for"))
    with lookalike.open(directory, encoder=ColourEncoder()) as again:
        match = again.search(picture(1), k=1)[0]
        with pytest.raises(ImageError, match="permission denied"):
            again.original(match.id)
        with pytest.raises(UsageError, match=r"it says that it was made of memory://lake/0\.tar"):
            again.update()
        again.trust()
    monkeypatch.undo()


def test_a_trusted_collection_shows_its_images_when_it_is_opened_again(
    shards: list[str], collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.add(shards[0])
    collection.close()
    monkeypatch.setattr(remote, "_allowed", set())
    with lookalike.open(collection.directory, encoder=ColourEncoder()) as again:
        assert again.original(1).data in [png(number) for number in range(8)]


def test_only_what_is_below_a_named_url_is_read(memory: Any) -> None:
    memory.pipe_file("/lake/0.tar", b"x")
    memory.pipe_file("/lake2/0.tar", b"x")
    remote.allow("memory://lake")
    assert remote.status(RemotePath("memory://lake/0.tar")).size == 1
    for url in ("memory://lake2/0.tar", "memory://lak", "memory://"):
        with pytest.raises(PermissionError, match="that you have not named"):
            remote.status(RemotePath(url))


def test_an_error_of_a_file_system_is_a_reason(
    shards: list[str], collection: Collection, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.add(shards[:1])
    monkeypatch.setattr(type(memory), "info", lambda *_, **__: 1 / 0)
    opened._kept.clear()
    report = collection.update()
    assert [skip.reason for skip in report.skipped] == ["division by zero"]
    assert len(collection) == 8  # nothing is known of them, so that they stay


def test_urls_are_paths_that_print_as_urls() -> None:
    path = RemotePath("s3://bucket/a b/0.tar#cat/1.png")
    assert str(path) == os.fspath(path) == "s3://bucket/a b/0.tar#cat/1.png"
    assert (path.name, str(path.parent)) == ("1.png", "s3://bucket/a b/0.tar#cat")
    assert RemotePath(str(path)) == path


# An S3 server of its own, on this machine


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """The environment of a process that finds a bucket with shards on a server of this machine."""
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    port = random.Random(os.getpid()).randrange(20000, 30000)
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    yield os.environ | keys | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    server.kill()
    server.wait()


WRITE = """
import sys, time, s3fs
for attempt in range(100):
    try:
        system = s3fs.S3FileSystem()
        if not system.exists("lake"):
            system.mkdir("lake")
        break
    except Exception:
        time.sleep(0.2)
for path in sys.argv[1:]:
    system.put(path, "lake/" + path.rpartition("/")[2])
"""


def test_an_s3_bucket_from_the_command_line(s3: dict[str, str], tmp_path: Path) -> None:
    def lookalike_(*arguments: str) -> str:
        names: dict[str, Any] = {name: value for name, value in s3.items() if name.startswith("AWS_")}
        code, out, err = run(*arguments, "-c", "big", cwd=tmp_path, **names)
        assert (code, err) == (0, "")
        return out

    first = write_tar(tmp_path / "0.tar", {f"cat/{number}.png": png(number) for number in range(8)})
    second = write_tar(tmp_path / "1.tar", {f"dog/{number}.png": png(number) for number in range(8, 18)})
    subprocess.run([sys.executable, "-c", WRITE, first, second], env=s3, check=True, timeout=120)
    assert "18 added" in lookalike_("index", "s3://lake/{0..1}.tar")
    write_tar(second, {f"dog/{number}.png": png(number) for number in range(9, 19)})
    subprocess.run([sys.executable, "-c", WRITE, second], env=s3, check=True, timeout=120)
    out = lookalike_("index")
    assert all(told in out for told in ("1 added", "17 unchanged", "1 missing"))
    assert "s3://lake/" in lookalike_("search", "--id", "1", "-k", "1")

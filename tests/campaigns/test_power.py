"""A loss of power while a collection is written to: nothing that was committed is lost, and nothing is torn."""

import random
from pathlib import Path

import pytest

from tests.campaigns.power import campaign
from tests.campaigns.power.disk import ALL, Disk, Luck
from tests.campaigns.power.record import Kind, Operation
from tests.support.preloaded import needs_compiler


def test_a_loss_of_power_loses_nothing_and_the_next_run_carries_on(tmp_path: Path) -> None:
    needs_compiler()
    report = campaign.run(tmp_path.resolve(), count=16, per_record=8, steps=5)
    assert report.lost == []
    assert report.trials.total() == 16
    assert len(report.trials) >= 4  # of the steps were under way
    assert report.journals == {"a rollback journal": 8, "a write-ahead log": 8}


class Script:
    """What is done to a disk, and what it has after a loss of power."""

    def __init__(self, root: Path) -> None:
        (root / "disk").mkdir()
        self._root, self.disk = root, Disk(root / "disk")
        self._top = (root / "disk").stat().st_ino

    def do(self, kind: Kind, *names: str, data: bytes = b"", offset: int = 0, top: bool = False) -> None:
        """Does something to these names, or to the file that was made last, or to the disk's folder itself."""
        paths = b"\0".join(bytes(self._root / "disk" / name) for name in names)
        self.disk.do(Operation(kind, self._top if top else 1, offset, data or paths))

    def left(self, luck: Luck) -> dict[str, bytes]:
        """The files after a loss of power."""
        folder = self._root / f"left {len(list(self._root.iterdir()))}"
        folder.mkdir()
        self.disk.write(folder, luck)
        return campaign.contents(folder)

    def left_by_chance(self) -> list[dict[str, bytes]]:
        """The same for some random losses."""
        return [self.left(Luck(random.Random(seed), 0.5, None)) for seed in range(40)]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def luckless(names_until: int | None = None) -> Luck:
    return Luck(random.Random(0), 0.0, names_until)


def test_what_is_synced_survives_and_nothing_else_has_to(script: Script) -> None:
    script.do("create", "file")
    script.do("write", data=b"first")
    script.do("sync")
    assert script.left(luckless()) == {}  # its name is not synced
    assert script.left(luckless(names_until=1)) == {"file": b"first"}  # unless syncing the file does it
    script.do("sync", top=True)
    script.do("write", data=b"second", offset=2)
    script.do("truncate", offset=1)
    assert script.left(luckless()) == {"file": b"first"}
    assert script.left(ALL) == {"file": b"f"}
    assert {left["file"] for left in script.left_by_chance()} == {b"first", b"fisecond", b"f", b"first\0\0\0"}


def test_a_write_survives_in_sectors(script: Script) -> None:
    script.do("create", "file")
    script.do("write", data=bytes(1024))
    script.do("sync")
    script.do("sync", top=True)
    script.do("write", data=b"x" * 1000, offset=20)
    torn = {(left["file"][20:512], left["file"][512:1020]) for left in script.left_by_chance()}
    old, new = (bytes(492), bytes(508)), (b"x" * 492, b"x" * 508)
    assert torn == {(first, second) for first in (old[0], new[0]) for second in (old[1], new[1])}


def test_a_renaming_is_done_or_not_done(script: Script) -> None:
    for name, data in (("file", b"old"), ("file.new", b"new")):
        script.do("create", name)
        script.do("write", data=data)
        script.do("sync")
    script.do("sync", top=True)
    script.do("rename", "file.new", "file")
    left = script.left_by_chance()
    assert {len(files) for files in left} == {1, 2}
    assert {files["file"] for files in left} == {b"old", b"new"}


def test_a_removed_folder_is_gone_once_that_is_synced(script: Script) -> None:
    script.do("make folder", "folder")
    script.do("sync", top=True)
    script.do("remove", "folder")
    kept = script.left_by_chance()
    script.do("create", "file")
    script.do("sync")
    script.do("sync", top=True)
    assert kept == [{}] * 40
    assert script.left(luckless()) == {"file": b""}

"""Tar archives of images: which members there are, what they say, and what is wrong with bad ones."""

import io
import json
import os
import random
import tarfile
from pathlib import Path
from typing import Literal

import pytest

from lookalike.errors import ImageError
from lookalike.sources.shards import opened as openings
from lookalike.sources.shards.base import DamagedShardError, Shard
from lookalike.sources.shards.opened import opened
from tests.support.shards import png, write_tar

MOST = 10**7


def shard(path: Path) -> Shard:
    return opened(path).shard


def names(path: Path) -> list[str]:
    return [member.name for member in shard(path).members()]


FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
LONG = "/".join(f"a long name of a folder {number}" for number in range(20)) + "/猫.png"


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz"])
def test_members_are_those_of_pythons_reader(tmp_path: Path, format_: int, suffix: str) -> None:
    given = {f"{number % 3}/{number:03}.png": png(number) for number in range(20)} | {"./top.png": png(99)}
    if format_ != tarfile.USTAR_FORMAT:
        given[LONG] = png(7)
    path = write_tar(tmp_path / f"x{suffix}", given, "w:gz" if suffix.endswith("gz") else "w", format_=format_)
    found = shard(path)
    with tarfile.open(path) as archive:
        expected = {
            member.name.removeprefix("./"): archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
        }
    assert names(path) == sorted(expected, key=os.fsencode)
    assert {name: found.read(name, MOST) for name in names(path)} == expected
    assert {member.name: member.size for member in found.members()} == {
        name: len(data) for name, data in expected.items()
    }
    assert found.damage == ""


def test_what_is_no_image_is_not_listed(tmp_path: Path) -> None:
    given = {
        "a.png": png(0),
        "b": png(1),  # its bytes say what it is
        "c.weird": png(2),
        "d.txt": png(3),
        "e.bin": b"nothing",
        "f.svg": b"<svg/>",  # is listed, so that it is skipped with the reason
        "._a.png": png(4),
        ".hidden/g.png": png(5),
        "inner.tar": b"\0" * 10240,
        "h.cls": b"1",
    }
    assert names(write_tar(tmp_path / "x.tar", given)) == ["a.png", "b", "c.weird", "f.svg"]


def test_members_beside_an_image_say_what_it_is(tmp_path: Path) -> None:
    facts = {"label": "from JSON", "n": 7, "share": 0.5, "ok": False, "none": None, "list": [1], "inf": float("inf")}
    given = {
        "cats/001.jpg": png(0),
        "cats/001.txt": b" a cat\n",
        "cats/001.cls": b"12\n",
        "cats/001.json": json.dumps(facts | {"big": 2**70, "": 1, "long": "x" * 2**21}).encode(),
        "cats/001.mask.png": png(1),
        "002.png": png(2),
        "002.json": b"{broken",
        "002.caption": "ein Löwe".encode(),
        "003.png": png(3),
        "003.json": b"[" * 100_000,
    }
    found = shard(write_tar(tmp_path / "x.tar", given))
    expected = {"label": "12", "caption": "a cat", "n": 7, "share": 0.5, "ok": "false"}
    assert found.facts("cats/001.jpg") == found.facts("cats/001.mask.png") == expected
    assert found.facts("002.png") == {"caption": "ein Löwe"}
    assert found.facts("003.png") == {}


def test_of_members_of_one_name_the_last_counts(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [("a.png", png(0)), ("b.png", png(1)), ("./a.png", png(2))])
    assert names(path) == ["a.png", "b.png"]
    assert shard(path).read("a.png", MOST) == png(2)


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "", pax: dict[str, str] | None = None
) -> bytes:
    """The header of a member, whatever it says."""
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname, member.pax_headers = kind, size, link, pax or {}
    return member.tobuf(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT)


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 512)


def whole(name: str, seed: int) -> bytes:
    data = png(seed)
    return entry(name, size=len(data)) + padded(data)


END = b"\0" * 1024
GOOD = whole("good.png", 1)
LINK, SPARSE = "a link, which is not followed", "a sparse member, which is not read"
STRANGE = {
    "leads out": (whole("../../out.png", 2), {"%2E%2E/%2E%2E/out.png": "its name leads out of the archive"}),
    "absolute": (whole("/etc/x.png", 2), {"etc/x.png": ""}),
    "a symlink": (entry("link.png", tarfile.SYMTYPE, link="/etc/passwd"), {"link.png": LINK}),
    "a hard link": (entry("link.png", tarfile.LNKTYPE, link="good.png"), {"link.png": LINK}),
    "a device": (entry("dev.png", tarfile.CHRTYPE), {}),
    "a pipe": (entry("pipe.png", tarfile.FIFOTYPE), {}),
    "a folder": (entry("folder.png", tarfile.DIRTYPE), {}),
    "empty": (entry("empty.png"), {"empty.png": "empty file"}),
    "sparse": (entry("sparse.png", tarfile.GNUTYPE_SPARSE, size=512) + bytes(512), {"sparse.png": SPARSE}),
    "sparse by its header": (
        entry("GNUSparseFile/x.png", size=512, pax={"GNU.sparse.name": "s.png", "GNU.sparse.major": "1"}) + bytes(512),
        {"s.png": SPARSE},
    ),
    "no name": (whole("./", 2), {}),
    "a name that is not UTF-8": (whole("caf\udce9.png", 2), {"caf\udce9.png": ""}),
    "a global header": (entry("", tarfile.XGLTYPE, size=512) + padded(b"19 comment=nothing\n"), {}),
}  # fmt: skip


@pytest.mark.parametrize("case", STRANGE)
def test_strange_members_are_named_and_good_ones_are_read(tmp_path: Path, case: str) -> None:
    strange, expected = STRANGE[case]
    path = tmp_path / "x.tar"
    path.write_bytes(GOOD + strange + whole("last.png", 3) + END)
    found = shard(path)
    assert names(path) == sorted(["good.png", "last.png", *expected], key=os.fsencode)
    assert found.read("good.png", MOST) == png(1)
    assert found.read("last.png", MOST) == png(3)
    for name, reason in expected.items():
        if reason:
            with pytest.raises(ImageError) as error:
                found.read(name, MOST)
            assert error.value.reason == reason
        else:
            assert found.read(name, MOST) == png(2)
    assert found.damage == ""


def octal(value: int) -> bytes:
    """A number of 12 bytes, negative ones as GNU tar writes them."""
    return b"\xff" + (256**11 + value).to_bytes(11, "big") if value < 0 else b"\x80" + value.to_bytes(11, "big")


def sized(size: int) -> bytes:
    """A header whose size is what its 12 bytes can say."""
    header = bytearray(entry("bad.png"))
    header[124:136] = octal(size)
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header)


LONG_HEADER = entry("x", tarfile.XHDTYPE, size=2**21) + bytes(2**21)
DAMAGED = {
    "a negative size": (sized(-512), "damaged: a member has a negative size"),
    "a more negative size": (sized(-(2**60)), "damaged: a member has a negative size"),
    "a huge size": (sized(2**80), "truncated"),
    "a wrong checksum": (GOOD[:100] + b"x" + GOOD[101:], "damaged: bad checksum"),
    "noise": (random.Random(0).randbytes(5120), "damaged: invalid header"),
    "no end": (b"", "truncated"),
    "half a header": (GOOD[:100], "truncated"),
    "half a member": (whole("half.png", 2)[:550], "truncated"),
    "a header as long as none": (LONG_HEADER, "damaged: a header that is longer than any name"),
    "an extended header that is none": (
        entry("x", tarfile.XHDTYPE, size=512) + padded(b"999 path=x\n"),
        "damaged: an extended header that is none",
    ),
    "a size that is none": (
        entry("x", tarfile.XHDTYPE, size=512) + padded(b"13 size=much\n") + GOOD,
        "damaged: a size that is no number",
    ),
    "a long name that is cut off": (entry("x", tarfile.GNUTYPE_LONGNAME, size=9999), "truncated"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_members_before_the_damage_are_read(tmp_path: Path, case: str) -> None:
    damage, reason = DAMAGED[case]
    path = tmp_path / "x.tar"
    path.write_bytes(GOOD + damage)
    found = shard(path)
    assert found.damage == reason
    assert "good.png" in names(path)
    assert found.read("good.png", MOST) == png(1)
    for name in {"bad.png", "half.png"}.intersection(names(path)):
        with pytest.raises(ImageError, match="truncated"):
            found.read(name, MOST)


def test_a_long_name_in_ten_megabytes_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    record = b"path=" + b"x" * 10**7 + b"\n"
    length = len(record) + 9
    data = f"{length} ".encode() + record
    path.write_bytes(GOOD + entry("x", tarfile.XHDTYPE, size=len(data)) + padded(data) + GOOD + END)
    assert shard(path).damage == "damaged: a header that is longer than any name"
    assert names(path) == ["good.png"]


@pytest.mark.parametrize("data", [b"", b"no archive", bytes(300), png(0), b"PK\3\4" + bytes(2000)])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(data)
    with pytest.raises(DamagedShardError, match="archive"):
        opened(path)


def test_an_empty_archive_has_no_members(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(END)
    assert names(path) == []
    assert shard(path).damage == ""


def test_any_truncation_keeps_what_comes_before_it(tmp_path: Path) -> None:
    given = {f"{number}.png": png(number) for number in range(6)}
    path = write_tar(tmp_path / "whole.tar", given)
    data = path.read_bytes()
    cut = tmp_path / "cut.tar"
    for size in [*range(512, len(data), 997), len(data)]:
        cut.write_bytes(data[:size])
        found = shard(cut)
        whole_ones, reasons = [], set()
        for member in found.members():
            try:
                assert found.read(member.name, MOST) == given[member.name]
                whole_ones.append(member.name)
            except ImageError as error:
                reasons.add(error.reason)
        with tarfile.open(path) as archive:
            ends = {each.name: each.offset_data + each.size for each in archive}
        assert reasons <= {"truncated"}
        assert whole_ones == [name for name, end in ends.items() if end <= size]


def test_any_bit_flip_gives_the_members_or_a_reason(tmp_path: Path) -> None:
    given = {f"{number}.png": png(number) for number in range(6)}
    data = bytearray(write_tar(tmp_path / "whole.tar", given).read_bytes())
    chance, path = random.Random(3), tmp_path / "flipped.tar"
    reasons = set()
    for _ in range(300):
        flipped = bytearray(data)
        flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            found = shard(path)
        except DamagedShardError:
            continue
        for member in found.members():
            try:
                assert len(found.read(member.name, MOST)) == member.size
            except ImageError as error:
                reasons.add(error.reason)
    assert reasons <= {"truncated", LINK, SPARSE}


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_compressed_archive_that_is_cut_off_has_its_first_members(tmp_path: Path, keep: float) -> None:
    chance = random.Random(0)
    given = {f"{number}.png": png(number) + chance.randbytes(5000) for number in range(20)}
    path = write_tar(tmp_path / "x.tar.gz", given, "w:gz")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    found = shard(path)
    good = [name for name in names(path) if is_readable(found, name)]
    assert found.damage == "truncated"
    assert 20 * keep - 4 < len(good) < 20 * keep + 1
    assert all(found.read(name, MOST) == given[name] for name in good)


def is_readable(found: Shard, name: str) -> bool:
    try:
        found.read(name, MOST)
    except ImageError:
        return False
    return True


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tar(tmp_path / "x.tar.gz", {"a.png": bytes(10**7)}, "w:gz")
    monkeypatch.setattr(openings, "_FREE_BYTES", 10**6)
    with pytest.raises(DamagedShardError, match="unpacks to far more"):
        opened(path)


def test_a_shard_is_opened_once_until_it_changes(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", {"a.png": png(0)})
    first = shard(path)
    assert shard(path) is first
    write_tar(path, {"a.png": png(0), "b.png": png(1)})
    assert names(path) == ["a.png", "b.png"]


def test_descriptors_do_not_pile_up(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number in range(30):
        names(write_tar(tmp_path / f"{number}.tar", {"a.png": png(number)}))
    assert len(os.listdir("/proc/self/fd")) <= before + 8


@pytest.mark.parametrize("limit", [10, 100])
def test_a_member_over_the_limit_is_refused(tmp_path: Path, limit: int) -> None:
    found = shard(write_tar(tmp_path / "x.tar", {"a.png": png(0)}))
    with pytest.raises(ImageError, match="the limit for a file" if limit < len(png(0)) else "never"):
        found.read("a.png", limit)


def test_an_appended_archive_is_read_to_its_end(tmp_path: Path) -> None:
    """As Python's tarfile appends, over the end mark."""
    path = write_tar(tmp_path / "x.tar", {"a.png": png(0)})
    mode: Literal["a"] = "a"
    with tarfile.open(path, mode) as archive:
        member = tarfile.TarInfo("b.png")
        member.size = len(png(1))
        archive.addfile(member, io.BytesIO(png(1)))
    assert names(path) == ["a.png", "b.png"]

"""Which kind of image a file is by its first bytes, and that of text and of other files it is none."""

import gzip
import struct
from pathlib import Path

import pytest

from lookalike.images.kinds import START, is_image, kind_not_read, read_kind
from tests.support.image_samples import HEIC, painting, samples, saved

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'


def boxes(brand: bytes, *others: bytes) -> bytes:
    return struct.pack(">I4s4sI", 16 + 4 * len(others), b"ftyp", brand, 0) + b"".join(others) + bytes(40)


NOT_READ: list[tuple[bytes, str]] = [
    (b"\xff\x0a\xfa\x7f", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"),
    (b"II\xbc\x01\x20\0\0\0", "JPEG XR"),
    (b"8BPS\0\1" + bytes(20), "PSD"),
    (b"8BPS\0\2" + bytes(20), "PSD"),
    (b"gimp xcf v011\0", "XCF"),
    (boxes(b"crx ", b"crx ", b"isom"), "camera RAW (CR3)"),
    (b"FUJIFILMCCD-RAW 0201", "camera RAW (RAF)"),
    (b"IIRO\x08\0\0\0", "camera RAW (ORF)"),
    (b"IIRS\x08\0\0\0", "camera RAW (ORF)"),
    (b"IIU\0\x18\0\0\0", "camera RAW (RW2)"),
    (b"II\x1a\0\0\0HEAPCCDR\2\0", "camera RAW (CRW)"),
    (b"\0MRM\0\1", "camera RAW (MRW)"),
    (b"FOVb\2\0\1\0", "camera RAW (X3F)"),
    (b"v/1\x01\2\0\0\0", "OpenEXR"),
    (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "Radiance HDR"),
    (b"qoif\0\0\0\4", "QOI"),
    (b"\x8aMNG\r\n\x1a\n", "MNG"),
    (b"FLIF310\0\0", "FLIF"),
    (b"farbfeld\0\0\0\x10", "farbfeld"),
    (b"FORM\0\0\1\0ILBMBMHD", "ILBM"),
    (b"BA\x28\0\0\0" + bytes(8) + b"BM", "an array of OS/2 bitmaps"),
    (b"#define x_width 16\n#define x_height 16\nstatic char", "XBM"),
    (b"/* made by */\n#define a_b_width 16\n#define a_b_height 16\n", "XBM"),
    (b"BLP2\1\0\0\0", "BLP"),
    (b"SIMPLE  =                    T", "FITS"),
    (bytes(128) + b"DICM\2\0", "DICOM"),
    (b"%PDF-1.7\n", "PDF"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript (EPS)"),
    (b"\xc5\xd0\xd3\xc6" + bytes(26), "PostScript (EPS)"),
    (b"AT&TFORM\0\0\0\x10DJVU", "DjVu"),
    (b"\1\0\0\0" + bytes(36) + b" EMF", "EMF"),
    (b"\xd7\xcd\xc6\x9a\0\0", "WMF"),
    (SVG, "SVG"),
    (b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg:svg>', "SVG"),
    (b'\xef\xbb\xbf<?xml version="1.0"?><!DOCTYPE svg PUBLIC "x"><svg\n width="9">', "SVG"),
    (gzip.compress(SVG, mtime=0), "SVG"),
]


@pytest.mark.parametrize(("data", "name"), NOT_READ)
def test_an_image_that_is_not_read_has_a_name(data: bytes, name: str) -> None:
    assert read_kind(data) is None
    assert kind_not_read(data) == name
    assert is_image(data)


@pytest.mark.parametrize("kind", ["ICO", "PCX", "TGA", "SGI", "DDS", "ICNS", "JPEG2000", "PDF", "EPS"])
@pytest.mark.parametrize("size", [(16, 16), (48, 48)])
def test_what_pillow_writes_in_other_formats_has_a_name(kind: str, size: tuple[int, int]) -> None:
    assert is_image(saved(painting(size=size), kind))


@pytest.mark.parametrize("kind", samples())
def test_every_format_that_is_read_is_recognized_by_its_first_bytes(kind: str) -> None:
    for data in samples()[kind]:
        assert read_kind(data[:START]) == kind
        assert is_image(data[:32])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"hello",
        b"\xff\xd8",
        b"BMW builds cars, bicycles and motorcycles",
        b"P5 is a kind of image\n",
        b"P6\n",
        b"P1 is the first",
        b"GIF is pronounced with a soft g",
        b"II*",
        b"<!DOCTYPE html><html><body>404</body></html>",
        b"<html><body>" + SVG + b"</body></html>",
        b'<?xml version="1.0"?><note>svg</note>',
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"RIFF\x24\0\0\0AVI LIST",
        boxes(b"isom", b"isom", b"mp42"),
        boxes(b"qt  "),
        boxes(b"M4A "),
        b"PK\3\4" + bytes(30),
        b"\x7fELF\2\1\1" + bytes(30),
        b"\xca\xfe\xba\xbe\0\0\0\x34",
        b"\0\0\1\0" + bytes(40),
        b"\0\0\1\xba" + bytes(40),
        b"\0\0\2\0\0\0",
        b"\x0a\x0a\x0a\x0a text after empty lines",
        b"\x0a\0\0\0",
        b"\1\0\0\0" + bytes(60),
        gzip.compress(b"hello", mtime=0),
        b"\x1f\x8b\x08broken",
        b"import os\n",
        *(
            name + b" is a format of images\n"
            for name in (b"DDS", b"icns", b"qoif", b"farbfeld", b"8BPS", b"BLP2", b"FLIF")
        ),
        b"#define x_width 16\n#include <stdio.h>\n",
        b"FORM\0\0\1\0AIFF",
        b"#!/bin/sh\n",
        b"{}",
        bytes(4096),
        b"\xff" * 4096,
    ],
)
def test_what_is_no_image_has_no_kind(data: bytes) -> None:
    assert not is_image(data)


def test_no_module_of_python_is_taken_for_an_image() -> None:
    modules = list(Path(struct.__file__).parent.glob("*.py"))
    assert len(modules) > 100
    assert [path for path in modules if is_image(path.read_bytes()[:START])] == []


def test_heic_is_recognized_with_and_without_its_extra() -> None:
    assert read_kind(HEIC) == "HEIF"
    assert read_kind(HEIC[:8] + b"mif1" + HEIC[12:]) == "HEIF"

"""Tells by its first bytes what kind of image a file is, whatever its name, and whether that kind is read.

Nothing is opened or decoded here, and Pillow is not imported.
"""

import re
import zlib

START = 4096  # bytes of a file that are enough to recognize it

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
"""The formats that are read and have first bytes of their own."""

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}

# First bytes of formats that are not read, and what a message calls these. The raw files of most cameras are TIFFs.
_NOT_READ: tuple[tuple[bytes, str], ...] = (
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"8BPS", "PSD"),
    (b"gimp xcf", "XCF"),
    (b"FUJIFILMCCD-RAW", "camera RAW (RAF)"),
    (b"IIRO", "camera RAW (ORF)"),
    (b"IIRS", "camera RAW (ORF)"),
    (b"MMOR", "camera RAW (ORF)"),
    (b"IIU\0", "camera RAW (RW2)"),
    (b"II\x1a\0\0\0HEAPCCDR", "camera RAW (CRW)"),
    (b"\0MRM", "camera RAW (MRW)"),
    (b"FOVb", "camera RAW (X3F)"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"#?RGBE", "Radiance HDR"),
    (b"DDS ", "DDS"),
    (b"icns", "ICNS"),
    (b"BPG\xfb", "BPG"),
    (b"FLIF", "FLIF"),
    (b"qoif", "QOI"),
    (b"farbfeld", "farbfeld"),
    (b"\x8aMNG\r\n\x1a\n", "MNG"),
    (b"\x8bJNG\r\n\x1a\n", "JNG"),
    (b"\x01\xda\x00\x01", "SGI"),
    (b"\x01\xda\x01\x01", "SGI"),
    (b"\x59\xa6\x6a\x95", "Sun raster"),
    (b"SIMPLE  =", "FITS"),
    (b"%PDF-", "PDF"),
    (b"%!PS-Adobe-", "PostScript (EPS)"),  # and not a font: %!PS-AdobeFont
    (b"%!PS\n", "PostScript (EPS)"),
    (b"%!PS\r", "PostScript (EPS)"),
    (b"\xc5\xd0\xd3\xc6", "PostScript (EPS)"),
    (b"AT&TFORM", "DjVu"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    (b"/* XPM */", "XPM"),
    (b"P7 332\n", "an XV thumbnail"),
    (b"PF\n", "colour PFM"),
)
_PNM = re.compile(rb"P[1-6][ \t\r\n]+(#[^\n]*\n\s*)*[0-9]+\s|P7\n(#[^\n]*\n)*[A-Z]+ |Pf\s+[0-9]+\s+[0-9]+\s")
_SVG = re.compile(rb"<(\w+:)?svg[\s>]")
_TGA_END = b"TRUEVISION-XFILE.\0"


def read_kind(data: bytes) -> str | None:
    """The format of a file that is read and begins with these bytes: JPEG, PNG, ...; None if it is none of them."""
    for magic, kind in MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:2] == b"BM" and data[15:18] == b"\0\0\0":  # the length of the header; text may begin with BM, too
        return "BMP"
    if data[4:8] == b"ftyp":
        if (brands := _brands(data)) & {b"avif", b"avis"}:
            return "AVIF"
        if brands & _HEIF_BRANDS:
            return "HEIF"
    return "PNM" if _PNM.match(data) else None


def kind_not_read(data: bytes) -> str | None:
    """What a file is called that is an image of a kind that is not read: "JPEG XL"; None if it is none of these.

    Args:
        data: all of a file, or its first `START` bytes.
    """
    for magic, kind in _NOT_READ:
        if data.startswith(magic):
            return kind
    if data[4:8] == b"ftyp" and b"crx " in _brands(data):
        return "camera RAW (CR3)"
    if data[:3] == b"\0\0\x01" and _is_icon(data):
        return "ICO"
    if data[:3] == b"\0\0\x02" and _is_icon(data):
        return "CUR"
    if data[:4] == b"\x01\0\0\0" and data[40:44] == b" EMF":
        return "EMF"
    if data[128:132] == b"DICM":
        return "DICOM"
    if data[:1] == b"\x0a" and data[1:2] in b"\0\2\3\4\5" and data[2:4] in (b"\1\1", b"\1\2", b"\1\4", b"\1\x08"):
        return "PCX"
    if data.endswith(_TGA_END):
        return "TGA"
    return "SVG" if _is_svg(data) else None


def is_image(start: bytes) -> bool:
    """Whether a file with these first bytes, up to `START`, is an image, be it of a kind that is read or not."""
    return bool(read_kind(start) or kind_not_read(start))


def _brands(data: bytes) -> set[bytes]:
    """The brands of a file of boxes (ISO/IEC 14496-12: length, "ftyp", major brand, version, compatible brands)."""
    end = min(int.from_bytes(data[:4], "big"), 256)
    return {data[at : at + 4] for at in (8, *range(16, end, 4))}


def _is_icon(data: bytes) -> bool:
    """Whether a directory of icons follows: their number, and for each a byte that is 0 and the place of its data."""
    count, place = (int.from_bytes(data[at : at + size], "little") for at, size in ((4, 2), (18, 4)))
    return data[3:4] == b"\0" and 0 < count < 256 and data[9:10] == b"\0" and place >= 6 + 16 * count


def _is_svg(data: bytes) -> bool:
    start = data[:START]
    if start[:2] == b"\x1f\x8b":
        try:
            start = zlib.decompressobj(31).decompress(start, START)
        except zlib.error:
            return False
    start = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_page = b"<html" in start.lower() or start[:14].lower() == b"<!doctype html"
    return start.startswith(b"<") and not is_page and bool(_SVG.search(start))

"""Tells by its first bytes what kind of image a file is, whatever its name, and whether that kind is read.

Nothing is opened or decoded here, and Pillow is not imported.
"""

import re
import zlib
from collections.abc import Callable

START = 4096  # bytes of a file that are enough to recognize it

FIRST_BYTES = re.compile(
    rb"(?P<JPEG>\xff\xd8\xff)|(?P<PNG>\x89PNG\r\n\x1a\n)|(?P<GIF>GIF8[79]a)|(?P<TIFF>II[*+]\0|MM\0[*+])"
    rb"|(?P<WEBP>RIFF.{4}WEBP)"
    rb"|(?P<BMP>BM.{13}\0\0\0)"  # the length of the header; text may begin with BM, too
    rb"|(?P<PNM>P[1-6][ \t\r\n]+(?:#[^\n]*\n\s*)*[0-9]+\s|P7\n(?:#[^\n]*\n)*[A-Z]+\ |Pf\s+[0-9]+\s+[0-9]+\s)",
    re.DOTALL,
)
"""Matches files of the formats that are read, in the group of that name; AVIF and HEIF are told by `read_brand`."""

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}

# First bytes of formats that are not read, and what a message calls these. The raw files of most cameras are TIFFs.
_NOT_READ: tuple[tuple[bytes, str], ...] = (
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"8BPS\0", "PSD"),
    (b"gimp xcf", "XCF"),
    (b"FUJIFILMCCD-RAW", "camera RAW (RAF)"),
    (b"IIRO\x08\0", "camera RAW (ORF)"),
    (b"IIRS\x08\0", "camera RAW (ORF)"),
    (b"MMOR\0\0", "camera RAW (ORF)"),
    (b"IIU\0", "camera RAW (RW2)"),
    (b"II\x1a\0\0\0HEAPCCDR", "camera RAW (CRW)"),
    (b"\0MRM", "camera RAW (MRW)"),
    (b"FOVb", "camera RAW (X3F)"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"#?RGBE", "Radiance HDR"),
    (b"DDS |\0\0\0", "DDS"),
    (b"icns\0", "ICNS"),
    (b"BPG\xfb", "BPG"),
    (b"qoif\0", "QOI"),
    (b"farbfeld\0", "farbfeld"),
    (b"BLP1\0\0\0\0", "BLP"),
    (b"BLP1\1\0\0\0", "BLP"),
    (b"BLP2\1\0\0\0", "BLP"),
    (b"\xabKTX ", "KTX"),
    (b"\x13\xab\xa1\x5c", "ASTC"),
    (b"\xb1\x68\xde\x3a", "DCX"),
    (b"\x8aMNG\r\n\x1a\n", "MNG"),
    (b"\x8bJNG\r\n\x1a\n", "JNG"),
    (b"\x01\xda\0\1", "SGI"),
    (b"\x01\xda\0\2", "SGI"),
    (b"\x01\xda\1\1", "SGI"),
    (b"\x01\xda\1\2", "SGI"),
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
_FLIF = re.compile(rb"FLIF[1-t][0-2]")
_SVG = re.compile(rb"<(\w+:)?svg[\s>]")
_XBM = re.compile(rb"(/\*[^*]*\*/\s*)?#define [ \t]*\w*width[ \t]+[0-9]+\s+#define [ \t]*\w*height[ \t]")


def read_kind(data: bytes) -> str | None:
    """The format of a file that is read and begins with these bytes: JPEG, PNG, ...; None if it is none of them."""
    found = FIRST_BYTES.match(data, 0, START)
    return found.lastgroup if found else read_brand(data)


def read_brand(data: bytes) -> str | None:
    """AVIF or HEIF if a file of boxes says so, as both begin alike; None for any other file."""
    if data[4:8] != b"ftyp":
        return None
    brands = _brands(data)
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else None


def kind_not_read(data: bytes) -> str | None:
    """What a file is called that is an image of a kind that is not read: "JPEG XL"; None if it is none of these.

    Args:
        data: all of a file, or its first `START` bytes.
    """
    for magic, kind in _NOT_READ:
        if data.startswith(magic):
            return kind
    return next((kind for is_kind, kind in _TESTS if is_kind(data)), None)


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


def _is_pcx(data: bytes) -> bool:
    """Whether the version, run lengths, and a usual number of bits for a channel follow."""
    return data[:1] == b"\x0a" and data[1:2] in _PCX_VERSIONS and data[2:4] in (b"\1\1", b"\1\2", b"\1\4", b"\1\x08")


_PCX_VERSIONS = {b"\0", b"\2", b"\3", b"\4", b"\5"}
# Formats that need more than a comparison of first bytes.
_TESTS: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (lambda data: data[4:8] == b"ftyp" and b"crx " in _brands(data), "camera RAW (CR3)"),
    (lambda data: data[:3] == b"\0\0\1" and _is_icon(data), "ICO"),
    (lambda data: data[:3] == b"\0\0\2" and _is_icon(data), "CUR"),
    (lambda data: data[:4] == b"\1\0\0\0" and data[40:44] == b" EMF", "EMF"),
    (lambda data: data[:4] == b"FORM" and data[8:12] in (b"ILBM", b"PBM "), "ILBM"),
    (lambda data: data[:2] == b"BA" and data[14:16] in (b"BM", b"IC", b"PT"), "an array of OS/2 bitmaps"),
    (lambda data: data[128:132] == b"DICM", "DICOM"),
    (lambda data: _XBM.match(data) is not None, "XBM"),
    (lambda data: data.endswith(b"TRUEVISION-XFILE.\0"), "TGA"),
    (lambda data: _FLIF.match(data) is not None, "FLIF"),
    (_is_pcx, "PCX"),
    (_is_svg, "SVG"),
)

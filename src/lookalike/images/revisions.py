"""Knows which images earlier versions have decoded otherwise, so that only these are indexed again.

Whoever changes what pixels a file gives adds 1 to `CURRENT`, and to `_RULES` what tells such files.
"""

from typing import BinaryIO

CURRENT = 1
"""The revision of the decoders.

0: versions that did not count. 1: colours are converted to sRGB; all kinds of TIFF are read, PNGs of 16 bits are scaled
otherwise, and the rest of a GIF is white if its first frame is smaller; some files that were refused are read.
"""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BIT_FIELDS = (3, 6)  # kinds of a BMP's compression


def may_differ(file: BinaryIO, since: int) -> bool:
    """Whether an image file's pixels may be others now than those that the decoders of a revision gave.

    Only the header is read, but of TIFFs. A file whose header cannot be read may differ; so may some that do not.

    Args:
        file: the file, at its beginning.
        since: the revision.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        return any(rule(file) for revision, rule in _RULES if since < revision)
    except OSError:
        raise
    except Exception:  # broken headers raise all kinds
        return True


def _is_read_otherwise_since_1(file: BinaryIO) -> bool:
    start = file.read(32)
    if start.startswith(_TIFF):
        return _is_other_tiff(file)
    if start.startswith((b"GIF87a", b"GIF89a")):
        return not _fills_canvas(file)
    if start.startswith(b"\x89PNG") and start[24] == 16:
        return True
    if start.startswith(b"BM") and start[30] in _BIT_FIELDS:
        return True
    from lookalike.images import colour, colour_spaces  # Pillow, which the catalog does not need

    profile = colour_spaces.profile_in(file)
    return profile is not None and colour.may_convert(profile)


def _is_other_tiff(file: BinaryIO) -> bool:
    from lookalike.images import colour
    from lookalike.images.tiff import directory, image

    file.seek(0)
    data = file.read()  # its header may be anywhere
    profile = directory.main_directory(data).bytes(directory.ICC_PROFILE)
    return not image.is_usual_file(data) or (bool(profile) and colour.may_convert(profile))


def _fills_canvas(file: BinaryIO) -> bool:
    """Whether the first frame of a GIF is as large as the whole (GIF89a, 18 to 20)."""
    file.seek(0)
    head = file.read(13)
    file.seek(3 << (head[10] & 7) + 1 if head[10] & 128 else 0, 1)
    while (kind := file.read(1)) == b"!":
        file.read(1)
        while size := file.read(1)[0]:
            file.seek(size, 1)
    return kind == b"," and file.read(8) == b"\0\0\0\0" + head[6:10]


_RULES = ((1, _is_read_otherwise_since_1),)

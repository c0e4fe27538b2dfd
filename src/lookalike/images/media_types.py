"""Tells the media type of an image file from its first bytes."""

_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"II+\0", "image/tiff"),
    (b"MM\0+", "image/tiff"),
    (b"BM", "image/bmp"),
)


def media_type(data: bytes) -> str | None:
    """The media type of the bytes of an image file, by IANA's names; None if it is of no format that is indexed."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp":  # ISO/IEC 14496-12: length, "ftyp", major brand, version, compatible brands
        brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
        return "image/avif" if b"avif" in brands or b"avis" in brands else "image/heic"
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)

"""Tells the media type of an image file from its first bytes."""

from lookalike.images import kinds

_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "PNM": "image/x-portable-anymap",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
}


def media_type(data: bytes) -> str | None:
    """The media type of the bytes of an image file, by IANA's names; None if it is of no format that is read."""
    kind = kinds.read_kind(data)
    return _TYPES[kind] if kind else None

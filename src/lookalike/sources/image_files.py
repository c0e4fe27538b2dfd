"""Tells the images among the files of a folder: by their names or, where these say nothing, by their first bytes."""

import os

from lookalike.images import kinds
from lookalike.images.reading import read_start

_IMAGES = "jpg jpeg jpe jfif png apng gif webp tif tiff bmp dib avif avifs heic heif hif mpo ppm pgm pbm pnm pam"
# Formats that are not supported: such files are listed, so that they are reported as skipped.
_UNSUPPORTED = "svg svgz eps ps ai pdf psd psb xcf jp2 jpx j2k jxl ico tga exr hdr raw dng cr2 cr3 nef arw orf rw2 raf"
# What is no image. A file that ends in none of these words is one if it begins like one.
_OTHERS = """
    txt md rst log json jsonl ndjson xml html htm xhtml css js mjs ts map csv tsv yaml yml toml ini cfg conf lock
    tex bib py pyc pyi ipynb c h cc cpp hpp cs java class jar go rs rb pl php swift kt r m jl lua sql sh bash bat
    ps1 so dll exe o a doc docx xls xlsx ppt pptx odt ods odp rtf epub mobi eml ics vcf parquet arrow feather npy
    npz h5 hdf5 pkl pt pth onnx safetensors db sqlite sqlite3 wal zip gz tgz bz2 xz zst 7z rar tar iso dmg deb rpm
    mp4 m4v mov avi mkv webm mpg mpeg wmv flv 3gp mts m2ts mp3 m4a aac wav flac ogg opus mid srt vtt ttf otf woff
    woff2 xmp aae thm lrcat lrprev pp3 dop url lnk torrent pid part crdownload
"""
IMAGE_SUFFIXES = frozenset(f".{suffix}" for suffix in _IMAGES.split())
_SUFFIXES = IMAGE_SUFFIXES | {f".{suffix}" for suffix in _UNSUPPORTED.split()}
_NO_IMAGES = frozenset(f".{suffix}" for suffix in _OTHERS.split())


def is_image_name(name: str) -> bool:
    """Whether a file is called as an image is, be it of a format that is supported or not."""
    return _suffix(name) in _SUFFIXES


def is_other_name(name: str) -> bool:
    """Whether a file is called as something else is; the name of one that may be an image need not say anything."""
    return _suffix(name) in _NO_IMAGES


def may_be_image(entry: os.DirEntry[str]) -> bool:
    """Whether a file is called as an image is, or begins like one if its name does not say what it is."""
    if is_image_name(entry.name):
        return True
    if is_other_name(entry.name) or not entry.is_file():
        return False
    try:
        return kinds.is_image(read_start(entry.path, kinds.START))
    except OSError:  # nobody has called it an image
        return False


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - thousands of names: a Path takes ten times as long

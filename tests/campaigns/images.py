"""Compares the vectors of a matrix of image files with those of an independent decoder's pixels.

    python -m tests.campaigns.images --count 900 --seed 1

libvips decodes; tifffile with imagecodecs what libvips does not read, or reads as something else than was drawn, as it
does some TIFFs. Lookalike uses none of them. A file is right if the cosine of the two vectors is at least 0.98, or if
it is refused. Of the other formats all varieties are decoded, of 20,000 TIFFs some, drawn by lot.
"""

import argparse
import collections
import io
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
import pyvips
import tifffile
from numpy.typing import NDArray

from lookalike.encoders import base
from lookalike.errors import ImageError
from lookalike.images.decode import prepare
from tests.support.other_files import others
from tests.support.shown_pictures import ImageFile
from tests.support.tiff_files import tiffs

LEAST = 0.98  # cosine of two vectors of the same image
PICTURES = 40  # that are drawn


@dataclass(frozen=True)
class Outcome:
    """What came of a file.

    Attributes:
        kind: its format.
        name: its place in the matrix.
        cosine: of its vector and the reference's; None if it was refused.
        reason: why it was refused, or "".
        reference: who decoded it.
    """

    kind: str
    name: str
    cosine: float | None
    reason: str
    reference: str

    @property
    def is_wrong(self) -> bool:
        """Whether the file is read as another image than it holds."""
        return self.cosine is not None and self.cosine < LEAST


# References


def by_libvips(file: ImageFile) -> NDArray[np.uint8]:
    """Decodes a file with libvips: uint8, RGB or grey."""
    image = pyvips.Image.new_from_buffer(file.data, "", fail_on="error")
    has_alpha = image.hasalpha()
    if file.profile:
        image = _converted(image)
    values = image.numpy().astype(float)
    if values.ndim == 2:
        values = values[..., None]
    white, black = (255, 0) if file.profile or image.format == "uchar" else (file.white, file.black)
    inverted = file.inverted and image.format not in ("uchar", "ushort")  # libvips turns these itself
    if inverted:
        values[..., 0] = white + black - values[..., 0]
    if image.interpretation == "cmyk":
        return _inked(values)
    return _on_white(values, has_alpha and file.alpha, black, white)


def by_tifffile(file: ImageFile) -> NDArray[np.uint8]:
    """Decodes a TIFF with tifffile and imagecodecs: uint8, RGB or grey."""
    with tifffile.TiffFile(io.BytesIO(file.data)) as opened:
        page = opened.pages.first
        values = page.asarray().astype(float)
        photometric, planar = int(page.photometric), page.planarconfig == 2 and page.samplesperpixel > 1
        profile = page.iccprofile
        palette = np.zeros((3, 1), np.uint16) if page.colormap is None else page.colormap
    if planar:
        values = values.transpose(1, 2, 0)
    if photometric == 3:
        colours = palette.T if palette.max() < 256 else palette.T >> 8
        return np.asarray(colours.astype(np.uint8)[values.astype(int)])
    if values.ndim == 2:
        values = values[..., None]
    if photometric == 0:
        values[..., 0] = file.white + file.black - values[..., 0]
    if file.profile:
        eight = np.rint(values / file.white * 255).astype(np.uint8)
        image = pyvips.Image.new_from_array(eight, interpretation="cmyk" if photometric == 5 else "srgb")
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
        return np.asarray(_converted(image).numpy())
    if photometric == 5:
        return _inked(values / file.white * 255)
    return _on_white(values, file.alpha, file.black, file.white)


def by_imagecodecs(file: ImageFile) -> NDArray[np.uint8]:
    """Decodes a BMP with imagecodecs: uint8, RGB."""
    found: NDArray[np.uint8] = imagecodecs.bmp_decode(file.data)
    return found[..., :3]


def as_drawn(file: ImageFile) -> NDArray[np.uint8]:
    """Returns what was drawn, where no other reference reads a file."""
    return file.picture


REFERENCES: dict[str, tuple[Callable[[ImageFile], NDArray[np.uint8]], ...]] = {
    "TIFF": (by_libvips, by_tifffile),
    "BMP": (by_imagecodecs, as_drawn),
}


def _converted(image: pyvips.Image) -> pyvips.Image:
    """The image in sRGB by its profile; the intent is that of Pillow's ImageCms."""
    return image.icc_transform("srgb", embedded=True, depth=8, intent="perceptual")


def _inked(inks: NDArray[Any]) -> NDArray[np.uint8]:
    """The colours of inks without a profile: what each leaves of white."""
    left: NDArray[np.float64] = (255 - inks[..., :3]) * (255 - inks[..., 3:4]) / 255
    return np.rint(left).astype(np.uint8)


def _on_white(values: NDArray[Any], alpha: bool, black: float, white: float) -> NDArray[np.uint8]:
    """Scales numbers to 8 bits; what is transparent becomes white, and other channels are left out."""
    colours = values[..., : 3 if values.shape[2] >= 3 else 1]
    shown = np.clip((colours - black) / (white - black), 0, 1)
    if alpha:
        opaque = np.clip(values[..., -1:] / white, 0, 1)
        shown = shown * opaque + 1 - opaque
    grey = np.rint(shown * 255).astype(np.uint8)
    return grey[..., 0] if grey.shape[2] == 1 else grey


# The campaign


class Comparison:
    """Compares files by the vectors of the bundled model."""

    def __init__(self) -> None:
        self._encoder = base.load()

    def outcome(self, file: ImageFile) -> Outcome:
        """Compares a file with the first reference that decodes it."""
        try:
            found = self._vector(file.data)
        except ImageError as error:
            return Outcome(file.kind, file.name, None, error.reason, "")
        name, expected = self._reference(file)
        return Outcome(file.kind, file.name, float(found @ expected), "", name)

    def _reference(self, file: ImageFile) -> tuple[str, NDArray[np.float32]]:
        """The first reference that decodes the file to what was drawn, else the first one, and its vector."""
        drawn, found = self._vector(file.picture), {}
        for reference in REFERENCES.get(file.kind, (by_libvips,)):
            try:
                vector = self._vector(np.ascontiguousarray(reference(file)))
            except (pyvips.Error, ValueError, RuntimeError, NotImplementedError):
                continue
            found[reference.__name__] = vector
            if drawn @ vector >= LEAST:
                return reference.__name__, vector
        if not found:
            raise RuntimeError(f"{file.kind} {file.name}: no reference decodes it")
        return next(iter(found.items()))

    def _vector(self, source: bytes | NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = prepare(source, self._encoder.preprocessing).pixels
        vector = self._encoder.encode(pixels[None])[0]
        return np.asarray(vector / np.linalg.norm(vector))


def matrix(count: int, seed: int) -> Iterator[ImageFile]:
    """Writes all files of the other formats, or a third of `count` of them, and for the rest TIFFs drawn by lot."""
    rng = random.Random(seed)
    rest = list(others())
    chosen = rest if 3 * len(rest) <= 2 * count else rng.sample(rest, count // 3)
    for _, _, write in chosen:
        yield write(rng.randrange(PICTURES))
    for _, write in rng.sample(list(tiffs()), count - len(chosen)):
        yield write(rng.randrange(PICTURES))


def summary(outcomes: Iterable[Outcome]) -> str:
    """Returns a table of the outcomes by format."""
    rows: dict[str, list[Outcome]] = collections.defaultdict(list)
    for outcome in outcomes:
        rows[outcome.kind].append(outcome)
    lines = [f"{'format':8}{'files':>7}{'alike':>7}{'refused':>9}{'wrong':>7}{'least cosine':>14}"]
    for kind, found in sorted(rows.items()):
        cosines = [outcome.cosine for outcome in found if outcome.cosine is not None]
        wrong = sum(outcome.is_wrong for outcome in found)
        least = f"{min(cosines):.4f}" if cosines else "-"
        counts = len(found), len(cosines) - wrong, len(found) - len(cosines), wrong
        lines.append(f"{kind:8}{counts[0]:7}{counts[1]:7}{counts[2]:9}{counts[3]:7}{least:>14}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare decoded images with an independent decoder's.")
    parser.add_argument("--count", type=int, default=900, help="number of files (default: 900)")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    options = parser.parse_args()
    started = time.monotonic()
    comparison, outcomes = Comparison(), []
    for file in matrix(options.count, options.seed):
        outcome = comparison.outcome(file)
        outcomes.append(outcome)
        if outcome.is_wrong or outcome.reason:
            shown = outcome.reason or f"cosine {outcome.cosine:.4f} to {outcome.reference}"
            print(f"{outcome.kind} {outcome.name}: {shown}")
    print(summary(outcomes))
    by = collections.Counter(outcome.reference for outcome in outcomes if outcome.reference)
    print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in by.most_common()))
    wrong = sum(outcome.is_wrong for outcome in outcomes)
    print(f"{len(outcomes)} files, {wrong} wrong, {time.monotonic() - started:.0f} s")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())

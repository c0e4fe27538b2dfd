"""Measures how many edited copies of photographs are recognised, by their kind of edit, and what is taken for one.

    python benchmarks/copies.py FOLDER [--copied 80] [--edits 33] [--bursts 40]

The label of an image is the name of the folder that it is in. Some images are edited in each way of `copy_edits.py`.
Candidates for the original of an edited copy are the ten nearest by cosine among all images of the folder; hard
negatives are the ten nearest other images of the same label as the image that is copied. Pairs are judged by their
verification, and by the cosine and two perceptual hashes alone; by the four of imagededup, too, if it is installed
(pip install imagededup). Each way has the threshold that keeps its precision on one half of the copied images, and is
measured on the other half. The column "among 10" is what the candidates allow.

Then follow the probability of a copy by the score, by isotonic regression in bands of scores, and how far it is off on
the half of the images that has not taught it; and how the same scene, photographed again, is graded (`bursts.py`).
"""

import hashlib
import random
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import imagededup_hashes
import lookalike
from bursts import BURSTS
from copy_edits import EDITS
from lookalike import Collection, IndexedImage
from lookalike.copies import thumbnails
from lookalike.copies.verification import LEAST_SCORE, PreparedPicture, compare, prepare
from lookalike.duplicates.grading import LEAST_SCENE
from lookalike.evaluation.calibration import calibration_bins, calibration_error, isotonic
from lookalike.evaluation.edits import original
from lookalike.system.blas import one_thread
from lookalike.system.resources import cores

CANDIDATES = 10
PRECISION = 0.99
PEERS = imagededup_hashes.hashes()
WAYS = ("verified", "cosine", "PDQ", "pHash", *PEERS)
BANDS = np.array([0, 0.2, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9])


@dataclass(frozen=True)
class Known:
    """What is known of an image: its vector, its kept picture, prepared, and its hashes."""

    vector: NDArray[np.float32]
    kept: bytes
    picture: PreparedPicture
    hashes: dict[str, NDArray[np.bool_]]


@dataclass
class Pairs:
    """Pairs of images with what each way says of them.

    Attributes:
        edits: of each pair, the kind of edit, or "other" for two photographs.
        halves: 0 or 1, the half of the photographs that the copied one is in.
        copies: whether the pair is a copy and its original.
        scores: what each of `WAYS` says, the higher the likelier a copy.
        seconds: what the verification took.
        candidate: of each edited copy, its kind, half and whether its original is among the candidates.
        bursts: of each photograph of the same scene, what has changed, and the score.
    """

    edits: list[str] = field(default_factory=list)
    halves: list[int] = field(default_factory=list)
    copies: list[bool] = field(default_factory=list)
    scores: dict[str, list[float]] = field(default_factory=lambda: {way: [] for way in WAYS})
    seconds: list[float] = field(default_factory=list)
    candidate: list[tuple[str, int, bool]] = field(default_factory=list)
    bursts: list[tuple[str, float]] = field(default_factory=list)

    def extend(self, other: "Pairs") -> None:
        """Adds the pairs that another process has judged."""
        for name in ("edits", "halves", "copies", "seconds", "candidate", "bursts"):
            getattr(self, name).extend(getattr(other, name))
        for way, scores in other.scores.items():
            self.scores[way].extend(scores)

    def add(self, edit: str, half: int, copy: bool, first: Known, second: Known) -> None:
        """Judges a pair and adds it."""
        begun = time.perf_counter()
        score = compare(first.picture, second.picture).score
        self.seconds.append(time.perf_counter() - begun)
        self.edits.append(edit)
        self.halves.append(half)
        self.copies.append(copy)
        self.scores["verified"].append(score)
        self.scores["cosine"].append(float(first.vector @ second.vector))
        for name, bits in first.hashes.items():
            self.scores[name].append(float((bits == second.hashes[name]).mean()))


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--copied", default=80, show_default=True, help="Images that are edited in every way.")
@click.option(
    "--edits",
    default=len(EDITS),
    show_default=True,
    help="Ways to edit each: all, or so many by chance.",
)
@click.option("--bursts", default=40, show_default=True, help="Images whose scene is photographed again.")
@click.option("--processes", default=cores(), show_default=True, help="Processes that judge pairs at once.")
def main(folder: Path, copied: int, edits: int, bursts: int, processes: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place) / "collection"
        with lookalike.create(folder, directory=directory) as collection:
            collection.add(folder)
            count = len(collection)
        chosen = random.Random(2).sample(range(count), min(copied, count))
        with ProcessPoolExecutor(processes, initializer=prepare_process, initargs=(directory,)) as pool:
            pairs = Pairs()
            tasks = [(turn, number, edits, turn < bursts) for turn, number in enumerate(chosen)]
            for judged in pool.map(judge_image, tasks):
                pairs.extend(judged)
            sizes = pool.submit(kept_sizes).result()
    report(pairs)
    click.echo(f"bytes kept of an image: mean {np.mean(sizes):.0f}, largest {max(sizes)}")


@dataclass
class Gallery:
    """What each process knows: the collection, its images, and what is known of each."""

    collection: Collection
    images: list[IndexedImage]
    known: list[Known]


GALLERY: list[Gallery] = []


def prepare_process(directory: Path) -> None:
    collection = lookalike.open(directory)
    images = collection.images(limit=len(collection))
    GALLERY.append(Gallery(collection, images, [about(collection, Image.open(image.path)) for image in images]))


def kept_sizes() -> list[int]:
    return [len(each.kept) for each in GALLERY[0].known]


def judge_image(task: tuple[int, int, int, bool]) -> Pairs:
    """The pairs of an image with the nearest of its label, and of its edited copies with their candidates.

    Args:
        task: the place of the image among those that are copied, its number, and in how many ways it is edited, and
            whether its scene is photographed again.
    """
    (turn, number, edits, is_burst), gallery, pairs = task, GALLERY[0], Pairs()
    image = gallery.images[number]
    labelled = [other for other, each in enumerate(gallery.images) if each.label == image.label]
    with one_thread():
        add_others(pairs, turn % 2, number, labelled, gallery.known)
        names = random.Random(number).sample(list(EDITS), min(edits, len(EDITS)))
        for edit, copy in edited(image.path.read_bytes(), names):
            add_copies(pairs, turn % 2, edit, about(gallery.collection, copy), number, gallery.known)
        for name, again in edited(image.path.read_bytes(), BURSTS if is_burst else ()):
            pairs.bursts.append((name, compare(pictured(again), gallery.known[number].picture).score))
    return pairs


def about(collection: Collection, image: Image.Image) -> Known:
    """What is known of an image once it has been indexed."""
    [vector] = collection.embed(image)
    hashes = {"PDQ": pdq(image), "pHash": phash(image)} | {name: bits(image) for name, bits in PEERS.items()}
    return Known(vector, thumbnails.pack(image), pictured(image), hashes)


def pictured(image: Image.Image) -> PreparedPicture:
    """An image as it is compared."""
    return prepare(thumbnails.unpack(thumbnails.pack(image)))


def edited(data: bytes, names: Iterable[str]) -> Iterator[tuple[str, Image.Image]]:
    """An edited copy of an image in each of these ways, or another photograph, with its name; always the same."""
    image, seed = original(data), hashlib.sha256(data).digest()
    for name in names:
        yield name, (EDITS | BURSTS)[name](image, random.Random(seed + name.encode()))


def add_copies(pairs: Pairs, half: int, edit: str, copy: Known, number: int, known: list[Known]) -> None:
    """Adds the pairs of an edited copy and its candidates."""
    nearest = np.argsort([-float(copy.vector @ each.vector) for each in known], kind="stable")[:CANDIDATES]
    pairs.candidate.append((edit, half, number in nearest))
    for other in nearest.tolist():
        pairs.add(edit, half, other == number, copy, known[other])


def add_others(pairs: Pairs, half: int, number: int, labelled: list[int], known: list[Known]) -> None:
    """Adds the pairs of a photograph and the nearest others of its label."""
    others = [other for other in labelled if other != number]
    cosines = [float(known[number].vector @ known[other].vector) for other in others]
    for place in np.argsort(cosines)[::-1][:CANDIDATES].tolist():
        pairs.add("other", half, False, known[number], known[others[place]])


def report(pairs: Pairs) -> None:
    """Prints recall by edit, precision, thresholds and times, of the second half of the copied images."""
    edits, copies = np.array(pairs.edits), np.array(pairs.copies)
    second = np.array(pairs.halves) == 1
    scores = {way: np.array(values) for way, values in pairs.scores.items()}
    limits = {way: threshold(values[~second], copies[~second]) for way, values in scores.items()}
    click.echo(f"{'recall of':<22}{'among 10':>10}" + "".join(f"{way:>10}" for way in WAYS))
    for edit in [*EDITS, "all"]:
        found = [is_there for name, half, is_there in pairs.candidate if half == 1 and edit in (name, "all")]
        of_edit = second & copies & ((edits == edit) | (edit == "all"))
        recalls = [float((scores[way][of_edit] >= limits[way]).sum()) / max(1, len(found)) for way in WAYS]
        click.echo(f"{edit:<22}{np.mean(found):>10.3f}" + "".join(f"{recall:>10.3f}" for recall in recalls))
    exact = [precision(scores[way][second], copies[second], limits[way]) for way in WAYS]
    click.echo(f"{'precision':<32}" + "".join(f"{value:>10.4f}" for value in exact))
    click.echo(f"{'threshold':<32}" + "".join(f"{limits[way]:>10.3f}" for way in WAYS))
    report_fixed(scores["verified"], copies, edits)
    report_probability(scores["verified"], copies, second)
    report_bursts(pairs.bursts)
    if not PEERS:
        click.echo("imagededup is not installed; to measure its hashes, too: pip install imagededup")
    seconds = np.array(pairs.seconds) * 1000
    click.echo(f"ms a pair: copies {np.mean(seconds[copies]):.1f}, others {np.mean(seconds[~copies]):.1f}")


def report_fixed(scores: NDArray[np.float64], copies: NDArray[np.bool_], edits: NDArray[np.str_]) -> None:
    """Prints what the built-in threshold does, and the highest scores of other photographs."""
    taken = scores >= LEAST_SCORE
    click.echo(
        f"at the built-in {LEAST_SCORE}, both halves: {taken[copies].mean():.4f} of the candidates that are originals, "
        f"{int(taken[~copies].sum())} of {int((~copies).sum())} other pairs, "
        f"{int(taken[edits == 'other'].sum())} of {int((edits == 'other').sum())} of the same label"
    )
    highest = np.sort(scores[~copies])[::-1]
    click.echo("highest scores of other pairs: " + " ".join(f"{score:.2f}" for score in highest[:12]))


def report_probability(scores: NDArray[np.float64], copies: NDArray[np.bool_], second: NDArray[np.bool_]) -> None:
    """Prints the probability of a copy by the score, and how far it is off where each half is told by the other."""
    told = np.empty(len(scores))
    for half in (second, ~second):
        told[half] = np.interp(scores[half], *probabilities(scores[~half], copies[~half]))
    click.echo(f"probability of a copy, {copies.mean():.3f} of the pairs being copies")
    for name, low, high in (("all", 0, 2), ("taken", LEAST_SCORE, 2), ("0.45 to 0.8", 0.45, 0.8)):
        these = (scores >= low) & (scores < high)
        error = calibration_error(calibration_bins(told[these], copies[these]))
        click.echo(f"{name:<12}{int(these.sum()):>8} pairs, off by {error:.4f}")
    for score, probability in zip(*probabilities(scores, copies), strict=True):
        click.echo(f"{score:>8.3f}{probability:>9.4f}")


def probabilities(
    scores: NDArray[np.float64], copies: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean score of each band, and the share of copies there, made to rise and to be certain nowhere."""
    bands = np.searchsorted(BANDS, scores, "right") - 1
    sizes = np.bincount(bands, minlength=len(BANDS)).astype(float)
    found = np.bincount(bands, copies, len(BANDS))
    places = np.bincount(bands, scores, len(BANDS)) / np.maximum(sizes, 1)
    found[0] += 1
    sizes[[0, -1]] += 1
    there = sizes > 0
    return places[there], isotonic(found[there] / sizes[there], sizes[there])


def report_bursts(bursts: list[tuple[str, float]]) -> None:
    """Prints how photographs of the same scene are graded."""
    click.echo(f"{'the same scene again':<40}{'edited copy':>12}{'same scene':>12}{'neither':>9}{'from 0.9':>10}")
    for name in BURSTS:
        scores = np.array([score for each, score in bursts if each == name])
        edited_copy, seen = scores >= LEAST_SCORE, scores >= LEAST_SCENE
        shares = edited_copy.mean(), (seen & ~edited_copy).mean(), (~seen).mean(), (scores >= 0.9).mean()
        click.echo(f"{name:<40}{shares[0]:>12.3f}{shares[1]:>12.3f}{shares[2]:>9.3f}{shares[3]:>10.3f}")


def threshold(scores: NDArray[np.float64], copies: NDArray[np.bool_]) -> float:
    """The lowest threshold with a precision of at least `PRECISION`; pairs of the same score are taken together."""
    order = np.argsort(-scores, kind="stable")
    exact = np.cumsum(copies[order]) / np.arange(1, len(order) + 1)
    last = np.append(scores[order][1:] != scores[order][:-1], True)
    kept = np.flatnonzero(last & (exact >= PRECISION))
    return float(scores[order][kept[-1]]) if len(kept) else float("inf")


def precision(scores: NDArray[np.float64], copies: NDArray[np.bool_], limit: float) -> float:
    taken = scores >= limit
    return float(copies[taken].mean()) if taken.any() else 1.0


def cosines(count: int, frequencies: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rows of the discrete cosine transform of `count` values."""
    return np.cos(np.pi / count * frequencies[:, None] * (np.arange(count) + 0.5))


def pdq(image: Image.Image) -> NDArray[np.bool_]:
    """The 256 bits of PDQ: of a 64 x 64 luminance, the lowest 16 x 16 frequencies but the zeroth, above the median."""
    small = np.asarray(image.convert("L").resize((64, 64), Image.Resampling.BOX), np.float64)
    rows = cosines(64, np.arange(1, 17))
    values = rows @ small @ rows.T
    return (values > np.median(values)).ravel()


def phash(image: Image.Image) -> NDArray[np.bool_]:
    """The 64 bits of pHash: a 32 x 32 luminance, its lowest 8 x 8 frequencies, above their median."""
    small = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS), np.float64)
    rows = cosines(32, np.arange(8))
    values = rows @ small @ rows.T
    return (values > np.median(values)).ravel()


if __name__ == "__main__":
    main()

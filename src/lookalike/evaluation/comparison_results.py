"""The results of comparing models on a folder of images."""

from dataclasses import dataclass

from lookalike.results import Skipped


@dataclass(frozen=True)
class CopyRecall:
    """How often a model finds the original of an edited copy.

    Attributes:
        distortion: the edit, such as "cropped".
        recall_at_1: the share of copies whose original is the first match, in [0, 1].
        recall_at_10: the share of copies whose original is among the first ten matches, in [0, 1].
    """

    distortion: str
    recall_at_1: float
    recall_at_10: float


@dataclass(frozen=True)
class ComparedModel:
    """The measurements of one model.

    Attributes:
        model: its name.
        precision: its inference precision.
        dim: the dimension of its vectors.
        images: the number of images that it made usable vectors of; the others are left out.
        copies: the recall of edited copies, for each edit.
        recall_at_1: the mean over all edits, in [0, 1].
        recall_at_10: likewise.
        beyond_chance: the share of copies that are nearer to their original than chance is (`Match.expected` is at most
            0.1), in [0, 1], which makes models comparable whose scores are not; None if there are too few images.
        precision_at_1: the share of images whose nearest other image has their label, in [0, 1]; None if there are
            fewer than two labels, or none that two images have.
        precision_at_10: the mean share of the ten nearest that have it, likewise.
        mean_average_precision: over whole rankings, likewise.
        images_per_second: how fast all threads together read, decode and encode images, once the model is loaded.
        loading_seconds: the time that loading the model took.
        memory_bytes: the peak memory of the process that did it, including that of Python itself.
    """

    model: str
    precision: str
    dim: int
    images: int
    copies: tuple[CopyRecall, ...]
    recall_at_1: float
    recall_at_10: float
    beyond_chance: float | None
    precision_at_1: float | None
    precision_at_10: float | None
    mean_average_precision: float | None
    images_per_second: float
    loading_seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class Comparison:
    """The measurements of several models on the same images.

    Attributes:
        files: the number of files in the folder.
        images: the number of different images that were drawn from these.
        labels: the number of different labels that they have; the label of an image is the name of its folder.
        duplicates: the number of files that were drawn and look exactly like one of the images.
        skipped: the files that were drawn and cannot be used, and the folders that cannot be listed.
        models: the models, in the order that they were named.
    """

    files: int
    images: int
    labels: int
    duplicates: int
    skipped: tuple[Skipped, ...]
    models: tuple[ComparedModel, ...]

"""What a comparison of networks on somebody's own pictures has found."""

from dataclasses import dataclass

from lookalike.results import Skipped


@dataclass(frozen=True)
class CopyRecall:
    """How often the original of a distorted copy is found.

    Attributes:
        distortion: what was done to the copies, such as "cropped".
        recall_at_1: how often the original is the first answer, in [0, 1].
        recall_at_10: how often it is among the first ten, in [0, 1].
    """

    distortion: str
    recall_at_1: float
    recall_at_10: float


@dataclass(frozen=True)
class Compared:
    """How one network does on the pictures.

    Attributes:
        model: its name.
        precision: what it computes with.
        dim: the number of dimensions of its vectors.
        images: how many pictures it has made vectors of; those that it cannot are left out.
        copies: how often it finds the originals of copies, for each distortion.
        recall_at_1: the mean over all distortions, in [0, 1].
        recall_at_10: likewise.
        precision_at_1: how often the picture nearest to another has its label, in [0, 1]; None where there are fewer
            than two labels, or none that two pictures have.
        precision_at_10: the share of the ten nearest that have it, likewise.
        mean_average_precision: over whole rankings, likewise.
        images_per_second: how many it reads, decodes and encodes with all threads, once it is loaded.
        loading_seconds: how long it took to load.
        memory_bytes: the most memory that a process of its own has taken for that, Python and all.
    """

    model: str
    precision: str
    dim: int
    images: int
    copies: tuple[CopyRecall, ...]
    recall_at_1: float
    recall_at_10: float
    precision_at_1: float | None
    precision_at_10: float | None
    mean_average_precision: float | None
    images_per_second: float
    loading_seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class Comparison:
    """Several networks on the same pictures.

    Attributes:
        files: how many there are in the folder.
        images: how many different pictures of these were taken.
        labels: how many different labels these have; the label of a picture is the folder that it is in.
        duplicates: how many more were drawn that look exactly like one of these.
        skipped: the files that were drawn and cannot be used, and the folders that cannot be listed.
        models: the networks, in the order that they were asked for.
    """

    files: int
    images: int
    labels: int
    duplicates: int
    skipped: tuple[Skipped, ...]
    models: tuple[Compared, ...]
